"""The answers to requests that pause a target, that end its pause, and that ask for it."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Protocol

from aiohttp import web

from exporter.errors import ConfigError, RequestError
from exporter.options.values import parse_duration
from exporter.targets.path_names import names_meant
from exporter.web.cross_site import NOT_FOR_PAGES, is_of_a_page

FOR_DEFAULT, FOR_MAX_S = "10m", 24 * 3600.0
#: a shorter one is over before anybody sees it
FOR_MIN_S = 1.0


class PausesView(Protocol):
    """What the answers need. Targets are known by address; moments are Unix time."""

    def find(self, text: str) -> str | None: ...
    def until(self, addr: str) -> float | None: ...
    def begin(self, addr: str, for_s: float) -> float: ...
    def end(self, addr: str) -> None: ...


def answer(request: web.Request, pauses: PausesView | None, *, is_allowed: bool) -> web.Response:
    """POST pauses, DELETE ends the pause, GET only looks. Web pages in a browser may not change anything."""
    changes = request.method in ("POST", "DELETE")
    if changes and not is_allowed:
        return _text(
            403, "requests may not change what is polled: start with --web.enable-lifecycle to allow it"
        )
    if changes and is_of_a_page(request.headers):
        return web.Response(status=403, text=NOT_FOR_PAGES)
    addr = mistake = None
    if pauses is not None:
        for name in names_meant(request.match_info["name"]):
            try:
                addr = addr or pauses.find(name)
            except ConfigError as error:
                mistake = mistake or error
    if addr is None and mistake is not None:
        return _text(404, f"no target has this name, and it is no address: {mistake}")
    if pauses is None or addr is None:
        return _text(404, "no configured target has this alias or address")
    if request.method == "POST":
        pauses.begin(addr, for_s(request.query.get("for", FOR_DEFAULT)))
    elif request.method == "DELETE":
        pauses.end(addr)
    return web.json_response(_state(addr, pauses.until(addr)))


def for_s(text: str) -> float:
    """How long a pause lasts. A RequestError says what to write instead."""
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise RequestError(f"for: {error}") from None
    if not FOR_MIN_S <= seconds <= FOR_MAX_S:
        raise RequestError(f"for: write a duration from 1s to {FOR_MAX_S / 3600:g}h, such as 30m")
    return seconds


def _state(addr: str, until: float | None) -> dict[str, object]:
    state: dict[str, object] = {"addr": addr, "paused": until is not None}
    if until is not None:
        state["until"] = datetime.fromtimestamp(until, timezone.utc).isoformat(timespec="seconds")
    return state


def _text(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=f"{text}\n")
