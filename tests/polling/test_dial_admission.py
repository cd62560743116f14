"""Polls of targets whose password a command gives."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from exporter.connection import command_passwords
from exporter.polling import dial_admission
from exporter.targets.password_command import PasswordCommand
from tests.servers import Conversation, RedisServer
from tests.store_fixture import until
from tests.watch_harness import (
    AMPLE_S,
    FIRST_POLL,
    SECRET,
    Clock,
    RedisFactory,
    ScriptFactory,
    WatchHarness,
    WatchHarnessFactory,
    assert_down,
    assert_up,
    connections,
    in_turn,
    info,
    redis_like,
)


class Secret:
    """A file that a command prints: the password of a secret store."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._go = file.with_name("go")
        #: for the body of a command: it ends when it is let go
        self.held = f"until test -e {self._go}; do sleep 0.01; done"
        self.change(SECRET)

    def let_go(self) -> None:
        self._go.touch()

    def hold(self) -> None:
        self._go.unlink()

    def change(self, password: str) -> None:
        self.file.write_text(password)

    def command(self, ttl_s: float = 600.0, body: str = "") -> PasswordCommand:
        return PasswordCommand(("sh", "-c", f"{body or ':'}; cat {self.file}"), "sh", ttl_s)


def watched_server(redis_server: RedisFactory) -> RedisServer:
    """A server with the user `watcher`; the tests themselves need no password."""
    server = redis_server()
    set_password(server, SECRET)
    return server


def set_password(server: RedisServer, password: str) -> None:
    assert server.ask("ACL", "SETUSER", "watcher", "on", "resetpass", f">{password}", "~*", "+@all") == b"OK"


