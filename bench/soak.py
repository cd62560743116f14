"""A fleet that does not stand still, for an hour: does the exporter grow?

    python -m bench.soak --for 1h --out DIR

500 simulated targets are scraped every 5 seconds. One in twenty flaps: its server is killed and comes back.
In each turn other targets leave the file of file_sd, the configuration file has another label and is read
again, and /scrape asks for other targets that nobody configured. Turns are a minute, and shorter in short
runs. Twice, for two turns, the fleet rests: what the exporter has left behind shows there, because each time
it watches as many targets, all of them up. Memory is judged by its slope in runs of half an hour and more,
and by its growth in shorter ones.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.builds import THIS
from bench.charts import Chart
from bench.figures import Figure, as_table, at_most, missed, plain
from bench.listening import wait_listening
from bench.machine import machine
from bench.ports import free_port
from bench.process import usage
from bench.report import write_report
from bench.scraper import Scraper, scraping, series
from bench.setup import Result, Setup
from bench.simulator import raise_open_files, simulator
from exporter.options.values import parse_duration

STEADY, FLAPPING, ADOPTED = 475, 25, 20
#: targets that are out of the file in one turn
LEFT_OUT = 25
#: targets that /scrape may ask for: those of one turn are forgotten before their turn comes again
ADOPTABLE = 3 * ADOPTED
SCRAPE_S = SAMPLE_S = ASK_S = 5.0
TURN_S, TURNS_MIN = 60.0, 9
#: adopted targets are forgotten in the first of these
REST_TURNS = 2
#: of each turn the servers that flap are down for this part
DOWN_SHARE = 1 / 3
#: memory still settles in this part of a run, but not for longer
WARMING_SHARE, WARMING_MAX_S = 1 / 3, 900.0
#: from here on a slope of memory means something
LONG_S = 1800.0
SLOPE_GOAL_MB, GROWTH_GOAL_MB = 1.0, 12.0  # in minutes memory still settles: that shows gross leaks alone
#: of the fewest descriptors, threads, tasks and series of both rests. What is left behind is in every sample;
#: what comes and goes, such as polls under way, is not
GROWTH_SHARE = 0.02
GROWTH_LEAST = 3.0
_COUNTED = pathlib.Path(__file__).with_name("soaked.py")


@dataclass(frozen=True)
class Sample:
    """`allocations` are blocks of memory that the interpreter has handed out. `at_rest`: exactly the
    targets of the files were watched, and all were up."""

    at_s: float
    at_rest: bool
    rss_mb: float
    descriptors: int
    threads: int
    tasks: int
    allocations: int
    series: int


class Fleet:
    """What the exporter watches, by turns."""

    def __init__(self, folder: pathlib.Path, steady: Sequence[str], adoptable: Sequence[str]) -> None:
        self._steady = steady
        self._adoptable = adoptable
        self.file_sd = folder / "targets.json"
        self.configuration = folder / "redis_exporter.yml"
        self.enter(0)

    def enter(self, turn: int) -> None:
        """Write the files of a turn."""
        count = len(self._steady)
        begin = turn * LEFT_OUT % count
        out = {(begin + place) % count for place in range(LEFT_OUT)}
        left = [addr for place, addr in enumerate(self._steady) if place not in out]
        _replace(self.file_sd, json.dumps([{"targets": left}]))
        _replace(self.configuration, f"defaults:\n  labels: {{turn: '{turn}'}}\n")

    def adopted(self, turn: int) -> Sequence[str]:
        begin = turn * ADOPTED % len(self._adoptable)
        return self._adoptable[begin : begin + ADOPTED]


class Visitor(threading.Thread):
    """Asks /scrape for the adopted targets of the turn, again and again."""

    def __init__(self, port: int, fleet: Fleet) -> None:
        super().__init__(daemon=True)
        self.turn = 0
        self.rests = False
        self.asked = self.failed = 0
        self._port = port
        self._fleet = fleet
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(ASK_S):
            if self.rests:
                continue
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
            with contextlib.closing(connection):
                for addr in self._fleet.adopted(self.turn):
                    self.asked += 1
                    try:
                        connection.request("GET", f"/scrape?target={addr}")
                        answer = connection.getresponse()
                        answer.read()
                        self.failed += answer.status != 200
                    except (OSError, http.client.HTTPException):
                        self.failed += 1
                        break

    def end(self) -> None:
        self._ended.set()
        self.join(20)


class Soaked:
    """The exporter under `soaked.py`."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    def sample(self, began: float, page: bytes) -> Sample:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(b"count\n")
        self.process.stdin.flush()
        tasks, allocations = map(int, self.process.stdout.readline().split())
        of = pathlib.Path(f"/proc/{self.process.pid}")
        return Sample(
            time.monotonic() - began,
            _is_at_rest(page),
            usage(self.process.pid).rss_bytes / 1e6,
            len(list((of / "fd").iterdir())),
            len(list((of / "task").iterdir())),
            tasks,
            allocations,
            series(page),
        )


