"""The table of bounds in docs/reliability.md: it says what options and constants say, and leaves none out."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.options.table import OPTIONS
from exporter.options.values import COUNT
from exporter.web.incidents import REASONS

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "reliability.md"
HEAD = "| what | bound | set by | beyond it |"
#: wings whose constants are all about what others can make long
WINGS = ("web", "pages", "logs")
#: constants there that bound nothing of others, and what they are
OTHERS = {
    "pages.deflate.STORED_MAX": "how a block is compressed",
    "pages.exposition.MEMBERS_MAX": "how a page is cut",
    "pages.members.GROUPS_MAX": "how a page is cut",
    "pages.rhythm.MISSES_MAX": "when a rhythm is given up",
    "pages.rhythm.STRAYS_MAX": "when a rhythm is given up",
    "pages.cache.SELECTIONS_MAX": "the default of --page.max-selections",
    "pages.cache.SELECTIONS_BYTES_MAX": "the default of --page.max-selections-bytes",
}


def rows() -> list[list[str]]:
    section = PAGE.read_text().partition("\n## Bounds\n")[2].partition("\n## ")[0]
    found = []
    for table in section.split(HEAD + "\n")[1:]:
        for line in table.partition("\n\n")[0].splitlines()[1:]:
            found.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return found


SOURCES = {row[2].strip("`"): row[1] for row in rows()}


def test_the_table_is_read() -> None:
    assert len(SOURCES) == len(rows()) > 80
    assert all(len(row) == 4 for row in rows())


@pytest.mark.parametrize("source", SOURCES)
def test_a_bound_is_what_its_source_says(source: str) -> None:
    assert SOURCES[source].replace(",", "") == str(value_of(source))


def value_of(source: str) -> str | int:
    if source.startswith("--"):
        return next(option.default for option in OPTIONS if option.flag == source.removeprefix("--"))
    module, _, name = source.rpartition(".")
    value = getattr(importlib.import_module(f"exporter.{module}"), name)
    return int(value) if value == int(value) else value


def constants() -> Iterator[str]:
    """The public ones that are called a maximum."""
    for wing in WINGS:
        for path in sorted((ROOT / "exporter" / wing).glob("*.py")):
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.Assign):
                    names = [each.id for each in ast.walk(node.targets[0]) if isinstance(each, ast.Name)]
                    yield from (
                        f"{wing}.{path.stem}.{name}" for name in names if re.match(r"[A-Z]\w*_MAX\Z", name)
                    )


def test_no_count_among_the_options_is_left_out() -> None:
    counts = {f"--{option.flag}" for option in OPTIONS if option.type is COUNT}
    assert counts - SOURCES.keys() == set()


def test_no_constant_of_these_wings_is_left_out() -> None:
    found = set(constants())
    assert len(found) > 25
    assert found - SOURCES.keys() == OTHERS.keys()


def test_reasons_in_the_table_are_those_that_are_counted() -> None:
    named = {
        word for row in rows() for word in re.findall(r"\(`(\w+)`(?:, `(\w+)`)?\)", row[3]) for word in word
    }
    assert {word for word in named if word} <= REASONS.keys()
