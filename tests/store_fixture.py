"""A stock of snapshots that pages are made of: three families in two parts, and the series about each
target."""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from exporter import engine
from exporter.metrics.catalog import Catalog
from exporter.metrics.family import counter, gauge
from exporter.metrics.family_set import make_family_set
from exporter.metrics.labels import label_forms
from exporter.metrics.lane import Lane
from exporter.metrics.store import LaneTimes, Snapshot, Store
from exporter.pages.exposition import Exposition, Origin
from exporter.pages.page import Page
from exporter.targets.address import parse_address
from exporter.targets.target_labels import target_labels
from exporter.telemetry.target_series import TargetSeries, target_family_set
from tests import servers

CLIENTS = gauge("connected_clients", "Clients.")
ROLE = gauge("instance_info", "What the server says of itself.", labels=("role",))
CALLS = counter("commands_total", "Calls of a command.", labels=("cmd",))

#: process-wide series, as short as can be
SELF = (
    b"# HELP redis_exporter_scrapes_total Scrapes.\n# TYPE redis_exporter_scrapes_total counter\n"
    b"redis_exporter_scrapes_total 7.0\n"
)

#: how long single steps may take; `until` is more patient
PATIENCE_S = 20.0
ADDRS = ("redis://a:6379", "redis://b:6379", "redis://c:6379")


def page_of(assembler: engine.Assembler) -> bytes:
    """All of it."""
    page = bytearray(assembler.size or 1)
    return bytes(page[: assembler.fill(page)])


@dataclass
class Known:
    """What is known of one target."""

    lane_labels: bytes
    group: str
    forms: dict[str, engine.Labels]

    def labels_of(self, family_set: str) -> engine.Labels:
        return self.forms[family_set]


class StoreFixture:
    """What a store holds of a few targets. `group` is the configured label of that name, and `role` one
    that clashes."""

    def __init__(self, *, stale_policy: str = "drop", label_mode: str = "auto") -> None:
        self.family_sets = {
            "target": target_family_set("redis"),
            "info": make_family_set("info", Lane.FAST, [CLIENTS, ROLE], namespace="redis"),
            "stats": make_family_set("stats", Lane.STANDARD, [CALLS], namespace="redis"),
        }
        self.catalog = Catalog(tuple(self.family_sets.values()))
        self.store = Store(self.catalog.family_set_names, stale_policy)
        self.self_renders = 0
        self._label_mode = label_mode
        self._labels: dict[str, dict[str, engine.Labels]] = {}
        self._groups: dict[str, str] = {}
        self.exposition = Exposition(self.catalog, self.store, self.origin, self.self_series)

    def add(
        self, addr: str, *, group: str = "", clients: int = 1, up: bool = True, began_at: float | None = None
    ) -> str:
        """Put a target in stock, or a newer poll of it. Returns its address."""
        target = parse_address(addr)
        labels = (("role", "configured"), *((("group", group),) if group else ()))
        pairs = (
            *target_labels(target, self._label_mode),
            *((n.encode(), v.encode()) for n, v in labels if self._label_mode != "never"),
        )
        self._labels[target.addr] = label_forms(self.family_sets.values(), pairs)
        self._groups[target.addr] = group
        began_at = time.monotonic() if began_at is None else began_at
        if up:
            self._write(
                target.addr, "info", began_at, ((CLIENTS.name, clients, ()), (ROLE.name, 1, ("master",)))
            )
            self._write(
                target.addr, "stats", began_at - 10, ((CALLS.name, 3, ("get",)), (CALLS.name, 4, ("set",)))
            )
        target_series = TargetSeries(lanes={})
        target_series.up = up
        self._put(
            target.addr,
            "target",
            began_at,
            target_series.render(self.family_sets["target"], self._labels[target.addr]["target"]),
        )
        return target.addr

    def forget(self, addr: str) -> None:
        """It was removed."""
        self.store.drop(addr)
        del self._labels[addr]
        self.exposition.forget(addr)

    def origin(self, addr: str) -> Origin:
        forms = self._labels[addr]
        return Known(forms["target"].text, self._groups[addr], forms)

    def self_series(self) -> bytes:
        self.self_renders += 1
        return SELF

    def _write(
        self,
        addr: str,
        family_set: str,
        began_at: float,
        samples: tuple[tuple[str, float, tuple[str, ...]], ...],
    ) -> None:
        writer = engine.Writer(self.family_sets[family_set].rows, self._labels[addr][family_set])
        for name, value, own in samples:
            writer.add(self.family_sets[family_set].numbers[name], value, own)
        self._put(addr, family_set, began_at, writer.block())

    def _put(self, addr: str, family_set: str, began_at: float, block: engine.Block) -> None:
        expires_at = float("inf") if family_set == "target" else time.monotonic() + 3600
        lane = self.family_sets[family_set].lane
        self.store.put(Snapshot(addr, family_set, lane, block, LaneTimes(began_at, expires_at)))


def plain_text(page: Page, now: float | None = None) -> str:
    now = time.monotonic() if now is None else now
    return page.plain_text(now).decode()


def gunzip_one(body: bytes | bytearray) -> bytes:
    """The content of a body that is one gzip member and nothing else."""
    member = zlib.decompressobj(31)
    content = member.decompress(body)
    assert member.eof
    assert member.unused_data == b""
    return content


def samples_of(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample by name and labels, as prometheus-client reads them. None may come twice."""
    samples: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    families: set[str] = set()
    for family in text_string_to_metric_families(text):
        assert family.name not in families
        families.add(family.name)
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in samples
            samples[key] = sample.value
    return samples


def values_of(text: str, name: str) -> dict[str, float]:
    """The values of one metric by the `addr` of their labels ("" without)."""
    return {
        dict(labels).get("addr", ""): value
        for (sample, labels), value in samples_of(text).items()
        if sample == name
    }


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition, not for a time."""
    deadline = time.monotonic() + servers.PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "what was expected has not come"
        await asyncio.sleep(0.005)
