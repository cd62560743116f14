"""What all tests share: real servers on free ports, the event loops, and what becomes of tests whose
servers are not there."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import uvloop
from hypothesis import HealthCheck, settings

from exporter import engine, logs
from exporter.connection import dialer
from tests.clusters import Cluster
from tests.servers import (
    HOST,
    Certificates,
    FullServer,
    RedisServer,
    Script,
    ScriptedServer,
    make_certificates,
)
from tests.store_fixture import ADDRS, StoreFixture

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.browser import Browser

# a machine that is busy holds an example for longer than Hypothesis lets it take
settings.register_profile(
    "any_speed", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any_speed")

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "docs" / "images"
#: marker → a program that its tests start, and Debian's package of it
PROGRAMS = {
    "server": ("redis-server", "redis-server"),
    "prometheus": ("promtool", "prometheus"),
    "alertmanager": ("prometheus-alertmanager", "prometheus-alertmanager"),
    "haproxy": ("haproxy", "haproxy"),
    "chromium": ("chromium", "chromium"),
    "systemd": ("systemd-analyze", "systemd"),
    "bubblewrap": ("bwrap", "bubblewrap"),
    "man": ("man", "man-db"),
    "mandoc": ("mandoc", "mandoc"),
    "zsh": ("zsh", "zsh"),
    "fish": ("fish", "fish"),
    "valgrind": ("valgrind", "valgrind"),
    "htpasswd": ("htpasswd", "apache2-utils"),
    "go_exporter": ("prometheus-redis-exporter", "prometheus-redis-exporter"),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write the golden pages anew, in place of comparing"
    )
    parser.addoption(
        "--screenshots", action="store_true", help="write the pictures of docs/images anew (make screenshots)"
    )


def pytest_sessionstart(session: pytest.Session) -> None:
    """Nobody tests what was compiled from older files than those that are there."""
    compiled = ROOT / "exporter" / f"_compiled__mypyc{EXTENSION_SUFFIXES[0]}"
    if compiled.exists():
        for path in compiled_modules():
            if path.stat().st_mtime > compiled.stat().st_mtime:
                pytest.exit(f"{path} has changed since it was compiled: make build", returncode=4)
    if engine.ENGINE == "python":
        # chosen, as it is for this whole run: no program that a test starts needs to warn of it
        os.environ["REDPOLL_ENGINE"] = "python"


def compiled_modules() -> list[Path]:
    """The modules of Python that a build compiles."""
    lines = (ROOT / "exporter" / "compiled_modules.txt").read_text().splitlines()
    return [ROOT / line for line in lines if not line.startswith("#")]


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker, (program, package) in PROGRAMS.items():
        if item.get_closest_marker(marker) and shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: apt-get install {package}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where CI=true, a test that was left out is one that failed."""
    if (
        os.environ.get("CI") == "true"
        and session.exitstatus == pytest.ExitCode.OK
        and _left_out(session.config)
    ):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for reason, count in _left_out(config).items():
        verdict = ", which CI does not allow" if os.environ.get("CI") == "true" else ""
        terminalreporter.write_line(f"{count} tests left out{verdict}: {reason}", yellow=True)


