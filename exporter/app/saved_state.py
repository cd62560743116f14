"""What an exporter leaves in a state file to the one that is started next: snapshots, counters and phases."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import struct
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from exporter import files, masks
from exporter.app.backend import Backend
from exporter.app.state_file import StateError, StateRecord, StateWriter, read_records
from exporter.metrics.catalog import Catalog
from exporter.metrics.family_set import FamilySet
from exporter.metrics.store import Store
from exporter.options.table import Options
from exporter.polling import saved_target
from exporter.polling.saved_target import SavedSnapshot, SavedTarget
from exporter.polling.watched_target import WatchedTarget
from exporter.telemetry.own_family import Counted

#: seconds that a state may be ahead of the wall clock
AHEAD_S = 2.0

log = logging.getLogger(__name__)

_SHAPE, _TARGET, _COUNTS = "shape", "target", "counts"


class SavedState:
    """What a start takes over. `shape` says how the snapshots were written."""

    def __init__(
        self, shape: Mapping[str, Any], targets: dict[str, SavedTarget], counts: Mapping[str, Counted]
    ) -> None:
        self.counts = counts
        self._shape = shape
        self._targets = targets
        self._catalog: Catalog | None = None
        self._places: dict[str, Sequence[int]] = {}

    def __len__(self) -> int:
        return len(self._targets)

    def restore(self, watched: WatchedTarget, catalog: Catalog, store: Store) -> None:
        """Let a target go on from its saved state, if it has one. Each target once."""
        saved = self._targets.pop(watched.target.key, None)
        if saved is None:
            return
        if self._catalog is not catalog:
            self._catalog = catalog
            self._places = self._match(catalog)
        try:
            watched.restore(lambda state: saved_target.restore(state, store, saved, self._places.get))
        except (LookupError, TypeError, ValueError, ArithmeticError, struct.error):
            log.warning("the saved state of the target cannot be used", extra={"addr": watched.target.addr})

    def hand_to(self, backend: Backend) -> None:
        """Let the targets and the counters of a backend go on from here."""
        backend.own_series.go_on_from(self.counts)
        backend.restore = self.restore

    def use_up(self, options: Options, backend: Backend) -> None:
        """Let nobody else go on from here: another start would count what this process counts once more.
        Targets that are found later may, until the state is too old."""
        backend.schedule.expire(time.monotonic())  # what was restored may be stale
        with contextlib.suppress(OSError):
            os.unlink(options.targets.state_file)
        asyncio.get_running_loop().call_later(options.targets.state_max_age_s, self._targets.clear)

    def _match(self, catalog: Catalog) -> dict[str, Sequence[int]]:
        """By family set, where the families of today are in the saved snapshots."""
        if self._shape["byteorder"] != sys.byteorder:
            return {}
        found: dict[str, Sequence[int]] = {}
        for family_set in catalog.family_sets:
            saved = self._shape["family_sets"].get(family_set.name)
            if saved is not None:
                _name_again(family_set, saved["given"])
                names, now = saved["names"], _names_of(family_set)
                old = {name: number for number, name in enumerate(names) if name}
                found[family_set.name] = () if names == now else [old.get(name, -1) for name in now]
        return found


def _names_of(family_set: FamilySet) -> list[str]:
    """The full names of its families by their numbers, run-time families included."""
    return [full.decode() for full, _ in family_set.rows]


def _name_again(family_set: FamilySet, given: Sequence[Sequence[Any]]) -> None:
    """Give its run-time families their places again."""
    if family_set.runtime_families is not None:
        for name, type, help, labels in given:
            family_set.runtime_families.number(name, type, help, labels)


# -- at a start


async def load(options: Options) -> SavedState | None:
    """The state that the process before has left; None without one that may be used: the log says why."""
    path = options.targets.state_file
    if not path or not os.path.lexists(path):
        return None
    try:
        async with asyncio.timeout(options.files.timeout_s):
            state = await files.off_loop(lambda: _read_checked(path, options))
    except (StateError, files.FileError) as error:
        log.warning("--state.file=%s is left out: %s", masks.mask(path), error)
    except TimeoutError:
        log.warning(
            "--state.file=%s is left out: reading it took too long (see --files.timeout)", masks.mask(path)
        )
    else:
        log.info("going on with the state of %d targets from --state.file", len(state))
        return state
    return None


def _read_checked(path: str, options: Options) -> SavedState:
    try:
        return _read(path, options)
    except StateError:
        raise
    except Exception:  # all checksums are right, and what they protect may be anything
        raise StateError("another program has written it") from None


def _read(path: str, options: Options) -> SavedState:
    records = read_records(path)
    with contextlib.closing(records):
        shape = next(records, StateRecord({})).data
        if shape.get("kind") != _SHAPE:
            raise StateError("it is damaged")
        _check_age(shape["saved_at"], options.targets.state_max_age_s)
        if shape["timestamps"] != options.metrics.export_timestamps:
            raise StateError("it was written under another --export-timestamps")
        targets: dict[str, SavedTarget] = {}
        counts: Mapping[str, Counted] = {}
        for record in records:
            if record.data["kind"] == _TARGET:
                targets[record.data["addr"]] = _target_of(record)
            else:
                counts = _counts_of(record.data["counts"])
    return SavedState(shape, targets, counts)


def _check_age(saved_at: float, max_age_s: float) -> None:
    age_s = time.time() - saved_at
    if age_s > max_age_s:
        raise StateError(f"it is {age_s:.0f} s old, more than --state.max-age={max_age_s:g}s")
    if age_s < -AHEAD_S:
        raise StateError(f"by the clock it was written in {-age_s:.0f} s from now")


def _target_of(record: StateRecord) -> SavedTarget:
    blobs = iter(record.blobs)
    return SavedTarget(
        record.data["facts"],
        [
            SavedSnapshot(name, series, began_at, next(blobs), next(blobs))
            for name, series, began_at in record.data["snapshots"]
        ],
    )


def _counts_of(counts: Mapping[str, Sequence[Any]]) -> Mapping[str, Counted]:
    return {name: {tuple(labels): value for labels, value in pairs} for name, pairs in counts.items()}


# -- at a stop


#: seconds of a stop that are left for putting the file in its place
FINISH_S = 0.2


class Saving:
    """Saves the state of a backend that stops, if its options ask for it: the targets from now on, beside the
    end of their polls. `deadline` is monotonic. A failure is logged, and leaves no file."""

    def __init__(self, backend: Backend, deadline: float) -> None:
        self._path = backend.configuration.options.targets.state_file
        self._backend = backend
        self._until = deadline - FINISH_S
        self._writer: StateWriter | None = None
        self._watched = list(backend.fleet.watched_targets.values()) if self._path else []
        self._targets = asyncio.create_task(self._attempt(self._save_targets)) if self._path else None

    async def finish(self, answers: asyncio.Task[None]) -> None:
        """Save the counters too, when the last `answers` are given, and put the file in its place."""
        if self._targets is not None:
            await self._targets
            await asyncio.wait([answers], timeout=max(0.0, self._until - time.monotonic()))
            await self._attempt(self._save_counts)

    async def _attempt(self, step: Callable[[], None]) -> None:
        try:
            await files.off_loop(step)
        except (StateError, files.FileError) as error:
            self._writer = None
            log.warning("--state.file=%s is not written: %s", masks.mask(self._path), error)

    def _save_targets(self) -> None:
        self._writer = StateWriter(self._path)
        count = self._writer.add(_records(self._backend, self._watched), self._until) - 1
        if count < len(self._watched):
            log.warning(
                "the state of %d of %d targets is saved: a stop has no time for more",
                max(0, count),
                len(self._watched),
            )

    def _save_counts(self) -> None:
        if self._writer is not None:
            counts = {
                name: [[labels, value] for labels, value in counted.items()]
                for name, counted in self._backend.own_series.counts().items()
            }
            self._writer.finish([StateRecord({"kind": _COUNTS, "counts": counts})])


def _records(backend: Backend, watched_targets: Iterable[WatchedTarget]) -> Iterator[StateRecord]:
    store, exposition = backend.store, backend.exposition
    yield StateRecord(
        {
            "kind": _SHAPE,
            "saved_at": time.time(),
            "byteorder": sys.byteorder,
            "timestamps": backend.export_timestamps,
            "family_sets": {each.name: _shape_of(each) for each in exposition.catalog.family_sets},
        }
    )
    for watched in watched_targets:
        saved = saved_target.save(watched.state, store)
        snapshots = [(each.family_set, each.series, each.began_at) for each in saved.snapshots]
        yield StateRecord(
            {"kind": _TARGET, "addr": watched.target.addr, "facts": saved.facts, "snapshots": snapshots},
            [blob for each in saved.snapshots for blob in (each.samples, each.offsets)],
        )


def _shape_of(family_set: FamilySet) -> Mapping[str, Any]:
    runtime = family_set.runtime_families
    return {"names": _names_of(family_set), "given": runtime.known() if runtime is not None else []}
