"""Targets that come, change and go cost the others nothing, and leave nothing behind."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
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
from exporter.options.commandline import parse, read_again
from exporter.polling.watched_target import WatchedTarget
from exporter.targets.address import parse_address
from exporter.targets.target import Target
from tests.watch_harness import RedisFactory, others, server_field

#: values may be so many intervals old on a busy machine; an interval that a target misses shows
AGE_MAX = 2.5
PATIENCE_S = 60.0
#: when adopted targets go that nobody asks for
FORGET_AFTER_S = 2.0


@dataclass(frozen=True)
class Size:
    """How many targets there are, how many of them change in each round, the number of rounds, and the
    interval."""

    simulated: int
    real: int
    changing: int
    rounds: int
    interval_s: float


SHORT = Size(60, 3, 12, 3, 1.0)
LONG = Size(1000, 20, 100, 20, 5.0)
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

    async def start(self, addrs: Sequence[str], interval_s: float) -> None:
        self.configure(addrs)
        flags = ["--web.listen-address=127.0.0.1:0", f"--poll.interval={interval_s}s", "--redis.addr="]
        flags += ["--scrape.allow=127.0.0.1", "--scrape.on-page", f"--scrape.forget-after={FORGET_AFTER_S}s"]
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
        were polled well. Meanwhile some are `asked` for again and again."""

        def is_so() -> bool:
            found = list(self.watched.values())
            changed = [each.target for each in found if each.target.addr in places]
            return (
                len(found) == len(addrs) + len(changed)
                and {target.addr for target in changed if has_label(target, label)} == places
                and all(each.up for each in found)
            )

        places = set(changing)
        give_up = time.monotonic() + PATIENCE_S
        while not is_so():
            assert time.monotonic() < give_up, "not all targets have come and were polled"
            await self.scrape(asked, label)
            await asyncio.sleep(0.02)

    async def page(self) -> str:
        [address] = self.app.addresses
        async with aiohttp.ClientSession() as session, session.get(f"http://{address}/metrics") as answer:
            return await answer.text()


def has_label(target: Target, label: str) -> bool:
    """Whether a target has this label and no other, or was asked for with this key."""
    given = (target.labels, target.overrides)
    return label in str(given) if label else not any(given)


@pytest.fixture
async def exporter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Exporter]:
    monkeypatch.setattr(adopted, "CHECK_S", 0.2)
    logging.getLogger("exporter").setLevel(logging.ERROR)  # or the records would be what grows
    exporter = Exporter(tmp_path)
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
    return found


async def least() -> Counter[str]:
    """The least of several looks: a poll that runs has some objects for a moment."""
    found = ours()
    for _ in range(4):
        await asyncio.sleep(0.2)
        found &= ours()
    return found


def holders(addr: str) -> Iterator[object]:
    """What has an address among its keys or members."""
    gc.collect()
    for each in gc.get_objects():
        if type(each) in (dict, set, frozenset) and each and addr in each:
            yield each


def rss_bytes() -> int:
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

        await exporter.start(staying, size.interval_s)
        await exporter.has(staying, (), "")
        await exporter.page()
        before = {addr: exporter.watched[addr] for addr in staying}
        told = [server_field(server, "total_connections_received") for server in servers]
        held: Counter[str] = Counter()
        keys: list[str] = []
        rss: list[int] = []
        for number in range(size.rounds):
            for addrs, label in ((changing, ""), (changing, f"round{number}"), ([], "")):
                await change(addrs, label)
                keys += list(exporter.watched.keys() - before.keys())[:3]
                assert is_fresh(exporter, staying, size.interval_s)
            for addr, watched in before.items():
                assert exporter.watched[addr] is watched
            await exporter.page()
            await asyncio.sleep(1)
            now = await least()
            held = held or now
            # Some objects come with the first reply that needs them: one for each target, in the end. What a
            # target leaves behind would be there once for each that has changed in any round; until its next
            # poll a target has what it began the newest one with.
            spare, targets = size.changing, len(exporter.watched)
            grown = {
                name: (held[name], count)
                for name, count in now.items()
                if count > max(held[name], targets) + spare
            }
            assert grown == {}, number
            rss.append(rss_bytes())
        for server, connections in zip(servers, told, strict=True):
            assert server_field(server, "total_connections_received") == connections + 1  # this question
        give_up = time.monotonic() + 10
        while any(
            f'"{addr}"' in page for page in [await exporter.page()] for addr in changing
        ):  # it may be a second old
            assert time.monotonic() < give_up, "their series stay on the page"
            await asyncio.sleep(0.1)
        assert [type(holder) for key in keys for holder in holders(key)] == []
    print(f"{way}: RSS {[round(each / 2**20, 1) for each in rss]} MiB")
    assert rss[-1] <= 1.05 * rss[len(rss) // 2] + 4 * 2**20
