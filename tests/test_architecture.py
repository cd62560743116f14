"""The house rules: which wing imports which, by which door each outside library comes in, how large things
may be, and where the tests of a module are."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import os
import re
import subprocess
import sys
import types
from collections import Counter
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from exporter import engine as engine_module
from exporter.collectors._registry import REGISTRY
from exporter.engine import plain

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "exporter"
STUB = PACKAGE / "_fastparse.pyi"

#: Modules beside the wings. Everybody may import them; they import only each other.
GROUND = {
    "__init__",
    "build_facts",
    "descriptors",
    "errors",
    "files",
    "folder_watcher",
    "masks",
    "node_allowance",
    "pem_files",
    "signals",
    "safe_text",
    "single_flight",
    "systemd",
}
#: wing → the wings that it may import. docs/architecture.md shows the same table.
WINGS: dict[str, set[str]] = {
    "__main__": {"cli"},
    "_native": set(),
    "_fastparse": {"_native"},
    "logs": set(),
    "options": set(),
    "protocol": set(),
    "cli": {"engine", "logs", "options"},
    "engine": {"_fastparse"},
    "metrics": {"engine"},
    "targets": {"engine", "options"},
    "collectors": {"engine", "metrics", "options", "protocol"},
    "connection": {"engine", "protocol", "targets"},
    "pages": {"engine", "metrics", "targets"},
    "telemetry": {"engine", "metrics"},
    "polling": {
        "collectors",
        "connection",
        "engine",
        "metrics",
        "options",
        "protocol",
        "targets",
        "telemetry",
    },
    "web": {"metrics", "options", "pages", "protocol", "targets", "telemetry"},
    "fleet": {"metrics", "pages", "polling", "protocol", "targets"},
}
WINGS["status"] = {
    *("collectors", "fleet", "metrics", "options", "pages", "polling", "protocol", "targets", "web"),
}
WINGS["app"] = WINGS.keys() - {"__main__", "cli", "_fastparse", "_native"}
WINGS["commands"] = {*WINGS["app"], "app"}
WINGS["library"] = {"app", "collectors", "engine", "metrics", "options", "polling", "protocol", "targets"}

MODULE_LINES, CLASS_LINES, FUNCTION_LINES, UNIT_LINES, PARAMETERS = 400, 200, 50, 520, 7
#: what is larger than its budget → why it may be. This list gets shorter only.
OVERSIZE: dict[str, str] = {
    "collectors.info": "a table",
    "collectors.server": "a table",
}

#: outside library → the modules that may import it
DOORS = {
    "redis": set(),  # for tests and benches: loading it takes 4 MB and a tenth of a second
    "hiredis": {"connection.replies", "protocol.command"},
    "apscheduler": {"fleet.poll_group", "fleet.poll_groups"},
    "prometheus_client": {
        "telemetry.family_text",
        "telemetry.own_series",
        "library.registry",
    },
    "yaml": {"options.yaml_reader"},
    "uvloop": {"app.run"},
    "regex": {"options.patterns"},
    "isal": {"app.state_file", "pages.deflate"},
    "bcrypt": {"web.password_checks"},
    "httptools": {"web.request_head"},
    "watchfiles": {"folder_watcher"},
    "jinja2": {"status.templates"},
}


def name_of(path: Path) -> str:
    """`web.routes` for exporter/web/routes.py, `web` for exporter/web/__init__.py, `__init__` for the top
    one."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


SOURCES = {name_of(path): path for suffix in ("py", "pyx") for path in sorted(PACKAGE.rglob(f"*.{suffix}"))}


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
    assert "exporter.web.reload" in set(imported(SOURCES["web.routes"]))
    assert "exporter.options.commandline" in set(imported(SOURCES["cli"]))  # inside a function
    assert "exporter" in set(imported(SOURCES["build_facts"]))


def ours(name: str) -> set[str]:
    """The modules of ours that a module imports, without `exporter`."""
    return {
        module.removeprefix("exporter").lstrip(".") or "__init__"
        for module in imported(SOURCES[name])
        if module.split(".")[0] == "exporter"
    }


def wing_of(name: str) -> str:
    return name.partition(".")[0]


def wings_of(name: str) -> set[str]:
    """The other wings that a module imports from."""
    return {wing_of(other) for other in ours(name)} - GROUND - {wing_of(name)}


def test_every_module_is_in_a_wing_or_on_the_ground() -> None:
    assert {wing_of(name) for name in SOURCES} == WINGS.keys() | GROUND


@pytest.mark.parametrize("name", SOURCES)
def test_a_module_imports_from_the_wings_that_its_own_may_import(name: str) -> None:
    allowed = set() if name in GROUND else WINGS[wing_of(name)]
    wrong = wings_of(name) - allowed
    assert not wrong, f"exporter/{name} imports from {wrong}: see WINGS"


@pytest.mark.parametrize("wing", WINGS)
def test_the_table_allows_no_more_than_is_used(wing: str) -> None:
    used = {other for name in SOURCES if wing_of(name) == wing for other in wings_of(name)}
    if wing not in ("app", "commands"):  # they join all the others
        assert WINGS[wing] <= used


def test_wings_make_no_circle() -> None:
    tuple(TopologicalSorter(WINGS).static_order())  # CycleError names the circle


def test_modules_make_no_circle() -> None:
    tuple(TopologicalSorter({name: ours(name) - {name} for name in SOURCES}).static_order())