def _left_out(config: pytest.Config) -> Counter[str]:
    """How many tests were left out, by reason. Nothing in a worker, which does not report."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    reports = reporter.stats.get("skipped", []) if reporter else []
    return Counter(
        report.longrepr[2].removeprefix("Skipped: ")
        for report in reports
        if isinstance(report.longrepr, tuple)
    )


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """uvloop, unless a test asks by its marker: `asyncio(loop_factories=["uvloop", "asyncio"])`."""
    marker = item.get_closest_marker("asyncio")
    if marker is not None and "loop_factories" in marker.kwargs:
        return {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(autouse=True)
def logging_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A test that starts the program, or a command, sets up the log of the whole process."""
    loggers = [logging.getLogger(), *map(logging.getLogger, logs.NOISY)]
    before = [(logger, logger.handlers[:], logger.level) for logger in loggers]
    for module, hook in ((sys, "excepthook"), (threading, "excepthook"), (sys, "unraisablehook")):
        monkeypatch.setattr(module, hook, getattr(module, hook))
    monkeypatch.setattr(logs, "_handler", None)
    yield
    for logger, handlers, level in before:
        logger.handlers[:] = handlers
        logger.setLevel(level)
    if logs._handler is not None:
        logging.captureWarnings(False)
        logs._handler.writer.end()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed: apt-get install openssl")
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for the tests of a module. While it runs, its library has an event loop in this thread: tests of
    other modules with loops of their own may come next in the same worker."""
    from tests.browser import Browser

    started = Browser()
    yield started
    started.close()


@pytest.fixture
def picture(request: pytest.FixtureRequest) -> Callable[[Page, str], None]:
    """With --screenshots, `picture(page, "overview")` writes what the window shows to
    docs/images/overview.png."""
    is_wanted = request.config.getoption("--screenshots")

    def take(page: Page, name: str) -> None:
        if is_wanted:
            IMAGES.mkdir(exist_ok=True)
            page.screenshot(path=IMAGES / f"{name}.png", animations="disabled")

    return take


@pytest.fixture
def shown(request: pytest.FixtureRequest) -> Certificates | None:
    """What servers show that a test starts without certificates; None: they speak no TLS."""
    call = getattr(request.node, "callspec", None)
    kind = call.params.get("each_secured_kind", "") if call is not None else ""
    return request.getfixturevalue("certificates") if kind.endswith("_tls") else None


@pytest.fixture
def redis_server(tmp_path: Path, shown: Certificates | None) -> Iterator[Callable[..., RedisServer]]:
    """Starts a redis-server: `redis_server("--requirepass", "pw")`,
    `redis_server(certificates=certificates)`."""
    with ExitStack() as cleanup:

        def start(*args: str, certificates: Certificates | None = shown) -> RedisServer:
            directory = tmp_path / f"redis-{len(list(tmp_path.iterdir()))}"
            directory.mkdir()
            server = RedisServer(directory, *args, certificates=certificates)
            cleanup.callback(server.stop)
            return server.start()

        yield start


@pytest.fixture(scope="session")
def redis_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three masters with a replica each, shared by the tests of a session: they leave it as it was."""
    cluster = Cluster(tmp_path_factory.mktemp("cluster"), replicas=1)
    try:
        yield cluster.start()
    finally:
        cluster.stop()


@pytest.fixture(params=["core", "stream"] if engine.EPOLL else ["stream"])
def each_connection_kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs a test twice: with connections of the exchange core, and with those of the event loop."""
    monkeypatch.setattr(dialer, "CORE", request.param == "core")


@pytest.fixture(
    params=[
        pytest.param(f"{kind}{secured}", marks=[pytest.mark.server] if secured else [])
        for kind in (["core", "stream"] if engine.EPOLL else ["stream"])
        for secured in ("", "_tls")
    ]
)
def each_secured_kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same, and two more times with servers that speak TLS: see `shown`."""
    monkeypatch.setattr(dialer, "CORE", request.param.startswith("core"))


@pytest.fixture
def scripted_server(shown: Certificates | None) -> Iterator[Callable[..., ScriptedServer]]:
    """Starts a server that follows scripts: `scripted_server(answers(b"+OK\\r\\n"))`."""
    with ExitStack() as cleanup:

        def start(*scripts: Script, host: str = HOST) -> ScriptedServer:
            server = ScriptedServer(*scripts, host=host, certificates=shown)
            cleanup.callback(server.close)
            return server

        yield start


@pytest.fixture
def full_server() -> Iterator[FullServer]:
    server = FullServer()
    yield server
    server.close()


@pytest.fixture
def store_fixture() -> StoreFixture:
    """Three targets, the first two in groups of their own."""
    store_fixture = StoreFixture()
    for clients, (addr, group) in enumerate(zip(ADDRS, ("blue", "green", ""), strict=True), 1):
        store_fixture.add(addr, group=group, clients=clients)
    return store_fixture
