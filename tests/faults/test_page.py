"""docs/reliability.md has the table of faults."""

from __future__ import annotations

import re
from pathlib import Path

from exporter.errors import REASONS
from tests.faults import test_faults
from tests.faults.table import FAULTS
from tests.test_docs import rows_of

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
HEAD = "| fault | what the server does | reason | what is seen | test | figures |"


def test_the_page_has_a_row_for_each_fault_and_no_other() -> None:
    shown = [tuple(cells[:5]) for cells in rows_of(PAGE, HEAD)]
    assert shown == [
        (fault.name, fault.does, f"`{fault.reason}`" if fault.reason else "", fault.seen, f"`{fault.group}`")
        for fault in FAULTS
    ]


def test_each_row_has_its_figures() -> None:
    assert [cells[0] for cells in rows_of(PAGE, HEAD) if not re.search(r"\d", cells[5])] == []


def test_reasons_are_those_of_failed_polls() -> None:
    assert {fault.reason for fault in FAULTS} - {""} <= set(REASONS)
    unmade = set(REASONS) - {fault.reason for fault in FAULTS}
    assert unmade == {"cancelled", "internal"}, "each reason that a server can give has its fault"


def test_groups_name_their_tests() -> None:
    [named] = re.findall(r"`(test_the\w+)\[", PAGE.read_text())
    assert hasattr(test_faults, named)
