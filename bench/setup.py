"""What a case is told, and what it gives back.

A case is a module in `bench.cases` with `run(setup) -> Result`. It starts what it needs on loopback and ends
it again.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench.charts import Chart
from bench.figures import Figure

#: Debian's name for the Go exporter
GO_EXPORTER = "prometheus-redis-exporter"


@dataclass(frozen=True)
class Setup:
    """`quick` is a smoke run: as little as shows that the case works. `real` so many real redis-servers take
    the place of the simulator, where a case can do with either. `rival` is the path of a Go exporter's
    binary, "" if there is none: what compares with it is left out then, and said to be. `note` is told what
    goes on."""

    quick: bool = False
    real: int | None = None
    rival: str = field(default_factory=lambda: shutil.which(GO_EXPORTER) or "")
    note: Callable[[str], None] = lambda text: None


@dataclass(frozen=True)
class Result:
    figures: Sequence[Figure]
    charts: Sequence[Chart] = ()
