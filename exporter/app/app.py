"""One running exporter: a backend that polls, and a frontend that answers."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from exporter import engine, files
from exporter.app import saved_state
from exporter.app.backend import Backend
from exporter.app.build import Configuration, configure
from exporter.app.found_targets import with_found
from exporter.app.frontend import Frontend
from exporter.app.garbage import old_objects_left_alone
from exporter.app.reload_record import ReloadRecord
from exporter.app.source_runner import SourceRunner
from exporter.descriptors import raise_limit
from exporter.errors import ConfigError, InternalError, StoppingError
from exporter.fleet.fleet import LOOKS, Changes, Fleet
from exporter.options.table import Options
from exporter.single_flight import SingleFlight
from exporter.targets.target import Target
from exporter.web.reload import Reloaded

#: how long a stop may take: the process is to end within a second
STOP_S = 0.95

#: reads the options and the configured targets
Read = Callable[[], tuple[Options, Sequence[Target]]]

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Running:
    """What `apply` made."""

    backend: Backend
    frontend: Frontend


class App:
    """`apply` starts it, and changes it while it runs. Make it inside the event loop. With `listen` False
    nothing answers over HTTP. After `stop` a change raises StoppingError.

    `read` reads the options and the configured targets again, in a thread; it raises ConfigError. Without it
    a reload keeps them as they are.
    """

    def __init__(self, *, listen: bool = True, read: Read | None = None) -> None:
        self._listen = listen
        self.read = read
        #: the files that were read for the configuration in use, or for a change that failed since
        self.noted: files.Noted = {}
        self.record = ReloadRecord()
        self._running: _Running | None = None
        self._stopping = False
        self._applying = asyncio.Lock()
        self._reloads = SingleFlight(self._reload)
        self._configured: Sequence[Target] = ()
        self._found: dict[str, Sequence[Target]] = {}  # by source
        self._is_behind = False  # the newest of them could not be used
        self._sources = SourceRunner(self.put)
        self._follows = SingleFlight(self._follow)
        self._following: set[asyncio.Task[None]] = set()

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
        return self.backend.configuration

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
            self._configured = configuration.targets

    async def reconfigure(self, options: Options, targets: Sequence[Target]) -> None:
        """Make a configuration of these options and configured targets from the one in use, in a thread
        because files are read, and apply it. Targets of other sources stay. ConfigError if there is a
        mistake: nothing changes then."""
        async with self._applying:
            await self._reconfigure(lambda: (options, targets))

    async def _reconfigure(self, read: Read | None = None) -> Changes:
        """Take what `read` gives, which is called in a thread. Without it, only targets of other sources have
        changed."""
        with old_objects_left_alone():
            return await self._change(await self._built(read))

    async def _built(self, read: Read | None) -> Configuration:
        before, configured, found = self.configuration, self._configured, dict(self._found)
        noted: files.Noted = {}

        def build() -> tuple[Configuration, Sequence[Target]]:
            with files.noting(noted, self.noted):
                options, targets = read() if read is not None else (before.options, configured)
                every = with_found(targets, found)
                configuration = configure(options, every, before, before.passwords if read is None else None)
                if read is not None:
                    configuration.renew_files()
                return configuration, targets

        try:
            # each reading has a limit of its own
            configuration, self._configured = await files.off_loop(build)
        except files.FileError as error:
            raise ConfigError(f"the configuration cannot be read: {error}") from None
        finally:
            self.noted = noted if read is not None else {**self.noted, **noted}
        return configuration

    # -- sources of targets

    def put(self, source: str, targets: Sequence[Target]) -> None:
        """Take all targets that a source has now. They are polled soon; several changes are applied
        together."""
        if self._is_behind or self._found.get(source, ()) != tuple(targets):
            self._found[source] = tuple(targets)
            if not targets:
                del self._found[source]
            task = asyncio.create_task(self._follows.run())
            self._following.add(task)
            task.add_done_callback(self._following.discard)

    async def _follow(self) -> None:
        try:
            async with self._applying:
                changes = await self._reconfigure()
            self._is_behind = False
            if changes.unchanged != sum(changes):
                log.info("the targets that are found have changed: %s", changes)
        except StoppingError:
            pass
        except ConfigError as error:
            self._is_behind = True  # what is wrong may be mended when a source says the same again
            log.error("the targets that were found cannot be used", extra={"err": str(error)})

    async def _start(self, configuration: Configuration) -> None:
        for note in configuration.notes:
            log.info(note)
        open_files = raise_limit()
        frontend = Frontend(configuration.options.web, open_files, self.record)
        readers = {**frontend.readers(), **self.record.readers(), **self._sources.readers()}
        backend = Backend(configuration, open_files, readers)
        try:
            saved = await saved_state.load(configuration.options)
            if saved is not None:
                saved.hand_to(backend)
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
        if saved is not None:
            saved.use_up(configuration.options, backend)
        self._running = _Running(backend, frontend)
        await self._run_sources()
        _log_start(configuration)

    async def _change(self, configuration: Configuration) -> Changes:
        before = self.configuration
        if configuration.follows is not before.mark:
            raise InternalError("the configuration was made from one that is no longer in use")
        for note in configuration.notes:
            if note not in before.notes:
                log.info(note)
        changes = await self.backend.apply(configuration)
        await self._run_sources()
        return changes

    async def _run_sources(self) -> None:
        """Run the sources of the configuration in use. The targets of sources that end go."""
        before = self._sources.names
        await self._sources.apply(self.backend.sources)
        for name in set(before).difference(self._sources.names):
            self.put(name, ())

    async def reload(self) -> Reloaded:
        """Read options, targets and files again, and ask every server again what it refused. ConfigError if
        something cannot be used: nothing changes then, and the log says so. Calls that come while files are
        read share the next reading."""
        return await self._reloads.run()

    async def _reload(self) -> Reloaded:
        async with self._applying:
            backend = self.backend
            configured = self.configuration.options, self._configured
            with self.record.attempt():
                changes = await self._reconfigure(self.read or (lambda: configured))
            await _ask_again(backend.fleet)
        self.record.say(changes)
        has_files = bool(self.noted or self.configuration.options.redis.password_file)
        return Reloaded(has_files, str(changes))

    async def stop(self) -> None:
        """Stop polling, finish the answers on their way, and close everything. A change that is under way
        ends with a StoppingError: its next batch of targets does not come, and what it reads is not used."""
        began = time.monotonic()
        self._stopping = True
        running, self._running = self._running, None
        await self._sources.stop()
        if running is not None:
            saving = saved_state.Saving(running.backend, began + STOP_S)
            await running.backend.stop_polling()
            answers = asyncio.create_task(running.frontend.stop())
            try:
                await saving.finish(answers)
            finally:
                await answers
            await running.backend.close()


def _log_start(configuration: Configuration) -> None:
    count, shard = len(configuration.assignments), configuration.division.shard
    share = f" of {configuration.division.configured}" if shard is not None else ""
    log.info("polling %d%s target%s (%s engine)", count, share, "" if count == 1 else "s", engine.ENGINE)


async def _ask_again(fleet: Fleet) -> None:
    """Send again what servers refused, in slices of the event loop's time."""
    everybody = (*fleet.watched_targets.values(), *fleet.adopted_targets.values())
    for number, watched in enumerate(everybody, 1):
        watched.ask_again()
        if number % LOOKS == 0:
            await asyncio.sleep(0)
