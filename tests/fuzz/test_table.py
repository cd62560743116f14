"""The table of cases, and the page of the docs that shows it."""

from __future__ import annotations

from pathlib import Path

from tests.fuzz.table import ROWS
from tests.fuzz.worker import unguided
from tests.test_docs import rows_of

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"


def test_the_page_has_every_case() -> None:
    rows = rows_of(PAGE, "| case | what is read | executions | crashes |")
    assert [(cells[0].strip("`"), cells[1]) for cells in rows[:-1]] == [
        (name, row.what) for name, row in ROWS.items()
    ]
    assert rows[-1][0] == "all"
    executions = [int(cells[2].replace(",", "")) for cells in rows]
    assert sum(executions[:-1]) == executions[-1]


def test_guides_are_modules_or_packages() -> None:
    everything = unguided(())
    for name, row in ROWS.items():
        for guide in row.guides:
            assert len(unguided((guide,))) < len(everything), f"{name}: {guide}"
