"""Fixtures that all tests share: real servers on free ports, and the event loops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import uvloop

from tests.servers import Certificates, RedisServer, Script, ScriptedServer, make_certificates


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """uvloop, unless a test asks by its marker: `asyncio(loop_factories=["uvloop", "asyncio"])`."""
    marker = item.get_closest_marker("asyncio")
    if marker is not None and "loop_factories" in marker.kwargs:
        return {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[Callable[..., RedisServer]]:
    """Starts a redis-server: `redis_server("--requirepass", "pw")`, `redis_server(certificates=certificates)`."""
    with ExitStack() as cleanup:

        def start(*args: str, certificates: Certificates | None = None) -> RedisServer:
            directory = tmp_path / f"redis-{len(list(tmp_path.iterdir()))}"
            directory.mkdir()
            server = RedisServer(directory, *args, certificates=certificates)
            cleanup.callback(server.stop)
            return server.start()

        yield start


@pytest.fixture
def scripted_server() -> Iterator[Callable[..., ScriptedServer]]:
    """Starts a server that follows scripts: `scripted_server(answers(b"+OK\\r\\n"))`."""
    with ExitStack() as cleanup:

        def start(*scripts: Script) -> ScriptedServer:
            server = ScriptedServer(*scripts)
            cleanup.callback(server.close)
            return server

        yield start
