"""The table of endpoints: what is derived from it agrees with it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from exporter.options.endpoints import ENDPOINTS, is_reserved

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize(
    "path", [*(row.path for row in ENDPOINTS), "/health/", "/discover-cluster-nodes/", "/-/new"]
)
def test_their_paths_are_reserved(path: str) -> None:
    assert is_reserved(path)


@pytest.mark.parametrize("path", ["/metrics", "/healthy", "/scrape/all", "/metrics/"])
def test_others_are_free(path: str) -> None:
    assert not is_reserved(path)


def test_names_and_paths_are_different() -> None:
    assert len({row.name for row in ENDPOINTS}) == len({row.path for row in ENDPOINTS}) == len(ENDPOINTS)


def test_the_docs_list_each_of_them() -> None:
    text = (ROOT / "docs" / "endpoint.md").read_text()
    listed = re.findall(r"^\| `(/[^`]*)` \|", text, re.M)
    assert sorted(listed) == sorted(["/metrics", *(row.path for row in ENDPOINTS)])
