"""How old the values are that a real Prometheus stores, how many it stores twice, and how wrong rates get by
that.

50 redis-servers with 10 databases each are 500 targets; Prometheus scrapes `/metrics` every 5 s for 10
minutes and stores it all. Polls are timed by when scrapes come (`--poll.align=auto`, the default), and for 2
minutes more they are not (`--poll.align=off`).

- Age: `redis_exporter_snapshot_age_seconds{lane="fast"}`, each sample that was stored. Beside it stands what
  Prometheus would say itself: the time it gave the scrape less
  `redis_exporter_snapshot_last_success_timestamp_seconds{lane="fast"}`.
- Repeated: the sample of a target whose timestamp of the last success is that of the scrape before.
- Rate: for two scrapes of a target 10 s apart, the growth of `redis_keyspace_hits_total` over the time
  between the scrapes, as `rate()` has it. Only the load moves this counter, where polls move
  `redis_commands_processed_total` too. The truth is the load's own account: the GETs it had sent that server
  by the second scrape's time, less those by the first's, over the same time; 200 in a second, in packets of
  5, each logged with the wall clock. So the error is what the ages of the two samples, where they differ,
  make of a rate, and includes up to 0.25 % for the packets.
- Beside it the same with another truth: the growth over the time between the two polls, by the samples' own
  timestamps.

Then come three other ways to scrape, two minutes each: by two Prometheis that scrape at moments of their own,
so that polls can be in step with one of them only; 2,000 targets; and `/scrape` of each target.

Without a Prometheus there are no figures. A full run takes 22 minutes.
"""

from __future__ import annotations

import contextlib
import itertools
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.charts import Chart, distribution
from bench.figures import Figure, at_most, plain
from bench.load import BEAT_S, SteadyLoad, steady_load
from bench.measure import percentile
from bench.ports import free_ports
from bench.process import exporter, watching
from bench.prometheus import PROMETHEUS, Prometheus, installed, prometheus
from bench.servers import redis_servers
from bench.setup import Result, Setup

AGE = 'redis_exporter_snapshot_age_seconds{lane="fast"}'
LAST_SUCCESS = 'redis_exporter_snapshot_last_success_timestamp_seconds{lane="fast"}'
COUNTER = "redis_keyspace_hits_total"
#: part of the truth by which a rate is off
WRONG = 0.02
#: part of an interval by which two Prometheis start apart
APART = 0.4
DEFAULT, OFF = "default", "--poll.align=off"


@dataclass(frozen=True)
class Plan:
    """`window` scrapes make one rate. After its first scrape Prometheus has `settle_s` to get over having
    met every series."""

    servers: int
    databases: int
    interval_s: float
    settle_s: float
    watch_s: dict[str, float]
    window: int = 2


@dataclass(frozen=True)
class Way:
    """Another way to scrape. `goal_s` is for the 99th percentile of the ages, above `part` of an interval."""

    name: str
    servers: int
    databases: int
    goal_s: float
    part: float = 0.0
    replicas: int = 1
    each: bool = False


@dataclass(frozen=True)
class Seen:
    """What one Prometheus stored. `errors` are those of rates as parts of the truth: by the load, and by
    the samples' own times."""

    ages_s: Sequence[float]
    ages_by_scrape_s: Sequence[float]
    pairs: int
    repeated: int
    errors: Sequence[float]
    errors_by_polls: Sequence[float]
    failed: int
    scrapes: int
    series: float
    scrape_s: float


def run(setup: Setup) -> Result:
    if not installed():
        print(
            f"bench: freshness is left out: there is no {PROMETHEUS} on the PATH (apt-get install "
            f"prometheus)",
            file=sys.stderr,
        )
        return Result([])
    smoke, full = (
        Plan(2, 2, 1, 0.5, {DEFAULT: 3.2, OFF: 2.2}, window=1),
        Plan(setup.real or 50, 10, 5, 30, {DEFAULT: 600, OFF: 120}),
    )
    plan = smoke if setup.quick else full
    seen = {}
    with redis_servers(plan.servers) as ports, steady_load(ports) as load:
        for mode in (DEFAULT, OFF):
            setup.note(f"{mode}, {plan.watch_s[mode]:g} s")
            seen[mode] = _watch(ports, load, plan, mode)
        other = [figure for way in _ways(plan) for figure in _other_way(ports, plan, way, setup)]
    figures = [*_judged(seen[DEFAULT], plan), *other, *_beside(seen[OFF], plan)]
    ages = {mode: distribution(of.ages_s) for mode, of in seen.items()}
    return Result(
        figures,
        [
            Chart(
                "freshness-ages",
                "Age of the fast lane's values at the scrape",
                "seconds",
                "part of the samples",
                ages,
            )
        ],
    )


