"""The house rules: an import only points to a lower floor, and each outside library has one door."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import re
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter import engine as engine_module
from exporter.collectors._registry import REGISTRY
from exporter.engine import plain

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "exporter"
STUB = PACKAGE / "_fastparse.pyi"

#: The rooms from the ground up. A package stands for each of its modules; a module's own name counts first.
FLOORS = (
    (
        "__init__",
        "_native",
        "_native.buffers",
        "_native.frames",
        "_native.histograms",
        "app",
        "app.watchdog",
        "connection",
        "connection.backlog",
        "connection.candidates",
        "connection.limiter",
        "connection.sockets",
        "descriptors",
        "engine.plain.clients",
        "engine.plain.frames",
        "engine.plain.histograms",
        "engine.plain.labels",
        "files",
        "fleet",
        "logs.queue",
        "metrics",
        "metrics.family",
        "metrics.lane",
        "metrics.runtime_families",
        "options",
        "options.endpoints",
        "options.lengths",
        "options.lua_patterns",
        "pages",
        "pages.pieces",
        "pages.rhythm",
        "pages.selection",
        "polling",
        "polling.faults",
        "polling.heap_trimmer",
        "protocol",
        "protocol.command",
        "targets",
        "targets.target",
        "targets.yaml_reader",
        "telemetry",
        "telemetry.process",
        "texts",
        "single_flight",
        "web",
        "web.clients",
        "web.incidents",
        "web.password_checks",
    ),
    (
        "_native.numbers",
        "_native.tables",
        "collectors._entry_log",
        "collectors._file_sizes",
        "engine.plain.numbers",
        "engine.plain.pages",
        "errors",
        "logs.lines",
        "metrics.store",
        "metrics.taken_names",
        "options.allowance",
        "options.masks",
        "options.values",
        "pages.scrapers",
        "polling.bounds",
        "targets.redaction",
        "web.freshness",
        "web.landing",
    ),
    (
        "_native.clients",
        "_native.pages",
        "connection.failures",
        "connection.handshake",
        "connection.resolver",
        "engine.plain.samples",
        "fleet.alignment",
        "logs.repeats",
        "options.option",
        "options.patterns",
        "protocol.cluster",
        "protocol.facts",
        "targets.address",
        "web.auth",
        "web.query",
        "web.tls",
    ),
    (
        "_fastparse",
        "collectors._contract",
        "engine.plain.info",
        "logs",
        "options.groups",
        "targets.instances",
        "targets.passwords",
    ),
    (
        "collectors._keyspace",
        "engine.plain",
        "options.commandline",
        "polling.timing",
        "targets.configured",
        "web.limits",
    ),
    ("cli", "engine", "web.guard"),
    (
        "__main__",
        "collectors",
        "connection.replies",
        "metrics.family_set",
        "metrics.series_limit",
        "pages.page",
        "polling.memory",
        "targets.labels",
        "telemetry.own_series",
        "web.connection",
    ),
    (
        "collectors._registry",
        "collectors._shown",
        "connection.link",
        "connection.settings",
        "metrics.catalog",
        "metrics.labels",
        "pages.cached_pages",
        "pages.page_builder",
        "polling.output",
        "telemetry.target_series",
        "web.body_writer",
        "web.cluster_nodes",
        "web.listener",
    ),
    ("connection.tls", "pages.exposition", "polling.poll"),
    ("connection.dialer", "pages.cache"),
    ("connection.cluster_links", "web.routes"),
    ("polling.runner",),
    ("polling.watched_target",),
    ("fleet.poll_group",),
    ("fleet.schedule",),
    ("fleet.fleet",),
    ("app.app",),
    ("app.run",),
    ("commands",),
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}

#: outside library → the modules that may import it
DOORS = {
    "redis": set(),  # for tests and benches: loading it takes 4 MB and a tenth of a second
    "hiredis": {"connection.replies", "protocol.command"},
    "apscheduler": {"fleet.poll_group", "fleet.schedule"},
    "prometheus_client": {"telemetry.own_series", "telemetry.process"},
    "yaml": {"targets.yaml_reader"},
    "uvloop": {"app.run"},
    "regex": {"options.patterns"},
    "isal": {"pages.page", "pages.pieces"},
    "bcrypt": {"web.password_checks"},
}


def name_of(path: Path) -> str:
    """`web.routes` for exporter/web/routes.py, `web` for exporter/web/__init__.py, `__init__` for the top
    one."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


SOURCES = {name_of(path): path for suffix in ("py", "pyx") for path in sorted(PACKAGE.rglob(f"*.{suffix}"))}


def floor(name: str) -> int:
    room = name if name in FLOOR_OF else name.partition(".")[0]
    assert room in FLOOR_OF, f"exporter/{room} has no floor yet: give it one in FLOORS"
    return FLOOR_OF[room]


def imported(path: Path) -> Iterator[str]:
    """Each module that a file imports, at its top or within a function; of ours, a name that is no module
    is its package's."""
    text = path.read_text()
    if path.suffix == ".pyx":  # `from a.b import c` and `cimport`, which are all the forms these files use
        for module, names in re.findall(r"^\s*from ([\w.]+) c?import \(?\s*([\w, ]*)", text, re.M):
            yield from _resolved(module, names.replace(",", " ").split())
        yield from re.findall(r"^\s*c?import ([\w.]+)", text, re.M)
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: write the import with its full name"
            assert node.module is not None
            yield from _resolved(node.module, [alias.name for alias in node.names])


