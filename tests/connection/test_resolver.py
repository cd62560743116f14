"""Look-ups of names: shared, bounded, and never in anybody's way."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence

import pytest

from exporter.connection import resolver as resolver_module
from exporter.connection.limiter import Rank
from exporter.connection.resolver import Resolver
from exporter.errors import DnsError, OpenFilesError
from tests.servers import PATIENCE_S
from tests.store_fixture import until


class Names:
    """Answers 192.0.2.1 at once, but for the names in `hanging`, which wait until `release` is set."""

    def __init__(self, *hanging: str) -> None:
        self.asked: list[str] = []
        self.hanging = hanging
        self.release = threading.Event()

    def __call__(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        if host in self.hanging:
            self.release.wait(PATIENCE_S)
        return ["192.0.2.1"]


@pytest.fixture
def hanging() -> Iterator[Names]:
    names = Names("a.test", "b.test")
    yield names
    names.release.set()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No look-up is slow, and each that runs counts: a busy machine may hold one for seconds."""
    for name in ("PATIENCE_S", "SLOW_S"):
        monkeypatch.setattr(resolver_module, name, PATIENCE_S)


@pytest.mark.asyncio
@pytest.mark.usefixtures("patient")
class TestResolve:
    async def test_an_address_is_asked_of_nobody(self, hanging: Names) -> None:
        resolver = Resolver(look_up=hanging)
        for address in ("127.0.0.1", "::1", "fe80::1%lo", "10.1.2.3"):
            assert await resolver.resolve(address) == (address,)
        assert hanging.asked == []

    async def test_names_that_hang_hold_up_no_other_name(self, hanging: Names) -> None:
        resolver = Resolver(4, look_up=hanging)
        stuck = [asyncio.create_task(resolver.resolve(name)) for name in ("a.test", "b.test")]
        await until(lambda: len(hanging.asked) == 2)
        assert await asyncio.wait_for(resolver.resolve("c.test"), PATIENCE_S) == ("192.0.2.1",)
        hanging.release.set()
        assert await asyncio.gather(*stuck) == [("192.0.2.1",)] * 2

    async def test_all_who_want_one_name_share_one_look_up_even_after_the_first_has_gone(
        self, hanging: Names
    ) -> None:
        resolver = Resolver(look_up=hanging)
        tasks = [asyncio.create_task(resolver.resolve("a.test")) for _ in range(50)]
        await until(lambda: hanging.asked)
        tasks[0].cancel()
        late = asyncio.create_task(resolver.resolve("a.test"))
        await asyncio.sleep(0)
        hanging.release.set()
        assert set(await asyncio.gather(*tasks[1:], late)) == {("192.0.2.1",)}
        assert hanging.asked == ["a.test"]
        await resolver.resolve("a.test")
        assert hanging.asked == ["a.test"] * 2  # it is over: asked again

    async def test_so_many_are_under_way_and_no_more(self) -> None:
        names = Names(*[f"h{number}.test" for number in range(20)])
        resolver = Resolver(4, look_up=names)
        tasks = [asyncio.create_task(resolver.resolve(name)) for name in names.hanging]
        await until(
            lambda: len(names.asked) == 3
        )  # those that were never looked up before have three quarters
        await asyncio.sleep(0.05)
        assert len(names.asked) == 3
        names.release.set()
        await asyncio.gather(*tasks)
        assert sorted(names.asked) == sorted(names.hanging)

    async def test_names_that_hang_for_ever_delay_a_new_one_for_a_moment_only(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(resolver_module, "PATIENCE_S", 0.05)
        names = Names(*[f"h{number}.test" for number in range(12)])
        resolver = Resolver(4, 16, look_up=names)
        stuck = [asyncio.create_task(resolver.resolve(name)) for name in names.hanging]
        assert await asyncio.wait_for(resolver.resolve("new.test"), PATIENCE_S) == ("192.0.2.1",)
        names.release.set()
        await asyncio.gather(*stuck)

    async def test_no_more_threads_run_than_may(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(resolver_module, "PATIENCE_S", 0.02)
        names = Names(*[f"h{number}.test" for number in range(20)])
        resolver = Resolver(4, 8, look_up=names)
        tasks = [asyncio.create_task(resolver.resolve(name)) for name in names.hanging]
        await until(lambda: len(names.asked) == 8)
        await asyncio.sleep(0.2)
        assert len(names.asked) == 8
        names.release.set()
        await asyncio.gather(*tasks)
        assert sorted(names.asked) == sorted(names.hanging)

    async def test_a_name_that_was_slow_waits_behind_those_that_were_not(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        slow = [f"slow{number}.test" for number in range(3)]
        names = Names(*slow)
        resolver = Resolver(4, look_up=names)
        assert await resolver.resolve("fine.test") == ("192.0.2.1",)
        names.release.set()
        monkeypatch.setattr(resolver_module, "SLOW_S", -1.0)
        await asyncio.gather(*[asyncio.create_task(resolver.resolve(name)) for name in slow])
        monkeypatch.setattr(resolver_module, "SLOW_S", PATIENCE_S)
        names.release.clear()
        names.asked.clear()
        tasks = [asyncio.create_task(resolver.resolve(name)) for name in slow]
        await until(lambda: len(names.asked) == 2)  # half of the places
        for _ in range(3):
            assert await asyncio.wait_for(resolver.resolve("fine.test"), PATIENCE_S) == ("192.0.2.1",)
        names.release.set()
        await asyncio.gather(*tasks)

    async def test_a_name_that_is_forgotten_is_as_new(self, hanging: Names) -> None:
        resolver = Resolver(look_up=hanging)
        await resolver.resolve("c.test")
        assert resolver._ranks == {"c.test": Rank.UP}
        resolver.forget("c.test")
        resolver.forget("unknown.test")
        assert resolver._ranks == {}
        assert await resolver.resolve("c.test") == ("192.0.2.1",)

    async def test_names_that_servers_name_cannot_take_all_places(self) -> None:
        names = Names(*[f"h{number}.test" for number in range(20)])
        resolver = Resolver(4, look_up=names)
        tasks = [asyncio.create_task(resolver.resolve(name, trusted=False)) for name in names.hanging]
        await until(lambda: len(names.asked) == 2)
        assert await asyncio.wait_for(resolver.resolve("mine.test"), PATIENCE_S) == ("192.0.2.1",)
        names.release.set()
        await asyncio.gather(*tasks)

    async def test_more_names_than_may_wait_are_refused(
        self, hanging: Names, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(resolver_module, "NAMES_MAX", 1)
        resolver = Resolver(look_up=hanging)
        task = asyncio.create_task(resolver.resolve("a.test"))
        await until(lambda: hanging.asked)
        with pytest.raises(DnsError, match="1 other names wait"):
            await resolver.resolve("c.test")
        hanging.release.set()
        await task

    async def test_names_that_servers_name_leave_room_for_the_others(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(resolver_module, "NAMES_MAX", 20)
        names = Names(*[f"h{number}.test" for number in range(10)])
        resolver = Resolver(4, look_up=names)
        tasks = [asyncio.create_task(resolver.resolve(name, trusted=False)) for name in names.hanging]
        await until(lambda: len(names.asked) == 2)
        with pytest.raises(DnsError, match="10 other names wait"):
            await resolver.resolve("one-more.test", trusted=False)
        assert await asyncio.wait_for(resolver.resolve("mine.test"), PATIENCE_S) == ("192.0.2.1",)
        names.release.set()
        await asyncio.gather(*tasks)

    async def test_a_configured_name_does_not_wait_where_a_server_put_it(self) -> None:
        names = Names(*[f"h{number}.test" for number in range(10)])
        resolver = Resolver(4, look_up=names)
        tasks = [
            asyncio.create_task(resolver.resolve(name, trusted=False))
            for name in (*names.hanging, "mine.test")
        ]
        await until(lambda: len(names.asked) == 2)
        assert await asyncio.wait_for(resolver.resolve("mine.test"), PATIENCE_S) == ("192.0.2.1",)
        assert await asyncio.wait_for(tasks[-1], PATIENCE_S) == ("192.0.2.1",)
        assert names.asked.count("mine.test") == 1
        names.release.set()
        await asyncio.gather(*tasks)

    async def test_names_that_servers_name_push_no_other_out_of_memory(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(resolver_module, "REMEMBERED_MAX", 2)
        resolver = Resolver(look_up=Names())
        await resolver.resolve("mine.test")
        for number in range(5):
            await resolver.resolve(f"h{number}.test", trusted=False)
        assert resolver._ranks.keys() == {"mine.test"}

    @pytest.mark.parametrize(
        ("failure", "kind", "part"),
        [
            (socket.gaierror(-2, "Name or service not known"), DnsError, "Name or service not known"),
            (UnicodeError("label empty or too long"), DnsError, "cannot be a host name"),
            (ValueError("embedded null character"), DnsError, "cannot be a host name"),
            (OSError(24, "Too many open files"), OpenFilesError, "ulimit -n"),
            (OSError(12, "Cannot allocate memory"), DnsError, "Cannot allocate memory"),
            (RuntimeError("odd"), DnsError, "RuntimeError"),
        ],
        ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
    )
    async def test_what_goes_wrong_is_an_error_for_the_reader(
        self, failure: Exception, kind: type[Exception], part: str
    ) -> None:
        def look_up(host: str) -> Sequence[str]:
            raise failure

        resolver = Resolver(1, look_up=look_up)
        for _ in range(3):  # and the thread's place is free again
            with pytest.raises(kind, match=part):
                await resolver.resolve("a.test")


def test_a_process_without_files_to_open_is_not_a_name_that_does_not_exist() -> None:
    """The system's own words are those of a server that does not answer."""
    code = (
        "import resource\n"
        "from exporter.connection.resolver import _failure, look_up\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))\n"
        "try: look_up('no-such-name.invalid')\n"
        "except OSError as error: print(_failure(error).reason)\n"
    )
    outcome = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (outcome.stdout, outcome.stderr) == ("open_files\n", "")


PROGRAM = """
import asyncio, sys, threading, uvloop
from exporter.connection.limiter import Rank
from exporter.connection.resolver import Resolver

async def main():
    resolver = Resolver(look_up=lambda host: threading.Event().wait())
    tasks = [asyncio.create_task(resolver.resolve(f"h{number}.test")) for number in range(10)]
    await asyncio.sleep(0.1)

(uvloop.run if sys.argv[1] == "uvloop" else asyncio.run)(main())
"""


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_the_program_ends_while_look_ups_hang(loop: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, loop], timeout=PATIENCE_S, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
