"""Targets that come, change and go cost the others nothing, and leave nothing behind."""

from __future__ import annotations

import asyncio
import ctypes
import functools
import gc
import json
import logging
import operator
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from bench.simulator import simulated
from exporter.app.app import App
from exporter.app.build import configure
from exporter.app.run import read_targets
from exporter.fleet import adopted
from exporter.fleet.adopted import AdoptedTargets
from exporter.options.commandline import parse, read_again
from exporter.polling.watched_target import WatchedTarget
from exporter.targets.address import parse_address
from exporter.targets.target import Target
from tests.watch_harness import RedisFactory, others, server_field

#: values may be so many intervals old; an interval that a target misses shows. On a busy machine they are
#: older now and then, but not in half of the rounds
AGE_MAX = 2.5
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Size:
    """How many targets there are, how many of them change in each round, the number of rounds, and the
    interval."""

    simulated: int
    real: int
    changing: int
    rounds: int
    interval_s: float


SHORT = Size(72, 3, 24, 3, 2.0)
LONG = Size(600, 20, 100, 6, 5.0)
SIZES = [
    pytest.param(SHORT, id="short"),
    pytest.param(LONG, id="long", marks=[pytest.mark.slow, pytest.mark.timeout(900)]),
]


class Exporter:
    """An exporter whose targets are written to files, or asked for."""

    def __init__(self, folder: Path) -> None:
        self.configuration, self.sd = folder / "redis.yml", folder / "found.json"
        self.sd.write_text("[]")
        self.app = App()
        self._asked: frozenset[str] = frozenset()
        self._label = ""

    async def start(self, addrs: Sequence[str], size: Size) -> None:
        self.configure(addrs)
        flags = ["--web.listen-address=127.0.0.1:0", f"--poll.interval={size.interval_s}s", "--redis.addr="]
        flags += ["--scrape.allow=127.0.0.1", "--scrape.on-page"]
        # The lanes are short, so that all targets soon have all their objects. None waits because this
        # machine is slow: each that waits has objects of its own.
        flags += [f"--poll.{lane}-interval={2 * size.interval_s}s" for lane in ("standard", "slow")]
        flags += ["--poll.ease-off=false"]
        options = parse([*flags, f"--config.file={self.configuration}", f"--targets.file-sd={self.sd}"], {})
        self.app.read = lambda: (again := read_again(options, {}), read_targets(again, {}))
        await self.app.apply(configure(options, read_targets(options, {})))

    def configure(self, addrs: Sequence[str], changing: Sequence[str] = (), label: str = "") -> None:
        """Write the configuration file. Those that change get a label, if it is not empty."""
        labels = f", labels: {{round: '{label}'}}" if label else ""
        entries = [f"- {{addr: '{addr}'}}\n" for addr in addrs]
        entries += [f"- {{addr: '{addr}'{labels}}}\n" for addr in changing]
        self.configuration.write_text(f"redis_instances:\n{''.join(entries)}")

    def find(self, addrs: Sequence[str], label: str = "") -> None:
        """Write the file of file_sd."""
        new = self.sd.with_suffix(".new")
        new.write_text(json.dumps([{"targets": addrs, "labels": {"round": label} if label else {}}]))
        new.rename(self.sd)

    async def scrape(self, addrs: Sequence[str], label: str = "") -> None:
        """Ask for each of these, with a key to look at if the label is not empty."""
        [address] = self.app.addresses
        keys = {"check-single-keys": label} if label else {}
        connector = aiohttp.TCPConnector(limit=10)
        async with aiohttp.ClientSession(f"http://{address}", connector=connector) as session:

            async def ask(addr: str) -> None:
                async with session.get("/scrape", params={"target": addr, **keys}) as answer:
                    assert answer.status == 200, await answer.text()

            await asyncio.gather(*map(ask, addrs))

    @property
    def watched(self) -> dict[str, WatchedTarget]:
        fleet = self.app.backend.fleet
        return {**fleet.watched_targets, **fleet.adopted_targets}

    async def has(
        self, addrs: Sequence[str], changing: Sequence[str], label: str, asked: Sequence[str] = ()
    ) -> None:
        """Wait until there are these targets and no others, with the label of those that change, and all
        were polled well. Those `asked` for stay until others are."""

        def is_so() -> bool:
            found = list(self.watched.values())
            changed = [each.target for each in found if each.target.addr in places]
            return (
                len(found) == len(addrs) + len(changed)
                and {target.addr for target in changed if has_label(target, label)} == places
                and all(each.up for each in found)
            )

        places = set(changing)
        self._asked, self._label = frozenset(asked), label
        await self.scrape(asked, label)
        give_up = time.monotonic() + PATIENCE_S
        while not is_so():
            assert time.monotonic() < give_up, "not all targets have come and were polled"
            await asyncio.sleep(0.02)

    def asks_for(self, target: Target) -> bool:
        """Whether a target is one of the newest that were asked for."""
        return target.addr in self._asked and has_label(target, self._label)

    async def settle(self, addrs: Sequence[str]) -> None:
        """Wait until each of these targets has all objects that it will ever have: each of its lanes was
        polled well three times, so that each collector ran twice that runs in every second turn."""

        def is_settled(watched: WatchedTarget) -> bool:
            polls = min(lane.polls for lane in watched.state.series.lanes.values())
            return polls - failures(watched) >= 3

        give_up = time.monotonic() + PATIENCE_S
        while not all(is_settled(self.watched[addr]) for addr in addrs):
            assert time.monotonic() < give_up, "not all targets were polled on all lanes"
            await asyncio.sleep(0.1)

    async def rest(self) -> None:
        """Wait until no target is polled."""
        give_up = time.monotonic() + PATIENCE_S
        while any(watched.busy for watched in self.watched.values()):
            assert time.monotonic() < give_up, "there is always a poll under way"
            await asyncio.sleep(0.01)

    async def page(self) -> str:
        [address] = self.app.addresses
        async with aiohttp.ClientSession() as session, session.get(f"http://{address}/metrics") as answer:
            return await answer.text()


