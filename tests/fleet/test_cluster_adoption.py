"""Nodes of clusters that requests ask for: who is one, and what of the configuration they follow."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import pytest

from exporter.errors import DnsError, NotAllowedError, PageError
from exporter.fleet import adopted as adopted_module
from exporter.fleet import cluster_adoption
from exporter.fleet.adopted import AdoptedTargets, AdoptionLimits
from exporter.fleet.cluster_adoption import ClusterAdoption
from exporter.fleet.fleet import Fleet
from exporter.fleet.schedule import Schedule
from exporter.polling.assignment import Assignment
from exporter.polling.watched_target import WatchedTarget
from exporter.protocol.cluster import ClusterNode, ClusterView, parse_nodes
from exporter.protocol.facts import Facts
from exporter.targets.address import parse_address
from exporter.targets.target import Target
from tests.fleet.test_fleet import FakeSchedule, FakeWatched, assigned
from tests.store_fixture import until
from tests.watch_harness import others

SEED, NODE, OTHER = "redis://10.0.0.1:7000", "redis://10.0.0.2:7000", "redis://10.0.0.3:7000"
FACTS = Facts((7, 0, 15), "redis", "master", "cluster", "r", True, False)
MASTER = "master - 0 0 1 connected"
LINES = (f"10.0.0.1:7000@17000 myself,{MASTER}", f"10.0.0.2:7000@17000,node.Example {MASTER}")


def saw(watched: Any, *lines: str) -> None:
    """A poll of a configured target has brought this answer to CLUSTER NODES."""
    nodes = parse_nodes("\n".join(f"{number:040} {line}" for number, line in enumerate(lines)))
    watched.facts, watched.cluster = FACTS, ClusterView(nodes, 1.0)


class Setup:
    """A fleet with one configured target, a node of a cluster, and what it adopts."""

    def __init__(self, *, hostnames: bool = False, seed: str = SEED, **changes: Any) -> None:
        self.schedule = FakeSchedule()
        self.forgotten: list[str] = []
        self.fleet = Fleet(
            cast(Schedule, self.schedule), cast(Any, FakeWatched), forget_pages=self.forgotten.append
        )
        self.seed = FakeWatched(assigned(seed, **changes))
        self.fleet.add(cast(WatchedTarget, self.seed))
        saw(self.seed, *LINES)
        self.asked: list[tuple[str, str, int]] = []
        self.refusal: Exception | None = None
        self.answers = asyncio.Event()  # whether the resolver does
        self.answers.set()
        self.addresses: dict[str, tuple[str, ...]] = {}
        self.limits = AdoptionLimits()
        self.targets = AdoptedTargets(self.fleet, lambda: self.limits)
        self.adoption = ClusterAdoption(
            self.fleet, self.targets, self._assign, self._admit, hostnames=hostnames
        )

    @staticmethod
    def _assign(seed: Assignment, node: Target) -> Assignment:
        return replace(seed, target=node)

    async def _admit(self, seed: Target, host: str, port: int) -> tuple[str, ...]:
        self.asked.append((seed.addr, host, port))
        await asyncio.sleep(0)
        await self.answers.wait()
        if self.refusal is not None:
            raise self.refusal
        return self.addresses.get(host, (host,))

    async def find(self, text: str) -> WatchedTarget | None:
        return await self.adoption.find(parse_address(text))

    async def target(self, text: str) -> Target:
        found = await self.find(text)
        assert found is not None
        return found.target

    @property
    def adopted(self) -> set[str]:
        return set(self.fleet.adopted_targets)


@pytest.fixture
async def setup() -> Setup:
    return Setup()


class TestWhoIsAdopted:
    async def test_a_node_that_a_configured_target_names(self, setup: Setup) -> None:
        assert (await setup.target(NODE)).addr == NODE
        assert setup.adopted == {NODE}
        assert setup.schedule.polled == [SEED, NODE]
        assert setup.schedule.apart == [NODE]
        assert setup.fleet.watched_targets.keys() == {SEED}
        assert not setup.fleet.first_round.polls_done
        setup.fleet.first_round._note_polled(SEED)
        assert setup.fleet.first_round.polls_done  # nobody waits for the node

    async def test_once_whoever_asks(self, setup: Setup) -> None:
        found = await asyncio.gather(*(setup.find(text) for text in (NODE, NODE, "10.0.0.2:7000")))
        assert len(set(map(id, found))) == 1
        assert setup.schedule.polled == [SEED, NODE]

    async def test_it_is_like_its_seed_but_for_its_place_and_names(self) -> None:
        setup = Setup(seed=f"{SEED}", alias="first", labels=(("env", "x"),), user="u", password="p", db=0)
        target = await setup.target("redis://other:word@10.0.0.2:7000")
        assert (target.user, target.password) == ("u", "p")
        assert (target.alias, target.labels, target.addresses) == ("", (), ("10.0.0.2",))

    async def test_not_the_configured_target_itself(self, setup: Setup) -> None:
        other = FakeWatched(assigned("redis://ten:7000"))
        setup.fleet.add(cast(WatchedTarget, other))
        saw(other, f"10.0.0.1:7000@17000 {MASTER}", f"10.0.0.2:7000@17000 myself,{MASTER}")
        assert await setup.find(NODE) is cast(Any, other)
        assert setup.adopted == set()

    @pytest.mark.parametrize(
        "text", [OTHER, f"{NODE}/1", "rediss://10.0.0.2:7000", "redis://10.0.0.2:7001", "unix:///tmp/s"]
    )
    async def test_no_stranger(self, setup: Setup, text: str) -> None:
        assert await setup.find(text) is None
        assert setup.asked == []

    async def test_no_node_in_handshake_or_of_a_target_that_is_in_no_cluster(self, setup: Setup) -> None:
        saw(setup.seed, "10.0.0.2:7000@17000 handshake - 0 0 0 disconnected")
        assert await setup.find(NODE) is None
        saw(setup.seed, *LINES)
        setup.seed.facts = replace(FACTS, cluster_enabled=False)
        assert await setup.find(NODE) is None

    async def test_by_the_announced_name_where_names_are_listed(self) -> None:
        setup = Setup(hostnames=True)
        setup.addresses["node.example"] = ("10.0.0.2",)
        assert (await setup.target("redis://node.Example:7000")).addresses == ("10.0.0.2",)
        assert await setup.find(NODE) is None
        assert await Setup().find("redis://node.Example:7000") is None

    async def test_or_by_its_address_where_it_announces_no_name(self) -> None:
        setup = Setup(hostnames=True)
        saw(setup.seed, LINES[0], f"10.0.0.3:7000@17000 {MASTER}")
        assert (await setup.target(OTHER)).addr == OTHER

    async def test_of_two_at_one_place_the_node_itself_counts(self, setup: Setup) -> None:
        saw(setup.seed, f"10.0.0.1:7000@17000 {MASTER}", *LINES)
        assert await setup.find(SEED) is cast(Any, setup.seed)

    async def test_the_nodes_of_one_answer_are_looked_through_once(self, setup: Setup) -> None:
        """A cluster may have 1,000, and each of them may be asked for."""
        looks = 0

        class Nodes(tuple[ClusterNode, ...]):
            def __iter__(self) -> Iterator[ClusterNode]:
                nonlocal looks
                looks += 1
                return super().__iter__()

        assert setup.seed.cluster is not None
        setup.seed.cluster = ClusterView(Nodes(setup.seed.cluster.nodes), 1.0)
        for _ in range(3):
            await setup.target(NODE)
            await setup.adoption.follow()
        assert await setup.find(OTHER) is None
        assert looks == 1

    async def test_tls_and_ipv6(self) -> None:
        setup = Setup(seed="rediss://[fd00::1]:7000")
        saw(setup.seed, f"fd00::2:7000@17000 {MASTER}")
        assert (await setup.target("rediss://[FD00::2]:7000")).addr == "rediss://[fd00::2]:7000"

    @pytest.mark.parametrize("host", ["fd00:0:0:0:0:0:0:2", "FD00::0002", "fd00::2"])
    async def test_in_whatever_spelling_the_server_names_it(self, host: str) -> None:
        setup = Setup(seed="redis://[fd00::1]:7000")
        saw(setup.seed, f"{host}:7000@17000 {MASTER}")
        assert (await setup.target(f"redis://[{host}]:7000")).addr == "redis://[fd00::2]:7000"

    async def test_a_node_that_may_not_be_dialled_is_not(self, setup: Setup) -> None:
        setup.refusal = NotAllowedError("see --discover.allow")
        with pytest.raises(NotAllowedError):
            await setup.find(NODE)
        setup.refusal = DnsError("not found")
        with pytest.raises(PageError, match="not found"):
            await setup.find(NODE)
        assert setup.adopted == set()

    async def test_so_many_and_no_more(self, setup: Setup) -> None:
        saw(setup.seed, *LINES, f"10.0.0.3:7000@17000 {MASTER}")
        setup.limits = AdoptionLimits(targets_max=1)
        await setup.target(NODE)
        with pytest.raises(PageError, match="no more"):
            await setup.find(OTHER)
        assert (await setup.target(NODE)).addr == NODE

    async def test_none_whose_seed_is_removed_during_the_look_up(self, setup: Setup) -> None:
        setup.answers.clear()
        finding = asyncio.ensure_future(setup.find(NODE))
        await until(lambda: setup.asked)
        setup.fleet.remove(SEED)
        setup.answers.set()
        with pytest.raises(PageError, match=f"^{SEED}, which names this node, is not configured any longer"):
            await finding
        assert setup.adopted == set()

    async def test_a_resolver_that_does_not_answer_holds_nobody_up(
        self, setup: Setup, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cluster_adoption, "LOOK_UP_S", 0.05)
        setup.answers.clear()
        with pytest.raises(PageError, match=r"no answer of the resolver within 0\.05 s"):
            await setup.find(NODE)

    async def test_a_node_that_is_down_has_its_page_while_its_name_cannot_be_looked_up(self) -> None:
        setup = Setup(hostnames=True)
        setup.addresses["node.example"] = ("10.0.0.2",)
        text = "redis://node.example:7000"
        found = await setup.find(text)
        cast(Any, found).up = False
        setup.refusal = DnsError("not found")
        assert await setup.find(text) is found

    async def test_unless_it_is_gone_when_the_look_up_ends(self) -> None:
        setup = Setup(hostnames=True)
        setup.addresses["node.example"] = ("10.0.0.2",)
        text = "redis://node.example:7000"
        cast(Any, await setup.find(text)).up = False
        setup.refusal = DnsError("not found")
        setup.asked.clear()
        setup.answers.clear()
        finding = asyncio.ensure_future(setup.find(text))
        await until(lambda: setup.asked)
        setup.fleet.forget(text)
        setup.answers.set()
        with pytest.raises(PageError, match="not found"):
            await finding

    async def test_the_name_of_a_node_that_is_down_is_looked_up_again(self) -> None:
        setup = Setup(hostnames=True)
        setup.addresses["node.example"] = ("10.0.0.2",)
        text = "redis://node.example:7000"
        await setup.target(text)
        setup.addresses["node.example"] = ("10.0.0.9",)
        assert (await setup.target(text)).addresses == ("10.0.0.2",)
        cast(Any, setup.fleet.adopted_targets[text]).up = False
        assert (await setup.target(text)).addresses == ("10.0.0.9",)
        assert setup.schedule.changed == [text]


class TestWhoGoes:
    @pytest.fixture(autouse=True)
    def often(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(adopted_module, "CHECK_S", 0.01)

    async def test_one_that_left_its_cluster(self, setup: Setup) -> None:
        await setup.target(NODE)
        saw(setup.seed, LINES[0])
        await until(lambda: setup.adopted == set())
        assert setup.schedule.polled == [SEED]

    async def test_one_whose_seed_is_removed(self, setup: Setup) -> None:
        await setup.target(NODE)
        await setup.fleet.apply([])
        await setup.adoption.follow()
        assert setup.adopted == set()
        assert setup.schedule.polled == []

    async def test_one_that_is_configured_now(self, setup: Setup) -> None:
        await setup.target(NODE)
        await setup.fleet.apply([setup.seed.assignment, assigned(NODE)])
        assert setup.adopted == set()
        assert setup.schedule.polled == [SEED, NODE]
        assert (setup.fleet.find(NODE) or setup.seed).target.addresses == ()
        await setup.adoption.follow()
        assert setup.fleet.watched_targets.keys() == {SEED, NODE}

    async def test_a_request_is_no_reason_to_keep_it_as_a_stranger(self, setup: Setup) -> None:
        stranger = setup.fleet.adopt(assigned(NODE, source="adopted"))
        assert (await setup.target(NODE)).addresses == ("10.0.0.2",)
        assert setup.fleet.adopted_targets[NODE] is not stranger

    async def test_one_that_may_not_be_dialled_any_longer(self, setup: Setup) -> None:
        await setup.target(NODE)
        setup.refusal = NotAllowedError("see --discover.allow")
        await setup.adoption.follow()
        assert setup.adopted == set()

    async def test_others_follow_the_new_login_of_their_seed(self, setup: Setup) -> None:
        await setup.target(NODE)
        await setup.fleet.apply([assigned(SEED, password="new")])
        await setup.adoption.follow()
        assert setup.fleet.adopted_targets[NODE].target.password == "new"
        assert setup.schedule.changed == [SEED, NODE]
        await setup.adoption.follow()
        assert setup.schedule.changed == [SEED, NODE]

    async def test_after_the_end_none_comes(self, setup: Setup) -> None:
        await setup.targets.close()
        with pytest.raises(PageError, match="stopping"):
            await setup.find(NODE)

    async def test_none_whose_look_up_ends_after_the_end(self, setup: Setup) -> None:
        setup.answers.clear()
        finding = asyncio.ensure_future(setup.find(NODE))
        await until(lambda: setup.asked)
        await setup.targets.close()
        setup.answers.set()
        with pytest.raises(PageError, match="stopping"):
            await finding
        assert setup.adopted == set()

    async def test_the_checks_end_with_it(self, setup: Setup) -> None:
        await setup.target(NODE)
        assert len(others()) == 1
        await setup.targets.close()
        assert others() == set()
