"""What a bench says: figures with their goals."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Figure:
    """`ok` is None where there is no goal. `detail` says what was measured, for the table's reader. One that
    is `steady` is the same on a busy machine and in a smoke run, so it is judged there too."""

    figure: str
    value: float
    unit: str = ""
    goal: str = ""
    ok: bool | None = None
    detail: str = ""
    steady: bool = False


def at_most(
    figure: str, value: float, goal: float, unit: str = "", detail: str = "", steady: bool = False
) -> Figure:
    return Figure(figure, round(value, 4), unit, f"≤ {goal:,.6g}", value <= goal, detail, steady)


def at_least(figure: str, value: float, goal: float) -> Figure:
    return Figure(figure, round(value, 4), "", f"≥ {goal:g}", value >= goal)


def plain(figure: str, value: float, unit: str = "", detail: str = "") -> Figure:
    return Figure(figure, round(value, 4), unit, detail=detail)


def as_json(figures: Sequence[Figure]) -> str:
    return json.dumps([asdict(figure) for figure in figures], indent=1, ensure_ascii=False)


def verdict(figure: Figure, judged: bool = True) -> str:
    """A missed goal is marked, not hidden."""
    return {True: "ok", False: "MISSED", None: ""}[figure.ok if judged or figure.steady else None]


def missed(figures: Sequence[Figure], judged: bool = True) -> bool:
    return any(verdict(figure, judged) == "MISSED" for figure in figures)


def cells(figure: Figure, judged: bool = True) -> tuple[str, str, str, str, str]:
    """One row: name, value, goal, verdict and detail."""
    value = f"{figure.value:,.6g} {figure.unit}".strip()
    return figure.figure, value, figure.goal, verdict(figure, judged), figure.detail


def as_table(figures: Sequence[Figure], judged: bool = True) -> str:
    """One line a figure, with its verdict; where they are not judged, only of those that are steady."""
    rows = [("figure", "value", "goal", "", ""), *(cells(each, judged) for each in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row[:4], widths, strict=True)) + "  " + row[4]
        for row in rows
    )
