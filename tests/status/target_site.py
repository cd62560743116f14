"""A running exporter with its endpoint, for the pages of its targets."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import aiohttp

from exporter.app.app import App
from exporter.app.build import configure
from exporter.options.commandline import parse
from exporter.polling.watched_target import WatchedTarget
from exporter.targets.address import parse_address
from exporter.targets.target import Target
from tests.store_fixture import until


class Answer:
    """Status, headers and text."""

    def __init__(self, status: int, headers: Mapping[str, str], text: str) -> None:
        self.status = status
        self.headers = headers
        self.text = text


class TargetSite:
    """`ask` sends a request as a program does, or as a browser with `headers`."""

    def __init__(self) -> None:
        self.app = App()

    async def start(self, *targets: Target, flags: Sequence[str] = ()) -> None:
        argv = ["--web.listen-address=127.0.0.1:0", "--poll.interval=0.2s", *flags]
        await self.app.apply(configure(parse(argv, {}), targets))

    async def stop(self) -> None:
        await self.app.stop()

    def watched(self, target: Target) -> WatchedTarget:
        return self.app.backend.fleet.watched_targets[target.addr]

    async def polled(self, *targets: Target) -> None:
        """Wait until a poll of each has ended."""
        await until(lambda: all(self.watched(target).up is not None for target in targets))

    async def ask(self, path: str, method: str = "GET", **more: Any) -> Answer:
        [address] = self.app.addresses
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, f"http://{address}/{path}", **more) as response,
        ):
            return Answer(response.status, response.headers, await response.text())

    async def trace(
        self, name: str, *lanes: str, token: str = "", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Press the button of a page."""
        path = f"targets/{quote(name, safe='')}"
        fields = [("token", token or token_of((await self.ask(path)).text))]
        fields += [("lane", lane) for lane in lanes]
        return await self.ask(f"{path}/trace", "POST", data=aiohttp.FormData(fields), headers=headers or {})


def token_of(page: str) -> str:
    found = re.search(r'name="token" value="([^"]+)"', page)
    assert found is not None, "the page has no form for a traced poll"
    return found[1]


def of(port: int, **changes: Any) -> Target:
    return replace(parse_address(f"redis://127.0.0.1:{port}"), **changes)