def _resolved(module: str, names: list[str]) -> Iterator[str]:
    """`exporter.errors` for `from exporter import errors`, `exporter` for `from exporter import
    __version__`."""
    for name in names or [""]:
        below = f"{module}.{name}"
        yield below if below.removeprefix("exporter.") in SOURCES else module


def test_imports_are_seen_in_every_form() -> None:
    assert "exporter._native.buffers" in set(imported(SOURCES["_native.pages"]))
    assert "exporter.errors" in set(imported(SOURCES["connection.link"]))
    assert "exporter.web.landing" in set(imported(SOURCES["web.routes"]))
    assert "exporter.options.commandline" in set(imported(SOURCES["cli"]))  # inside a function
    assert "exporter" in set(imported(SOURCES["cli"]))


@pytest.mark.parametrize("name", SOURCES)
def test_imports_point_to_a_lower_floor(name: str) -> None:
    ours = {
        module.removeprefix("exporter").lstrip(".") or "__init__"
        for module in imported(SOURCES[name])
        if module.split(".")[0] == "exporter"
    }
    wrong = {other: floor(other) for other in ours if floor(other) >= floor(name)}
    assert not wrong, (
        f"exporter/{name} is on floor {floor(name)} and may not import from these floors: {wrong}"
    )


def test_every_room_exists() -> None:
    assert {room for room in FLOOR_OF if room not in SOURCES} == set(), (
        "a floor is given to a file that is gone"
    )


@pytest.mark.parametrize("library", DOORS)
def test_an_outside_library_comes_in_by_its_doors(library: str) -> None:
    users = {
        name
        for name, path in SOURCES.items()
        if library in {module.partition(".")[0] for module in imported(path)}
    }
    assert users <= DOORS[library]


def test_lines_end_at_a_line_feed_alone() -> None:
    """`splitlines` also ends them at what a server's names may hold: a carriage return, U+2028 and others."""
    of_the_kernel = {"telemetry.process"}
    users = {name for name, path in SOURCES.items() if re.search(r"\.splitlines\(", path.read_text())}
    assert users <= of_the_kernel, "write text.split(b'\\n')"


def test_nothing_here_imports_the_tests_or_benches() -> None:
    for path in SOURCES.values():
        assert not {module.partition(".")[0] for module in imported(path)} & {"tests", "bench"}, path


def test_every_collector_is_registered() -> None:
    files = {
        f"exporter.{name}"
        for name in SOURCES
        if name.startswith("collectors.") and not name.startswith("collectors._")
    }
    assert {type(collector).__module__ for collector in REGISTRY} == files


def test_collectors_have_different_names() -> None:
    names = [collector.name for collector in REGISTRY]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    "name", sorted(name for name, path in SOURCES.items() if path.suffix == ".py" and name != "__init__")
)
def test_a_module_imports_alone_and_without_warnings(name: str) -> None:
    """Nothing leans on what another module imported before it, or on work done at import."""
    outcome = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"import exporter.{name}"],
        capture_output=True,
        text=True,
        env={**os.environ, "REDPOLL_ENGINE": "" if engine_module.ENGINE == "compiled" else "python"},
        cwd=ROOT,
        check=False,
    )
    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, "", "")


def stubbed() -> dict[str, set[str]]:
    """The names that the stub declares; for a class, its public methods and attributes."""
    names: dict[str, set[str]] = {}
    for node in ast.parse(STUB.read_text()).body:
        if isinstance(node, ast.ClassDef):
            names[node.name] = {
                member
                for part in node.body
                if (
                    member := part.name
                    if isinstance(part, ast.FunctionDef)
                    else ast.unparse(part.target)
                    if isinstance(part, ast.AnnAssign)
                    else ""
                )
                and not member.startswith("_")
            }
        elif isinstance(node, ast.FunctionDef):
            names[node.name] = set()
        elif isinstance(node, ast.AnnAssign):
            names[ast.unparse(node.target)] = set()
    return names


def engines() -> list[types.ModuleType]:
    return [
        plain,
        *([importlib.import_module("exporter._fastparse")] if engine_module.ENGINE == "compiled" else []),
    ]


@pytest.mark.parametrize("engine", engines(), ids=lambda engine: engine.ENGINE)
def test_an_engine_has_what_the_stub_declares(engine: types.ModuleType) -> None:
    assert stubbed().keys() <= vars(engine).keys()
    for name, members in stubbed().items():
        kind = getattr(engine, name)
        known = set(dir(kind)) | set(getattr(kind, "__annotations__", ()))
        assert {
            member for member in members if member not in known and not _assigned(engine, name, member)
        } == set(), name


def _assigned(engine: types.ModuleType, name: str, member: str) -> bool:
    """Whether a method of a plain class assigns the attribute."""
    if Path(str(engine.__file__)).suffix != ".py":
        return False
    body = ast.parse(inspect.getsource(getattr(engine, name)))
    return any(
        isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and ast.unparse(node) == f"self.{member}"
        for node in ast.walk(body)
    )


def offered(module: types.ModuleType) -> set[str]:
    return {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }


def test_users_of_an_engine_see_what_the_stub_declares_and_no_more() -> None:
    assert offered(engine_module) - {"annotations"} == set(stubbed())
    for engine in engines():
        if engine is not plain:  # plain Python cannot hide what it imports
            assert offered(engine) == set(stubbed())
