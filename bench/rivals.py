"""Other exporters as processes of their own."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from bench.listening import wait_listening
from bench.ports import free_ports

Goal = TypeVar("Goal")

#: Debian's name for the Go exporter
GO_EXPORTER = "prometheus-redis-exporter"
#: what stands in its answer to --version before its own
_VERSION = re.compile(r"Redis Metrics Exporter v?(\d[\w.-]*)")


@dataclass(frozen=True)
class Rival:
    """A Go exporter. `age` 0 is the one that most people run, 1 a newer one: goals are set for each."""

    path: str
    name: str
    age: int

    def goal(self, goals: Sequence[Goal]) -> Goal:
        """The goal for a rival of this age; the last one for all that are newer."""
        return goals[min(self.age, len(goals) - 1)]


def find_rivals(paths: Sequence[str]) -> Sequence[Rival]:
    """The rivals at these paths, the oldest first; Debian's if there are no paths and it is installed.
    ValueError if one of them is no program."""
    found: list[Rival] = []
    for path in paths or [GO_EXPORTER]:
        program = shutil.which(path)
        if program is not None:
            found.append(Rival(program, f"Go exporter{_version(program)}", len(found)))
        elif paths:
            raise ValueError(f"{path}: that is no program")
    return found


def _version(program: str) -> str:
    done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=20, check=False)
    said = _VERSION.search(done.stdout + done.stderr)
    return f" {said[1].partition('-')[0]}" if said else ""


@contextlib.contextmanager
def go_exporter(path: str) -> Iterator[tuple[int, int]]:
    """The Go exporter without a server of its own, for `/scrape?target=`: its port on loopback and its
    process."""
    [port] = free_ports(1)
    process = subprocess.Popen(
        [path, f"-web.listen-address=127.0.0.1:{port}", "-redis.addr="],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_listening(port, process, "the Go exporter")
        yield port, process.pid
    finally:
        process.kill()
        process.wait()
