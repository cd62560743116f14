"""A collector for the registry of prometheus-client."""

from __future__ import annotations

import asyncio
import os
import re
import threading
import weakref
from collections.abc import Coroutine, Iterator, Sequence
from types import MappingProxyType, TracebackType
from typing import Any, TypeVar

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector as RegistryCollector

from exporter.errors import UsageError
from exporter.library.embedded import Exporter
from exporter.library.given import Given

#: counters whose names do not end as prometheus-client wants them: it would rename them
ODD_COUNTER = re.compile(r"^(# TYPE \S+(?<!_total)) counter$", re.M)

T = TypeVar("T")

#: options of which one must be there if no address is given
_NAMES_TARGETS = frozenset({"redis.addr", "config.file", "redis-file", "targets.file-sd", "targets.http-sd"})


class RedisCollector(RegistryCollector):
    """The metrics of some targets, for `registry.register`.

    A thread polls in the background; `collect` gives what is stored and asks no server. `close` ends the
    thread and its connections. `options` are those of the command, by the names of their flags; addresses may
    be given there instead. A process that forks makes it after the fork.
    """

    def __init__(self, *addresses: str, options: Given = MappingProxyType({})) -> None:
        given = _with_addresses(addresses, options)
        self._exporter = Exporter(given, listen=False)
        self._pid = os.getpid()
        # held while the loop works for a caller, so that it is not closed meanwhile
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=_run, args=[self._loop], name="redis-collector", daemon=True)
        self._thread.start()
        self._abandoned = weakref.finalize(self, _abandon, self._exporter, self._loop, self._pid)
        self._abandoned.atexit = False  # the thread is a daemon
        try:
            self._wait_for(self._exporter.start())
        except BaseException:
            self.close()
            raise
        self._headers = self._exporter.headers()

    def collect(self) -> Iterator[Metric]:
        """The newest values. Waits until each target was polled once, for ten seconds at most. Nothing once
        it is closed."""
        if os.getpid() != self._pid:
            raise RuntimeError("make the RedisCollector after the fork: its thread is in the parent process")
        with self._lock:
            text = "" if self._loop.is_closed() else self._wait_for(self._exporter.page(own_series=False))
        yield from _families(text)

    def describe(self) -> list[Metric]:
        """The families without samples. So the registry refuses another collector of the same names, and
        asks no server when this is registered."""
        return list(_families(self._headers))

    def close(self) -> None:
        """Poll no more. In a process that was forked from its own there is nothing to do."""
        if os.getpid() != self._pid:
            return
        with self._lock:
            if self._loop.is_closed():
                return
            self._abandoned.detach()
            self._wait_for(self._exporter.stop())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    def __enter__(self) -> RedisCollector:
        return self

    def __exit__(
        self, type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def _with_addresses(addresses: Sequence[str], options: Given) -> Given:
    if "" in addresses:  # such as of a variable that is not set; the option takes it for no target
        raise UsageError('an address of the RedisCollector is empty: write one as "redis://host:6379"')
    if addresses:
        return {**options, "redis.addr": addresses}
    if not _NAMES_TARGETS.isdisjoint(options):
        return options
    raise UsageError(
        'the RedisCollector has no address: write RedisCollector("redis://host:6379"), or the option '
        '"redis.addr" or "config.file"'
    )


def _families(text: str) -> Iterator[Metric]:
    yield from text_string_to_metric_families(ODD_COUNTER.sub(r"\1 untyped", text))


def _run(loop: asyncio.AbstractEventLoop) -> None:
    """What the thread does. It holds no collector, so that one which nobody holds is abandoned."""
    try:
        loop.run_forever()
    finally:
        loop.close()


def _abandon(exporter: Exporter, loop: asyncio.AbstractEventLoop, pid: int) -> None:
    """Close without waiting: this may run in any thread, that of the loop too."""

    async def end() -> None:
        try:
            await exporter.stop()
        finally:
            loop.stop()

    if os.getpid() == pid:
        asyncio.run_coroutine_threadsafe(end(), loop)
