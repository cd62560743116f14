"""Which mutants are chosen, what is said of those that tests notice and of the others, and the exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutation import mutants
from tests.mutation.__main__ import main

ROOT = Path(__file__).parents[2]
PROJECT = """
[tool.mutmut]
source_paths = ["twice.py", "largest.py"]
also_copy = ["test_twice.py", "test_largest.py"]
use_git_change_detection = false
"""
FILES = {
    "pyproject.toml": PROJECT,
    "twice.py": "def twice(number):\n    return number + number\n",
    "test_twice.py": "from twice import twice\n\ndef test_three():\n    assert twice(3) == 6\n",
    # of a largest one it does not matter whether an equal one takes its place
    "largest.py": "def largest(one, other):\n    return one if one > other else other\n",
    "test_largest.py": "from largest import largest\n\ndef test_two():\n    assert largest(1, 2) == 2\n"
    "    assert largest(2, 1) == 2\n",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Two modules with tests. Those of one notice every mutant, and those of the other all but one."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def run(project: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.mutation", "--least=80"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": "-p no:schemathesis"},
        capture_output=True,
        text=True,
        timeout=100,
    )


def test_what_survives_is_shown_and_too_few_killed_are_an_error(project: Path) -> None:
    done = run(project)
    assert done.stderr == "testing 4 mutants: tail -f build/mutants.log\n"
    assert done.stdout.splitlines()[-4:] == [
        "module        mutants   killed survived    share",
        "largest             3        2        1   66.7 %",
        "twice               1        1        0  100.0 %",
        "all                 4        3        1   75.0 %",
    ]
    assert (
        "-    return one if one > other else other\n+    return one if one >= other else other" in done.stdout
    )
    assert done.returncode == 1


def test_tests_that_fail_without_a_mutant_judge_none(project: Path) -> None:
    (project / "test_twice.py").write_text("def test_three():\n    assert False\n")
    done = run(project)
    assert done.stderr.splitlines()[-1] == "mutmut ended with 1: build/mutants.log says why"
    assert (done.stdout, done.returncode) == ("", 2)
    assert "assert False" in (project / "build/mutants.log").read_text()


def test_a_seed_stands_for_one_sample() -> None:
    names = [f"name{number}" for number in range(100)]
    chosen = mutants.sample(names, 20, 1)
    assert chosen == mutants.sample(names, 20, 1) != mutants.sample(names, 20, 2)
    assert len(set(chosen) & set(names)) == 20
    assert sorted(mutants.sample(names, 101, 1)) == sorted(names)


@pytest.mark.parametrize(
    ("verdict", "is_killed"),
    [
        ("killed", True),
        ("timeout", True),
        ("segfault", True),
        ("survived", False),
        ("no tests", False),
        ("suspicious", False),
        ("not checked", False),
    ],
)
def test_a_mutant_that_no_test_has_run_is_not_killed(verdict: str, is_killed: bool) -> None:
    assert mutants.Mutant("x__mutmut_1", Path("x.py"), verdict).is_killed is is_killed


def test_enough_are_killed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    module = Path("scan.py")
    monkeypatch.setattr(mutants, "modules", lambda: [module])
    monkeypatch.setattr(mutants, "names_of", lambda module: [f"x__mutmut_{number}" for number in range(10)])
    monkeypatch.setattr(mutants, "judge", lambda names, jobs: None)
    monkeypatch.setattr(mutants.Mutant, "diff", lambda mutant: "- a\n+ b")
    monkeypatch.setattr(
        mutants,
        "judged",
        lambda module, names: [
            mutants.Mutant(name, module, {"7": "survived", "8": "timeout"}.get(name[-1], "killed"))
            for name in sorted(names)
        ],
    )
    assert main([]) == 0
    assert capsys.readouterr().out.startswith(
        "x__mutmut_7: survived\n- a\n+ b\n\nx__mutmut_8: timeout\n- a\n+ b\n\nmodule "
    )
    assert main(["--least=90.1"]) == 1
