"""Recorded replies as a collector is given them, and the Go exporter's rows by where they come from."""

from __future__ import annotations

import csv
import json
import pathlib
import re
from typing import Any

from exporter.collectors._contract import AnyCollector
from exporter.metrics.family import NameSet

DATA = pathlib.Path(__file__).parent.parent / "data"


def as_reply(value: Any) -> Any:
    """JSON with the texts as bytes."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    return [as_reply(item) for item in value] if isinstance(value, list) else value


def recorded(version: str, name: str) -> Any:
    return as_reply(json.loads((DATA / version / f"{name}.json").read_text(errors="surrogateescape")))


def versions_with(name: str) -> list[str]:
    return sorted(path.parent.name for path in DATA.glob(f"*/{name}.json"))


def assert_go_families(collector: AnyCollector, source: str) -> None:
    """The collector's families with names of the Go exporter are the Go exporter's of that source, with the
    same types and labels."""
    with (DATA / "go_metrics.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if re.fullmatch(source, row["source"])]
    ours = {
        f"redis_{family.name}": (family.type.value, set(family.labels))
        for family in collector.families
        if family.name_set is NameSet.GO
    }
    assert ours == {row["name"]: (row["type"], set(filter(None, row["labels"].split(";")))) for row in rows}
