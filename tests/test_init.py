"""The public names: there, typed, and loaded on first use."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import exporter

STUB = Path(exporter.__file__).with_suffix(".pyi")


def modules_after(code: str) -> set[str]:
    """What a fresh interpreter has loaded besides what it loads by itself."""
    script = f"import sys; before = set(sys.modules)\n{code}\nprint(*(set(sys.modules) - before))"
    outcome = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(outcome.stdout.split())


def test_the_import_alone_loads_nothing_else() -> None:
    assert modules_after("import exporter") == {"exporter"}


def test_a_name_loads_its_own_module_only() -> None:
    loaded = modules_after("from exporter import render_info")
    assert "exporter.library.replies" in loaded
    assert not {name.partition(".")[0] for name in loaded} & {"aiohttp", "apscheduler", "prometheus_client"}
    assert not {name for name in loaded if name.startswith(("exporter.app", "exporter.web"))}


@pytest.mark.parametrize("name", exporter.__all__)
def test_a_public_name_is_there(name: str) -> None:
    assert getattr(exporter, name).__doc__
    assert name in dir(exporter)


def test_another_name_is_not() -> None:
    with pytest.raises(AttributeError, match="module 'exporter' has no attribute 'render'"):
        exporter.render  # type: ignore[attr-defined]  # noqa: B018


def test_the_stub_has_the_same_names() -> None:
    body = ast.parse(STUB.read_text()).body
    imported = {alias.asname for node in body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert imported | {"__version__"} == set(exporter.__all__)
    [assigned] = [ast.literal_eval(node.value) for node in body if isinstance(node, ast.Assign)]
    assert assigned == exporter.__all__
