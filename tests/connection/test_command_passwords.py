"""Passwords that commands give: when a command runs, and whose password is used meanwhile."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from exporter.connection import command_passwords
from exporter.connection.command_passwords import CommandPasswords
from exporter.errors import AuthError
from exporter.targets.address import parse_address
from exporter.targets.password_command import PasswordCommand
from exporter.targets.target import Target
from tests.servers import PATIENCE_S
from tests.store_fixture import until

SECRET = "s3cret-of-mine"


class Keeper:
    """A command whose output, delay and exit status a test chooses, and that counts its runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs_file = folder / "runs"
        self.script = folder / "script"
        self.runs_file.touch()
        self.gives(SECRET)

    def gives(self, password: str) -> None:
        self.does(f"printf '%s\\n' '{password}'")

    def does(self, body: str) -> None:
        self.script.write_text(f"echo >>{self.runs_file}; {body}\n")

    @property
    def runs(self) -> int:
        return len(self.runs_file.read_bytes())

    def command(self, *more: str, ttl_s: float = math.inf) -> PasswordCommand:
        return PasswordCommand(("/bin/sh", str(self.script), *more), "keeper", ttl_s)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command has as long as a busy machine takes for it."""
    monkeypatch.setattr(command_passwords, "TIMEOUT_S", PATIENCE_S)


class Clock:
    """Time that goes on as the test says."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(command_passwords, "time", clock)
    return clock


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    return Keeper(tmp_path)


@pytest.fixture
async def passwords() -> AsyncIterator[CommandPasswords]:
    made = CommandPasswords()
    yield made
    made.close()


def target_of(command: PasswordCommand | None, host: str = "h") -> Target:
    return replace(parse_address(f"redis://{host}"), password_command=command, user="watcher")


async def prepare(passwords: CommandPasswords, target: Target) -> None:
    """Wait until a dial may begin."""
    if not passwords.prepare(target):
        ready = asyncio.Event()
        passwords.call_when_ready(target, ready.set)
        await asyncio.wait_for(ready.wait(), PATIENCE_S)


async def password_of(passwords: CommandPasswords, target: Target) -> str:
    await prepare(passwords, target)
    return passwords.log_in(target).password


