"""An exporter inside an asyncio program."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import replace
from types import MappingProxyType, TracebackType

from exporter import files
from exporter.app.app import App
from exporter.app.build import configure
from exporter.app.requests import without_requests
from exporter.app.run import read_targets
from exporter.errors import ConfigError
from exporter.library.given import Given, flags_of
from exporter.options.commandline import parse
from exporter.options.values import UNIX

#: how long a page waits for the first round
FIRST_ROUND_S = 10.0


class Exporter:
    """Polls in the background and answers scrapes, as the command does, in the event loop that starts it:

        async with Exporter({"redis.addr": "redis://127.0.0.1:6379"}) as exporter:
            print(exporter.port, await exporter.page())

    `options` are those of the command, by the names of their flags. The environment sets none of them, but a
    configuration file may name its variables. With `listen` False there is no HTTP server, and `page` is the
    one way to the values. UsageError and ConfigError say what is wrong with the options.
    """

    def __init__(self, options: Given = MappingProxyType({}), *, listen: bool = True) -> None:
        given = parse(flags_of(options), {}, of_files=os.environ)
        self._options = given if listen else without_requests(given)
        self._targets = read_targets(self._options, os.environ)
        self._listen = listen
        self._app: App | None = None  # until its stop has ended
        self._stopping: asyncio.Task[None] | None = None
        self._changing = asyncio.Lock()  # held by the start or the stop under way

    async def start(self) -> None:
        """Begin to poll, and to listen. ConfigError if the address cannot be had, or a file not be read."""
        async with self._changing:
            if self._stopping is not None:  # the caller of the stop was cancelled
                await self._finish_stop(self._stopping)
            if self._app is not None:
                return
            app = App(listen=self._listen)
            try:
                # each reading has a limit of its own
                configuration = await files.off_loop(lambda: configure(self._options, self._targets))
            except files.FileError as error:
                raise ConfigError(f"the configuration cannot be read: {error}") from None
            await app.apply(configuration)
            self._app = app

    async def stop(self) -> None:
        """Poll no more, finish the answers under way, close all connections. A stop during the start comes
        after it. If the caller is cancelled the stop goes on, and another call waits for its end."""
        async with self._changing:
            if self._app is None:
                return
            if self._stopping is None:
                self._stopping = asyncio.create_task(self._app.stop())
            await self._finish_stop(self._stopping)

    async def _finish_stop(self, stopping: asyncio.Task[None]) -> None:
        try:
            await asyncio.shield(stopping)
        finally:
            if stopping.done():
                self._app = self._stopping = None

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
        addresses = self._app.addresses if self._app is not None and self._app.is_running else []
        return int(addresses[0].rpartition(":")[2]) if addresses and not addresses[0].startswith(UNIX) else 0

    def headers(self) -> str:
        """HELP and TYPE of each family that a page may show of the targets. Empty while it is not started."""
        if self._app is None or not self._app.is_running:
            return ""
        return b"".join(self._app.configuration.catalog.headers).decode()

    async def page(self, *, own_series: bool = True) -> str:
        """What `/metrics` shows now, with the exporter's own series or without them. Waits until each target
        was polled and scanned once, for ten seconds at most. Empty while it is not started."""
        if self._app is None or not self._app.is_running:
            return ""
        backend = self._app.backend
        await backend.fleet.first_round.wait(FIRST_ROUND_S)
        draft = backend.exposition.draft()
        page = await asyncio.to_thread((draft if own_series else replace(draft, extra=b"")).build)
        return page.plain_text(time.monotonic()).decode()
