"""The dashboards as Grafana would read them: their panels, queries and variables."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promql_parser

GRAFANA = Path(__file__).parents[2] / "deploy" / "grafana"
FILES = sorted((GRAFANA / "dashboards").glob("*.json"))
FLAG = re.compile(r"`--([\w.-]+)`")


@dataclass(frozen=True)
class Panel:
    board: str
    spec: dict[str, Any]

    @property
    def title(self) -> str:
        return str(self.spec["title"])

    @property
    def shows(self) -> str:
        return str(self.spec["description"])

    @property
    def queries(self) -> list[str]:
        return [target["expr"] for target in self.spec["targets"]]

    @property
    def flags(self) -> set[str]:
        """The flags that the description names."""
        return set(FLAG.findall(self.shows))

    def __str__(self) -> str:
        return f"{self.board}: {self.title}"


def board(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def rows_and_panels(file: Path) -> Iterator[dict[str, Any]]:
    """Everything that stands on the grid, what is folded too."""
    for each in board(file)["panels"]:
        yield each
        yield from each.get("panels") or ()


def panels(file: Path) -> list[Panel]:
    return [Panel(file.stem, each) for each in rows_and_panels(file) if each["type"] != "row"]


def filled(query: str, values: dict[str, str]) -> str:
    """A query or selector with the values of its variables."""
    return re.sub(r"\$(\w+)", lambda found: values[found[1]], query)


def selectors(query: str) -> list[tuple[str, str]]:
    """Name and range of each selector of a query, such as ("redis_up", "") and ("redis_x_total", "1m")."""
    found: list[tuple[str, str]] = []
    _search(promql_parser.parse(query), found)
    return found


def _search(node: Any, found: list[tuple[str, str]]) -> None:
    if isinstance(node, promql_parser.VectorSelector):
        found.append((node.name or "", ""))
    elif isinstance(node, promql_parser.MatrixSelector):
        found.append((node.vector_selector.name or "", str(node.range)))
    else:
        for name in ("expr", "lhs", "rhs", "param"):
            below = getattr(node, name, None)
            if below is not None:
                _search(below, found)
        for below in getattr(node, "args", None) or ():
            _search(below, found)
