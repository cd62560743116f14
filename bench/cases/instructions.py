"""User instructions of a poll, and of a poll with its part of the page, as valgrind counts them.

The exporter runs under `valgrind --tool=callgrind` with simulated targets and its default flags, and counts
over whole turns of the collectors that run least often (every second turn of the slow lane): first while
nobody scrapes, then with one page at each interval. It begins when each kind of turn has come twice: what
comes first is no measure of hours. What is printed is the count by target and interval: the work of once an
interval is in it. It does not depend on the machine's speed or load, so that it is judged in a quick run too;
there the targets are fewer, and the bound is that of CI.

`--out` gets what `callgrind_annotate` reads. Functions have names there in a build with symbols: `make build
BUILD=profile`.
"""

from __future__ import annotations

import contextlib
import pathlib
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

from bench.builds import THIS, Build
from bench.callgrind import PROGRAM, counting, installed
from bench.figures import Figure, at_most, plain
from bench.http import Client
from bench.ports import free_ports
from bench.process import total
from bench.scraper import series
from bench.setup import Result, Setup
from bench.simulator import simulator
from bench.virtual_time import VirtualTime, virtual_time

POLL, PAGE = "a poll", "a poll with its part of the page"
GOALS = {POLL: 200_000.0, PAGE: 280_000.0}
#: what CI allows with the targets of a quick run: a tenth more than there is
BOUNDS = {POLL: 338_000.0, PAGE: 590_000.0}
ANSWER_S = 300.0
#: counts with pages, of which the least is shown: what comes less often than one count takes is in some of
#: them
PAGE_COUNTS = 3


@dataclass(frozen=True)
class Plan:
    """`settling`, `learning` and `counted` are intervals: until each kind of turn has come twice, until the
    rhythm of the scraper is known, and of each count."""

    targets: int
    interval_s: float = 5.0
    settling: int = 51
    learning: int = 6
    counted: int = 24


FULL, QUICK = Plan(100), Plan(40)


@dataclass(frozen=True)
class Counted:
    """User instructions of a target and interval, by what they were for, and the series of a target."""

    instructions: dict[str, float]
    series: int


def run(setup: Setup) -> Result:
    if not installed():
        print(f"bench: instructions are left out: there is no {PROGRAM} on the PATH", file=sys.stderr)
        return Result([])
    plan = QUICK if setup.quick else FULL
    setup.note(THIS.name)
    ours = _count(THIS, plan, setup)
    figures = list(_judged(ours, plan, setup.quick))
    if setup.before is not None:
        setup.note(setup.before.name)
        figures += _beside(ours, _count(setup.before, plan, setup), setup.before)
    return Result(figures)


def _judged(ours: Counted, plan: Plan, quick: bool) -> Iterator[Figure]:
    detail = (
        f"{plan.targets} targets every {plan.interval_s:g} s, {plan.counted} intervals,"
        f" {ours.series} series each"
    )
    for what, count in ours.instructions.items():
        goal = (BOUNDS if quick else GOALS)[what]
        yield at_most(f"user instructions of {what}", round(count), goal, detail=detail, steady=True)


def _beside(ours: Counted, before: Counted, build: Build) -> Iterator[Figure]:
    for what, count in before.instructions.items():
        name = f"user instructions of {what}"
        yield plain(f"{name}: {build.name}", round(count), detail=f"{before.series} series each")
        yield plain(f"{name} / {build.name}", ours.instructions[what] / count)


def _count(build: Build, plan: Plan, setup: Setup) -> Counted:
    [port] = free_ports(1)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-instructions-"))
        clock = stack.enter_context(virtual_time(pathlib.Path(folder)))
        servers = stack.enter_context(simulator(plan.targets, environ=clock.environ_of_servers))
        flags = [f"--redis.addr={','.join(servers.addresses)}", f"--poll.interval={plan.interval_s:g}s"]
        counter = stack.enter_context(counting(build, port, flags, clock))
        clock.follow(counter.pid, servers.pid)
        clock.advance_to(plan.settling * plan.interval_s)
        counter.begin()
        clock.advance_to((plan.settling + plan.counted) * plan.interval_s)
        found = {POLL: counter.end(_kept(setup, build, "polls"))}
        client = Client(port, timeout_s=ANSWER_S)
        stack.callback(client.close)
        first = _scrapes(clock, client, plan, plan.learning)
        found[PAGE] = sys.maxsize
        for _ in range(PAGE_COUNTS):
            counter.begin()
            last = _scrapes(clock, client, plan, plan.counted)
            found[PAGE] = min(found[PAGE], counter.end(_kept(setup, build, "page")))
            _check(first, last, plan)
            first = last
    return Counted(
        {what: count / plan.targets / plan.counted for what, count in found.items()},
        series(last) // plan.targets,
    )


def _scrapes(clock: VirtualTime, client: Client, plan: Plan, count: int) -> bytes:
    """The last of `count` pages, one at each interval."""
    last = round(clock.now_s / plan.interval_s)
    for number in range(last + 1, last + count + 1):
        clock.advance_to(number * plan.interval_s)
        answer = clock.during(client.ask)
    return answer.page.encode()


def _check(first: bytes, last: bytes, plan: Plan) -> None:
    """Every target was up and every poll was made, or the counts are none of what they are called."""
    made = _polls(last) - _polls(first)
    up = total(last, "redis_up")
    if up != plan.targets or made != plan.targets * plan.counted:
        raise SystemExit(
            f"bench: {up:.0f} of {plan.targets} targets were up, {made:.0f} of {plan.targets * plan.counted} "
            f"polls were made"
        )


def _kept(setup: Setup, build: Build, what: str) -> pathlib.Path | None:
    if setup.out is None:
        return None
    setup.out.mkdir(parents=True, exist_ok=True)
    return setup.out / f"{'instructions' if build == THIS else 'instructions-before'}-{what}.callgrind"


def _polls(page: bytes) -> float:
    return total(page, "redis_exporter_target_polls_total", 'lane="fast"')
