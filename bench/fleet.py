"""Fleets made of recorded replies, for cases that need no server."""

from __future__ import annotations

import pathlib
import time
from dataclasses import dataclass

from exporter import engine
from exporter.collectors._enabled import enable
from exporter.collectors._registry import REGISTRY
from exporter.metrics.catalog import Catalog
from exporter.metrics.family_set import FamilySet
from exporter.metrics.labels import label_forms
from exporter.metrics.lane import Lane
from exporter.metrics.store import LaneTimes, Snapshot, Store
from exporter.targets.address import parse_address
from exporter.targets.target_labels import target_labels

DATA = pathlib.Path(__file__).parent.parent / "tests" / "data"
COLLECTORS = {collector.name: collector for collector in REGISTRY}


def recorded(version: str, name: str) -> bytes:
    return (DATA / version / name).read_bytes()


def family_set_of(name: str) -> FamilySet:
    return enable(COLLECTORS[name], "redis", frozenset()).family_set


@dataclass(frozen=True)
class RecordedFleet:
    catalog: Catalog
    store: Store


def recorded_fleet(targets: int, with_commands: bool) -> RecordedFleet:
    """So many targets with a default INFO each, and with `with_commands` the statistics of 25 commands."""
    family_sets = [family_set_of("info"), family_set_of("stats")]
    catalog = Catalog(family_sets)
    store = Store(catalog.family_set_names)
    texts = {"info": recorded("redis-7.0.15", "info_default.txt")}
    if with_commands:
        texts["stats"] = _few_commands(recorded("redis-7.0.15", "info_all.txt"), 25)
    now = time.time()
    for number in range(targets):
        target = parse_address(f"redis://10.{number // 250}.{number % 250}.7:6379")
        labels = label_forms(family_sets, target_labels(target, "auto"))
        for family_set in family_sets:
            if family_set.name in texts and family_set.plan is not None:
                block = family_set.plan.read(texts[family_set.name], labels[family_set.name], None, now, 16)
                store.put(snapshot(target.addr, family_set, block, time.monotonic()))
    return RecordedFleet(catalog, store)


def _few_commands(text: bytes, count: int) -> bytes:
    """The statistics of so many commands: what an application uses, of all that a server knows."""
    lines = text.splitlines()
    names = [
        line.split(b":")[0].removeprefix(b"latency_percentiles_usec_")
        for line in lines
        if line.startswith(b"latency_percentiles_usec_")
    ]
    chosen = set(names[:count])
    kept = [
        line
        for line in lines
        if line.startswith(b"errorstat_")
        or (line.startswith((b"cmdstat_", b"latency_percentiles_usec_")) and _command(line) in chosen)
    ]
    return b"\r\n".join(kept)


def _command(line: bytes) -> bytes:
    return line.split(b":")[0].removeprefix(b"cmdstat_").removeprefix(b"latency_percentiles_usec_")


def snapshot(addr: str, family_set: FamilySet, block: engine.Block, now: float) -> Snapshot:
    return Snapshot(addr, family_set.name, Lane.FAST, block, LaneTimes(now, float("inf")))
