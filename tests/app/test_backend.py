"""Targets that come and go while the exporter runs: what is polled, and what is left of those that went."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
import time
import weakref
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

import pytest

from bench.ports import free_port
from exporter.app.backend import Backend
from exporter.app.build import configure
from exporter.connection.resolver import Resolver
from exporter.options.commandline import parse
from exporter.pages.selection import WHOLE, Selection
from exporter.polling.identity import Identity
from exporter.polling.watched_target import WatchedTarget
from exporter.targets.address import parse_address
from exporter.targets.target import Target
from tests.servers import RedisServer
from tests.store_fixture import plain_text, samples_of, until, values_of
from tests.watch_harness import connections, others

RedisFactory = Callable[..., RedisServer]
OPEN_FILES = 1000
#: with a scan, for that has a connection and a task of its own
FLAGS = ("--poll.interval=1000s", "--check-keys=k*")
WARM_UP, ROUNDS = 30, 100
#: items of all containers of a catalog, and some
CATALOG_ITEMS = 5000
GROUPS = [Selection(group=f"group {number}") for number in range(3)]
SLICES = [Selection(slice=(number, 2)) for number in range(2)]
POLLS = "redis_exporter_target_polls_total"


class Changing:
    """A backend whose targets change."""

    def __init__(self, *flags: str) -> None:
        self._options = parse([*FLAGS, *flags], {})
        self.configuration = configure(self._options, ())
        self.backend = Backend(self.configuration, OPEN_FILES)

    async def watch(self, *targets: Target) -> None:
        self.configuration = configure(self._options, targets, self.configuration)
        await self.backend.apply(self.configuration)

    @property
    def watched(self) -> Sequence[WatchedTarget]:
        return list(self.backend.fleet.watched_targets.values())

    async def page(self, selection: Selection = WHOLE) -> str:
        store = self.backend.store
        return plain_text(await self.backend.pages.page(selection, at_least=store.generation))


async def test_its_limits_are_those_of_the_options() -> None:
    flags = (
        "--poll.max-in-flight=7",
        "--poll.max-dials=8",
        "--page.min-interval=9s",
        "--stale-policy=serve",
        "--namespace=kiwi",
        "--poll.interval=40s",
        "--max-age.floor=11s",
        "--poll.align=off",
        "--poll.follow",
    )
    backend = Backend(configure(parse(flags, {}), ()), OPEN_FILES)
    usual = Backend(configure(parse([], {}), ()), OPEN_FILES)
    assert backend.services.limiter.limit == 7
    assert backend.services.dialer.limiter.limit == 8
    assert backend.pages._min_interval_s == 9.0
    assert backend.store.stale_policy == "serve"
    assert b"\nkiwi_exporter_scrapes_total " in backend.own_series.render()
    assert backend.max_age_floor_s == 11.0
    assert (usual.schedule._groups._alignment, backend.schedule._groups._alignment) == (usual.alignment, None)
    assert (usual.alignment._follow, backend.alignment._follow) == (False, True)


@pytest.fixture
async def changing(request: pytest.FixtureRequest) -> AsyncIterator[Changing]:
    changing = Changing(*getattr(request, "param", ()))
    await changing.backend.apply(changing.configuration)
    changing.backend.start()
    yield changing
    await changing.backend.stop_polling()
    await changing.backend.close()
    assert others() == set()


async def test_a_target_that_goes_down_is_on_the_next_page_before_anybody_asks(
    changing: Changing, redis_server: RedisFactory
) -> None:
    server = redis_server()
    await changing.watch(parse_address(f"redis://127.0.0.1:{server.port}"))
    [watched] = changing.watched
    await until(lambda: watched.up)
    assert sum(changing.backend.own_series.poll_seconds.counts) == 1
    assert list(values_of(await changing.page(), "redis_up").values()) == [1.0]
    before = changing.backend.pages.whole
    server.kill()
    watched.tick(time.monotonic())
    await until(lambda: changing.backend.pages.whole is not before)
    page = changing.backend.pages.whole
    assert page is not None
    assert list(values_of(plain_text(page), "redis_up").values()) == [0.0]


@pytest.mark.parametrize("changing", [("--namespace=kiwi",)], indirect=True)
async def test_all_names_begin_as_the_options_say(changing: Changing, redis_server: RedisFactory) -> None:
    """But those of the process, which have the same names everywhere."""
    await changing.watch(parse_address(f"redis://127.0.0.1:{redis_server().port}"))
    [watched] = changing.watched
    await until(lambda: watched.up)
    names = {name for name, _ in samples_of(await changing.page())}
    assert {"kiwi_up", "kiwi_exporter_snapshot_age_seconds", "kiwi_exporter_scrapes_total"} < names
    assert [name for name in names if not name.startswith(("kiwi_", "process_"))] == []


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Connections are made there, and nothing is ever answered."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(2 * (WARM_UP + ROUNDS))
        yield listening.getsockname()[1]


def sockets() -> int:
    """How many sockets this process has open."""
    return sum(os.readlink(link).startswith("socket:") for link in _links())


def _links() -> Iterator[str]:
    for number in os.listdir("/proc/self/fd"):
        link = f"/proc/self/fd/{number}"
        if os.path.islink(link):
            yield link


def series_of(page: str) -> set[object]:
    """All series of a page, but those of its own scrapers."""
    return {key for key in samples_of(page) if not key[0].startswith("redis_exporter_scraper_")}


def sizes() -> tuple[int, int]:
    """How many containers there are, and how many items they have together."""
    gc.collect()
    found = [each for each in gc.get_objects() if isinstance(each, (dict, list, set, tuple))]
    return len(gc.get_objects()), sum(map(len, found))


class TestRemoval:
    async def test_of_a_hundred_targets_leaves_nothing(
        self,
        changing: Changing,
        redis_server: RedisFactory,
        silent_port: int,
        tmp_path: Path,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """One stays. In each round four others come and go: two that are up, by a socket and by a name, one
        that is down, and one that is silent."""
        caplog.set_level(logging.CRITICAL)  # records that the test keeps would count
        server = redis_server("--unixsocket", str(tmp_path / "redis.sock"))
        refused = free_port()
        addresses = [
            f"127.0.0.{number}" for number in range(1, 10)
        ]  # as many as a dialer remembers names for
        changing.backend.services.dialer._resolver = Resolver(look_up=lambda host: addresses)
        stays = parse_address(f"redis://127.0.0.1:{server.port}")
        alive: weakref.WeakSet[Identity] = weakref.WeakSet()

        async def come_and_go(number: int) -> None:
            link = tmp_path / f"{number}.sock"
            link.symlink_to(tmp_path / "redis.sock")
            await changing.watch(
                stays,
                _named(f"unix://{link}", f"socket {number}", group=f"group {number}"),
                _named(f"redis://h{number}.test:{server.port}", f"name {number}"),
                _named(f"redis://127.0.{number // 200}.{number % 200 + 2}:{refused}", f"down {number}"),
                _named(f"redis://127.0.0.1:{silent_port}/{number % 16}", f"silent {number}"),
            )
            await until(
                lambda: [watched.up for watched in changing.watched] == [True, True, True, False, None]
            )
            addrs = [watched.target.addr for watched in changing.watched]
            for addr in (addrs[1], addrs[3]):
                await changing.backend.pages.of_target(addr, plain=True)
                await changing.backend.pages.of_target(addr, plain=False)
            assert addrs[1] in await changing.page()
            await changing.page(GROUPS[number % 3])
            await changing.page(SLICES[number % 2])
            alive.update(watched.identity for watched in changing.watched)
            await changing.watch(stays)

        async def settled() -> None:
            await until(lambda: all(watched.up and not watched.busy for watched in changing.watched))
            await until(lambda: not changing.watched[0].scanner.busy)
            await until(lambda: connections(server) <= 2)
            for selection in (*GROUPS, *SLICES, WHOLE):  # a page keeps the catalog under which it was built
                await changing.page(selection)
            await asyncio.sleep(0)

        for number in range(WARM_UP):  # until caches of bounded size are as large as they get
            await come_and_go(number)
        await settled()
        series = series_of(await changing.page())
        tasks, files = len(others()), sockets()
        objects, items = sizes()
        for number in range(WARM_UP, WARM_UP + ROUNDS):
            await come_and_go(number)
        await settled()
        more_objects, more_items = (now - then for now, then in zip(sizes(), (objects, items), strict=True))
        assert more_objects < ROUNDS / 2
        assert more_items < CATALOG_ITEMS  # a page may keep one catalog more
        assert (len(others()), sockets()) == (tasks, files)
        assert series_of(await changing.page()) == series
        assert list(alive) == [watched.identity for watched in changing.watched]
        assert [watched.target.addr for watched in changing.watched] == [stays.addr]

    async def test_leaves_no_trace_of_its_address(
        self, changing: Changing, redis_server: RedisFactory, caplog: pytest.LogCaptureFixture
    ) -> None:
        server = redis_server()
        gone = _named(f"redis://127.0.0.1:{server.port}/7", "kiwi")
        await changing.watch(gone)
        await until(lambda: changing.watched[0].up and not changing.watched[0].busy)
        await changing.backend.pages.of_target(gone.addr, plain=False)
        assert gone.addr in await changing.page()
        await changing.watch()
        backend = changing.backend
        assert list(backend.store.addrs()) == []
        assert gone.addr not in await changing.page()
        assert backend.fleet.find("kiwi") is backend.fleet.find(gone.addr) is None
        assert backend.fleet.states() == {"up": 0, "down": 0, "unknown": 0}
        assert backend.fleet.first_round.polls_done
        assert backend.services.dialer.descriptors.set_aside == 0
        assert backend.services.dialer.descriptors.in_use == 0
        await until(lambda: connections(server) == 0)
        assert _holders(gone.addr) == []

    async def test_and_coming_again_is_as_new(self, changing: Changing, redis_server: RedisFactory) -> None:
        target = parse_address(f"redis://127.0.0.1:{redis_server().port}")
        for _ in range(3):
            await changing.watch(target)
            await until(lambda: changing.watched[0].up)
            page = await changing.page()
            assert samples_of(page)[POLLS, frozenset({("addr", target.addr), ("lane", "fast")})] == 1
            await changing.watch()


def _named(text: str, alias: str, group: str = "") -> Target:
    place = parse_address(text)
    fields = {name: getattr(place, name) for name in Target.__dataclass_fields__}
    return Target(**{**fields, "alias": alias, "labels": (("group", group),) if group else ()})


def _holders(addr: str) -> list[object]:
    """What still has an address, equal to this one, among its keys or items; the test's own frames and
    strings do not count."""
    gc.collect()
    return [
        holder
        for holder in gc.get_objects()
        if isinstance(holder, (dict, set, list))
        and any(isinstance(item, str) and item == addr for item in holder)
    ]
