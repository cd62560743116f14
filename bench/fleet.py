"""Fleets made of recorded replies, for cases that need no server."""

from __future__ import annotations

import pathlib
import time
from dataclasses import dataclass

from exporter import fastparse
from exporter.catalog import Catalog, Part, label_forms, make_part, target_labels
from exporter.model import Lane, Snapshot
from exporter.registry import REGISTRY
from exporter.store import Store
from exporter.targets import parse_address

DATA = pathlib.Path(__file__).parent.parent / "tests" / "data"
COLLECTORS = {collector.name: collector for collector in REGISTRY}


def recorded(version: str, name: str) -> bytes:
    return (DATA / version / name).read_bytes()


def part_of(name: str, hidden: frozenset[str] = frozenset()) -> Part:
    collector = COLLECTORS[name]
    return make_part(
        name, collector.lane, collector.families, namespace="redis", hidden=hidden, wanted_fields=collector.wanted_fields
    )


@dataclass(frozen=True)
class RecordedFleet:
    catalog: Catalog
    store: Store


def recorded_fleet(targets: int, with_commands: bool) -> RecordedFleet:
    """So many targets with a default INFO each, and with `with_commands` the statistics of some 280 commands."""
    parts = [part_of("info"), part_of("stats")]
    catalog = Catalog(parts)
    store = Store(catalog.part_names)
    texts = {"info": recorded("redis-7.0.15", "info_default.txt")}
    if with_commands:
        texts["stats"] = recorded("redis-7.0.15", "info_all.txt")
    now = time.time()
    for number in range(targets):
        target = parse_address(f"redis://10.{number // 250}.{number % 250}.7:6379")
        for part in parts:
            if part.name in texts and part.plan is not None:
                block = part.plan.read(texts[part.name], label_forms(part, target_labels(target, "auto")), None, now, 16)
                store.put(snapshot(target.addr, part, block, now))
    return RecordedFleet(catalog, store)


def snapshot(addr: str, part: Part, block: fastparse.Block, now: float) -> Snapshot:
    return Snapshot(addr, part.name, Lane.FAST, block.samples, block.offsets, block.series, now, now, float("inf"))
