"""Cases side by side: what is counted, what is said of a crash, and the exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fuzz import runs
from tests.fuzz.__main__ import main

DONE = "#7\tINITED cov: 1\nDone 41 runs in 2 second(s)\nstat::number_of_executed_units: 41\n"
CRASH = (
    "#2\tINITED cov: 1\n#900\tNEW cov: 5\n === Uncaught Python exception: ===\nAssertionError\n"
    "artifact_prefix='found/info.'; Test unit written to found/info.crash-1\n"
    "stat::number_of_executed_units: 950\n"
)


def test_executions_are_read() -> None:
    run = runs.read_log("info", DONE, 0, 2.0)
    assert (run.executions, run.rate, run.crashes, run.failed) == (41, 20.5, 0, False)


def test_a_crash_is_reported_with_its_input_and_how_to_repeat_it() -> None:
    run = runs.read_log("info", CRASH, 77, 2.0)
    assert (run.executions, run.inputs, run.failed) == (950, (Path("found/info.crash-1"),), True)
    assert "AssertionError" in run.report
    assert run.report.endswith("-m tests.fuzz info --repeat found/info.crash-1")


def test_executions_before_a_death_without_a_word_are_those_of_the_last_line() -> None:
    run = runs.read_log("info", "#2\tINITED\n#900\tNEW\nKilled", -9, 2.0)
    assert (run.executions, run.crashes, run.failed) == (900, 0, True)
    assert run.report == "#2\tINITED\n#900\tNEW\nKilled\nit could not run"


def test_a_slow_input_is_no_crash() -> None:
    assert runs.read_log("info", f"Test unit written to found/info.slow-unit-1\n{DONE}", 0, 2.0).crashes == 0


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], list[tuple[str, ...]]]:
    """Puts a process that says this and ends with this code in the place of each worker. Returns what they
    are asked for."""

    def replace(text: str, code: int) -> list[tuple[str, ...]]:
        asked: list[tuple[str, ...]] = []

        def command(*arguments: str) -> list[str]:
            asked.append(arguments)
            return [sys.executable, "-c", f"print({text!r}); raise SystemExit({code})"]

        monkeypatch.setattr(runs, "_command", command)
        return asked

    return replace


def test_the_time_is_shared_by_weight(
    worker: Callable[[str, int], list[tuple[str, ...]]], tmp_path: Path
) -> None:
    asked = worker(DONE, 0)
    found = runs.run_all(["clusters", "polls", "info"], 100.0, 2, tmp_path)
    assert [run.case for run in found] == ["clusters", "polls", "info"]
    assert sorted(each[:2] for each in asked) == [
        *(("clusters", "20.0"), ("info", "15.0"), ("info", "45.0"), ("polls", "30.0"), ("polls", "90.0")),
    ]


@pytest.mark.parametrize(("given", "seed"), [([], "0"), (["--seed=7"], "7")])
def test_each_run_differs_unless_it_has_a_seed(
    worker: Callable[[str, int], list[tuple[str, ...]]], tmp_path: Path, given: list[str], seed: str
) -> None:
    asked = worker(DONE, 0)
    assert main(["info", "--for=100s", f"--folder={tmp_path}", *given]) == 0
    assert [each[3] for each in asked] == [seed, seed]


def test_the_table_has_all_cases_and_their_sum(
    worker: Callable[[str, int], list[tuple[str, ...]]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    worker(DONE, 0)
    assert main(["info", "clients", "--for=4s", f"--folder={tmp_path}"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["case", "info", "clients", "all"]
    assert lines[-1].split() == ["all", "82", "0"]


def test_a_crash_ends_with_1(
    worker: Callable[[str, int], list[tuple[str, ...]]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    worker(CRASH, 77)
    assert main(["info", "--for=4s", f"--folder={tmp_path}"]) == 1
    said = capsys.readouterr()
    assert said.out.splitlines()[1].split()[::3] == ["info", "1"]
    assert "--repeat found/info.crash-1" in said.err


def test_an_input_is_checked_again_without_libfuzzer(tmp_path: Path) -> None:
    file = tmp_path / "input"
    file.write_bytes(b"redis://h:1")
    assert main(["addresses", "--repeat", str(file)]) == 0


@pytest.mark.parametrize("argv", [["inf"], ["--jobs=0"], ["--repeat=x"], ["--for=never"]])
def test_a_mistake_is_explained(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(argv)
    assert ended.value.code == 2
    assert "error: " in capsys.readouterr().err
