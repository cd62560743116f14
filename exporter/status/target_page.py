"""One target for people: its page, its JSON, and a poll of it that is traced.

Looking polls nothing. A traced poll is started by POST only.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Protocol
from urllib.parse import parse_qs, quote

from aiohttp import web

from exporter import safe_text
from exporter.errors import ConfigError, NotAllowedError, PageError, RequestError
from exporter.metrics.lane import Lane
from exporter.options.table import Options
from exporter.pages.page import Page
from exporter.polling.assignment import Services
from exporter.polling.poll_trace import PollTrace
from exporter.polling.tracer import LANES, default_lanes, trace_poll
from exporter.polling.watched_target import WatchedTarget
from exporter.status.advice import ADVICE
from exporter.status.answers import NOT_KEPT, html_answer, json_answer
from exporter.status.json_values import json_text
from exporter.status.openapi import BAD_PARAMETER, Operation, Parameter
from exporter.status.plots import STEPS, poll_plot
from exporter.status.row_texts import link_of
from exporter.status.target_detail import TargetDetail, detail_of, labels_of
from exporter.status.target_finder import Findable, find_target
from exporter.status.target_values import FILTER_MAX, ServedValues, served_values
from exporter.status.templates import Templates
from exporter.status.trace_door import TraceTokens, TraceTurns
from exporter.targets.path_names import names_meant
from exporter.targets.target import Target
from exporter.web.cross_site import is_of_a_browser, is_of_this_site

#: characters of a name that an answer repeats
NAME_MAX = 200
#: a body of a form has a token and lanes
FORM_BYTES = 4096
#: lanes of the form that a person can choose
CHOICES = tuple(lane.value for lane in LANES)
#: a proxy that writes another Host makes every page look so
FOREIGN = (
    "The request comes from a page of another site, as its headers Origin and Host say. A proxy has to pass "
    "Host on as it came; nginx does so with: proxy_set_header Host $http_host;"
)
#: browsers say where a form of this page comes from, and say nothing to other sites
REFERRER = {"Referrer-Policy": "same-origin"}


@dataclass(frozen=True, slots=True)
class TargetAnswer:
    """A target and the values that are served for it."""

    target: TargetDetail
    values: ServedValues


@dataclass(frozen=True, slots=True)
class TraceAnswer:
    """A traced poll."""

    trace: PollTrace


_UNKNOWN = {
    403: "The target is configured and not polled, or requests may not do this.",
    404: "No target here has this alias or address.",
    421: "Another shard polls the target.",
}
#: what the methods for programs answer
OPERATIONS = (
    Operation(
        "api-target",
        "One target, with the values that are served for it.",
        TargetAnswer,
        parameters=(
            Parameter(
                "q",
                "Words that name, labels or HELP of a series must have.",
                {"type": "string", "maxLength": FILTER_MAX},
            ),
        ),
        errors={**BAD_PARAMETER, **_UNKNOWN},
    ),
    Operation(
        "api-target-trace",
        "One more poll, with each of its steps.",
        TraceAnswer,
        parameters=(
            Parameter(
                "lane",
                "The lanes to poll; without any those that are due.",
                {"type": "array", "items": {"enum": list(CHOICES)}},
            ),
        ),
        errors={
            **BAD_PARAMETER,
            **_UNKNOWN,
            429: "Another traced poll runs, or began within this second.",
        },
        method="post",
    ),
)


class MetricPages(Protocol):
    """What is needed of the pages of metrics."""

    async def of_target(self, addr: str, *, plain: bool) -> Page: ...


@dataclass(frozen=True, slots=True)
class TargetSources:
    """What the answers are made of. `other_owner` gives the index of the shard that polls a target, `refuse`
    raises NotAllowedError for one that is configured and not polled. `options` are those of all
    targets, `places` the files and lines of a target's own values. `may_trace`: requests may start polls.
    `has_scrape`: there is a page of metrics of one target. `share` returns when the event loop has time."""

    fleet: Findable
    pages: MetricPages
    services: Services
    other_owner: Callable[[str], int | None]
    refuse: Callable[[str], None]
    options: Callable[[], Options]
    places: Callable[[Target], Mapping[str, str]]
    share: Callable[[], Awaitable[None]]
    may_trace: bool = True
    has_scrape: bool = True


class _UnknownTargetError(Exception):
    """There is no such target here: the text says what to do."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class _RefusedTraceError(Exception):
    """A traced poll may not begin: the text says why."""

    def __init__(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.headers = dict(headers or {})


class TargetPage:
    """See the module. Its methods answer the routes of their names."""

    def __init__(self, sources: TargetSources, templates: Templates) -> None:
        self.sources = sources
        self._templates = templates
        self._tokens = TraceTokens()
        self._turns = TraceTurns()

    async def target(self, request: web.Request) -> web.StreamResponse:
        """The page of one target."""
        try:
            watched = self._find(request)
        except _UnknownTargetError as error:
            return await self._missing(request, error)
        return await self._page(request, watched, None)

    async def target_trace(self, request: web.Request) -> web.StreamResponse:
        """The same page, with a traced poll that a form of it has asked for."""
        try:
            watched = self._find(request)
            trace = await self._traced(request, watched, await _form(request))
        except _UnknownTargetError as error:
            return await self._missing(request, error)
        except _RefusedTraceError as error:
            answer = await self._message(request, error.status, "No traced poll", str(error))
            answer.headers.update(error.headers)
            return answer
        return await self._page(request, watched, trace)

    async def api_target(self, request: web.Request) -> web.StreamResponse:
        """The same as JSON, without the plot."""
        try:
            watched = self._find(request)
        except _UnknownTargetError as error:
            return _mistake(error.status, str(error))
        await self.sources.share()
        text = json_text(TargetAnswer(self._detail(watched), ServedValues()))
        values = await self._values(watched, _filter_of(request))
        await self.sources.share()  # the values are half of the work
        return json_answer(text.removesuffix(json_text(ServedValues()) + "}") + json_text(values) + "}")

    async def api_target_trace(self, request: web.Request) -> web.StreamResponse:
        """A traced poll as JSON, for programs."""
        try:
            watched = self._find(request)
            if is_of_a_browser(request.headers):
                raise _RefusedTraceError(
                    403, "not for web pages: use the page of the target, or a program such as curl"
                )
            trace = await self._trace(watched, _lanes(request.query.getall("lane", []), watched))
        except _UnknownTargetError as error:
            return _mistake(error.status, str(error))
        except _RefusedTraceError as error:
            return _mistake(error.status, str(error), error.headers)
        return json_answer(json_text(TraceAnswer(trace)))

    # -- which target

    def _find(self, request: web.Request) -> WatchedTarget:
        mistake = ""
        for text in names_meant(request.match_info["name"]):
            try:
                found = find_target(self.sources.fleet, text)
            except ConfigError as error:
                found, mistake = None, mistake or str(error)
            if found is not None:
                return found
        text = names_meant(request.match_info["name"])[0]
        owner = self.sources.other_owner(text)
        if owner is not None:
            raise _UnknownTargetError(421, f"shard {owner} polls this target: ask that one")
        try:
            self.sources.refuse(text)
        except NotAllowedError as error:
            raise _UnknownTargetError(403, str(error)) from None
        hint = "" if not mistake else f" As an address it cannot be read: {mistake}"
        raise _UnknownTargetError(404, f"No target here has this alias or address.{hint}")

    # -- pages

    async def _page(
        self, request: web.Request, watched: WatchedTarget, trace: PollTrace | None
    ) -> web.StreamResponse:
        await self.sources.share()
        detail, text = self._detail(watched), _filter_of(request)
        polls = tuple(watched.health.history.newest())
        await self.sources.share()
        values = {
            "root": _root(request),
            "page": "targets",
            "detail": detail,
            "row": detail.row,
            "advice": ADVICE.get(detail.row.reason, ""),
            "labels": labels_of(detail),
            "path": link_of(detail.row.name, detail.row.key),
            "scrape": self._scrape_of(watched),
            "wall": time.time(),
            "plot": poll_plot(polls),
            "steps": STEPS,
            "text": text,
            "values": await self._values(watched, text),
            "trace": trace,
            "trace_steps": dict(trace.steps_s) if trace is not None else {},
            "refusal": self._refusal(watched),
            "token": self._tokens.issue(watched.target.key, time.time()),
            "lanes": [lane.value for lane in LANES if lane in watched.assignment.family_sets.lanes],
            "chosen": [lane.value for lane in default_lanes(watched.state)],
        }
        return _with_referrer(html_answer(await self._templates.write("target.html", values)))

    def _scrape_of(self, watched: WatchedTarget) -> str:
        """What `/scrape?target=` is followed by to get these values; "" if it cannot give them."""
        target = watched.target
        return quote(target.addr, safe="") if self.sources.has_scrape and not target.variant else ""

    def _detail(self, watched: WatchedTarget) -> TargetDetail:
        options, places = self.sources.options(), self.sources.places(watched.target)
        return detail_of(watched, options, places, time.monotonic(), time.time())

    async def _values(self, watched: WatchedTarget, text: str) -> ServedValues:
        """Those that are served now; none where the stale policy withholds them."""
        try:
            page = await self.sources.pages.of_target(watched.target.key, plain=True)
        except PageError:
            return ServedValues()
        pieces = chain(page.plain, [page.plain_tail(time.monotonic())])  # inflated one by one
        return await served_values(pieces, text, self.sources.share)

    async def _missing(self, request: web.Request, error: _UnknownTargetError) -> web.Response:
        return await self._message(request, error.status, "No such target", str(error))

    async def _message(self, request: web.Request, status: int, title: str, text: str) -> web.Response:
        """A page with a sentence, and the way back."""
        name = safe_text.one_line(request.match_info["name"], NAME_MAX)
        values = {"root": _root(request), "page": "targets", "title": title, "message": text, "name": name}
        return html_answer(await self._templates.write("message.html", values), status)

    # -- traced polls

    def _refusal(self, watched: WatchedTarget) -> str:
        """Why no traced poll may begin; "" if one may."""
        if not self.sources.may_trace:
            return (
                "Requests may not start polls here: --web.enable-trace=false is set, or "
                "--disable-scrape-endpoint without --web.enable-lifecycle."
            )
        if watched.state.series.paused_until is not None:
            return "The target is paused: nothing is sent to it."
        return ""

    async def _traced(
        self, request: web.Request, watched: WatchedTarget, form: Mapping[str, list[str]]
    ) -> PollTrace:
        """For a form: it has to be of a page of this process, in a page of this site."""
        if not is_of_this_site(request.headers):
            raise _RefusedTraceError(403, FOREIGN)
        token = "".join(form.get("token", [])[:1])
        if not self._tokens.fits(token, watched.target.key, time.time()):
            raise _RefusedTraceError(
                403, "The page was open for more than an hour, or the exporter has started again since."
            )
        return await self._trace(watched, _lanes(form.get("lane", []), watched))

    async def _trace(self, watched: WatchedTarget, lanes: tuple[Lane, ...]) -> PollTrace:
        refusal = self._refusal(watched)
        if refusal:
            raise _RefusedTraceError(403, refusal)
        wait_s = self._turns.enter(time.monotonic())
        if wait_s:
            raise _RefusedTraceError(
                429, "One traced poll runs at a time, and one begins a second.", {"Retry-After": "1"}
            )
        try:
            return await trace_poll(watched.state, self.sources.services, lanes)
        finally:
            self._turns.leave()


def _root(request: web.Request) -> str:
    """The way from the path of a request to `/`."""
    return "../" * (request.rel_url.raw_path.count("/") - 1) or "./"


def _filter_of(request: web.Request) -> str:
    text = safe_text.valid(request.query.get("q", ""))
    if len(text) > FILTER_MAX:
        raise RequestError(f"q: write at most {FILTER_MAX} characters")
    return text


def _lanes(names: list[str], watched: WatchedTarget) -> tuple[Lane, ...]:
    """The lanes of these names. Without any, those that are due."""
    wrong = [name for name in names if name not in CHOICES]
    if wrong:
        raise RequestError(f"lane: write {', '.join(CHOICES[:-1])} or {CHOICES[-1]}")
    return tuple(map(Lane, names)) or default_lanes(watched.state)


async def _form(request: web.Request) -> Mapping[str, list[str]]:
    """The fields of a form, by name. Another kind of body has none that are known."""
    body = b""
    async for piece in request.content.iter_any():
        body += piece
        if len(body) > FORM_BYTES:
            raise RequestError("the form is too large")
    return parse_qs(body.decode("utf-8", "replace"))


def _mistake(status: int, text: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(status=status, text=f"{text}\n", headers={**NOT_KEPT, **(headers or {})})


def _with_referrer(answer: web.Response) -> web.Response:
    answer.headers.update(REFERRER)
    return answer