@pytest.fixture
def secret(tmp_path: Path) -> Secret:
    return Secret(tmp_path / "secret")


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command has as long as a busy machine takes for it."""
    monkeypatch.setattr(command_passwords, "TIMEOUT_S", 10 * AMPLE_S)
    monkeypatch.setattr(dial_admission, "WAIT_S", AMPLE_S)


async def test_the_first_poll_waits_for_the_password(
    watch_harness: WatchHarness, redis_server: RedisFactory, secret: Secret, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    clock.take_over(monkeypatch)
    server = watched_server(redis_server)
    command = secret.command(body=secret.held)
    watched = watch_harness.watched(server.port, user="watcher", password_command=command, deadline_s=AMPLE_S)
    watched.tick(0.0)
    assert watched.busy
    clock.ahead_s = 2 * AMPLE_S  # for longer than a poll may take
    secret.let_go()
    await until(lambda: not watched.busy)
    assert_up(watch_harness, watched)


async def test_a_rotated_password_is_used_at_the_next_turn(
    watch_harness: WatchHarness, redis_server: RedisFactory, secret: Secret
) -> None:
    server = watched_server(redis_server)
    watched = watch_harness.watched(
        server.port, user="watcher", password_command=secret.command(), connection_max_age_s=1e-9
    )
    await watch_harness.poll(watched)
    set_password(server, "fig")
    secret.change("fig")
    await watch_harness.poll(watched)
    assert_down(watch_harness, watched, "auth")
    await watch_harness.poll(watched)
    assert_up(watch_harness, watched)


async def test_a_connection_that_works_stays_while_a_new_password_is_awaited(
    watch_harness: WatchHarness, redis_server: RedisFactory, secret: Secret
) -> None:
    server = watched_server(redis_server)
    command = secret.command(ttl_s=0.0, body=secret.held)
    watched = watch_harness.watched(
        server.port, user="watcher", password_command=command, connection_max_age_s=1e-9
    )
    secret.let_go()
    await watch_harness.poll(watched)
    secret.hold()
    for _ in range(3):  # the command runs again, and these polls wait for nothing
        await watch_harness.poll(watched)
    assert watch_harness.went_well(watched)
    assert watch_harness.dialer.dials == 1
    secret.let_go()
    await watch_harness.poll_until(watched, lambda: watch_harness.dialer.dials == 2)
    assert watch_harness.went_well(watched)


async def test_a_connection_that_is_lost_waits_for_a_new_password_within_its_poll(
    watch_harness: WatchHarness, scripted_server: ScriptFactory, secret: Secret
) -> None:
    """As when a server ends the connections of tokens that have expired."""
    given: list[bytes] = []

    def log_in(talk: Conversation) -> None:
        given.append(talk.command()[-1])
        talk.send(b"+OK\r\n")

    def hang_up(talk: Conversation) -> None:
        talk.command()
        talk.close()

    server = scripted_server(
        in_turn(log_in, redis_like(commands=FIRST_POLL), hang_up), in_turn(log_in, redis_like())
    )
    command = secret.command(ttl_s=0.0, body=secret.held)
    watched = watch_harness.watched(server.port, user="watcher", password_command=command)
    secret.let_go()
    await watch_harness.poll(watched)
    secret.change("fig")
    secret.hold()
    watched.tick(time.monotonic())
    await until(lambda: server.finished == 1)
    assert watched.busy
    secret.let_go()
    await until(lambda: not watched.busy)
    assert watch_harness.went_well(watched)
    assert given == [SECRET.encode(), b"fig"]


async def test_a_command_that_fails_takes_its_target_down_and_no_other(
    watch_harness: WatchHarness, redis_server: RedisFactory, secret: Secret
) -> None:
    server, other = watched_server(redis_server), redis_server()
    failing = watch_harness.watched(
        server.port, user="watcher", password_command=secret.command(body="exit 4")
    )
    working = watch_harness.watched(other.port)
    outcome = await watch_harness.poll(failing)
    await watch_harness.poll(working)
    assert_down(watch_harness, failing, "auth")
    assert str(outcome.error) == f"127.0.0.1:{server.port}: password_command sh ended with exit status 4"
    assert connections(server) == 0
    assert_up(watch_harness, working)


async def test_a_command_that_hangs_takes_no_place_of_others(
    make_watch_harness: WatchHarnessFactory, redis_server: RedisFactory, secret: Secret
) -> None:
    harness = make_watch_harness(limit=1)
    hanging = harness.watched(
        1,
        "127.0.0.2",
        user="watcher",
        password_command=PasswordCommand(("sleep", "60"), "sleep"),
        name="redis://hangs",
    )
    hanging.tick(0.0)
    assert hanging.busy
    working = harness.watched(redis_server().port)
    await harness.poll(working)
    assert_up(harness, working)
    assert harness.limiter.inside == harness.dialer.limiter.inside == 0
    hanging.close()
    assert harness.was_cancelled(hanging)
    harness.dialer.passwords.close()
    await asyncio.sleep(0)


async def test_a_poll_waits_for_a_limited_time(
    watch_harness: WatchHarness, redis_server: RedisFactory, secret: Secret, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dial_admission, "WAIT_S", 0.1)
    server = watched_server(redis_server)
    watched = watch_harness.watched(
        server.port, user="watcher", password_command=secret.command(body=secret.held)
    )
    outcome = await watch_harness.poll(watched)
    assert str(outcome.error).endswith("password_command sh has given no password yet")
    secret.let_go()
    await watch_harness.poll_until(watched, lambda: watched.up)


async def test_a_target_that_goes_while_it_waits_leaves_nothing(
    watch_harness: WatchHarness, redis_server: RedisFactory, secret: Secret
) -> None:
    watched = watch_harness.watched(1, user="watcher", password_command=secret.command(body="sleep 0.3"))
    watched.tick(0.0)
    watched.close()
    assert watch_harness.was_cancelled(watched)
    passwords = watch_harness.dialer.passwords
    await until(lambda: passwords.prepare(watched.target))
    assert len(watch_harness.ends(watched)) == 1


async def test_a_server_that_repeats_passwords_shows_none_that_it_was_ever_sent(
    watch_harness: WatchHarness, scripted_server: ScriptFactory, secret: Secret
) -> None:
    sent: list[bytes] = []

    def repeat(talk: Conversation) -> None:
        while True:
            words = talk.command()
            if words[0] == b"AUTH":
                sent.append(words[-1])
                talk.send(b"+OK\r\n")
            elif words[0] == b"INFO" and len(sent) > 2:
                talk.send(b"-ERR " + b" ".join(sent) + b"\r\n")
            else:
                talk.send(info() if words[0] == b"INFO" else b"+OK\r\n")

    server = scripted_server(repeat)
    watched = watch_harness.watched(
        server.port, user="watcher", password_command=secret.command(ttl_s=0.0), connection_max_age_s=1e-9
    )
    for password in ("first-password", "second-password", "third-password"):
        secret.change(password)
        await watch_harness.poll_until(watched, lambda password=password: password.encode() in sent)  # type: ignore[misc]
    await watch_harness.poll_until(watched, lambda: watched.up is False)
    assert "*** *** ***" in watched.health.error_text
