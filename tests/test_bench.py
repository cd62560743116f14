"""The benches run, and say what they measured. What they measure in a quick run means nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.__main__ import CASES, main
from bench.builds import build_before
from bench.charts import Chart, distribution
from bench.figures import Figure, as_table, at_least, at_most, missed, plain
from bench.machine import machine, revisions
from bench.report import write_report
from bench.rivals import find_rivals
from bench.setup import Result, Setup
from exporter import __version__

#: what a case needs
MARKS = {
    "freshness": [pytest.mark.prometheus],
    "instructions": [pytest.mark.valgrind, pytest.mark.slow],
}
#: how long a case may take: several times as long as it does where nothing else runs
LONGEST_S = 850


@pytest.mark.timeout(LONGEST_S + 50)
@pytest.mark.parametrize("case", [pytest.param(case, marks=MARKS.get(case, ())) for case in CASES])
def test_a_case_prints_its_figures_with_goals(case: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", case, "--quick", "--json"],
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures
    for figure in figures:
        assert {"figure", "value", "goal", "ok"} <= figure.keys()
        assert isinstance(figure["value"], float | int)
        assert (figure["ok"] is None) == (figure["goal"] == "")
    assert any(figure["goal"] for figure in figures)


@pytest.mark.parametrize("failure", [RuntimeError("no more ports"), SystemExit("bench: no more ports")])
def test_a_case_that_fails_costs_the_others_nothing(
    failure: BaseException,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    def fail(setup: Setup) -> Result:
        raise failure

    monkeypatch.setitem(CASES, "poll", fail)
    monkeypatch.setitem(CASES, "serve", lambda setup: Result([at_most("what was measured", 1, 2)]))
    monkeypatch.setattr(sys, "argv", ["bench", "poll", "serve", "--out", str(tmp_path)])
    assert main() == 1
    told = capsys.readouterr()
    assert "what was measured" in told.out
    assert "poll could not be measured: " in told.err
    assert "no more ports" in told.err
    assert "what was measured" in (tmp_path / "report.md").read_text()


def test_the_machine_and_the_revisions_are_told() -> None:
    told = revisions(Setup(rivals=()))
    assert f"redpoll {__version__}" in told
    assert "CPython 3." in told
    assert "redis-server " in told
    assert "cores" in machine()


def test_an_unknown_case_is_named() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "speed"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "there is no case 'speed'" in done.stderr


def test_the_report_has_tables_and_pictures(tmp_path: Path) -> None:
    chart = Chart(
        "ages",
        "How old values are",
        "seconds",
        "part",
        {"ours": distribution([3, 1, 2]), "a rival": [(5, 1)]},
    )
    result = Result([at_most("a | b", 3, 2, "ms", "of 7"), plain("c", 1.5)], [chart])
    report = write_report(tmp_path / "new" / "folder", {"freshness": result}, Setup())
    text = report.read_text()
    assert "| a \\| b | 3 ms | ≤ 2 | MISSED | of 7 |" in text
    assert "![How old values are](ages.png)" in text
    assert report.with_name("ages.png").read_bytes().startswith(b"\x89PNG")
    assert "How old values are" in report.with_name("ages.svg").read_text()


def test_a_smoke_run_is_not_judged_in_the_report_either(tmp_path: Path) -> None:
    text = write_report(tmp_path, {"parse": Result([at_most("a", 3, 2)])}, Setup(quick=True)).read_text()
    assert "MISSED" not in text
    assert "smoke run" in text


def test_a_distribution_rises_to_one() -> None:
    assert distribution([3, 1, 2, 2]) == [(1, 0.25), (2, 0.5), (2, 0.75), (3, 1.0)]


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["--rival=/nowhere/exporter"], "that is no program"),
        (["--real=0"], "at least one server"),
        (["--before=/nowhere"], "that is no folder of redpoll"),
    ],
)
def test_a_wrong_option_is_named(argv: list[str], told: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "parse", *argv],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert told in done.stderr


def test_a_missed_goal_is_shown() -> None:
    table = as_table([at_most("a", 3, 2), at_least("b", 3, 2), plain("c", 1.5, "ms")])
    missed, met, without = table.splitlines()[1:]
    assert "MISSED" in missed
    assert met.split() == ["b", "3", "≥", "2", "ok"]
    assert without.split() == ["c", "1.5", "ms"]


def test_a_smoke_run_judges_what_is_steady() -> None:
    figures = [at_most("a", 3, 2), at_most("b", 3, 2, steady=True), at_most("c", 1, 2, steady=True)]
    _, loose, steady, met = (line.split()[-1] for line in as_table(figures, judged=False).splitlines())
    assert (loose, steady, met) == ("2", "MISSED", "ok")
    assert missed(figures, judged=False)
    assert not missed([figures[0], figures[2]], judged=False)
    assert missed(figures[:1])


@pytest.mark.parametrize(("value", "ok"), [(1.0, True), (2.0, True), (2.1, False)])
def test_a_goal_is_met_up_to_its_very_value(value: float, ok: bool) -> None:
    assert at_most("a", value, 2) == Figure("a", value, "", "≤ 2", ok)


def _program(path: Path, said: str) -> str:
    path.write_text(f"#!/bin/sh\necho '{said}' >&2\n")
    path.chmod(0o755)
    return str(path)


def test_rivals_have_their_versions_and_goals_of_their_age(tmp_path: Path) -> None:
    older = _program(
        tmp_path / "a", 'msg="Redis Metrics Exporter 1.45.0-2+b4    build date: x    Go: go1.19.8"'
    )
    newer = _program(tmp_path / "b", 'msg="Redis Metrics Exporter v1.88.0-3-gcd5941f    Go: go1.26.8"')
    unnamed = _program(tmp_path / "c", 'msg="Redis Metrics Exporter <<< filled in by build >>>"')
    rivals = find_rivals([older, newer, unnamed])
    assert [rival.name for rival in rivals] == [
        "Go exporter 1.45.0",
        "Go exporter 1.88.0",
        "Go exporter",
    ]
    assert [rival.goal((0.25, 0.16)) for rival in rivals] == [0.25, 0.16, 0.16]


def test_the_build_before_runs_its_own_code(tmp_path: Path) -> None:
    (tmp_path / "exporter").mkdir()
    (tmp_path / "exporter" / "__init__.py").touch()
    (tmp_path / "exporter" / "__main__.py").write_text("print('the old one')")
    build = build_before(tmp_path)
    said = subprocess.run(build.command, env=build.environment, capture_output=True, text=True, check=True)
    assert said.stdout == "the old one\n"
