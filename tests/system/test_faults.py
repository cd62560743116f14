"""What the whole program does while servers die or hang: see `tests/faults` for each kind of fault."""

from __future__ import annotations

import signal

import pytest

from tests.servers import RedisServer, wait_until
from tests.system.conftest import Exporter, ExporterFactory
from tests.watch_harness import RedisFactory


def watched(
    redis_server: RedisFactory, exporter: ExporterFactory, *args: str
) -> tuple[list[RedisServer], list[str], Exporter]:
    servers = [redis_server(*args), redis_server()]
    addresses = [f"redis://127.0.0.1:{server.port}" for server in servers]
    return servers, addresses, exporter(f"--redis.addr={','.join(addresses)}")


def test_a_server_that_closes_idle_connections_stays_up(
    redis_server: RedisFactory, exporter: ExporterFactory
) -> None:
    _, [addr, _], program = watched(redis_server, exporter, "--timeout", "1")
    wait_until(lambda: list(program.values("redis_up").values()) == [1, 1], "both are up")
    before = program.values("redis_exporter_target_polls_total", lane="fast")[addr]
    wait_until(
        lambda: program.values("redis_exporter_target_polls_total", lane="fast")[addr] >= before + 4,
        "four more polls",
    )
    assert program.values("redis_up")[addr] == 1
    assert program.values("redis_exporter_target_poll_failures_total") == {}


def test_values_that_are_too_old_are_withheld(redis_server: RedisFactory, exporter: ExporterFactory) -> None:
    servers, [addr, neighbour], program = watched(redis_server, exporter)
    wait_until(lambda: addr in program.values("redis_connected_clients"), "the server's values")
    servers[0].kill()
    wait_until(
        lambda: addr not in program.values("redis_connected_clients"), "the dead server's values to go"
    )
    stale = "redis_exporter_snapshot_stale"
    wait_until(lambda: program.values(stale, lane="fast") == {addr: 1, neighbour: 0}, "its age is told")
    wait_until(lambda: neighbour in program.values("redis_connected_clients"), "the neighbour's values")


def test_no_password_is_ever_shown(redis_server: RedisFactory, exporter: ExporterFactory) -> None:
    server = redis_server("--requirepass", "planted-secret")
    program = exporter(f"--redis.addr=redis://:planted-secret@127.0.0.1:{server.port}", "--debug")
    addr = f"redis://127.0.0.1:{server.port}"
    wait_until(lambda: program.values("redis_up") == {addr: 1}, "the login")
    assert "planted-secret" not in program.get() + program.get("/") + program.log.read_text()


@pytest.mark.slow
def test_a_held_loop_is_reported_and_its_health_is_not_answered(
    redis_server: RedisFactory, exporter: ExporterFactory
) -> None:
    program = exporter(f"--redis.addr=redis://127.0.0.1:{redis_server().port}", module=("tests.holdable",))
    program.process.send_signal(signal.SIGUSR1)
    wait_until(lambda: "the event loop has not run for 1" in program.log.read_text(), "the watchdog's line")
    with pytest.raises(TimeoutError):  # it is held until the other signal
        program.get("/-/healthy", timeout_s=0.5)
    [line] = [line for line in program.log.read_text().splitlines() if "has not run" in line]
    assert "tests/holdable.py:" in line
    assert " hold < " in line
    program.process.send_signal(signal.SIGUSR2)
    wait_until(lambda: program.get("/-/healthy") == "ok\n", "it goes on")
