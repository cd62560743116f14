"""Families that the Go exporter has, by the command they come from."""

from __future__ import annotations

import csv
import pathlib
import re

from exporter.collectors._contract import AnyCollector
from exporter.metrics.family import NameSet

DATA = pathlib.Path(__file__).parent.parent / "data"


def go_rows(*sources: str) -> dict[str, dict[str, str]]:
    """Name without prefix → row, of those sources."""
    with (DATA / "go_metrics.csv").open(newline="") as file:
        return {
            row["name"].removeprefix("redis_"): row
            for row in csv.DictReader(file)
            if row["source"] in sources
        }


def assert_same_families(collector: AnyCollector, rows: dict[str, dict[str, str]]) -> None:
    """The collector's families with names of the Go exporter are these, with the same types and labels."""
    ours = {
        family.name: (family.type.value, set(family.labels))
        for family in collector.families
        if family.name_set is NameSet.GO
    }
    assert ours == {name: (row["type"], set(re.findall(r"\w+", row["labels"]))) for name, row in rows.items()}
