"""Tests whose servers are not installed are left out aloud, and fail where CI=true."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TESTS = """
import pytest

@pytest.mark.server
def test_of_a_server(): pass

@pytest.mark.prometheus
def test_of_prometheus(): pass

def test_of_neither(): pass
"""


def run_tests(
    folder: Path, *, ci: bool, programs: list[str], workers: int
) -> subprocess.CompletedProcess[str]:
    path = folder / "bin"
    path.mkdir()
    for program in programs:
        (path / program).touch(0o755)
    file = folder / "test_it.py"
    file.write_text(TESTS)
    options = [
        "-c",
        str(ROOT / "pyproject.toml"),
        f"--rootdir={folder}",
        "-p",
        "tests.conftest",
        "-p",
        "no:cacheprovider",
        "-n",
        str(workers),
    ]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(file)],
        cwd=ROOT,
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
            "PATH": str(path),
            "CI": str(ci).lower(),
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("workers", [0, 1])
def test_a_missing_server_is_told_in_one_line(tmp_path: Path, workers: int) -> None:
    outcome = run_tests(tmp_path, ci=False, programs=["promtool"], workers=workers)
    assert outcome.returncode == 0, outcome.stdout
    assert "1 tests left out: redis-server is not installed: apt-get install redis-server\n" in outcome.stdout
    assert "prometheus is not installed" not in outcome.stdout


@pytest.mark.parametrize("workers", [0, 1])
def test_in_ci_it_is_a_failure(tmp_path: Path, workers: int) -> None:
    outcome = run_tests(tmp_path, ci=True, programs=["redis-server"], workers=workers)
    assert outcome.returncode == 1, outcome.stdout
    assert (
        "1 tests left out, which CI does not allow: promtool is not installed: apt-get install prometheus\n"
        in outcome.stdout
    )


def test_in_ci_nothing_missing_is_well(tmp_path: Path) -> None:
    outcome = run_tests(tmp_path, ci=True, programs=["redis-server", "promtool"], workers=0)
    assert outcome.returncode == 0, outcome.stdout
    assert "left out" not in outcome.stdout
