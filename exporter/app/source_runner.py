"""Runs the sources of targets."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

from exporter.targets.source import TargetSource
from exporter.targets.target import Target
from exporter.telemetry.own_series import Reader

log = logging.getLogger(__name__)


class SourceRunner:
    """One task for each source. `changed` gets the name of a source and all targets that it has now."""

    def __init__(self, changed: Callable[[str, Sequence[Target]], None]) -> None:
        self._changed = changed
        self._tasks: dict[str, tuple[TargetSource, asyncio.Task[None]]] = {}
        self._is_stopped = False

    @property
    def names(self) -> list[str]:
        return list(self._tasks)

    def readers(self) -> Mapping[str, Reader]:
        """Values of the exporter's own series that are known here."""
        return {
            "exporter_sd_failures_total": lambda: {
                name: source.health.failures for name, (source, _) in self._tasks.items()
            },
            "exporter_sd_last_success_timestamp_seconds": lambda: {
                name: source.health.succeeded_at
                for name, (source, _) in self._tasks.items()
                if source.health.succeeded_at is not None
            },
        }

    async def apply(self, sources: Sequence[TargetSource]) -> None:
        """Run these sources and no others. One that equals a running one goes on. After `stop` none starts:
        a change may still be waiting for the end of others."""
        wanted = {source.name: source for source in sources}
        ending = [name for name, (source, _) in self._tasks.items() if wanted.get(name) != source]
        tasks = [self._tasks.pop(name)[1] for name in ending]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for name, source in wanted.items():
            if name not in self._tasks and not self._is_stopped:
                self._tasks[name] = (source, asyncio.create_task(self._run(source)))

    async def stop(self) -> None:
        self._is_stopped = True
        await self.apply(())

    async def _run(self, source: TargetSource) -> None:
        try:
            await source.run(lambda targets: self._changed(source.name, targets))
        except Exception:  # the targets that it has found stay
            log.exception("internal error in a source of targets (please report): %s", source.name)