class TestOutput:
    async def test_a_target_without_a_command_stays_as_it_is(self, passwords: CommandPasswords) -> None:
        target = replace(target_of(None), password="own")
        assert passwords.prepare(target)
        assert passwords.log_in(target) is target

    async def test_the_output_without_its_last_newline_is_the_password(
        self, passwords: CommandPasswords, keeper: Keeper
    ) -> None:
        target = target_of(keeper.command())
        await prepare(passwords, target)
        found = passwords.log_in(target)
        assert (found.user, found.password, found.addr) == ("watcher", SECRET, target.addr)

    @pytest.mark.parametrize(
        ("body", "password"),
        [("printf ' a b '", " a b "), ("printf 'a\\r\\n'", "a"), ("printf '\\377\\n'", "\udcff")],
    )
    async def test_all_other_bytes_count(
        self, passwords: CommandPasswords, keeper: Keeper, body: str, password: str
    ) -> None:
        keeper.does(body)
        assert await password_of(passwords, target_of(keeper.command())) == password

    @pytest.mark.parametrize(
        ("body", "fault"),
        [
            ("exit 7", "ended with exit status 7"),
            ("true", "printed no password: it is empty"),
            ("echo '{'; echo '}'", "printed no password: it has several lines"),
            ("yes", "printed more than 262144 bytes, and was stopped"),
        ],
    )
    async def test_without_a_password_the_target_is_not_dialled(
        self, passwords: CommandPasswords, keeper: Keeper, body: str, fault: str
    ) -> None:
        keeper.does(body)
        with pytest.raises(AuthError) as caught:
            await password_of(passwords, target_of(keeper.command("argument")))
        assert str(caught.value) == f"h:6379: password_command keeper {fault}"

    async def test_one_that_hangs_is_ended(
        self, passwords: CommandPasswords, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(command_passwords, "TIMEOUT_S", 0.3)
        keeper.does("exec sleep 60")
        with pytest.raises(AuthError, match=r"keeper took longer than 0\.3 s, and was stopped"):
            await password_of(passwords, target_of(keeper.command()))

    async def test_before_its_end_a_target_has_no_password(
        self, passwords: CommandPasswords, keeper: Keeper
    ) -> None:
        target = target_of(keeper.command())
        assert not passwords.prepare(target)
        with pytest.raises(AuthError, match="keeper has given no password yet"):
            passwords.log_in(target)
        await prepare(passwords, target)


class TestRuns:
    async def test_equal_commands_run_once_for_all_targets(
        self, passwords: CommandPasswords, keeper: Keeper
    ) -> None:
        targets = [target_of(keeper.command(), f"h{number}") for number in range(20)]
        found = await asyncio.gather(*(password_of(passwords, target) for target in targets))
        assert found == [SECRET] * 20
        assert keeper.runs == 1
        assert await password_of(passwords, target_of(keeper.command("other"))) == SECRET
        assert keeper.runs == 2

    async def test_a_few_run_at_once(
        self, passwords: CommandPasswords, keeper: Keeper, tmp_path: Path
    ) -> None:
        keeper.does(
            f"cd {tmp_path}; mkdir now-$1; "
            "until test -e several; do "  # the first one waits for another
            "test $(ls -d now-* | wc -l) -gt 1 && touch several; sleep 0.01; done; "
            "ls -d now-* | wc -l; sleep 0.1; rmdir now-$1"
        )
        targets = [target_of(keeper.command(str(number))) for number in range(20)]
        found = await asyncio.gather(*(password_of(passwords, target) for target in targets))
        assert 1 < max(int(text) for text in found) <= command_passwords.COMMANDS_MAX

    async def test_those_that_hang_leave_room_for_one_that_works(
        self, passwords: CommandPasswords, keeper: Keeper, tmp_path: Path
    ) -> None:
        """After its first failure a command takes half of the places at most."""
        keeper.does("test -e $1 && exec sleep 60; echo >$1; exit 1")
        failing = [target_of(keeper.command(f"{tmp_path}/failed-{number}")) for number in range(8)]
        await asyncio.gather(*(prepare(passwords, target) for target in failing))
        working = Keeper(tmp_path / "..")
        target = target_of(working.command(ttl_s=0.0))
        assert await password_of(passwords, target) == SECRET
        await until(lambda: [each for each in failing if passwords.prepare(each)] == [])
        assert await password_of(passwords, target) == SECRET
        assert [each for each in failing if passwords.is_ready(each)] == [], "they hang still"

    async def test_a_password_is_kept(self, passwords: CommandPasswords, keeper: Keeper) -> None:
        target = target_of(keeper.command())
        for _ in range(3):
            assert await password_of(passwords, target) == SECRET
        assert keeper.runs == 1

    async def test_after_its_time_the_command_runs_again(
        self, passwords: CommandPasswords, keeper: Keeper, clock: Clock
    ) -> None:
        target = target_of(keeper.command(ttl_s=10.0))
        assert await password_of(passwords, target) == SECRET
        keeper.gives("fig")
        clock.now += 9.0
        assert passwords.prepare(target)
        clock.now += 1.0
        assert not passwords.prepare(target)
        assert passwords.log_in(target).password == SECRET  # until the run has ended
        assert await password_of(passwords, target) == "fig"
        assert keeper.runs == 2

    async def test_after_a_refusal_the_command_runs_again(
        self, passwords: CommandPasswords, keeper: Keeper
    ) -> None:
        target = target_of(keeper.command())
        await prepare(passwords, target)
        keeper.gives("fig")
        passwords.refuse(target, "an older one")
        assert await password_of(passwords, target) == SECRET
        passwords.refuse(target, SECRET)
        assert await password_of(passwords, target) == "fig"
        assert keeper.runs == 2

    async def test_a_refused_password_that_comes_again_makes_pauses(
        self, passwords: CommandPasswords, keeper: Keeper, clock: Clock
    ) -> None:
        target = target_of(keeper.command())
        await prepare(passwords, target)
        for _ in range(5):
            passwords.refuse(target, SECRET)
            assert await password_of(passwords, target) == SECRET  # tried meanwhile: a server may change too
        assert keeper.runs == 2
        clock.now += 1.0
        assert not passwords.prepare(target)
        await prepare(passwords, target)
        assert keeper.runs == 3

    async def test_the_old_password_goes_on_while_the_command_fails(
        self, passwords: CommandPasswords, keeper: Keeper, clock: Clock
    ) -> None:
        target = target_of(keeper.command(ttl_s=0.0))
        assert await password_of(passwords, target) == SECRET
        keeper.does("exit 1")
        for _ in range(3):
            assert await password_of(passwords, target) == SECRET
        assert keeper.runs == 2
        keeper.gives("fig")
        clock.now += 1.0
        assert await password_of(passwords, target) == "fig"

    async def test_one_that_no_target_has_any_longer_is_forgotten(
        self, passwords: CommandPasswords, keeper: Keeper
    ) -> None:
        kept, other = target_of(keeper.command()), target_of(keeper.command("other"))
        await prepare(passwords, kept)
        await prepare(passwords, other)
        assert kept.password_command is not None
        passwords.keep({kept.password_command.args})
        assert passwords.prepare(kept)
        assert not passwords.prepare(other)
        await prepare(passwords, other)
        assert keeper.runs == 3

    async def test_after_the_end_nothing_runs_and_nobody_waits(self, keeper: Keeper) -> None:
        passwords = CommandPasswords()
        keeper.does("exec sleep 60")
        target = target_of(keeper.command())
        waiting = asyncio.create_task(prepare(passwords, target))
        await until(lambda: keeper.runs == 1)
        passwords.close()
        await asyncio.wait_for(waiting, PATIENCE_S)
        assert passwords.prepare(target)
        assert keeper.runs == 1


class TestLog:
    async def test_a_failure_is_told_with_the_last_line_of_stderr_and_no_secret(
        self, passwords: CommandPasswords, keeper: Keeper, caplog: pytest.LogCaptureFixture
    ) -> None:
        keeper.does(f"echo {SECRET}; echo first >&2; echo 'token kiwi and {SECRET} are no good' >&2; exit 9")
        with pytest.raises(AuthError):
            await password_of(passwords, target_of(replace(keeper.command("kiwi"), secrets=("kiwi",))))
        [record] = [each for each in caplog.records if each.name == command_passwords.__name__]
        assert record.levelno == logging.WARNING
        assert record.getMessage() == "password_command keeper ended with exit status 9"
        assert vars(record)["err"] == "token *** and *** are no good"

    async def test_stderr_of_a_command_that_works_is_for_debugging(
        self, passwords: CommandPasswords, keeper: Keeper, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        keeper.does(f"echo 'this {SECRET} expires soon' >&2; echo {SECRET}")
        await password_of(passwords, target_of(keeper.command()))
        [record] = [each for each in caplog.records if each.name == command_passwords.__name__]
        assert (record.levelno, vars(record)["err"]) == (logging.DEBUG, "this *** expires soon")
        assert record.getMessage() == "password_command keeper gave a password"

    async def test_every_password_that_it_gave_is_hidden(
        self, passwords: CommandPasswords, keeper: Keeper
    ) -> None:
        target = target_of(keeper.command(ttl_s=0.0))
        given = ["first-one", "second-one", "third-one"]
        for password in given:
            keeper.gives(password)
            assert await password_of(passwords, target) == password
        assert passwords.redaction(target).clean(f"no {' and '.join(given)}") == "no *** and *** and ***"
