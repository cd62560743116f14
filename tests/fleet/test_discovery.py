"""Discovery: what configured targets name becomes targets, and follows them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

from exporter.app.garbage import old_objects_left_alone
from exporter.errors import NotAllowedError
from exporter.fleet import discovery as discovery_module
from exporter.fleet.discovery import Discovery, DiscoverySettings
from exporter.fleet.fleet import Fleet
from exporter.fleet.found_nodes import Finder
from exporter.metrics.lane import Lane
from exporter.polling.watched_target import WatchedTarget
from exporter.protocol.neighbours import NamedServer
from exporter.targets.target import Target
from tests.fleet.named import Naming, node
from tests.store_fixture import until

SETTINGS = DiscoverySettings(labels=("cluster", "shard", "node_id", "master_name"))
ONE, TWO, THREE = (f"redis://10.0.0.{n}:7000" for n in (1, 2, 3))


def lines(*hosts: int, me: int = 0) -> list[str]:
    """Masters a, b, c, … at 10.0.0.1, .2, .3, …"""
    return [node("abcdef"[n - 1], f"10.0.0.{n}:7000", slots=f"{n}", myself=n == me) for n in hosts]


class Setup:
    """Discovery with a fleet that takes what it finds, as the App does."""

    def __init__(self, *configured: Naming, settings: DiscoverySettings = SETTINGS) -> None:
        self.configured = {each.target.addr: each for each in configured}
        self.found: dict[str, Naming] = {}
        self.targets: dict[str, Target] = {}
        self.calls: list[Sequence[Target]] = []
        self.refused: set[str] = set()
        self.is_broken = False
        self.discovery = Discovery(cast(Fleet, self), self._finder_for, settings)

    @property
    def watched_targets(self) -> dict[str, WatchedTarget]:
        if self.is_broken:
            raise ZeroDivisionError
        return {addr: each.watched for addr, each in {**self.configured, **self.found}.items()}

    async def _finder_for(self, seed: Target) -> Finder:
        async def find(host: str, port: int) -> tuple[str, ...]:
            if host in self.refused:
                raise NotAllowedError(host)
            return (host,)

        return find

    def take(self, targets: Sequence[Target]) -> None:
        self.calls.append(targets)
        self.targets = {each.addr: each for each in targets}
        for addr in self.found.keys() - self.targets.keys():
            del self.found[addr]
        for addr, target in self.targets.items():
            if addr in self.configured:
                known = self.configured[addr]
                known.target = replace(known.target, node=target.node)
            elif addr in self.found:
                self.found[addr].target = target
            else:
                self.found[addr] = Naming(addr)
                self.found[addr].target = target

    async def turn(self) -> set[str]:
        """The addresses of what is found in one turn, without configured targets."""
        self.take(await self.discovery._find())
        return self.targets.keys() - self.configured.keys()

    def labels(self, addr: str) -> dict[str, str]:
        found = self.targets[addr].node
        assert found is not None
        return dict(found.labels)


def seed(*seen: str, addr: str = ONE, **changes: Any) -> Naming:
    configured = Naming(addr, "cluster", **changes)
    if seen:
        configured.sees_nodes(*seen)
    return configured


class TestCluster:
    async def test_all_nodes_are_found_from_one(self) -> None:
        setup = Setup(seed(*lines(1, 2, 3, me=1), alias="orders"))
        assert await setup.turn() == {TWO, THREE}
        assert setup.labels(TWO) == {"cluster": "orders", "shard": "b", "node_id": "b"}
        assert setup.labels(ONE) == {"cluster": "orders", "shard": "a", "node_id": "a"}  # the seed itself

    async def test_nobody_without_a_seed(self) -> None:
        plain = Naming(ONE)
        plain.sees_nodes(*lines(1, 2, me=1))
        assert await Setup(plain).turn() == set()

    async def test_nodes_that_are_not_allowed_are_none(self) -> None:
        setup = Setup(seed(*lines(1, 2, 3, me=1)))
        setup.refused = {"10.0.0.2"}
        assert await setup.turn() == {THREE}

    async def test_the_union_of_what_live_seeds_say(self) -> None:
        setup = Setup(seed(*lines(1, 2, me=1)), seed(*lines(1, 3, me=3), addr=THREE))
        assert await setup.turn() == {TWO}
        setup = Setup(seed(*lines(1, 2, me=1)), seed(*lines(2, 4), addr=THREE))
        assert await setup.turn() == {TWO, "redis://10.0.0.4:7000"}

    async def test_of_a_group_with_a_live_seed_the_dead_one_says_nothing(self) -> None:
        dead, alive = seed(*lines(1, 2, 3, me=1)), seed(*lines(1, 2, me=2), addr=TWO)
        dead.up = False
        assert await Setup(dead, alive).turn() == set()

    async def test_a_seed_that_is_down_keeps_what_it_said_last(self) -> None:
        dead = seed(*lines(1, 2, me=1))
        setup = Setup(dead)
        dead.up = False
        for _ in range(2):
            assert await setup.turn() == {TWO}

    async def test_while_no_seed_is_up_the_nodes_say_who_is_there(self) -> None:
        only = seed(*lines(1, 2, me=1))
        setup = Setup(only)
        await setup.turn()
        only.up = False
        setup.found[TWO].sees_nodes(*lines(1, 2, 3, me=2), at=2.0)
        assert await setup.turn() == {TWO, THREE}
        assert setup.targets[THREE].discover == "cluster"

    async def test_a_failover_changes_the_role_and_no_label(self) -> None:
        master = node("a", "10.0.0.1:7000", slots="0", myself=True)
        only = seed(master, node("b", "10.0.0.2:7000", master="a"))
        setup = Setup(only)
        await setup.turn()
        before = setup.labels(ONE), setup.labels(TWO)
        setup.found[TWO].up = False  # its own INFO says nothing now
        assert setup.discovery.role_of(TWO) == "slave"
        only.sees_nodes(
            node("a", "10.0.0.1:7000", master="b", myself=True), node("b", "10.0.0.2:7000", slots="0"), at=2.0
        )
        await setup.turn()
        assert (setup.labels(ONE), setup.labels(TWO)) == before
        assert setup.discovery.role_of(TWO) == "master"

    async def test_two_clusters_have_labels_of_their_own(self) -> None:
        one = seed(*lines(1, 2, me=1), settings_group="red")
        other = seed(
            node("x", "10.0.1.1:7000", myself=True),
            node("y", "10.0.1.2:7000"),
            addr="redis://10.0.1.1:7000",
            settings_group="blue",
        )
        setup = Setup(one, other)
        await setup.turn()
        assert {addr: setup.labels(addr)["cluster"] for addr in setup.targets} == {
            ONE: "red",
            TWO: "red",
            "redis://10.0.1.1:7000": "blue",
            "redis://10.0.1.2:7000": "blue",
        }

    async def test_two_clusters_in_one_group_are_said_once(self, caplog: pytest.LogCaptureFixture) -> None:
        one = seed(*lines(1, me=1), settings_group="red")
        other = seed(node("x", "10.0.1.1:7000", myself=True), addr="10.0.1.1:7000", settings_group="red")
        setup = Setup(one, other)
        for _ in range(2):
            await setup.turn()
        [record] = caplog.records
        assert "give each cluster a group of its own" in record.getMessage()

    async def test_seeds_that_said_nothing_yet_may_be_of_one_cluster(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        seeds = [seed(settings_group="red"), seed(addr=TWO, settings_group="red")]
        for each in seeds:
            each.up = None
        await Setup(*seeds).turn()
        assert not caplog.records

    async def test_a_seed_that_names_nobody_is_said_once(self, caplog: pytest.LogCaptureFixture) -> None:
        setup = Setup(seed())
        for _ in range(2):
            assert await setup.turn() == set()
        [record] = caplog.records
        assert record.getMessage().startswith("it names no neighbours: it is no node of a cluster")
        assert vars(record)["addr"] == ONE

    async def test_a_seed_that_was_away_is_new(self, caplog: pytest.LogCaptureFixture) -> None:
        setup = Setup(seed())
        for _ in range(2):
            await setup.turn()
            away, setup.configured = setup.configured, {}
            await setup.turn()
            setup.configured = away
        assert len(caplog.records) == 2

    async def test_the_login_stays_that_of_the_first_seed_that_named_a_node(self) -> None:
        one, other = (
            seed(*lines(1, 2, me=1), password="1"),
            seed(*lines(1, 2, 3, me=3), addr=THREE, password="3"),
        )
        setup = Setup(one, other)
        await setup.turn()
        one.up = False
        await setup.turn()
        assert setup.targets[TWO].password == "1"

    async def test_an_endpoint_is_apart_and_its_nodes_are_all_found(self) -> None:
        endpoint = seed(*lines(1, 2, me=1), addr="redis://cluster.example:7000")
        setup = Setup(endpoint)
        assert await setup.turn() == {TWO}
        endpoint.sees_nodes(*lines(1, 2, me=2), at=2.0)
        assert await setup.turn() == {ONE, TWO}
        assert endpoint.target.is_endpoint
        assert not setup.targets[ONE].is_endpoint


class TestSentinel:
    @pytest.fixture
    def setup(self) -> Setup:
        sentinel = Naming("10.0.0.1:26379", "sentinel", alias="watch")
        sentinel.runs("sentinel")
        sentinel.sees_masters(
            NamedServer("10.0.0.2", 7000, "master", master_name="orders"),
            NamedServer("10.0.0.9", 26379, "sentinel", "s9"),
            NamedServer("10.0.0.3", 7000, "slave", master_name="orders"),
        )
        return Setup(sentinel)

    async def test_masters_replicas_and_other_sentinels_are_found(self, setup: Setup) -> None:
        assert await setup.turn() == {TWO, THREE, "redis://10.0.0.9:26379"}
        assert setup.labels(TWO) == setup.labels(THREE) == {"cluster": "watch", "master_name": "orders"}
        assert setup.labels("redis://10.0.0.9:26379") == {"cluster": "watch", "node_id": "s9"}
        assert setup.labels("redis://10.0.0.1:26379") == {"cluster": "watch"}

    async def test_and_roles_follow_a_failover(self, setup: Setup) -> None:
        await setup.turn()
        for found in setup.found.values():
            found.up = False
        setup.configured["redis://10.0.0.1:26379"].sees_masters(
            NamedServer("10.0.0.3", 7000, "master", master_name="orders"),
            NamedServer("10.0.0.2", 7000, "slave", master_name="orders"),
        )
        await setup.turn()
        assert setup.discovery.role_of(THREE) == "master"
        assert setup.discovery.role_of(TWO) == "slave"


class TestReplicas:
    async def test_those_of_a_master(self) -> None:
        master = Naming(ONE, "replicas")
        master.replicates("10.0.0.2:7000", "10.0.0.3:7000")
        setup = Setup(master)
        assert await setup.turn() == {TWO, THREE}
        assert setup.labels(TWO) == {"cluster": "10.0.0.1:7000"}

    async def test_of_a_replica_its_master_and_then_its_siblings(self) -> None:
        replica = Naming(TWO, "replicas")
        replica.replicates(master="10.0.0.1:7000")
        setup = Setup(replica)
        assert await setup.turn() == {ONE}
        setup.found[ONE].replicates("10.0.0.2:7000", "10.0.0.3:7000")
        assert await setup.turn() == {ONE, THREE}

    async def test_a_master_that_is_down_keeps_its_replicas(self) -> None:
        master = Naming(ONE, "replicas")
        master.replicates("10.0.0.2:7000")
        setup = Setup(master)
        await setup.turn()
        master.up = False
        setup.found[TWO].replicates(master="10.0.0.1:7000")
        assert await setup.turn() == {TWO}

    async def test_two_that_name_each_other_go_when_no_seed_leads_to_them(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        replica = Naming(ONE, "replicas")
        replica.replicates(master="10.0.0.2:7000")
        setup = Setup(replica, settings=replace(SETTINGS, grace_s=0.0))
        await setup.turn()
        setup.found[TWO].replicates("10.0.0.3:7000")
        await setup.turn()
        setup.found[THREE].replicates(master="10.0.0.2:7000")
        replica.replicates(master="10.0.0.4:7000")
        assert await setup.turn() == {"redis://10.0.0.4:7000"}


class TestWhen:
    @pytest.fixture(autouse=True)
    def quick(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(discovery_module, "GAP_S", 0.01)

    @pytest.fixture
    def run(self) -> Iterator[Callable[[Setup], Awaitable[None]]]:
        running: list[asyncio.Task[None]] = []

        async def start(setup: Setup) -> None:
            running.append(asyncio.create_task(setup.discovery.run(setup.take)))
            await until(lambda: setup.calls)

        yield start
        for task in running:
            task.cancel()

    async def test_at_news_of_a_poll(self, run: Callable[[Setup], Awaitable[None]]) -> None:
        only = seed()
        only.up = None
        setup = Setup(only)
        await run(setup)
        assert setup.targets == {}
        only.up = True
        only.sees_nodes(*lines(1, 2, me=1))
        setup.discovery.note(only.watched)
        await until(lambda: TWO in setup.targets)

    async def test_not_at_a_poll_without_news(self, run: Callable[[Setup], Awaitable[None]]) -> None:
        only = seed(*lines(1, 2, me=1))
        setup = Setup(only)
        setup.discovery.note(only.watched)
        await run(setup)
        await until(lambda: not setup.discovery._news.is_set())
        for _ in range(3):
            setup.discovery.note(only.watched)
        assert not setup.discovery._news.is_set()

    async def test_after_the_interval_and_with_other_settings(
        self, run: Callable[[Setup], Awaitable[None]]
    ) -> None:
        setup = Setup(seed(*lines(1, 2, me=1)), settings=replace(SETTINGS, interval_s=0.05))
        await run(setup)
        await until(lambda: len(setup.calls) > 2)
        setup.discovery.change(replace(SETTINGS, labels=("shard",), interval_s=1000))
        await until(lambda: setup.labels(TWO) == {"shard": "b"})

    async def test_after_its_end_it_knows_nothing(self) -> None:
        setup = Setup(seed(*lines(1, 2, me=1)))
        finding = asyncio.create_task(setup.discovery.run(setup.take))
        await until(lambda: setup.discovery.role_of(TWO) == "master")
        finding.cancel()
        await asyncio.wait([finding])
        assert setup.discovery.role_of(TWO) == ""
        assert setup.discovery._newest == {}

    async def test_an_internal_error_does_not_end_it(
        self, run: Callable[[Setup], Awaitable[None]], caplog: pytest.LogCaptureFixture
    ) -> None:
        setup = Setup(seed(*lines(1, 2, me=1)), settings=replace(SETTINGS, interval_s=0.05))
        await run(setup)
        setup.is_broken = True
        await until(lambda: caplog.records)
        setup.is_broken = False
        calls = len(setup.calls)
        await until(lambda: len(setup.calls) > calls)
        assert setup.discovery.health.failures > 0
        assert setup.discovery.health.succeeded_at is not None
        assert "internal error in the discovery of targets" in caplog.records[0].getMessage()

    @pytest.mark.parametrize(("age_s", "brought"), [(27.0, []), (28.5, [Lane.SLOW]), (45.0, [Lane.SLOW])])
    async def test_the_lane_of_a_source_comes_early_enough(
        self, age_s: float, brought: list[Lane], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now)
        only = seed()
        only.sees_nodes(*lines(1, 2, me=1), at=now - age_s)
        setup = Setup(only)
        await setup.turn()
        for _ in range(3):  # it is asked for once, whether an answer comes or not
            setup.discovery.note(only.watched)
        assert only.state.clock.brought_forward == brought

    async def test_not_that_of_a_node_that_nobody_listens_to(self) -> None:
        only = seed(*lines(1, 2, me=1))
        setup = Setup(only)
        await setup.turn()
        await setup.turn()
        setup.found[TWO].sees_nodes(*lines(1, 2, me=2), at=0.0)
        setup.discovery._news.clear()
        setup.discovery.note(setup.found[TWO].watched)
        assert setup.found[TWO].state.clock.brought_forward == []
        assert not setup.discovery._news.is_set()

    async def test_a_thousand_nodes_hold_the_loop_in_slices(self) -> None:
        """Of 1,000 nodes that four seeds name."""
        nodes = [node(f"{n:040}", f"10.0.{n // 250}.{n % 250}:7000", slots=f"{n}") for n in range(1000)]
        seeds = [seed(*nodes, addr=f"redis://10.0.0.{n}:7000") for n in range(4)]
        setup = Setup(*seeds)
        longest_s, turning = 0.0, True

        async def watch() -> None:
            nonlocal longest_s
            while turning:
                before = time.thread_time()  # of this thread: others do not count
                await asyncio.sleep(0)
                longest_s = max(longest_s, time.thread_time() - before)

        watching = asyncio.create_task(watch())
        with old_objects_left_alone():  # those of all tests before
            targets = await setup.discovery._find()
        turning = False
        await watching
        assert len(targets) == 1000
        assert longest_s < 0.02  # 4 ms, and room for a collection of garbage
