"""CPU against the number of targets, at the same interval: one page of all for us, a `/scrape` of each for
the Go exporter.

Both watch the same targets, and each is measured in turns: in ours the Go exporter rests, in its turns we go
on, for a scraper that stays away would be forgotten. What is measured is the process alone, over whole
intervals, after the rhythm of the scraper was learnt. Each target has its slow lane's turn once in twelve
intervals, at a moment of its own: so of few targets a whole minute counts, of many the median of the rounds.
It takes a quarter of an hour, for the rhythm has to be learnt at each size.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from bench.charts import Chart
from bench.figures import Figure, at_most, plain
from bench.parts import Parts, in_parts
from bench.process import Usage, total, usage, watching
from bench.reload import reloads
from bench.rivals import go_exporter
from bench.scraper import Scraper, scraping, series
from bench.servers import redis_servers
from bench.setup import Result, Setup
from bench.simulator import raise_open_files, simulated

OURS, RIVAL = "redpoll", "the Go exporter"
#: less targets than that are few
FEW = 50
#: CPU µs per target and interval
GOALS_US = {50: 200.0, 500: 120.0}


@dataclass(frozen=True)
class Scale:
    """How much is measured. `learning` and all that follows are counted in intervals. The Go exporter is
    measured up to `rival_max` targets, which is also where the ways to ask are compared."""

    sizes: Sequence[int] = (1, 10, 50, 200, 500, 1000, 2000)
    rival_max: int = 500
    interval_s: float = 5.0
    rounds: int = 3
    learning: float = 5.5
    few: int = 4
    many: int = 2
    large: Parts = field(default_factory=Parts)


FULL = Scale()
QUICK = Scale((1, 4), 4, 0.5, 1, 2, 2, 2, Parts(40, 4, 0.5, 2, 2))


@dataclass(frozen=True)
class Cost:
    """CPU µs and voluntary context switches of one target and interval, in each round, and the series of
    all targets."""

    cpu_us: Sequence[float]
    switches: Sequence[float]
    targets: int
    series: int
    note: str = ""

    @property
    def typical_us(self) -> float:
        return self._typical(self.cpu_us)

    def _typical(self, values: Sequence[float]) -> float:
        return statistics.fmean(values) if self.targets < FEW else statistics.median(values)

    @property
    def detail(self) -> str:
        told = (
            f"{min(self.cpu_us):,.1f} to {max(self.cpu_us):,.1f} in {len(self.cpu_us)} rounds;"
            f" {self.series:,} series; "
        )
        return f"{told}{self._typical(self.switches):.2f} voluntary switches a poll{self.note}"


def run(setup: Setup) -> Result:
    raise_open_files()
    scale = QUICK if setup.quick else FULL
    sizes = [size for size in scale.sizes if setup.real is None or size <= setup.real]
    ours: dict[int, Cost] = {}
    rival: dict[int, Cost] = {}
    figures: list[Figure] = []
    for size in sizes:
        setup.note(f"{size:,} targets")
        with _targets(size, setup) as addresses:
            ours[size], beside = _in_turns(
                addresses, scale, setup.rival if 1 < size <= scale.rival_max else ""
            )
            if beside is not None:
                rival[size] = beside
            figures += _rows(size, ours[size], beside)
            if size == max(each for each in sizes if each <= scale.rival_max):
                setup.note(f"{size:,} targets, other ways")
                figures += _other_ways(addresses, scale, ours[size], beside)
    if {50, 2000} <= ours.keys():
        figures.append(
            at_most(
                "2,000 targets: CPU of one / that of one of 50",
                ours[2000].typical_us / ours[50].typical_us,
                1.1,
            )
        )
    if setup.real is None:
        setup.note(f"{scale.large.targets:,} targets in parts")
        figures += in_parts(scale.large)
        setup.note(f"a reload of {scale.large.targets:,} targets")
        figures += reloads(scale.large.targets)
    return Result(figures, [_chart(ours, rival, scale)])


def _chart(ours: dict[int, Cost], rival: dict[int, Cost], scale: Scale) -> Chart:
    lines = {f"{OURS}, one page": ours, f"{RIVAL}, /scrape of each": rival}
    drawn = {
        name: [(float(size), cost.typical_us * size / scale.interval_s / 1e4) for size, cost in costs.items()]
        for name, costs in lines.items()
        if costs
    }
    title = f"CPU against targets, every {scale.interval_s:g} s"
    return Chart("fleet-cpu", title, "targets", "percent of one core", drawn, log_x=True, log_y=True)


@contextlib.contextmanager
def _targets(count: int, setup: Setup) -> Iterator[list[str]]:
    if setup.real is None:
        with simulated(count) as addresses:
            yield addresses
    else:
        with redis_servers(count) as ports:
            yield [f"redis://127.0.0.1:{port}" for port in ports]


def _in_turns(addresses: Sequence[str], scale: Scale, rival: str) -> tuple[Cost, Cost | None]:
    """One page of all by us, and a `/scrape` of each by the Go exporter, in alternating rounds."""
    counts = scale.few if len(addresses) < FEW else scale.many
    with contextlib.ExitStack() as stack:
        port, pid = stack.enter_context(watching(addresses, scale.interval_s))
        rival_port, rival_pid = stack.enter_context(go_exporter(rival)) if rival else (0, 0)
        scraper = stack.enter_context(scraping(port, ["/metrics"], scale.interval_s))
        time.sleep(scale.learning * scale.interval_s)
        ours: list[tuple[float, float]] = []
        beside: list[tuple[float, float]] = []
        told: Cost | None = None
        for _ in range(scale.rounds):
            ours.append(_round(pid, len(addresses), counts, scale.interval_s))
            if rival:
                with scraping(rival_port, _each(addresses), scale.interval_s, spread=True) as other:
                    beside.append(_scrapes(other, rival_pid, scale))
                told = _cost(beside, len(addresses), other)
        return _cost(ours, len(addresses), scraper), told


def _each(addresses: Sequence[str]) -> list[str]:
    return [f"/scrape?target={address}" for address in addresses]


def _round(pid: int, targets: int, intervals: int, interval_s: float) -> tuple[float, float]:
    """CPU µs and voluntary context switches of one target and interval."""
    before, began = usage(pid), time.monotonic()
    time.sleep(intervals * interval_s)
    after, took_s = usage(pid), time.monotonic() - began
    return _per(before, after, targets * took_s / interval_s)


def _scrapes(scraper: Scraper, pid: int, scale: Scale) -> tuple[float, float]:
    """The same by the number of `/scrape`s, once each target was scraped."""
    time.sleep(1.5 * scale.interval_s)
    before, scrapes = usage(pid), scraper.scrapes
    time.sleep(scale.many * scale.interval_s)
    return _per(before, usage(pid), scraper.scrapes - scrapes)


def _per(before: Usage, after: Usage, turns: float) -> tuple[float, float]:
    return (after.cpu_s - before.cpu_s) * 1e6 / turns, (after.switches - before.switches) / turns


def _cost(rounds: Sequence[tuple[float, float]], targets: int, scraper: Scraper) -> Cost:
    """With what the newest pages say. A bench of targets that are down would be none."""
    pages = scraper.pages.values()
    up = sum(total(page, "redis_up") for page in pages)
    if scraper.failed or up != targets:
        raise SystemExit(
            f"bench: {scraper.failed} of {scraper.scrapes} scrapes failed, {up:.0f} of {targets} targets "
            f"were up"
        )
    in_step = sum(total(page, "redis_exporter_targets_in_step") for page in pages)
    note = f"; {in_step:,.0f} targets in step with the scrapes" if in_step else ""
    return Cost(
        [cpu_us for cpu_us, _ in rounds],
        [switches for _, switches in rounds],
        targets,
        sum(map(series, pages)),
        note,
    )


def _rows(size: int, ours: Cost, rival: Cost | None) -> Iterator[Figure]:
    name = f"{size:,} target{'s' * (size > 1)}, {{}}: CPU of one and interval"
    what, goal = name.format(f"{OURS}, one page"), GOALS_US.get(size)
    if goal is None:
        yield plain(what, ours.typical_us, "µs", ours.detail)
    else:
        yield at_most(what, ours.typical_us, goal, "µs", ours.detail)
    if rival is not None:
        yield plain(name.format(f"{RIVAL}, /scrape of each"), rival.typical_us, "µs", rival.detail)


def _other_ways(
    addresses: Sequence[str], scale: Scale, in_step: Cost, rival: Cost | None
) -> Iterator[Figure]:
    """The same targets with plain timers, and with `/scrape` of each as the Go exporter is asked; and all
    that beside it."""
    size = len(addresses)
    interval_s = scale.interval_s
    with (
        watching(addresses, interval_s, "--poll.align=off") as (port, pid),
        scraping(port, ["/metrics"], interval_s) as scraper,
    ):
        time.sleep(scale.learning * interval_s)
        timers = [_round(pid, size, scale.many, interval_s) for _ in range(scale.rounds)]
        spread = _cost(timers, size, scraper)
    with (
        watching(addresses, interval_s) as (port, pid),
        scraping(port, _each(addresses), interval_s, spread=True) as scraper,
    ):
        each = _cost([_scrapes(scraper, pid, scale) for _ in range(scale.rounds)], size, scraper)
    yield plain(
        f"{size:,} targets, {OURS}, one page, --poll.align=off: CPU of one and interval",
        spread.typical_us,
        "µs",
        spread.detail,
    )
    yield plain(
        f"{size:,} targets, {OURS}, /scrape of each: CPU of one and interval",
        each.typical_us,
        "µs",
        each.detail,
    )
    if rival is not None:
        yield _ratio(f"{size:,} targets, one page just in time", in_step, rival, Fraction(1, 40))
        yield _ratio(f"{size:,} targets, one page, plain timers", spread, rival, Fraction(1, 30))
        yield _ratio(f"{size:,} targets, /scrape of each for both", each, rival, Fraction(1, 10))


def _ratio(what: str, ours: Cost, rival: Cost, goal: Fraction) -> Figure:
    value = ours.typical_us / rival.typical_us
    detail = f"1/{1 / value:.1f}; {ours.series:,} series against {rival.series:,}"
    return Figure(f"{what}: CPU / that of {RIVAL}", round(value, 4), "", f"≤ {goal}", value <= goal, detail)
