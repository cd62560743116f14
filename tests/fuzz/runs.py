"""Runs cases side by side, each in a process of its own, and reads what libFuzzer says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tests.fuzz.table import ROWS

ROOT = Path(__file__).parents[2]
#: what is built and kept; git ignores it
FOLDER = ROOT / "build" / "fuzz"
#: seconds beyond its time after which a case is ended
GRACE_S = 120.0
#: lines of a failed run that are shown
SHOWN_LINES = 40
#: a longer run is strict for a part of its time
LONG_S, STRICT_SHARE = 12.0, 0.25

_EXECUTIONS = re.compile(r"^stat::number_of_executed_units:\s*([0-9]+)", re.M)
#: after a crash: `#12345 …` of the newest line of progress
_PROGRESS = re.compile(r"^#([0-9]+)\s", re.M)
_WRITTEN = re.compile(r"Test unit written to (\S+)$", re.M)


@dataclass(frozen=True)
class Run:
    """How one case went. `inputs` are files that show a fault; without any, `failed` says that the case could
    not run."""

    case: str
    executions: int
    seconds: float
    inputs: tuple[Path, ...]
    failed: bool
    tail: str = ""

    @property
    def crashes(self) -> int:
        return len(self.inputs)

    def __add__(self, other: Run) -> Run:
        """Both, one after the other."""
        return Run(
            self.case,
            self.executions + other.executions,
            self.seconds + other.seconds,
            (*self.inputs, *other.inputs),
            self.failed or other.failed,
            other.tail or self.tail,
        )

    @property
    def rate(self) -> float:
        return self.executions / self.seconds if self.seconds else 0.0

    @property
    def report(self) -> str:
        """What failed, and the command that repeats it."""
        commands = [
            f"to repeat it: {sys.executable} -m tests.fuzz {self.case} --repeat {path}"
            for path in self.inputs
        ]
        return "\n".join([self.tail, *(commands or ["it could not run"])])


def run_all(
    cases: Sequence[str], seconds: float, jobs: int, folder: Path = FOLDER, seed: int = 0
) -> list[Run]:
    """Run these cases, `jobs` at a time, in about this time. The longest ones begin. With a seed other than
    0, inputs are changed in the same ways in each run."""
    weights = {case: ROWS[case].weight for case in cases}
    unit_s = seconds * min(jobs, len(cases)) / sum(weights.values())
    with ThreadPoolExecutor(jobs) as pool:
        ordered = sorted(cases, key=lambda case: -weights[case])
        running = {case: pool.submit(run, case, unit_s * weights[case], folder, seed) for case in ordered}
        return [running[case].result() for case in cases]


def run(case: str, seconds: float, folder: Path = FOLDER, seed: int = 0) -> Run:
    """Run one case. If it is about the compiled engine, a short run is strict, and so a long one begins."""
    if not ROWS[case].is_native:
        return _run(case, seconds, folder, seed, strict=False)
    if seconds < LONG_S:
        return _run(case, seconds, folder, seed, strict=True)
    found = _run(case, seconds * STRICT_SHARE, folder, seed, strict=True)
    if found.failed:
        return found
    return found + _run(case, seconds * (1 - STRICT_SHARE), folder, seed, strict=False)


def _run(case: str, seconds: float, folder: Path, seed: int, *, strict: bool) -> Run:
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"{case}.log"
    began_at = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            _command(case, f"{seconds:.1f}", str(folder), str(seed)),
            cwd=ROOT,
            env=environment(strict=strict),
            stdout=output,
            stderr=output,
        )
        try:
            code = process.wait(seconds + GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
    return read_log(case, log.read_text(errors="replace"), code, time.monotonic() - began_at)


def read_log(case: str, text: str, code: int, seconds: float) -> Run:
    """What a worker's output says, which ended with this code."""
    counted = [int(number) for number in (_EXECUTIONS.findall(text) or _PROGRESS.findall(text))]
    inputs = tuple(Path(path) for path in _WRITTEN.findall(text) if "slow-unit-" not in path)
    tail = "\n".join(text.rstrip().split("\n")[-SHOWN_LINES:]) if code else ""
    return Run(case, counted[-1] if counted else 0, seconds, inputs, bool(code), tail)


def repeat(case: str, file: Path) -> int:
    """Check one input, and return the exit code."""
    done = subprocess.run(
        _command(case, "--repeat", str(file.resolve())), cwd=ROOT, env=environment(), check=False
    )
    return done.returncode


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-P", "-m", "tests.fuzz.worker", *arguments]


def environment(*, strict: bool = True) -> dict[str, str]:
    """What a worker needs: the engine with sanitizers before the installed one, and libFuzzer with the
    sanitizers' runtime before everything. With `strict` a byte beyond a small object of Python is an error
    too, and all is three times slower."""
    built, spec = FOLDER / "lib", find_spec("atheris")
    found = {**os.environ, "PYTHONPATH": os.pathsep.join([str(built), str(ROOT)]), "PYTHONHASHSEED": "0"}
    if built.is_dir() and spec is not None and spec.origin is not None:
        found["LD_PRELOAD"] = str(Path(spec.origin).parents[1] / "asan_with_fuzzer.so")
        found["ASAN_OPTIONS"] = "detect_leaks=0:allocator_may_return_null=1:quarantine_size_mb=16"
        found["UBSAN_OPTIONS"] = "print_stacktrace=1"
        found["PYTHONMALLOC"] = "malloc" if strict else "pymalloc"
    return found
