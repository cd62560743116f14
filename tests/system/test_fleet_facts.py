"""What only an exporter of several servers can tell, with real ones: how far replicas are behind, masters
that disagree, and what differs within a group."""

from __future__ import annotations

import re
import selectors
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

import pytest

from tests.servers import HOST, RedisServer, wait_until
from tests.system.conftest import Exporter, ExporterFactory

LINE = "x" * 1000


class Valve:
    """Forwards one port to another. While it is shut, nothing passes."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._listening = socket.create_server((HOST, 0))
        self.port = self._listening.getsockname()[1]
        self._open = threading.Event()
        self._open.set()
        self._ending = False
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def shut(self) -> None:
        self._open.clear()

    def open(self) -> None:
        self._open.set()

    def stop(self) -> None:
        self._ending = True
        self._open.set()
        self._thread.join()

    def _run(self) -> None:
        with ExitStack() as ends, selectors.DefaultSelector() as ready:
            ends.enter_context(self._listening)
            ready.register(self._listening, selectors.EVENT_READ)
            while not self._ending:
                for key, _ in ready.select(0.02):
                    self._open.wait()
                    if key.fileobj is self._listening:
                        pair = self._listening.accept()[0], socket.create_connection((HOST, self._to))
                        for one, other in (pair, pair[::-1]):
                            ends.enter_context(one)
                            ready.register(one, selectors.EVENT_READ, other)
                        continue
                    with suppress(OSError):
                        assert isinstance(key.fileobj, socket.socket)
                        data = key.fileobj.recv(65536)
                        if data:
                            key.data.sendall(data)
                            continue
                    ready.unregister(key.fileobj)


@pytest.fixture
def valve() -> Iterator[Callable[[int], Valve]]:
    with ExitStack() as cleanup:

        def start(port: int) -> Valve:
            started = Valve(port)
            cleanup.callback(started.stop)
            return started

        yield start


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Callable[..., RedisServer]]:
    with ExitStack() as cleanup:

        def start(name: str, *args: str) -> RedisServer:
            directory = tmp_path / name
            directory.mkdir()
            server = RedisServer(directory, "--repl-diskless-sync-delay", "0", *args).start()
            cleanup.callback(server.stop)
            return server

        yield start


def values(page: str, name: str) -> dict[str, float]:
    """By labels, as they are written."""
    return {
        match[1] or "": float(match[2])
        for match in re.finditer(rf"^redis_{name}(?:{{(.*)}})? (\S+)$", page, re.MULTILINE)
    }


def has(running: Exporter, name: str, found: dict[str, float]) -> bool:
    return values(running.get(), name) == found


def test_lag_of_a_replica_whose_stream_is_held_up(
    servers: Callable[..., RedisServer], valve: Callable[[int], Valve], exporter: ExporterFactory
) -> None:
    master = servers("master")
    held = valve(master.port)
    replica = servers("replica", "--replicaof", HOST, str(held.port))
    wait_until(lambda: b"state=online" in master.ask("INFO", "replication"), "the replica")
    targets = ",".join(f"redis://{HOST}:{server.port}" for server in (master, replica))
    running = exporter(f"--redis.addr={targets}", "--poll.interval=0.2s")
    of_replica = f'addr="redis://{HOST}:{replica.port}",source="master"'

    def lag() -> float | None:
        return values(running.get(), "replica_lag_bytes").get(of_replica)

    wait_until(lambda: lag() == 0, "no lag")
    held.shut()
    for _ in range(20):
        master.ask("SET", "key", LINE)
    wait_until(lambda: (lag() or 0) >= 20 * len(LINE), "the lag")
    wait_until(lambda: values(running.get(), "replica_lag_seconds").get(of_replica, 0) > 0, "the time of it")
    held.open()
    lags = {of_replica: 0.0}  # none of the master
    wait_until(lambda: values(running.get(), "replica_lag_bytes") == lags, "no lag again")


def test_a_replica_that_its_master_knows_by_another_address_has_an_estimate(
    servers: Callable[..., RedisServer], exporter: ExporterFactory
) -> None:
    master = servers("master")
    replica = servers("replica", "--replicaof", HOST, str(master.port), "--replica-announce-port", "7")
    wait_until(lambda: b"state=online" in master.ask("INFO", "replication"), "the replica")
    targets = ",".join(f"redis://{HOST}:{server.port}" for server in (master, replica))
    running = exporter(f"--redis.addr={targets}", "--poll.interval=0.2s")
    of_replica = f'addr="redis://{HOST}:{replica.port}",source="estimate"'
    wait_until(lambda: of_replica in values(running.get(), "replica_lag_bytes"), "the estimate")


def test_two_masters_of_one_history(servers: Callable[..., RedisServer], exporter: ExporterFactory) -> None:
    master = servers("master")
    replica = servers("replica", "--replicaof", HOST, str(master.port))
    wait_until(lambda: b"state=online" in master.ask("INFO", "replication"), "the replica")
    addrs = [f"redis://{HOST}:{server.port}" for server in (master, replica)]
    running = exporter(f"--redis.addr={','.join(addrs)}", "--poll.interval=0.2s")
    wait_until(lambda: len(values(running.get(), "up")) == 2, "both")
    without = "exporter_fleet_masters_without_replicas"
    wait_until(lambda: values(running.get(), without) == {'group=""': 0}, "one has the other")
    assert values(running.get(), "replication_conflict") == {}
    replica.ask("REPLICAOF", "NO", "ONE")
    expected = {f'addr="{one}",kind="former",other="{other}"': 1.0 for one, other in (addrs, addrs[::-1])}
    wait_until(lambda: values(running.get(), "replication_conflict") == expected, "the conflict")
    wait_until(lambda: values(running.get(), without) == {'group=""': 2}, "none has the other")
    replica.ask("REPLICAOF", HOST, str(master.port))
    wait_until(lambda: values(running.get(), "replication_conflict") == {}, "the end of the conflict")


def test_configurations_that_differ(servers: Callable[..., RedisServer], exporter: ExporterFactory) -> None:
    all_servers = [servers(f"s{number}") for number in range(3)]
    targets = ",".join(f"redis://{HOST}:{server.port}" for server in all_servers)
    running = exporter(
        f"--redis.addr={targets}",
        "--poll.interval=0.2s",
        "--poll.standard-interval=fast",
        "--poll.slow-interval=fast",
        "--include-config-hash",
    )
    wait_until(lambda: len(values(running.get(), "config_hash_info")) == 3, "the hashes")
    for name in ("configurations", "versions"):
        wait_until(partial(has, running, f"exporter_fleet_{name}", {'group=""': 1.0}), f"one of the {name}")
    all_servers[1].ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    wait_until(partial(has, running, "exporter_fleet_configurations", {'group=""': 2.0}), "the difference")
    assert len({labels[-13:] for labels in values(running.get(), "config_hash_info")}) == 2
