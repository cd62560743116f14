"""Signals from the first moment of the command to its last."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ENDING = [signal.SIGTERM, signal.SIGINT]


def run(code: str) -> subprocess.CompletedProcess[str]:
    """Run a program whose signals are caught."""
    begin = "import os, signal\nfrom exporter import signals\nsignals.catch()\n"
    return subprocess.run(
        [sys.executable, "-c", begin + code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("number", ENDING)
def test_before_somebody_listens_a_signal_ends_the_process(number: signal.Signals) -> None:
    outcome = run(f"os.kill(os.getpid(), {number:d})\nprint('it goes on')")
    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (-number, "", "")


@pytest.mark.parametrize("number", ENDING)
def test_as_process_1_too(number: signal.Signals) -> None:
    """Which the system spares where it has no handler of its own, as this stand-in for `kill` does."""
    outcome = run(f"os.kill = lambda pid, number: None\nsignal.raise_signal({number:d})\nprint('it goes on')")
    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (128 + number, "", "")


def test_before_somebody_listens_a_hangup_does_nothing() -> None:
    outcome = run("os.kill(os.getpid(), signal.SIGHUP)\nprint('it goes on')")
    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, "it goes on\n", "")


def test_the_listener_gets_each_signal() -> None:
    outcome = run(
        "came = []\n"
        "signals.listen(came.append)\n"
        "for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT): os.kill(os.getpid(), number)\n"
        "print([signal.Signals(number).name for number in came])"
    )
    assert outcome.stdout == "['SIGTERM', 'SIGHUP', 'SIGINT']\n"


def test_after_the_end_no_signal_changes_it() -> None:
    outcome = run(
        "signals.ignore()\n"
        "for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT): os.kill(os.getpid(), number)\n"
        "print('it goes on')"
    )
    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, "it goes on\n", "")


def test_catching_loads_nothing_that_takes_time() -> None:
    outcome = run("import sys\nprint({'asyncio', 'logging', 'exporter.cli'} & {*sys.modules})")
    assert outcome.stdout == "set()\n"
