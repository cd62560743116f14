"""How evenly shards own targets, and how many targets move when one more shard comes. Nothing runs: the owner
of a target follows from its address."""

from __future__ import annotations

import statistics
from collections import Counter

from bench.charts import Chart
from bench.figures import Figure, at_most, plain
from bench.setup import Result, Setup
from exporter.targets.shard import owner

TARGETS, QUICK_TARGETS = 100_000, 2_000
SHARDS_MAX = 40
#: totals that are printed
SHOWN = (2, 3, 5, 10, 20, 40)


def run(setup: Setup) -> Result:
    count = QUICK_TARGETS if setup.quick else TARGETS
    addrs = [f"redis://cache-{number:06}.example.internal:6379" for number in range(count)]
    before = [0] * count
    figures: list[Figure] = []
    fullest: list[tuple[float, float]] = [(1.0, 1.0)]
    moves: list[tuple[float, float]] = []
    for total in range(2, SHARDS_MAX + 1):
        setup.note(f"{total} shards")
        owners = [owner(addr, total) for addr in addrs]
        loads = list(Counter(owners).values())
        mean = count / total
        moved = sum(one != other for one, other in zip(before, owners, strict=True)) / count
        fullest.append((float(total), max(loads) / mean))
        moves.append((float(total), moved * total))
        before = owners
        if total in SHOWN:
            shown = f"{min(loads):,} to {max(loads):,} targets, deviation {statistics.pstdev(loads):,.0f}"
            name = f"{count:,} targets on {total} shards"
            figures.append(at_most(f"{name}: fullest / mean", max(loads) / mean, 1.1, detail=shown))
            figures.append(
                plain(f"{name}: moved from {total - 1}", moved, detail=f"1/{total} is {1 / total:.4f}")
            )
    figures.append(
        at_most("moved targets / one of n + 1, at the most", max(share for _, share in moves), 1.1)
    )
    drawn = {"fullest shard / mean": fullest, "moved / one of n + 1": moves}
    chart = Chart("shards", "Balance and movement of shards", "shards", "ratio", drawn)
    return Result(figures, [chart])