def _watch(ports: list[int], load: SteadyLoad, plan: Plan, mode: str) -> Seen:
    addresses = [
        f"redis://127.0.0.1:{port}/{database}" for port in ports for database in range(plan.databases)
    ]
    [port] = free_ports(1)
    flags = [f"--poll.interval={plan.interval_s:g}s", *([mode] if mode == OFF else [])]
    with (
        exporter(port, flags, {"REDIS_ADDR": ",".join(addresses)}),
        prometheus(port, plan.interval_s) as server,
    ):
        server.wait_scraped()
        time.sleep(plan.settle_s + plan.watch_s[mode])
        seen = _seen(server, load, plan, plan.watch_s[mode])
    if len(seen.ages_s) < len(addresses) or not seen.errors:
        raise SystemExit(
            f"bench: Prometheus stored {len(seen.ages_s)} ages of {len(addresses)} targets in "
            f"{plan.watch_s[mode]:g} s"
        )
    return seen


def _ways(plan: Plan) -> Sequence[Way]:
    return (
        Way("two Prometheus replicas", plan.servers, plan.databases, 0.2, part=0.5, replicas=2),
        Way("a larger fleet", plan.servers * 5 // 2, plan.databases * 8 // 5, 0.5),
        Way("/scrape of each", plan.servers, plan.databases, 0.2, each=True),
    )


def _other_way(ports: list[int], plan: Plan, way: Way, setup: Setup) -> list[Figure]:
    """The ages that each Prometheus stored in `--poll.align=off`'s time."""
    seconds = plan.watch_s[OFF]
    setup.note(f"{way.name}, {seconds:g} s")
    figures = []
    with contextlib.ExitStack() as stack:
        ports = [*ports, *stack.enter_context(redis_servers(way.servers - len(ports)))]
        addresses = [f"redis://127.0.0.1:{port}/{db}" for port in ports for db in range(way.databases)]
        port, _ = stack.enter_context(watching(addresses, plan.interval_s))
        servers = []
        for _ in range(way.replicas):
            servers.append(
                stack.enter_context(prometheus(port, plan.interval_s, addresses if way.each else ()))
            )
            servers[-1].wait_scraped()
            time.sleep(plan.interval_s * APART)
        time.sleep(plan.settle_s + seconds)
        for number, server in enumerate(servers, 1):
            name = way.name if way.replicas == 1 else f"{way.name}, number {number}"
            goal_s = way.goal_s + way.part * plan.interval_s
            figures += _age_rows(name, len(addresses), server, goal_s, seconds)
    return figures


def _age_rows(name: str, targets: int, server: Prometheus, goal_s: float, seconds: float) -> list[Figure]:
    stored = server.raw(AGE, seconds)
    ages_s = [age for each in stored for _, age in each.samples]
    failed = sum(value == 0 for each in server.raw("up", seconds) for _, value in each.samples)
    count = sum(each.samples[-1][1] for each in server.raw("scrape_samples_scraped", seconds))
    if len(stored) != targets:
        raise SystemExit(f"bench: {name}: Prometheus stored ages of {len(stored)} of {targets} targets")
    detail = f"{targets:,} targets, {count:,.0f} series, {len(ages_s):,} ages, {failed} scrapes failed"
    return [
        plain(f"{name}: age at scrape, p50", percentile(ages_s, 0.5), "s", detail),
        at_most(f"{name}: age at scrape, p99", percentile(ages_s, 0.99), goal_s, "s"),
    ]


def _seen(server: Prometheus, load: SteadyLoad, plan: Plan, seconds: float) -> Seen:
    polled = {each.labels["addr"]: dict(each.samples) for each in server.raw(LAST_SUCCESS, seconds)}
    counted = {each.labels["addr"]: each.samples for each in server.raw(COUNTER, seconds)}
    ages_s = [age for each in server.raw(AGE, seconds) for _, age in each.samples]
    time.sleep(4 * BEAT_S)  # the load's account goes past the newest scrape
    repeated, pairs = 0, 0
    errors: list[float] = []
    errors_by_polls: list[float] = []
    for addr, times in polled.items():
        stamps = list(times.values())
        pairs += len(stamps) - 1
        repeated += sum(now == before for before, now in itertools.pairwise(stamps))
        for grown, from_s, to_s in _windows(counted.get(addr, []), plan):
            errors.append(abs(grown / (load.sent_by(to_s) - load.sent_by(from_s)) - 1))
            between_polls_s = times.get(to_s, to_s) - times.get(from_s, from_s)
            errors_by_polls.append(abs(between_polls_s / (to_s - from_s) - 1))
    [up] = server.raw("up", seconds)
    [series] = server.raw("scrape_samples_scraped", seconds)
    [took] = server.raw("scrape_duration_seconds", seconds)
    return Seen(
        ages_s=ages_s,
        ages_by_scrape_s=[at - stamp for times in polled.values() for at, stamp in times.items()],
        pairs=pairs,
        repeated=repeated,
        errors=errors,
        errors_by_polls=errors_by_polls,
        failed=sum(value == 0 for _, value in up.samples),
        scrapes=len(up.samples),
        series=statistics.median(value for _, value in series.samples),
        scrape_s=statistics.median(value for _, value in took.samples),
    )


def _windows(samples: Sequence[tuple[float, float]], plan: Plan) -> Iterator[tuple[float, float, float]]:
    """Growth, first and second time of every two samples of one target that are a window apart; none over
    a failed scrape."""
    wanted_s = plan.window * plan.interval_s
    for (from_s, before), (to_s, after) in zip(samples, samples[plan.window :], strict=False):
        if abs(to_s - from_s - wanted_s) < plan.interval_s / 2:
            yield after - before, from_s, to_s


def _share_off(errors: Sequence[float]) -> float:
    return sum(error > WRONG for error in errors) / len(errors) * 100 if errors else 0.0


def _judged(seen: Seen, plan: Plan) -> Iterator[Figure]:
    p50_s, p99_s = percentile(list(seen.ages_s), 0.5), percentile(list(seen.ages_s), 0.99)
    yield at_most("age at scrape, p50", p50_s, 0.15, "s", _told(seen, plan))
    yield at_most("age at scrape, p99", p99_s, 0.2, "s", f"at most {max(seen.ages_s):.3g} s")
    yield plain(
        "age by the scrape's time, p50",
        percentile(list(seen.ages_by_scrape_s), 0.5),
        "s",
        "as Prometheus would say",
    )
    yield plain("age by the scrape's time, p99", percentile(list(seen.ages_by_scrape_s), 0.99), "s")
    yield at_most(
        "repeated samples", seen.repeated / seen.pairs * 100, 0, "%", f"{seen.repeated} of {seen.pairs:,}"
    )
    worst = (
        f"{len(seen.errors):,} rates; p99 of the error {percentile(list(seen.errors), 0.99):.2%}, at "
        f"most {max(seen.errors):.2%}"
    )
    yield at_most(
        f"{plan.window * plan.interval_s:g} s rates off by more than 2 %",
        _share_off(seen.errors),
        0,
        "%",
        worst,
    )
    yield plain("the same by the polls' own times", _share_off(seen.errors_by_polls), "%")
    yield plain("scrapes that failed", seen.failed, "", f"of {seen.scrapes}")


def _beside(seen: Seen, plan: Plan) -> Iterator[Figure]:
    where = f"{OFF}: "
    yield plain(f"{where}age at scrape, p50", percentile(list(seen.ages_s), 0.5), "s", _told(seen, plan))
    yield plain(
        f"{where}age at scrape, p99",
        percentile(list(seen.ages_s), 0.99),
        "s",
        f"at most {max(seen.ages_s):.3g} s",
    )
    yield plain(
        f"{where}repeated samples",
        seen.repeated / seen.pairs * 100,
        "%",
        f"{seen.repeated} of {seen.pairs:,}",
    )
    yield plain(
        f"{where}{plan.window * plan.interval_s:g} s rates off by more than 2 %", _share_off(seen.errors), "%"
    )


def _told(seen: Seen, plan: Plan) -> str:
    return (
        f"{plan.servers * plan.databases} targets on {plan.servers} servers, Prometheus every "
        f"{plan.interval_s:g} s: "
        f"{seen.scrapes} scrapes of {seen.series:,.0f} series, {seen.scrape_s:.2g} s each"
    )
