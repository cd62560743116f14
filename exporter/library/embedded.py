"""An exporter inside an asyncio program."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import replace
from types import MappingProxyType, TracebackType

from exporter.app.app import App
from exporter.app.build import configure
from exporter.app.run import read_targets
from exporter.library.given import Given, flags_of
from exporter.options.commandline import parse

#: how long a page waits for the first polls
FIRST_POLLS_S = 10.0


class Exporter:
    """Polls in the background and answers scrapes, as the command does, in the event loop that starts it:

        async with Exporter({"redis.addr": "redis://127.0.0.1:6379"}) as exporter:
            print(exporter.port, await exporter.page())

    `options` are those of the command, by the names of their flags. The environment sets none of them, but an
    instances file may name its variables. With `listen` False there is no HTTP server, and `page` is the one
    way to the values. UsageError and ConfigError say what is wrong with the options.
    """

    def __init__(self, options: Given = MappingProxyType({}), *, listen: bool = True) -> None:
        self._options = parse(flags_of(options), {})
        self._targets = read_targets(self._options, os.environ)
        self._listen = listen
        self._app: App | None = None

    async def start(self) -> None:
        """Begin to poll, and to listen. ConfigError if the address cannot be had."""
        if self._app is not None:
            return
        app = App(listen=self._listen)
        await app.apply(configure(self._options, self._targets))
        self._app = app

    async def stop(self) -> None:
        """Poll no more, finish the answers under way, close all connections."""
        app, self._app = self._app, None
        if app is not None:
            await app.stop()

    async def __aenter__(self) -> Exporter:
        await self.start()
        return self

    async def __aexit__(
        self, type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def port(self) -> int:
        """Where it listens; 0 where it does not."""
        addresses = self._app.addresses if self._app is not None else []
        return int(addresses[0].rpartition(":")[2]) if addresses else 0

    async def page(self, *, own_series: bool = True) -> str:
        """What `/metrics` shows now, with the exporter's own series or without them. Waits until each target
        was polled once, for ten seconds at most. Empty while it is not started."""
        if self._app is None:
            return ""
        backend = self._app.backend
        await backend.fleet.wait_first_polls(FIRST_POLLS_S)
        draft = backend.exposition.draft()
        page = await asyncio.to_thread((draft if own_series else replace(draft, extra=b"")).build)
        return b"".join([*page.plain, page.plain_tail(time.monotonic())]).decode()
