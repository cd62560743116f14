"""Who goes first where more passwords come than bcrypt can check, and who is told to come again."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import AsyncIterator, Coroutine

import pytest
import pytest_asyncio

from exporter.web import password_checks
from exporter.web.password_checks import PasswordChecks, Presence, TooManyChecksError
from tests.store_fixture import PATIENCE_S, until

RIGHT = b"right"


class Guesser:
    def __init__(self, address: str = "", presence: Presence = Presence.HERE) -> None:
        self.address = address
        self.presence = presence


class Desk:
    """Checks with room for 4, the first of which is held up by a guess from elsewhere."""

    def __init__(self) -> None:
        self.checks = PasswordChecks(4)
        self.asked: list[bytes] = []
        self.let_go = threading.Event()
        self.most = self._running = 0
        self.learnt: list[tuple[bytes, bool]] = []
        self._answers: dict[bytes, asyncio.Task[bool]] = {}

    def matches(self, password: bytes, password_hash: bytes) -> bool:
        self._running += 1
        self.most = max(self.most, self._running)
        self.asked.append(password)
        self.let_go.wait(10)
        self._running -= 1
        return password == RIGHT

    async def send(self, password: bytes, sender: Guesser | None = None) -> asyncio.Task[bool]:
        task = asyncio.ensure_future(self.ask(password, sender or Guesser()))
        self._answers[password] = task
        for _ in range(3):
            await asyncio.sleep(0)
        return task

    async def leave(self, password: bytes) -> None:
        task = self._answers.pop(password)
        task.cancel()
        await asyncio.wait([task])

    def ask(self, password: bytes, sender: Guesser) -> Coroutine[None, None, bool]:
        def learn(is_right: bool) -> None:
            self.learnt.append((password, is_right))

        return self.checks.are_right(password, [password], b"", sender, learn)

    async def results(self) -> dict[bytes, bool | None]:
        """By password, None where there was no room. The check that was held up is left out."""
        self.let_go.set()
        found = await asyncio.gather(*self._answers.values(), return_exceptions=True)
        for outcome in found:
            assert isinstance(outcome, bool | TooManyChecksError)
        return {
            password: outcome if isinstance(outcome, bool) else None
            for password, outcome in zip(self._answers, found, strict=True)
            if password != b"first"
        }


@pytest_asyncio.fixture
async def desk(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    desk = Desk()
    monkeypatch.setattr(password_checks, "matches", desk.matches)
    await desk.send(b"first", Guesser("9.9.9.9"))
    yield desk
    await desk.results()


async def test_one_is_checked_at_a_time(desk: Desk) -> None:
    for number in range(4):
        await desk.send(b"%d" % number)
    assert await desk.results() == {b"%d" % number: False for number in range(4)}
    assert desk.most == 1


async def test_the_newest_guess_takes_the_place_of_the_oldest(desk: Desk) -> None:
    for number in range(10):
        await desk.send(b"%d" % number)
    await desk.send(RIGHT)
    results = await desk.results()
    assert results[RIGHT] is True
    assert [password for password, outcome in results.items() if outcome is not None] == [
        b"7",
        b"8",
        b"9",
        RIGHT,
    ]
    assert desk.asked[:2] == [b"first", RIGHT]  # the next one, however many wait


async def test_one_address_does_not_take_the_places_of_another(desk: Desk) -> None:
    await desk.send(RIGHT, Guesser("10.0.0.1"))
    for number in range(50):
        await desk.send(b"%d" % number, Guesser("10.0.0.2"))
    assert (await desk.results())[RIGHT] is True


async def test_addresses_take_turns(desk: Desk) -> None:
    await desk.send(b"a1", Guesser("a"))
    await desk.send(b"b1", Guesser("b"))
    await desk.send(b"a2", Guesser("a"))
    await desk.send(b"a3", Guesser("a"))
    await desk.results()
    assert desk.asked == [b"first", b"a3", b"b1", b"a2", b"a1"]


async def test_nothing_is_checked_for_a_sender_that_has_left(desk: Desk) -> None:
    gone = Guesser()
    await desk.send(b"gone", gone)
    await desk.send(RIGHT)
    gone.presence = Presence.GONE
    assert await desk.results() == {b"gone": None, RIGHT: True}
    assert desk.asked == [b"first", RIGHT]


async def test_of_senders_that_may_have_left_one_waits_and_goes_last(desk: Desk) -> None:
    for number in range(20):
        await desk.send(b"%d" % number, Guesser(presence=Presence.LISTENING))
    for number in range(20, 23):
        await desk.send(b"%d" % number)
    results = await desk.results()
    assert {
        password: outcome for password, outcome in results.items() if outcome is not None
    } == dict.fromkeys([b"0", b"20", b"21", b"22"], False)
    assert desk.asked[-1] == b"0"


async def test_who_sends_the_same_password_shares_its_check(desk: Desk) -> None:
    outcomes = [asyncio.ensure_future(desk.ask(RIGHT, Guesser())) for _ in range(20)]
    await asyncio.sleep(0)
    await desk.results()
    assert await asyncio.gather(*outcomes) == [True] * 20
    assert desk.asked == [b"first", RIGHT]
    assert desk.learnt == [(b"first", False), (RIGHT, True)]


async def test_an_outcome_is_learnt_though_all_who_waited_for_it_have_left(desk: Desk) -> None:
    for _ in range(3):
        await desk.send(b"second")
        await desk.leave(b"second")
    await desk.leave(b"first")
    desk.let_go.set()
    await until(lambda: desk.learnt == [(b"first", False), (b"second", False)])


@pytest.mark.parametrize("password", [b"first", b"second"], ids=["that runs", "that waits"])
async def test_who_waits_no_longer_is_not_kept_by_a_check(desk: Desk, password: bytes) -> None:
    await desk.send(password)
    kept: weakref.WeakSet[Guesser] = weakref.WeakSet()
    for _ in range(20):
        sender = Guesser()
        kept.add(sender)
        await desk.send(password, sender)
        await desk.leave(password)
        del sender
    gc.collect()
    assert len(kept) == 0


async def test_a_check_that_everybody_gave_up_leaves_no_line(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    await desk.send(b"left")
    await desk.leave(b"left")
    for number in range(10):
        await desk.send(b"%d" % number)
    await desk.results()
    assert caplog.records == []


class Broken(BaseException):
    """Of another library's native code, say."""


