"""Names that hang, networks that swallow, servers that repeat what they were sent: others do not notice."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable
from typing import Any

from tests.servers import Conversation, FullServer, ScriptedServer, wait_until
from tests.system.conftest import STOP_S, Exporter
from tests.watch_harness import SECRET, RedisFactory, redis_like

Start = Callable[..., Exporter]


def addresses(server: Any, count: int) -> list[str]:
    """So many targets that are databases of one server."""
    return [f"redis://127.0.0.1:{server.port}" + (f"/{number}" if number else "") for number in range(count)]


def polls_of(program: Exporter) -> dict[str, float]:
    return program.values("redis_exporter_target_polls_total", lane="fast")


def failures_of(program: Exporter, addrs: list[str]) -> list[float]:
    counts = program.values("redis_exporter_target_poll_failures_total")
    return [counts.get(addr, 0) for addr in addrs]


def stay_up(program: Exporter, well: list[str], polls: int) -> bool:
    """Whether these, and no others, are up and have new values until each was polled so many times more. A
    machine that stops for a second may cost a poll: who waits for this tries again."""
    before, failures = polls_of(program), failures_of(program, well)
    while any(polls_of(program)[addr] < before[addr] + polls for addr in well):
        ages = program.values("redis_exporter_snapshot_age_seconds", lane="fast")
        if {addr for addr, up in program.values("redis_up").items() if up} != set(well):
            return False
        if max(ages[addr] for addr in well) > 3.5:
            return False
        time.sleep(0.05)
    return failures_of(program, well) == failures


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
    wait_until(lambda: stay_up(program, well, 3), "the others are up")
    program.wait_for_log("the resolver did not answer")
    assert stop_s(program) < STOP_S


def test_it_ends_at_once_while_dials_and_handshakes_hang(
    full_server: FullServer, scripted_server: Callable[..., ScriptedServer], exporter: Start
) -> None:
    silent = scripted_server(Conversation.silence)
    program = exporter(
        f"--redis.addr=redis://127.0.0.1:{full_server.port},rediss://127.0.0.1:{silent.port}",
        "--poll.interval=2s",
    )
    wait_until(lambda: silent.accepted == 1, "a connection is taken")
    assert stop_s(program) < STOP_S


def test_targets_that_are_silent_hold_up_no_other(
    redis_server: RedisFactory, full_server: FullServer, exporter: Start
) -> None:
    """Two dozen black holes before three that are well, with few places: these are up from the first and
    stay so; those are all tried."""
    well, silent = addresses(redis_server(), 3), addresses(full_server, 24)
    flags = (f"--redis.addr={','.join([*silent, *well])}", "--poll.max-in-flight=4", "--poll.max-dials=4")
    program = exporter(*flags)
    wait_until(lambda: sum(program.values("redis_up").values()) == 3, "those that are well are up")
    wait_until(lambda: stay_up(program, well, 4), "those that are well stay so")
    wait_until(
        lambda: len(program.values("redis_exporter_target_down", reason="timeout")) == len(silent),
        "each of the others was tried",
    )
    wait_until(lambda: stay_up(program, well, 4), "those that are well stay so")


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
    down = re.compile(r"the target is down.* err=.*'\*\*\*'")
    wait_until(lambda: down.search(program.log.read_text()), "the log says that one is down")
    paths = ("/metrics", "/", f"/scrape?target=127.0.0.1:{in_info.port}")
    shown = "".join([program.log.read_text(), *map(program.get, paths)])
    assert SECRET not in shown
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

    def goes_on() -> bool:
        """Whether no poll was late for some seconds, while scrapes were answered at once."""
        began_at, took_s = time.monotonic(), []
        before = polls_of(program)
        while time.monotonic() - began_at < 6:
            asked_at = time.monotonic()
            pages = [program.get(f"/scrape?target={addr}") for addr in (well[7], hanging[7])]
            took_s.append(time.monotonic() - asked_at)
            if ["\nredis_up 1" in page for page in pages] != [True, False]:
                return False
            time.sleep(0.2)
        passed_s, after = time.monotonic() - began_at, polls_of(program)
        in_time = all(after[addr] - before[addr] >= 0.8 * passed_s - 1 for addr in well)
        return in_time and statistics.median(took_s) < 1

    wait_until(goes_on, "polls and scrapes are in time")
    wait_until(lambda: stay_up(program, well, 2), "the others are up")
    assert stop_s(program) < STOP_S
