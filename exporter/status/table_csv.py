"""The table as CSV, for spreadsheets. (RFC 4180)

A spreadsheet runs what begins with one of `_RUN` as a formula, and names come from strangers: such a cell
gets an apostrophe in front, which spreadsheets do not show.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from exporter.metrics.lane import Lane
from exporter.status.json_values import json_text
from exporter.status.rows import TargetRow

_RUN = ("=", "+", "-", "@", "\t", "\r", "\n")


def _age_s(lane: str, row: TargetRow) -> float | None:
    return next((each.age_s for each in row.lanes if each.lane == lane), None)


#: the columns, each with what gives its value
_COLUMNS: Mapping[str, Callable[[TargetRow], Any]] = {
    "name": lambda row: row.name,
    "alias": lambda row: row.alias,
    "address": lambda row: row.address,
    "state": lambda row: row.state,
    "since": lambda row: row.since,
    "reason": lambda row: row.reason,
    "error_text": lambda row: row.error_text,
    "role": lambda row: row.role,
    "version": lambda row: row.version,
    "labels": lambda row: json_text(row.labels) if row.labels else "",
    **{f"{lane.value}_age_s": partial(_age_s, lane.value) for lane in Lane},
    "stale_lanes": lambda row: " ".join(lane.lane for lane in row.lanes if lane.is_stale),
    "poll_p50_s": lambda row: row.poll_p50_s,
    "poll_p99_s": lambda row: row.poll_p99_s,
    "next_poll_s": lambda row: row.next_poll_s,
    "series": lambda row: row.series,
    "refused": lambda row: row.refused,
    "reconnects": lambda row: row.reconnects,
    "cost_ratio": lambda row: row.cost_ratio,
    "source": lambda row: row.source,
    "is_elsewhere": lambda row: str(row.is_elsewhere).lower(),
    "paused_until": lambda row: row.paused_until,
}


def header_line() -> str:
    return _line(list(_COLUMNS))


def csv_line(row: TargetRow) -> str:
    """One row, with its line break."""
    return _line([_cell(read(row)) for read in _COLUMNS.values()])


def _cell(value: Any) -> str:
    """Numbers are numbers: only texts can be formulas."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6f}".rstrip("0").rstrip(".")
    if isinstance(value, int):
        return str(value)
    text = str(value)
    return f"'{text}" if text.startswith(_RUN) else text


def _line(cells: list[str]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue()