def sizes() -> Iterator[tuple[str, int, int]]:
    """Each module, class, function and constructor: name, size, budget."""
    for name, path in SOURCES.items():
        text = path.read_text()
        if path.suffix == ".pyx":
            yield name, text.count("\n"), UNIT_LINES
            continue
        yield name, text.count("\n"), MODULE_LINES
        for node in ast.walk(ast.parse(text)):
            match node:
                case ast.ClassDef():
                    yield f"{name}.{node.name}", lines_of(node), CLASS_LINES
                    for method in node.body:
                        if isinstance(method, ast.FunctionDef) and method.name == "__init__":
                            given = [*method.args.posonlyargs, *method.args.args, *method.args.kwonlyargs]
                            yield f"{name}.{node.name}()", len(given) - 1, PARAMETERS
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    yield f"{name}.{node.name}", lines_of(node), FUNCTION_LINES


def lines_of(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1


def test_everything_keeps_to_its_budget() -> None:
    over = {name: f"{size} of {budget}" for name, size, budget in sizes() if size > budget}
    assert {name: size for name, size in over.items() if name not in OVERSIZE} == {}
    assert OVERSIZE.keys() - over == set(), "it fits now: take it off the list"


def test_a_class_name_is_given_once() -> None:
    """The engines have the same classes, and what is private to one module may be named as it likes."""
    names = Counter(
        node.name
        for name, path in SOURCES.items()
        if path.suffix == ".py" and not name.startswith("engine.plain")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert [name for name, times in names.items() if times > 1] == []


def test_what_is_private_to_a_module_stays_there() -> None:
    wrong = [
        f"{name}: {alias.name} of {node.module}"
        for name, path in SOURCES.items()
        if path.suffix == ".py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("exporter")
        for alias in node.names
        if alias.name.startswith("_") and not alias.name.startswith("__")
        if f"{node.module}.{alias.name}".removeprefix("exporter.") not in SOURCES
    ]
    assert wrong == []


def mirror_of(name: str) -> Path:
    """Where the tests of a module are: tests/web/test_routes.py for web.routes, tests/logs/test_logs.py for
    the wing itself."""
    *folders, last = name.split(".")
    if SOURCES[name].stem == "__init__" and name != "__init__":
        folders = name.split(".")
    return ROOT.joinpath("tests", *folders, f"test_{last.strip('_')}.py")


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, path in SOURCES.items()
        if path.suffix == ".py" and re.search(r"^(async def|def|class) ", path.read_text(), re.M)
        if not name.startswith("engine.plain")  # tests/engine holds both engines to the same behaviour
    ],
)
def test_a_module_has_its_tests(name: str) -> None:
    tests = mirror_of(name)
    assert tests.exists(), f"write {tests.relative_to(ROOT)}"


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


def test_no_module_of_cython_counts_from_the_end() -> None:
    """Builds switch that off: `items[-1]` would be the memory before the items."""
    counting = {
        name: found
        for name, path in SOURCES.items()
        if path.suffix == ".pyx" and (found := re.findall(r".*\[\s*-\s*\d.*", path.read_text()))
    }
    assert counting == {}


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


def modules_by_package() -> dict[str, list[str]]:
    names = sorted(name for name, path in SOURCES.items() if path.suffix == ".py" and name != "__init__")
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(name.rpartition(".")[0], []).append(name)
    return found


def libraries() -> list[str]:
    """What the exporter imports beside itself and the standard library, where it is installed."""
    named = {
        ((node.module or "") if isinstance(node, ast.ImportFrom) else alias.name).partition(".")[0]
        for path in SOURCES.values()
        if path.suffix == ".py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    others = named - sys.stdlib_module_names - {"exporter"}
    return sorted(name for name in others if importlib.util.find_spec(name) is not None)


#: Imports each module in a process that has the libraries, and what else the modules need, but nothing of the
#: exporter. Prints what fails.
IMPORTS_ALONE = """
import gc, importlib, os, sys, traceback
libraries, modules = (text.split() for text in sys.argv[1:])
for name in libraries:
    importlib.import_module(name)
gc.disable()  # a process ends before there is anything to collect
reading, writing = os.pipe()
if not os.fork():
    for name in modules:
        try:
            importlib.import_module(name)
        except BaseException:
            pass  # it is imported once more, alone
    needed = [name for name in sys.modules if name.partition(".")[0] not in ("exporter", "__main__")]
    os.write(writing, " ".join(needed).encode())
    os._exit(0)
os.close(writing)
with open(reading) as pipe:
    needed = pipe.read().split()
os.wait()
for name in needed:
    try:
        importlib.import_module(name)
    except ImportError:
        pass  # some modules make others that have no file
for name in modules:
    child = os.fork()
    if not child:
        try:
            importlib.import_module(name)
        except BaseException:
            print(name, traceback.format_exc(), flush=True)
        sys.stdout.flush()
        os._exit(0)
    os.waitpid(child, 0)
"""


@pytest.mark.parametrize("package", modules_by_package())
def test_a_module_imports_alone_and_without_warnings(package: str) -> None:
    """Nothing leans on what another module imported before it, or on work done at import."""
    modules = [f"exporter.{name}" for name in modules_by_package()[package]]
    outcome = subprocess.run(
        [sys.executable, "-W", "error", "-c", IMPORTS_ALONE, " ".join(libraries()), " ".join(modules)],
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
    """Whether a method of a plain class, or of one below it, assigns the attribute."""
    if Path(str(engine.__file__)).suffix != ".py":
        return False
    return any(
        isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and ast.unparse(node) == f"self.{member}"
        for kind in getattr(engine, name).__mro__[:-1]
        for node in ast.walk(ast.parse(inspect.getsource(kind)))
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