def failures(watched: WatchedTarget) -> int:
    """How many of its polls have failed."""
    return sum(watched.state.series.failures.values())


def has_label(target: Target, label: str) -> bool:
    """Whether a target has this label and no other, or was asked for with this key."""
    given = (target.labels, target.overrides)
    return label in str(given) if label else not any(given)


@pytest.fixture
async def exporter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Exporter]:
    monkeypatch.setattr(adopted, "CHECK_S", 0.2)
    logging.getLogger("exporter").setLevel(logging.ERROR)  # or the records would be what grows
    exporter = Exporter(tmp_path)
    # on a busy machine it takes longer to ask for all targets than the first of them would be kept
    monkeypatch.setattr(
        AdoptedTargets, "_is_over", lambda adopted, entry, watched: not exporter.asks_for(watched.target)
    )
    yield exporter
    await exporter.app.stop()
    logging.getLogger("exporter").setLevel(logging.NOTSET)
    assert others() == set()


def ours() -> Counter[str]:
    """How many objects of our classes, open files and tasks there are."""
    gc.collect()
    kinds = (type(each) for each in gc.get_objects())
    found = Counter(kind.__name__ for kind in kinds if str(kind.__module__).startswith("exporter."))
    found["open files"] = len(os.listdir("/proc/self/fd"))
    found["tasks"] = len(asyncio.all_tasks())
    for name in NOT_OF_TARGETS:
        found.pop(name, None)
    return found


#: how many there are of these does not depend on the targets: pieces of a page come and go with the values
#: that move, and heads of requests are remembered up to a limit
NOT_OF_TARGETS = {"Piece", "RequestHead"}
LOOKS = 3