def _is_at_rest(page: bytes) -> bool:
    up = [line.endswith(b" 1") for line in page.split(b"\n") if line.startswith(b"redis_up{")]
    return all(up) and len(up) == STEADY - LEFT_OUT + FLAPPING


def _replace(path: pathlib.Path, text: str) -> None:
    """In one step: no reader sees half of it."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.rename(path)


@contextlib.contextmanager
def _exporter(port: int, flags: Sequence[str], log: pathlib.Path) -> Iterator[Soaked]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-P", str(_COUNTED), f"--web.listen-address=127.0.0.1:{port}", *flags],
            env=THIS.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
        )
    try:
        wait_listening(port, process, "the exporter")
        yield Soaked(process)
    finally:
        process.terminate()
        process.wait(30)


class FlappingServers:
    """Simulated servers of one process, on the same ports each time. Between turns they are up."""

    def __init__(self, ports: Sequence[int]) -> None:
        self.ports = ports
        self._up = contextlib.ExitStack()

    def start(self) -> None:
        self._up.enter_context(simulator(len(self.ports), ports=self.ports))

    def kill(self) -> None:
        self._up.close()


def soak(for_s: float) -> Result:
    """Run it. SystemExit if it cannot be measured."""
    raise_open_files()
    turn_s = min(TURN_S, for_s / TURNS_MIN)
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-soak-")))
        servers = stack.enter_context(simulator(STEADY + ADOPTABLE)).addresses
        flapping = FlappingServers([free_port() for _ in range(FLAPPING)])
        flapping.start()
        stack.callback(flapping.kill)
        fleet = Fleet(folder, servers[:STEADY], servers[STEADY:])
        port = free_port()
        flags = [
            f"--redis.addr={','.join(f'redis://127.0.0.1:{each}' for each in flapping.ports)}",
            f"--targets.file-sd={fleet.file_sd}",
            f"--config.file={fleet.configuration}",
            "--scrape.allow=127.0.0.0/8",
            f"--scrape.forget-after={turn_s:g}s",
            "--log-level=ERROR",
        ]
        log = folder / "exporter.log"
        exporter = stack.enter_context(_exporter(port, flags, log))
        scraper = stack.enter_context(scraping(port, ["/metrics"], SCRAPE_S))
        visitor = Visitor(port, fleet)
        visitor.start()
        stack.callback(visitor.end)
        samples = _run(for_s, turn_s, exporter, scraper, fleet, flapping, visitor)
        others = [_failed_scrapes(scraper), _failed_visits(visitor), _logged_errors(log)]
        return judge(samples, for_s, turn_s, others)


def _run(
    for_s: float,
    turn_s: float,
    exporter: Soaked,
    scraper: Scraper,
    fleet: Fleet,
    flapping: FlappingServers,
    visitor: Visitor,
) -> list[Sample]:
    began = time.monotonic()
    samples: list[Sample] = []
    turn, is_down = 0, False
    while (now_s := time.monotonic() - began) < for_s:
        if exporter.process.poll() is not None:
            raise SystemExit(f"bench: the exporter ended with code {exporter.process.returncode}")
        visitor.rests = _rests(now_s, for_s, turn_s)
        if int(now_s / turn_s) > turn and not visitor.rests:
            turn = visitor.turn = int(now_s / turn_s)
            fleet.enter(turn)
            os.kill(exporter.process.pid, signal.SIGHUP)
        should_be_down = now_s % turn_s < turn_s * DOWN_SHARE and not visitor.rests
        if should_be_down != is_down:
            flapping.kill() if should_be_down else flapping.start()
            is_down = should_be_down
        if "/metrics" in scraper.newest():
            samples.append(exporter.sample(began, scraper.pages["/metrics"]))
        time.sleep(max(0.0, min(SAMPLE_S, for_s - (time.monotonic() - began))))
    return samples


def _warm_s(for_s: float) -> float:
    return min(for_s * WARMING_SHARE, WARMING_MAX_S)


def _rests(at_s: float, for_s: float, turn_s: float) -> bool:
    return any(end_s - REST_TURNS * turn_s <= at_s < end_s for end_s in (_warm_s(for_s), for_s))


def _failed_scrapes(scraper: Scraper) -> Figure:
    return at_most("scrapes that failed", scraper.failed, 0, detail=f"of {scraper.scrapes}")


def _failed_visits(visitor: Visitor) -> Figure:
    name = "requests for adopted targets that failed"
    return at_most(name, visitor.failed, 0, detail=f"of {visitor.asked}")


def _logged_errors(log: pathlib.Path) -> Figure:
    lines = log.read_text().splitlines()
    return at_most("errors in the log", len(lines), 0, detail=lines[0] if lines else "")


def judge(samples: Sequence[Sample], for_s: float, turn_s: float, others: Sequence[Figure] = ()) -> Result:
    """The `others`, and how the exporter grew. SystemExit if the run was too short, or without rest."""
    warm_s = _warm_s(for_s)
    warm = [each for each in samples if each.at_s >= warm_s]
    if len(warm) < 6:
        raise SystemExit("bench: that is too short: take --for 2m at least")
    third = len(warm) // 3
    first, last = warm[:third], warm[-third:]
    detail = f"{STEADY + FLAPPING} targets, {for_s:g} s, turns of {turn_s:g} s, {len(samples)} samples"
    figures = [*others]
    ends = f"{_median(first, 'rss_mb'):.1f} to {_median(last, 'rss_mb'):.1f} MB; {detail}"
    if for_s >= LONG_S:
        times, sizes = [each.at_s for each in warm], [each.rss_mb for each in warm]
        slope = statistics.linear_regression(times, sizes).slope
        figures.append(at_most("slope of resident memory", slope * 3600, SLOPE_GOAL_MB, "MB/h", ends))
    else:
        grown = _median(last, "rss_mb") - _median(first, "rss_mb")
        figures.append(at_most("growth of resident memory", grown, GROWTH_GOAL_MB, "MB", ends))
    resting = [each for each in samples if each.at_rest and _rests(each.at_s, for_s, turn_s)]
    rests = (
        [each for each in resting if each.at_s < warm_s],
        [each for each in resting if each.at_s >= warm_s],
    )
    if not all(rests):
        raise SystemExit(
            "bench: not all targets were up while the fleet rested, or others were watched still"
        )
    for name in ("descriptors", "threads", "tasks", "series"):
        before, after = (min(getattr(each, name) for each in rest) for rest in rests)
        bound = max(GROWTH_LEAST, before * GROWTH_SHARE)
        figures.append(at_most(f"growth of {name}", after - before, bound, detail=f"{before:g} to {after:g}"))
    before, after = _median(first, "allocations"), _median(last, "allocations")
    figures.append(plain("growth of allocations", after - before, detail=f"{before:g} to {after:g}"))
    chart = Chart(
        "soak",
        f"{STEADY + FLAPPING} targets that come, go and flap",
        "minutes",
        "resident memory, MB",
        {"resident memory": [(each.at_s / 60, each.rss_mb) for each in samples]},
    )
    return Result(figures, [chart])


def _median(samples: Sequence[Sample], name: str) -> float:
    return float(statistics.median(getattr(each, name) for each in samples))


def main() -> int:
    """0 if every goal was met."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__.partition("\n")[0])
    parser.add_argument("--for", dest="for_s", type=parse_duration, default=3600.0, metavar="DURATION")
    parser.add_argument("--out", type=pathlib.Path, metavar="DIR", help="write the report into this folder")
    arguments = parser.parse_args()
    result = soak(arguments.for_s)
    print(f"{machine()}\n\n{as_table(result.figures)}")
    if arguments.out is not None:
        print(write_report(arguments.out, {"soak": result}, Setup()), file=sys.stderr)
    return int(missed(result.figures))


if __name__ == "__main__":
    sys.exit(main())
