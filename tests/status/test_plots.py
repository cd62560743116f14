"""Plots are well-formed, show what the polls were, and carry no foreign markup."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from exporter.connection.dial_times import DialStep
from exporter.metrics.lane import Lane
from exporter.polling.poll_history import POLLS_MAX, PastPoll
from exporter.status.plots import CUT_AT, STEPS, poll_plot, tooltip

WELL = PastPoll(1_700_000_000.0, 0.002, "", (Lane.FAST,), received=5000)
FAILED = replace(WELL, duration_s=3.0, reason="timeout", error_text='<script>"x"</script> & more')


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def bars(svg: str, kind: str) -> list[ElementTree.Element]:
    return [each for each in parsed(svg).iter("rect") if each.get("class") == kind]


def test_without_polls_there_is_no_plot() -> None:
    assert poll_plot([]) == ""


@pytest.mark.parametrize("count", [1, 2, 7, 8, 63, POLLS_MAX, 3 * POLLS_MAX])
def test_each_poll_is_a_bar_within_the_plot(count: int) -> None:
    svg = poll_plot([replace(WELL, duration_s=0.001 * (1 + n % 5)) for n in range(count)])
    found = bars(svg, "commands")
    assert len(found) == min(count, POLLS_MAX)
    for bar in found:
        x, y, width, height = (float(bar.get(name, "nan")) for name in ("x", "y", "width", "height"))
        assert x >= 60
        assert x + width <= 960
        assert y >= 10
        assert y + height <= 161


def test_the_steps_of_a_dial_are_stacked() -> None:
    poll = replace(WELL, duration_s=0.01, dns_s=0.001, connect_s=0.002, tls_s=0.003, auth_s=0.001)
    svg = poll_plot([poll])
    edges = [
        (float(bar.get("y", "")), float(bar.get("height", ""))) for step in STEPS for bar in bars(svg, step)
    ]
    assert len(edges) == len(STEPS)
    for (below, _), (above, height) in itertools.pairwise(edges):
        assert above + height == pytest.approx(below, abs=0.2)
    assert sum(height for _, height in edges) == pytest.approx(146, abs=1)  # 10 ms of 10 ms


def test_a_failure_has_a_mark_and_its_words_are_text() -> None:
    svg = poll_plot([FAILED, WELL])
    assert "<script>" not in svg
    titles = ["".join(each.itertext()) for each in parsed(svg).iter("title")]
    assert any('<script>"x"</script> & more' in title for title in titles)
    assert len([each for each in parsed(svg).iter("path") if each.get("class") == "fail"]) == 1
    assert "1 failed" in svg


def test_one_long_poll_does_not_make_the_others_too_small() -> None:
    svg = poll_plot([replace(WELL, duration_s=0.002 * CUT_AT * 50), *[WELL] * 20])
    assert min(float(bar.get("height", "")) for bar in bars(svg, "commands")) > 10
    assert sum(each.get("class") == "cut" for each in parsed(svg).iter("path")) == 2


def test_where_all_failed_the_axis_is_theirs() -> None:
    svg = poll_plot([FAILED] * 3)
    assert "5.0 s" in svg
    assert not [each for each in parsed(svg).iter("path") if each.get("class") == "cut"]


def test_a_reader_of_screens_gets_words() -> None:
    root = parsed(poll_plot([WELL, FAILED]))
    assert root.get("role") == "img"
    ids = {each.get("id") for each in root.iter() if each.get("id")}
    assert set(str(root.get("aria-labelledby")).split()) == ids


@pytest.mark.parametrize("duration_s", [0.0, 1e-9, 1e-3, 86400.0])
def test_any_duration_can_be_drawn(duration_s: float) -> None:
    svg = poll_plot([replace(WELL, duration_s=duration_s)])
    assert "nan" not in svg


def test_the_steps_are_those_of_a_dial_and_the_rest() -> None:
    assert (*(step.value for step in DialStep), "commands") == STEPS


def test_plots_have_no_style_and_no_script_of_their_own() -> None:
    svg = poll_plot([WELL, FAILED])
    assert not re.search(r"style=|<script|<style|href|on\w+=", svg.replace("&lt;script", ""))


def test_a_tooltip_says_when_how_long_and_why() -> None:
    assert tooltip(WELL) == "22:13:20 UTC, fast: 2.0 ms\n5.0 kB"
    lines = tooltip(replace(FAILED, received=math.inf, dns_s=0.5)).split("\n")
    assert lines[1].startswith("failed: <script>")
    assert lines[2:] == ["dns 500 ms, commands 2.5 s", "bytes of several nodes"]
    assert "failed: timeout" in tooltip(replace(FAILED, error_text=""))
