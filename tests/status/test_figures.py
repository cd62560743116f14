"""Numbers and times as people read them."""

from __future__ import annotations

import pytest

from exporter.status import figures


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "—"),
        (-1.0, "0 s"),
        (0.0, "0 s"),
        (0.00004, "40 µs"),
        (0.00123, "1.2 ms"),
        (0.0457, "46 ms"),
        (0.9999, "1.0 s"),
        (9.96, "10 s"),
        (119.0, "119 s"),
        (180.0, "3 min"),
        (3 * 3600.0, "3 h"),
        (47 * 3600.0, "47 h"),
        (5 * 86400.0, "5 d"),
    ],
)
def test_spans(seconds: float | None, text: str) -> None:
    assert figures.span(seconds) == text


def test_moments() -> None:
    assert figures.moment(1_795_932_541.7) == "2026-11-29 06:09:01 UTC"
    assert figures.ago(1000.0, 1180.0) == "3 min ago"
    assert figures.ago(1000.0, 999.0) == "1.0 s ago"
    assert figures.ago(None, 999.0) == figures.moment(None) == "—"


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (None, "—"),
        (0.0, "0 %"),
        (0.000001, "< 0.001 %"),
        (0.00012, "0.012 %"),
        (0.00123, "0.12 %"),
        (0.0123, "1.2 %"),
        (0.5, "50 %"),
        (2.0, "200 %"),
    ],
)
def test_shares(ratio: float | None, text: str) -> None:
    assert figures.share(ratio) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(None, "—"), (0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (3_051_178, "3.1 MB"), (42_000_000, "42 MB")],
)
def test_sizes(number: float | None, text: str) -> None:
    assert figures.size(number) == text


def test_counts() -> None:
    assert figures.count(21_688) == "21,688"
    assert figures.count(None) == "—"


@pytest.mark.parametrize(
    ("value", "limit", "step"),
    [
        (None, 10, 0),
        (0, 10, 0),
        (0.01, 10, 1),
        (5, 10, 5),
        (9.99, 10, 9),
        (10, 10, 10),
        (50, 10, 10),
        (1, 0, 0),
    ],
)
def test_steps_of_bars(value: float | None, limit: float, step: int) -> None:
    assert figures.step(value, limit) == step
