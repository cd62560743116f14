"""Names that hang, networks that swallow, servers that repeat what they were sent: others do not notice."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

from tests.servers import Conversation, FullServer, ScriptedServer, wait_until
from tests.system.conftest import Exporter
from tests.watch_harness import SECRET, RedisFactory, redis_like

Start = Callable[..., Exporter]
#: less than a dial may take; on a machine that is busy with other tests
STOP_MAX_S = 4


def addresses(server: Any, count: int) -> list[str]:
    """So many targets that are databases of one server."""
    return [f"redis://127.0.0.1:{server.port}" + (f"/{number}" if number else "") for number in range(count)]


def polls_of(program: Exporter) -> dict[str, float]:
    return program.values("redis_exporter_target_polls_total", lane="fast")


def stop_s(program: Exporter) -> float:
    began_at = time.monotonic()
    assert program.stop() == 0
    return time.monotonic() - began_at


def test_names_that_hang_hold_up_neither_other_targets_nor_the_end(
    redis_server: RedisFactory, exporter: Start
) -> None:
    server = redis_server()
    hanging = [f"redis://h{number}.hanging:6379" for number in range(10)]
    well = [f"redis://127.0.0.1:{server.port}", f"redis://localhost:{server.port}"]
    flags = (f"--redis.addr={','.join([*hanging, *well])}", "--connection-max-age=1s")
    program = exporter(*flags, module=("tests.deaf_resolver",))
    wait_until(
        lambda: len(program.values("redis_exporter_target_down", reason="dns")) == 10,
        "the names are down for the resolver",
    )
    polls = polls_of(program)
    wait_until(lambda: polls_of(program)[well[0]] > polls[well[0]] + 2, "more polls")
    assert {addr: up for addr, up in program.values("redis_up").items() if up} == dict.fromkeys(well, 1)
    assert program.values("redis_exporter_target_poll_failures_total").keys() == set(hanging)
    assert "the resolver did not answer" in program.log.read_text()
    assert stop_s(program) < STOP_MAX_S


def test_it_ends_at_once_while_dials_and_handshakes_hang(
    full_server: FullServer, scripted_server: Callable[..., ScriptedServer], exporter: Start
) -> None:
    silent = scripted_server(Conversation.silence)
    program = exporter(
        f"--redis.addr=redis://127.0.0.1:{full_server.port},rediss://127.0.0.1:{silent.port}",
        "--poll.interval=2s",
    )
    assert silent.accepted == 1
    assert stop_s(program) < STOP_MAX_S


def test_targets_that_are_silent_hold_up_no_other(
    redis_server: RedisFactory, full_server: FullServer, exporter: Start
) -> None:
    """Two dozen black holes before three that are well, with few places: these are up from the first and
    stay so; those are all tried."""
    well, silent = addresses(redis_server(), 3), addresses(full_server, 24)
    flags = (f"--redis.addr={','.join([*silent, *well])}", "--poll.max-in-flight=4", "--poll.max-dials=4")
    program = exporter(*flags)
    wait_until(lambda: sum(program.values("redis_up").values()) == 3, "those that are well are up")
    polls = polls_of(program)

    def goes_on() -> bool:
        assert {addr for addr, up in program.values("redis_up").items() if up} == set(well)
        ages = program.values("redis_exporter_snapshot_age_seconds", lane="fast")
        assert max(ages[addr] for addr in well) < 3.5
        tried = len(program.values("redis_exporter_target_down", reason="timeout")) == len(silent)
        return tried and all(polls_of(program)[addr] > polls[addr] + 3 for addr in well)

    wait_until(goes_on, "each of the others was tried, and those that are well were polled four times")


def test_a_server_that_repeats_the_password_in_its_errors_shows_it_nowhere(
    scripted_server: Callable[..., ScriptedServer], exporter: Start
) -> None:
    said = f"-ERR unknown command, with args beginning with: '{SECRET}' \x1b[2J\r\n".encode("latin-1")
    in_info = scripted_server(redis_like({"INFO": said}))
    elsewhere = scripted_server(
        redis_like({"CONFIG": said, "SLOWLOG": said.replace(b"unknown command", b"no"), "LATENCY": said})
    )
    in_line = scripted_server(lambda talk: talk.send(said))
    targets = [
        f"redis://:{SECRET}@127.0.0.1:{server.port}/{number}"
        for number, server in enumerate((in_info, elsewhere, in_line))
    ]
    program = exporter(f"--redis.addr={','.join(targets)}", "--debug")
    wait_until(lambda: len(program.values("redis_up")) == 3, "every target was tried")
    log = program.log.read_text()
    shown = log + program.get() + program.get("/") + program.get(f"/scrape?target=127.0.0.1:{in_info.port}")
    assert SECRET not in shown
    assert re.search(r"the target is down.* err=.*'\*\*\*'", log)
    assert "\x1b" not in shown


def test_two_hundred_names_that_hang_take_no_poll_from_a_target_and_no_answer_from_a_scrape(
    redis_server: RedisFactory, exporter: Start
) -> None:
    """Half of the others have a name too, and no place in the queue before those that hang."""
    port = redis_server().port
    hanging = [f"redis://h{number}.hanging:6379" for number in range(200)]
    well = [
        f"redis://{host}:{port}" + (f"/{db}" if db else "")
        for host in ("127.0.0.1", "localhost")
        for db in range(5)
    ]
    program = exporter(f"--redis.addr={','.join([*hanging, *well])}", module=("tests.deaf_resolver",))
    wait_until(
        lambda: program.values("redis_exporter_target_down", reason="dns").keys() == set(hanging),
        "the names that hang are down, and no others",
    )
    before = polls_of(program)
    began_at = time.monotonic()
    while time.monotonic() - began_at < 10:
        asked_at = time.monotonic()
        assert "\nredis_up 1" in program.get(f"/scrape?target={well[7]}")
        assert "\nredis_up 0" in program.get(f"/scrape?target={hanging[7]}")
        assert time.monotonic() - asked_at < 2
        time.sleep(0.2)
    passed_s = time.monotonic() - began_at
    after = polls_of(program)
    assert {addr for addr, up in program.values("redis_up").items() if up} == set(well)
    assert all(after[addr] - before[addr] >= 0.8 * passed_s - 1 for addr in well)
    ages = program.values("redis_exporter_snapshot_age_seconds", lane="fast")
    assert max(ages[addr] for addr in well) < 3
    assert stop_s(program) < STOP_MAX_S
