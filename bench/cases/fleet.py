"""CPU against the number of targets, at the same interval: one page of all for us, a `/scrape` of each for
the Go exporter.

All watch the same targets, and each is measured in turns: in ours the Go exporters rest, in their turns we go
on, for a scraper that stays away would be forgotten. The build before, if there is one, runs beside us and is
measured in the same seconds. What is measured is the process alone, over whole
intervals, after the rhythm of the scraper was learnt. Each target has its slow lane's turn once in twelve
intervals, at a moment of its own: so of few targets a whole minute counts, of many the median of the rounds.
It takes a quarter of an hour, for the rhythm has to be learnt at each size.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from bench.builds import BEFORE, THIS, Build
from bench.charts import Chart
from bench.figures import Figure, at_most, plain
from bench.parts import Parts, in_parts
from bench.process import Usage, total, usage, watching
from bench.reload import reloads
from bench.rivals import Rival, go_exporter
from bench.scraper import Scraper, scraping, series
from bench.servers import redis_servers
from bench.setup import Result, Setup
from bench.simulator import raise_open_files, simulated

OURS = THIS.name
#: less targets than that are few
FEW = 50
#: our CPU of each rival's: for one page of ours, with plain timers too, and for `/scrape` of each
PAGE_GOALS = (Fraction(1, 50), Fraction(1, 110))
TIMERS_GOALS = (Fraction(1, 30), Fraction(1, 75))
EACH_GOALS = (Fraction(1, 10), Fraction(1, 25))
#: our CPU of the build before's
BEFORE_GOALS = {50: 0.35, 500: 0.33}


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
        spread = (
            f"{min(self.cpu_us):,.1f} to {max(self.cpu_us):,.1f} in {len(self.cpu_us)} rounds;"
            f" {self.series:,} series; "
        )
        return f"{spread}{self._typical(self.switches):.2f} voluntary switches a poll{self.note}"


def run(setup: Setup) -> Result:
    raise_open_files()
    scale = QUICK if setup.quick else FULL
    sizes = [size for size in scale.sizes if setup.real is None or size <= setup.real]
    costs: dict[str, dict[int, Cost]] = {}
    figures: list[Figure] = []
    for size in sizes:
        setup.note(f"{size:,} targets")
        with _targets(size, setup) as addresses:
            rivals = setup.rivals if 1 < size <= scale.rival_max else ()
            found = _in_turns(addresses, scale, rivals, setup.before)
            for name, cost in found.items():
                costs.setdefault(name, {})[size] = cost
            figures += _rows(size, found)
            if size == max(each for each in sizes if each <= scale.rival_max):
                setup.note(f"{size:,} targets, other ways")
                figures += _other_ways(addresses, scale, found, setup.rivals)
                if setup.real is None:
                    setup.note(f"{size:,} targets, every value moves")
                    figures += _all_move(size, scale, setup.before)
    ours = costs[OURS]
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
    return Result(figures, [_chart(costs, scale)])


def _way(name: str) -> str:
    return f"{name}, /scrape of each" if name.startswith("Go ") else f"{name}, one page"


def _chart(costs: Mapping[str, Mapping[int, Cost]], scale: Scale) -> Chart:
    drawn = {
        _way(name): [(float(size), of[size].typical_us * size / scale.interval_s / 1e4) for size in of]
        for name, of in costs.items()
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


def _in_turns(
    addresses: Sequence[str], scale: Scale, rivals: Sequence[Rival], before: Build | None
) -> dict[str, Cost]:
    """By name, of one page of all by us and the build before, and in alternating rounds of a `/scrape` of
    each by the rivals."""
    counts = scale.few if len(addresses) < FEW else scale.many
    builds = {OURS: THIS, **({before.name: before} if before else {})}
    with contextlib.ExitStack() as stack:
        pids: dict[str, int] = {}
        ports: dict[str, int] = {}
        scrapers: dict[str, Scraper] = {}
        for name, build in builds.items():
            port, pids[name] = stack.enter_context(watching(addresses, scale.interval_s, build=build))
            scrapers[name] = stack.enter_context(scraping(port, ["/metrics"], scale.interval_s))
        for rival in rivals:
            ports[rival.name], pids[rival.name] = stack.enter_context(go_exporter(rival.path))
        time.sleep(scale.learning * scale.interval_s)
        rounds: dict[str, list[tuple[float, float]]] = {name: [] for name in pids}
        costs: dict[str, Cost] = {}
        beside = {name: pids[name] for name in builds}
        for _ in range(scale.rounds):
            for name, spent in _round(beside, len(addresses), counts, scale).items():
                rounds[name].append(spent)
            for name, port in ports.items():
                with scraping(port, _each(addresses), scale.interval_s, spread=True) as scraper:
                    rounds[name].append(_scrapes(scraper, pids[name], scale))
                costs[name] = _cost(rounds[name], len(addresses), scraper)
        return {name: _cost(rounds[name], len(addresses), scrapers[name]) for name in builds} | costs


def _each(addresses: Sequence[str]) -> list[str]:
    return [f"/scrape?target={address}" for address in addresses]


def _round(
    pids: Mapping[str, int], targets: int, intervals: int, scale: Scale
) -> dict[str, tuple[float, float]]:
    """CPU µs and voluntary context switches of one target and interval, of each process in the same time."""
    before, began = {name: usage(pid) for name, pid in pids.items()}, time.monotonic()
    time.sleep(intervals * scale.interval_s)
    after, took_s = {name: usage(pid) for name, pid in pids.items()}, time.monotonic() - began
    turns = targets * took_s / scale.interval_s
    return {name: _per(before[name], after[name], turns) for name in pids}


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


def _rows(size: int, costs: Mapping[str, Cost]) -> Iterator[Figure]:
    targets = f"{size:,} target{'s' * (size > 1)}"
    for name, cost in costs.items():
        what = f"{targets}, {_way(name)}: CPU of one and interval"
        yield plain(what, cost.typical_us, "µs", cost.detail)
    if BEFORE in costs:
        ratio = _in_the_same_seconds(costs)
        what, goal = f"{targets}, one page: CPU / that of {BEFORE}", BEFORE_GOALS.get(size)
        detail = f"{costs[OURS].series:,} series against {costs[BEFORE].series:,}"
        yield plain(what, ratio, "", detail) if goal is None else at_most(what, ratio, goal, "", detail)


def _other_ways(
    addresses: Sequence[str], scale: Scale, costs: Mapping[str, Cost], rivals: Sequence[Rival]
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
        timers = [_round({OURS: pid}, size, scale.many, scale)[OURS] for _ in range(scale.rounds)]
        spread = _cost(timers, size, scraper)
    with (
        watching(addresses, interval_s) as (port, pid),
        scraping(port, _each(addresses), interval_s, spread=True) as scraper,
    ):
        each = _cost([_scrapes(scraper, pid, scale) for _ in range(scale.rounds)], size, scraper)
    ways = (
        ("one page just in time", costs[OURS], PAGE_GOALS),
        ("one page, plain timers", spread, TIMERS_GOALS),
        ("/scrape of each for both", each, EACH_GOALS),
    )
    yield _way_row(f"{size:,} targets, {OURS}, one page, --poll.align=off", spread)
    yield _way_row(f"{size:,} targets, {OURS}, /scrape of each", each)
    for rival in rivals:
        for way, ours, goals in ways:
            what = f"{size:,} targets, {way}"
            yield _ratio(what, ours, costs[rival.name], rival.name, rival.goal(goals))


def _all_move(size: int, scale: Scale, before: Build | None) -> Iterator[Figure]:
    """The same if at each poll every value has changed: nothing that is kept can be of use."""
    with simulated(size, "--all-move") as addresses:
        costs = _in_turns(addresses, scale, (), before)
    for name, cost in costs.items():
        yield _way_row(f"{size:,} targets, every value moves, {_way(name)}", cost)
    if BEFORE in costs:
        yield plain(
            f"{size:,} targets, every value moves, one page: CPU / that of {BEFORE}",
            _in_the_same_seconds(costs),
            "",
            f"{costs[OURS].series:,} series against {costs[BEFORE].series:,}",
        )


def _in_the_same_seconds(costs: Mapping[str, Cost]) -> float:
    """Our CPU of that of the build before: the median of the rounds."""
    rounds = zip(costs[OURS].cpu_us, costs[BEFORE].cpu_us, strict=True)
    return statistics.median(ours / before for ours, before in rounds)


def _way_row(what: str, cost: Cost) -> Figure:
    return plain(f"{what}: CPU of one and interval", cost.typical_us, "µs", cost.detail)


def _ratio(what: str, ours: Cost, rival: Cost, name: str, goal: Fraction) -> Figure:
    value = ours.typical_us / rival.typical_us
    detail = f"1/{1 / value:.1f}; {ours.series:,} series against {rival.series:,}"
    return Figure(f"{what}: CPU / that of {name}", round(value, 4), "", f"≤ {goal}", value <= goal, detail)
