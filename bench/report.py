"""The report: tables and pictures of one run, in Markdown."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator, Mapping

from bench.charts import draw
from bench.figures import cells
from bench.machine import machine, revisions
from bench.setup import Result, Setup

NAME = "report.md"


def write_report(folder: pathlib.Path, results: Mapping[str, Result], setup: Setup) -> pathlib.Path:
    """Write the report of some cases' results and their pictures into a folder, which is made if need be;
    the report's path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NAME
    path.write_text("\n".join(_lines(folder, results, setup)) + "\n")
    return path


def _lines(folder: pathlib.Path, results: Mapping[str, Result], setup: Setup) -> Iterator[str]:
    yield from ("# Measured", "", f"{machine()}.", f"{revisions(setup)}.")
    if setup.quick:
        yield from ("", "A smoke run: the figures mean little.")
    for case, result in results.items():
        yield from ("", f"## {case}", "", "| figure | value | goal | | |", "|---|---:|---|---|---|")
        for each in result.figures:
            row = cells(each, not setup.quick)
            yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
        for chart in result.charts:
            picture, *_ = draw(chart, folder)
            yield from ("", f"![{chart.title}]({picture.name})")