async def least(exporter: Exporter) -> Counter[str]:
    """The least of several looks, each while no target is polled: a poll has objects of its own."""
    looks = []
    for _ in range(LOOKS):
        await exporter.rest()
        looks.append(ours())
    return functools.reduce(operator.and_, looks)


def holders(addr: str) -> Iterator[object]:
    """What has an address among its keys or members."""
    gc.collect()
    for each in gc.get_objects():
        if type(each) in (dict, set, frozenset) and each and addr in each:
            yield each


def rss_bytes() -> int:
    """The memory of this process, without what the C library keeps for later."""
    ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def is_fresh(exporter: Exporter, addrs: Sequence[str], interval_s: float) -> bool:
    now, store = time.monotonic(), exporter.app.backend.store
    snapshots = [store.get(addr, "info") for addr in addrs]
    return all(each is not None and now - each.began_at <= AGE_MAX * interval_s for each in snapshots)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("way", ["reload", "file_sd", "scrape"])
async def test_targets_that_change_cost_the_others_nothing(
    exporter: Exporter, redis_server: RedisFactory, way: str, size: Size
) -> None:
    servers = [redis_server() for _ in range(size.real)]
    with simulated(size.simulated, databases=min(100, size.simulated)) as given:
        every = [parse_address(addr).addr for addr in given]
        real = [f"redis://127.0.0.1:{server.port}" for server in servers]
        changing, staying = every[: size.changing], [*every[size.changing :], *real]

        async def change(addrs: Sequence[str], label: str) -> None:
            if way == "reload":
                exporter.configure(staying, addrs, label)
                await exporter.app.reload()
            if way == "file_sd":
                exporter.find(addrs, label)
            await exporter.has(staying, addrs, label, addrs if way == "scrape" else ())

        await exporter.start(staying, size)
        await exporter.has(staying, (), "")
        await exporter.settle(staying)
        await exporter.page()
        before = {addr: exporter.watched[addr] for addr in staying}
        told = [server_field(server, "total_connections_received") for server in servers]
        failed = [failures(exporter.watched[addr]) for addr in real]
        held: Counter[str] = Counter()
        keys: list[str] = []
        rss: list[int] = []
        fresh: Counter[int] = Counter()
        for number in range(size.rounds):
            steps: tuple[tuple[list[str], str], ...] = (
                (changing, ""),
                (changing, f"round{number}"),
                ([], ""),
            )
            for step, (addrs, label) in enumerate(steps):
                await change(addrs, label)
                keys += list(exporter.watched.keys() - before.keys())[:3]
                fresh[step] += is_fresh(exporter, staying, size.interval_s)
            for addr, watched in before.items():
                assert exporter.watched[addr] is watched
            await asyncio.sleep(1)
            await exporter.page()  # a new one: the one before holds times of snapshots that were replaced
            now = await least(exporter)
            held = held or now
            # What targets leave behind is there at the end once for each that has changed in any round.
            spare = size.changing * (size.rounds - 1) // 2
            grown = {name: (held[name], count) for name, count in now.items() if count > held[name] + spare}
            assert grown == {}, number
            rss.append(rss_bytes())
        assert min(fresh.values()) > size.rounds / 2, fresh
        for addr, server, connections, fails in zip(real, servers, told, failed, strict=True):
            # one more for this question, and for each poll that this machine was too slow for
            new = 1 + failures(exporter.watched[addr]) - fails
            assert server_field(server, "total_connections_received") == connections + new
        give_up = time.monotonic() + PATIENCE_S
        while any(
            f'"{addr}"' in page for page in [await exporter.page()] for addr in changing
        ):  # it may be a second old
            assert time.monotonic() < give_up, "their series stay on the page"
            await asyncio.sleep(0.1)
        assert [type(holder) for key in keys for holder in holders(key)] == []
    print(f"{way}: RSS {[round(each / 2**20, 1) for each in rss]} MiB")
    assert rss[-1] <= 1.05 * rss[len(rss) // 2] + 4 * 2**20
