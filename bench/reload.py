"""What a reload of very many targets takes, and how late the event loop is meanwhile.

    python -m bench.reload TARGETS

The exporter runs in this process, so that a probe in its loop can see how late it is. Polls are far apart:
what is measured is the reload.
"""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import json
import logging
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import uvloop

from bench.figures import Figure, at_most
from bench.simulator import raise_open_files, simulated
from exporter.app.app import App
from exporter.app.build import configure
from exporter.app.run import YOUNG_OBJECTS, read_targets
from exporter.options.commandline import parse, read_again
from exporter.options.table import Options
from exporter.targets.target import Target

TOTAL_GOAL_S, HELD_GOAL_MS = 2.0, 20.0
PROBE_S = 0.001
#: targets that share a port
DATABASES = 500
FIRST_ROUND_S = 120.0


@dataclass(frozen=True)
class Seen:
    """One reload. `held_ms` is the most CPU that the loop's thread took before it went on, `late_ms` the
    longest wait of the loop: other threads and other programs are in it. `idle_late_ms` is that without a
    reload."""

    what: str
    took_s: float
    cpu_s: float
    held_ms: float
    late_ms: float
    idle_late_ms: float


class _Probe:
    """Asks the loop to come back in a millisecond, again and again."""

    def __init__(self) -> None:
        self._late_s = self._held_s = 0.0

    async def run(self) -> None:
        while True:
            due_at, cpu_s = time.perf_counter() + PROBE_S, time.thread_time()
            await asyncio.sleep(PROBE_S)
            self._late_s = max(self._late_s, time.perf_counter() - due_at)
            self._held_s = max(self._held_s, time.thread_time() - cpu_s)

    def take(self) -> tuple[float, float]:
        """The most CPU and the longest wait since this was asked last, in milliseconds."""
        held_s, late_s = self._held_s, self._late_s
        self._held_s = self._late_s = 0.0
        return held_s * 1e3, late_s * 1e3


def reloads(targets: int) -> Iterator[Figure]:
    """In a process of its own, whose memory holds nothing else."""
    rows = subprocess.run(
        [sys.executable, "-m", "bench.reload", str(targets)], stdout=subprocess.PIPE, check=True
    ).stdout
    for row in json.loads(rows):
        seen = Seen(**row)
        name = f"reload of {targets:,} targets, {seen.what}"
        yield at_most(name, seen.took_s, TOTAL_GOAL_S, "s", f"{seen.cpu_s:.2f} s of CPU")
        yield at_most(
            f"{name}: the loop is held",
            seen.held_ms,
            HELD_GOAL_MS,
            "ms",
            f"late by {seen.late_ms:.1f} ms, without a reload by {seen.idle_late_ms:.1f} ms",
        )


def _write(file: pathlib.Path, addresses: Sequence[str], changed: int, label: str) -> None:
    """A configuration of these targets, of which the first ones have another label."""
    entries = (
        f"  - name: target-{number}\n    addr: {address}\n"
        f"    labels: {{env: {label if number < changed else 'prod'}}}\n"
        for number, address in enumerate(addresses)
    )
    file.write_text("redis_instances:\n" + "".join(entries))


async def _measure(file: pathlib.Path, addresses: Sequence[str]) -> list[Seen]:
    _write(file, addresses, 0, "")
    options = parse(
        ["--web.listen-address=127.0.0.1:0", "--poll.interval=10h", f"--config.file={file}"]
        + [f"--{limit}=60s" for limit in ("connection-timeout", "scrape-timeout")],
        {},
    )

    def read() -> tuple[Options, Sequence[Target]]:
        again = read_again(options, {})
        return again, read_targets(again, {})

    app = App(read=read)
    await app.apply(configure(options, read_targets(options, {})))
    fleet = app.backend.fleet
    await fleet.first_round.wait_polls(FIRST_ROUND_S)
    if fleet.states()["up"] != len(addresses):
        raise SystemExit(f"bench: {fleet.states()['up']} of {len(addresses)} targets are up")
    gc.collect()
    probe = _Probe()
    probing = asyncio.create_task(probe.run())
    found = []
    for what, changed, label in (
        ("nothing changes", 0, ""),
        ("100 have other labels", 100, "test"),
        ("all have other labels", len(addresses), "stage"),
    ):
        _write(file, addresses, changed, label)
        probe.take()
        await asyncio.sleep(2.0)
        _, idle_ms = probe.take()
        began, cpu_s = time.perf_counter(), time.process_time()
        await app.reload()
        took_s = time.perf_counter() - began
        found.append(Seen(what, took_s, time.process_time() - cpu_s, *probe.take(), idle_ms))
    probing.cancel()
    await app.stop()
    return found


def main() -> None:
    raise_open_files()
    logging.disable(logging.CRITICAL)
    gc.set_threshold(YOUNG_OBJECTS, 20, 20)  # as the command does
    with (
        tempfile.TemporaryDirectory() as folder,
        simulated(int(sys.argv[1]), databases=DATABASES) as addresses,
    ):
        found = uvloop.run(_measure(pathlib.Path(folder) / "config.yml", addresses))
    print(json.dumps([dataclasses.asdict(each) for each in found]))


if __name__ == "__main__":
    main()
