"""One scrape of the page of all targets, and what the page says of them."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ADDR = re.compile(rb'addr="([^"]*)"')
_REASON = re.compile(rb'reason="([^"]*)"')
FAST = b'lane="fast"'


@dataclass(frozen=True)
class Look:
    """`at` is when the page was asked for (monotonic), and `took_s` how long it took to come. By address:
    whether a target is up, why it is not, and the age of its fast values; `stale` are those whose fast values
    are."""

    at: float
    took_s: float
    page: bytes
    up: dict[str, bool]
    reasons: dict[str, str]
    ages_s: dict[str, float]
    stale: frozenset[str]

    @classmethod
    def of(cls, page: bytes, at: float, took_s: float) -> Look:
        ages = samples(page, b"redis_exporter_snapshot_age_seconds")
        stale = samples(page, b"redis_exporter_snapshot_stale")
        return cls(
            at,
            took_s,
            page,
            up={addr_in(labels): value == 1 for labels, value in samples(page, b"redis_up")},
            reasons={
                addr_in(labels): _REASON.findall(labels)[0].decode()
                for labels, _ in samples(page, b"redis_exporter_target_down")
            },
            ages_s={addr_in(labels): age_s for labels, age_s in ages if FAST in labels},
            stale=frozenset(addr_in(labels) for labels, value in stale if FAST in labels and value),
        )


def samples(page: bytes, family: bytes) -> list[tuple[bytes, float]]:
    """Name and labels of each series of a family, and its value."""
    begin = page.find(b"# TYPE %s " % family)
    if begin < 0:
        return []
    begin = page.find(b"\n", begin) + 1
    end = page.find(b"\n# ", begin - 1)  # there may be none
    lines = page[begin : end if end >= 0 else len(page)].split(b"\n")
    pairs = (line.rpartition(b" ") for line in lines)
    return [(labels, float(value)) for labels, _, value in pairs if labels]


def addr_in(labels: bytes) -> str:
    """The address among labels, "" without one."""
    found = _ADDR.search(labels)
    return found[1].decode() if found is not None else ""


def values_of(page: bytes, family: bytes, addr: str, label: str = "") -> list[float]:
    """The values of a target's series of a family, of those that have this label."""
    return [
        value
        for labels, value in samples(page, family)
        if addr_in(labels) == addr and label.encode() in labels
    ]
