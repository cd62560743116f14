"""A collector for the registry of prometheus-client."""

from __future__ import annotations

import asyncio
import os
import re
import threading
from collections.abc import Coroutine, Iterator
from types import MappingProxyType, TracebackType
from typing import Any, TypeVar

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector as RegistryCollector

from exporter.library.embedded import Exporter
from exporter.library.given import Given

#: counters whose names do not end as prometheus-client wants them: it would rename them
ODD_COUNTER = re.compile(r"^(# TYPE \S+(?<!_total)) counter$", re.M)

T = TypeVar("T")


class RedisCollector(RegistryCollector):
    """The metrics of some targets, for `registry.register`.

    A thread polls in the background; `collect` gives what is stored and asks no server. `close` ends the
    thread and its connections. `options` are those of the command, by the names of their flags; addresses may
    be given there instead. A process that forks makes it after the fork.
    """

    def __init__(self, *addresses: str, options: Given = MappingProxyType({})) -> None:
        given = {**options, "redis.addr": addresses} if addresses else options
        self._exporter = Exporter(given, listen=False)
        self._pid = os.getpid()
        self._lock = (
            threading.Lock()
        )  # held while the loop works for a caller, so that it is not closed meanwhile
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="redis-collector", daemon=True)
        self._thread.start()
        try:
            self._run(self._exporter.start())
        except BaseException:
            self.close()
            raise

    def collect(self) -> Iterator[Metric]:
        """The newest values. Waits until each target was polled once, for ten seconds at most. Nothing once
        it is closed."""
        if os.getpid() != self._pid:
            raise RuntimeError("make the RedisCollector after the fork: its thread is in the parent process")
        with self._lock:
            text = "" if self._loop.is_closed() else self._run(self._exporter.page(own_series=False))
        yield from text_string_to_metric_families(ODD_COUNTER.sub(r"\1 untyped", text))

    def describe(self) -> list[Metric]:
        """Nothing: so the registry does not collect when this is registered."""
        return []

    def close(self) -> None:
        """Poll no more."""
        with self._lock:
            if self._loop.is_closed():
                return
            self._run(self._exporter.stop())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def __enter__(self) -> RedisCollector:
        return self

    def __exit__(
        self, type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()
