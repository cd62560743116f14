"""The benches run, and say what they measured. What they measure in a quick run means nothing."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from bench.__main__ import CASES
from bench.figures import Figure, as_table, at_least, at_most, plain


@pytest.mark.parametrize("case", CASES)
def test_a_case_prints_its_figures_with_goals(case: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", case, "--quick", "--json"], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures
    for figure in figures:
        assert {"figure", "value", "goal", "ok"} <= figure.keys()
        assert isinstance(figure["value"], float | int)
        assert (figure["ok"] is None) == (figure["goal"] == "")
    assert any(figure["goal"] for figure in figures)


def test_an_unknown_case_is_named() -> None:
    done = subprocess.run([sys.executable, "-m", "bench", "speed"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "there is no case 'speed'" in done.stderr


def test_a_missed_goal_is_shown() -> None:
    table = as_table([at_most("a", 3, 2), at_least("b", 3, 2), plain("c", 1.5, "ms")])
    missed, met, without = table.splitlines()[1:]
    assert "MISSED" in missed
    assert met.split() == ["b", "3", "≥", "2", "ok"]
    assert without.split() == ["c", "1.5", "ms"]


@pytest.mark.parametrize(("value", "ok"), [(1.0, True), (2.0, True), (2.1, False)])
def test_a_goal_is_met_up_to_its_very_value(value: float, ok: bool) -> None:
    assert at_most("a", value, 2) == Figure("a", value, "", "≤ 2", ok)
