"""One running exporter: a backend that polls, and a frontend that answers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from exporter import engine, files
from exporter.app.backend import Backend
from exporter.app.build import Configuration, configure
from exporter.app.frontend import Frontend
from exporter.descriptors import raise_limit
from exporter.errors import ConfigError, InternalError, StoppingError
from exporter.options.table import Options
from exporter.single_flight import SingleFlight
from exporter.targets.target import Target

#: how long a stop may take: the process is to end within a second
STOP_S = 0.95

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Running:
    """What `apply` made, and the configuration in use."""

    configuration: Configuration
    backend: Backend
    frontend: Frontend


class App:
    """`apply` starts it, and changes it while it runs. Make it inside the event loop. With `listen` False
    nothing answers over HTTP. After `stop` a change raises StoppingError."""

    def __init__(self, *, listen: bool = True) -> None:
        self._listen = listen
        self._running: _Running | None = None
        self._stopping = False
        self._applying = asyncio.Lock()
        self._reloads = SingleFlight(self._reload)

    @property
    def is_running(self) -> bool:
        """Whether a configuration was applied."""
        return self._running is not None

    @property
    def backend(self) -> Backend:
        return self._state.backend

    @property
    def configuration(self) -> Configuration:
        """The one in use."""
        return self._state.configuration

    @property
    def addresses(self) -> list[str]:
        """Where it listens, as host:port."""
        return self._state.frontend.addresses

    @property
    def _state(self) -> _Running:
        if self._running is None:
            raise StoppingError if self._stopping else InternalError("nothing was applied yet")
        return self._running

    async def apply(self, configuration: Configuration) -> None:
        """Run by this configuration. The first one starts everything: ConfigError if its address cannot be
        had. A later one has to be made from the one in use, see `configure`, and keeps what it does not
        change."""
        async with self._applying:
            start = self._running is None and not self._stopping
            await (self._start(configuration) if start else self._change(configuration))

    async def reconfigure(self, options: Options, targets: Sequence[Target]) -> None:
        """Make a configuration from the one in use, in a thread because files are read, and apply it.
        ConfigError if there is a mistake: nothing changes then."""
        async with self._applying:
            await self._reconfigure(options, targets)

    async def _reconfigure(self, options: Options, targets: Sequence[Target]) -> None:
        before = self.configuration
        try:
            # each reading has a limit of its own
            configuration = await files.off_loop(lambda: configure(options, targets, before))
        except files.FileError as error:
            raise ConfigError(f"the configuration cannot be read: {error}") from None
        await self._change(configuration)

    async def _start(self, configuration: Configuration) -> None:
        for note in configuration.notes:
            log.info(note)
        open_files = raise_limit()
        frontend = Frontend(configuration.options.web, open_files)
        backend = Backend(configuration, open_files, frontend.readers())
        try:
            await backend.apply(configuration)
            if self._listen:
                await frontend.start(configuration, backend, self.reload)
            if self._stopping:
                raise StoppingError
        except BaseException:
            await backend.stop_polling()
            await frontend.stop()
            await backend.close()
            raise
        backend.start()
        self._running = _Running(configuration, backend, frontend)
        count = len(configuration.targets)
        log.info("polling %d target%s (%s engine)", count, "" if count == 1 else "s", engine.ENGINE)

    async def _change(self, configuration: Configuration) -> None:
        before = self.configuration
        if configuration.follows is not before.mark:
            raise InternalError("the configuration was made from one that is no longer in use")
        for note in configuration.notes:
            if note not in before.notes:
                log.info(note)
        self._state.configuration = configuration
        await self.backend.apply(configuration)

    async def reload(self) -> bool:
        """Read the password file again, unless a password is given beside it, and ask every server again what
        it refused. False if there is no password file. ConfigError if the file cannot be used: nothing
        changes then. Calls that come while it is read share the next reading."""
        return await self._reloads.run()

    async def _reload(self) -> bool:
        async with self._applying:
            backend, configuration = self.backend, self.configuration
            await self._reconfigure(configuration.options, configuration.targets)
            fleet = backend.fleet
            for watched in (*fleet.watched_targets.values(), *fleet.adopted_targets.values()):
                watched.ask_again()
        log.info("reloaded: %s", self.configuration.password_file or "no password file")
        return bool(configuration.options.redis.password_file)

    async def stop(self) -> None:
        """Stop polling, finish the answers on their way, and close everything. A change that is under way
        ends with a StoppingError: its next batch of targets does not come, and what it reads is not used."""
        self._stopping = True
        running, self._running = self._running, None
        if running is not None:
            await running.backend.stop_polling()
            await running.frontend.stop()
            await running.backend.close()
