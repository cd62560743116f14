"""The table of endpoints: what is derived from it agrees with it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from exporter.errors import UsageError
from exporter.options.commandline import parse
from exporter.options.endpoints import ROUTES, is_reserved, routes

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize(
    "path", [*(f"{route.path.rstrip('/')}{end}" for route in ROUTES for end in ("", "/")), "/-/new"]
)
def test_a_path_of_the_table_is_refused_as_the_telemetry_path(path: str) -> None:
    assert is_reserved(path or "/")
    with pytest.raises(UsageError) as caught:
        parse([f"--web.telemetry-path={path or '/'}"], {})
    assert "write " in str(caught.value)
    assert "/metrics" in str(caught.value)


@pytest.mark.parametrize("path", ["/metrics", "/healthy", "/scrape/all", "/metrics/"])
def test_others_are_free(path: str) -> None:
    assert not is_reserved(path)
    assert parse([f"--web.telemetry-path={path}"], {}).web.telemetry_path == path


def test_names_and_paths_are_different() -> None:
    table = routes("/values")
    assert len({route.name for route in table}) == len({route.path for route in table}) == len(table)


def test_the_docs_have_the_same_table() -> None:
    text = (ROOT / "docs" / "endpoint.md").read_text()
    listed = re.findall(r"^\| `(/[^`]*)` \| (.*) \|$", text, re.M)
    table = routes(parse([], {}).web.telemetry_path)
    assert listed == [(route.path, route.answer) for route in table]
    more = [(" and ".join(route.methods[2:]), route.path) for route in table if route.methods[2:]]
    named = ", ".join(f"{methods} for `{path}`" for methods, path in more)
    assert f"Methods other than GET and HEAD (and {named})" in text.replace("\n", " ")
