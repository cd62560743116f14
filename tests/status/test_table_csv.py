"""The table for spreadsheets."""

from __future__ import annotations

import csv
import time

import pytest

from exporter.status.rows import row_of
from exporter.status.table_csv import csv_line, header_line
from tests.status.members import Members
from tests.store_fixture import PATIENCE_S


def cells(**target: object) -> dict[str, str]:
    """Of one row, as a spreadsheet reads it."""
    watched = Members().add("h", "up", **target)  # type: ignore[arg-type]
    line = csv_line(row_of(watched, time.monotonic(), time.time()))
    names, values = csv.reader([header_line(), line])
    assert len(names) == len(set(names)) == len(values)
    return dict(zip(names, values, strict=True))


def test_a_row() -> None:
    found = cells(alias="cache", labels=(("env", "live"),))
    assert (found["name"], found["address"], found["state"]) == ("cache", "redis://h:6379", "up")
    assert found["labels"] == '{"env":"live"}'
    assert 0.99 <= float(found["fast_age_s"]) < PATIENCE_S
    assert (found["slow_age_s"], found["poll_p50_s"], found["cost_ratio"]) == ("", "0.25", "")
    assert float(found["since"]) == pytest.approx(time.time(), abs=PATIENCE_S)


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "=cmd|' /C calc'!A0"])
def test_no_cell_is_a_formula(name: str) -> None:
    found = cells(alias=name, labels=(("a", "=1"),))
    assert found["name"] == found["alias"] == f"'{name}"
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) for cell in found.values())


@pytest.mark.parametrize("name", ['a"b', "a,b", "a\nb", "a;b", "<script>", "ключ"])
def test_names_come_back(name: str) -> None:
    watched = Members().add("h", alias=name)
    line = csv_line(row_of(watched, 0.0, 0.0))
    ((first, *_),) = csv.reader(line.splitlines(keepends=True))
    assert first == name