async def test_a_check_that_breaks_is_given_up_and_the_next_one_is_made(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(password: bytes, password_hash: bytes) -> bool:
        if password == b"broken":
            raise Broken
        return desk.matches(password, password_hash)

    monkeypatch.setattr(password_checks, "matches", broken)
    monkeypatch.setattr(threading, "excepthook", lambda args: None)
    await desk.send(RIGHT)
    await desk.send(b"broken")
    async with asyncio.timeout(PATIENCE_S):
        assert await desk.results() == {b"broken": None, RIGHT: True}


async def test_where_the_system_gives_no_thread_a_check_is_given_up(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.results()

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        await desk.send(b"unlucky")
    await desk.send(RIGHT)
    async with asyncio.timeout(PATIENCE_S):
        assert await desk.results() == {b"unlucky": None, RIGHT: True}


class CountedGuesser(Guesser):
    """Counts how often it is compared with others, and looked at."""

    compared = looked_at = 0

    def __eq__(self, other: object) -> bool:
        CountedGuesser.compared += 1
        return self is other

    __hash__ = Guesser.__hash__

    @property
    def presence(self) -> Presence:
        CountedGuesser.looked_at += 1
        return self._presence

    @presence.setter
    def presence(self, presence: Presence) -> None:
        self._presence = presence


async def test_many_who_send_the_same_and_leave_cost_no_more_than_one_look_each(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CountedGuesser, "compared", 0)
    monkeypatch.setattr(CountedGuesser, "looked_at", 0)
    await desk.send(b"same", Guesser("1.1.1.1"))
    many = [CountedGuesser("1.1.1.1") for _ in range(200)]
    for each in many:
        await desk.send(b"same", each)
    assert CountedGuesser.compared == 0
    for each in many:
        each.presence = Presence.GONE
    await desk.send(b"one more", Guesser("2.2.2.2"))
    looked_at = CountedGuesser.looked_at
    assert looked_at == len(many)
    for number in range(20):
        await desk.send(b"other %d" % number, Guesser("3.3.3.3"))
    assert CountedGuesser.looked_at == looked_at
    assert (await desk.results())[b"same"] is not None
