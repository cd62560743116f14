"""What a case gets, and what it gives back.

A case is a module in `bench.cases` with `run(setup) -> Result`. It starts what it needs on loopback and ends
it again.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench.builds import Build
from bench.charts import Chart
from bench.figures import Figure
from bench.rivals import Rival, find_rivals


@dataclass(frozen=True)
class Setup:
    """`quick` is a smoke run: as little as shows that the case works. `real` is how many real redis-servers
    take the place of the simulator, where a case can do with either. `rivals` are Go exporters: if there are
    none, what compares with them is left out. `before` is another build of redpoll to stand beside, `out`
    the folder of the report, if they were named. `note` gets what goes on."""

    quick: bool = False
    real: int | None = None
    rivals: Sequence[Rival] = field(default_factory=lambda: find_rivals([]))
    before: Build | None = None
    out: pathlib.Path | None = None
    note: Callable[[str], None] = lambda text: None


@dataclass(frozen=True)
class Result:
    figures: Sequence[Figure]
    charts: Sequence[Chart] = ()
