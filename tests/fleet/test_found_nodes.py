"""Found servers: where they may be dialled, whose login they get, how long they stay."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Any

import pytest

from exporter.errors import DnsError, NotAllowedError
from exporter.fleet import found_nodes
from exporter.fleet.configured_servers import ConfiguredServers
from exporter.fleet.found_nodes import Finder, FoundNodes, Naming
from exporter.fleet.slices import Slices
from exporter.options.overrides import overrides_of
from exporter.protocol.neighbours import NamedServer
from exporter.targets.target import NodeFacts, Target
from tests.fleet import named

SEED, ONE, TWO = "redis://10.0.0.1:7000", "redis://10.0.0.2:7000", "redis://10.0.0.3:7000"
LABELS = ("cluster", "shard", "node_id", "master_name")


class Setup:
    def __init__(self) -> None:
        self.nodes = FoundNodes(self._finder_for)
        self.seed = named.Naming(SEED, "cluster", user="u", password="p")
        self.found: dict[str, named.Naming] = {}
        self.asked: list[tuple[str, str, int]] = []
        self.lookups = 0
        self.failure: Exception | None = None
        self.seed_failure: Exception | None = None
        self.addresses: dict[str, tuple[str, ...]] = {}

    async def _finder_for(self, seed: Target) -> Finder:
        self.lookups += 1
        if self.seed_failure is not None:
            raise self.seed_failure

        async def find(host: str, port: int) -> tuple[str, ...]:
            self.asked.append((seed.addr, host, port))
            await asyncio.sleep(0)
            if self.failure is not None:
                raise self.failure
            return self.addresses.get(host, (host,))

        return find

    async def name(
        self,
        *servers: NamedServer,
        configured: Iterable[named.Naming] = (),
        grace_s: float = 300.0,
        shown: tuple[str, ...] = LABELS,
    ) -> dict[str, Target]:
        """The targets after a turn in which the seed names these servers."""
        naming = {
            f"redis://{server.host}:{server.port}": Naming(server, self.seed.watched, 1.0, "c", "s")
            for server in servers
        }
        known = ConfiguredServers()
        for each in configured:
            known.add(each.watched)
        found = {addr: each.watched for addr, each in self.found.items()}
        await self.nodes.update(naming, found, known, Slices())
        seeds = {SEED: self.seed.watched}
        self.nodes.forget(seeds, grace_s)
        everybody = {**seeds, **found, **{each.target.addr: each.watched for each in configured}}
        return {each.addr: each for each in await self.nodes.targets(everybody, shown, Slices())}

    def poll(self, addr: str, **facts: str) -> named.Naming:
        """A found target was polled."""
        polled = self.found.setdefault(addr, named.Naming(addr, source="discovered"))
        polled.runs(facts.get("role", "master"), facts.get("run_id", ""))
        return polled


def server(host: int | str, **more: Any) -> NamedServer:
    return NamedServer(f"10.0.0.{host}" if isinstance(host, int) else host, 7000, **more)


@pytest.fixture
def setup() -> Setup:
    return Setup()


class TestWhoComes:
    async def test_a_named_server_is_a_target_with_the_login_of_its_seed(self, setup: Setup) -> None:
        target = (await setup.name(server(2, id="a", role="slave", master_name="m")))[ONE]
        assert (target.user, target.password, target.addresses) == ("u", "p", ("10.0.0.2",))
        assert target.source == "discovered"
        assert target.node == NodeFacts("c", "s", "", "a", "m", LABELS)
        assert target.node is not None
        assert target.node.labels == (
            ("cluster", "c"),
            ("shard", "s"),
            ("node_id", "a"),
            ("master_name", "m"),
        )

    async def test_where_it_may_be_dialled_is_asked_once(self, setup: Setup) -> None:
        for _ in range(3):
            await setup.name(server(2), server(3))
        assert setup.asked == [(SEED, "10.0.0.2", 7000), (SEED, "10.0.0.3", 7000)]
        assert setup.lookups == 1

    async def test_and_again_under_other_settings_of_all_or_of_its_seed(self, setup: Setup) -> None:
        await setup.name(server(2))
        setup.nodes.admit_again()
        await setup.name(server(2))
        setup.seed = named.Naming(SEED, "cluster", password="other")
        assert (await setup.name(server(2)))[ONE].password == "other"
        assert len(setup.asked) == 3

    async def test_one_that_may_not_be_dialled_is_none_of_them(self, setup: Setup) -> None:
        await setup.name(server(2))
        setup.nodes.admit_again()
        setup.failure = NotAllowedError("not there")
        assert await setup.name(server(2), server(3)) == {}

    async def test_of_several_names_of_one_server_one_counts(self, setup: Setup) -> None:
        setup.addresses = dict.fromkeys(("a.example", "b.example"), ("10.0.0.2",))
        names = server("a.example"), server("b.example")
        assert list(await setup.name(*names)) == ["redis://a.example:7000"]
        assert list(await setup.name(*names, server(2))) == [ONE]  # an address before names
        setup.addresses["b.example"] = ("10.0.0.3",)  # the name leads elsewhere now
        assert list(await setup.name(*names, server(2))) == ["redis://b.example:7000", ONE]

    async def test_a_name_that_leads_to_several_servers_hides_none_of_them(self, setup: Setup) -> None:
        setup.addresses["all.example"] = ("10.0.0.2", "10.0.0.3")
        assert list(await setup.name(server("all.example"), server(2), server(3))) == [ONE, TWO]

    async def test_a_name_that_cannot_be_looked_up_comes_later(self, setup: Setup) -> None:
        setup.failure = DnsError("no answer")
        assert await setup.name(server("node.example")) == {}
        setup.failure = None
        setup.addresses["node.example"] = ("10.0.0.2",)
        [target] = (await setup.name(server("node.example"))).values()
        assert target.addresses == ("10.0.0.2",)

    async def test_the_name_of_one_that_is_down_is_looked_up_again(self, setup: Setup) -> None:
        setup.addresses["node.example"] = ("10.0.0.2",)
        await setup.name(server("node.example"))
        addr = "redis://node.example:7000"
        setup.poll(addr).up = False
        setup.addresses["node.example"] = ("10.0.0.9",)
        assert (await setup.name(server("node.example")))[addr].addresses == ("10.0.0.9",)
        setup.failure = DnsError("no answer")
        assert (await setup.name(server("node.example")))[addr].addresses == ("10.0.0.9",)

    async def test_while_the_name_of_the_seed_hangs_the_known_ones_stay(self, setup: Setup) -> None:
        await setup.name(server(2))
        setup.seed = named.Naming(SEED, "cluster", password="other")
        setup.seed_failure = DnsError("no answer")
        assert (await setup.name(server(2), server(3))).keys() == {ONE}

    async def test_unless_what_is_allowed_may_have_changed(self, setup: Setup) -> None:
        await setup.name(server(2))
        setup.seed = named.Naming(SEED, "cluster", overrides=overrides_of([("discover.allow", None)]))
        setup.seed_failure = DnsError("no answer")
        assert await setup.name(server(2)) == {}

    async def test_so_many_and_no_more(
        self, setup: Setup, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(found_nodes, "NODES_MAX", 1)
        for _ in range(2):
            assert (await setup.name(server(2), server(3))).keys() == {ONE}
        assert [record.getMessage() for record in caplog.records] == [
            "1 nodes are discovered: no more are polled"
        ]


class TestConfigured:
    async def test_one_that_is_configured_is_that_target(self, setup: Setup) -> None:
        configured = named.Naming("redis://named.example:7000", alias="mine", password="own")
        configured.connect("10.0.0.2")
        targets = await setup.name(server(2, id="a"), configured=[configured])
        target = targets["redis://named.example:7000"]
        assert (len(targets), target.alias, target.password) == (1, "mine", "own")
        assert target.node is not None
        assert target.node.node_id == "a"
        assert setup.asked == []

    async def test_it_is_recognised_by_the_run_of_the_server_once_it_was_polled(self, setup: Setup) -> None:
        tunnel = named.Naming("redis://tunnel:1")
        tunnel.runs("master", run_id="r1")
        assert ONE in await setup.name(server(2), configured=[tunnel])
        setup.poll(ONE, run_id="r1")
        assert (await setup.name(server(2), configured=[tunnel])).keys() == {"redis://tunnel:1"}
        setup.found.clear()  # it is polled no longer
        assert (await setup.name(server(2), configured=[tunnel])).keys() == {"redis://tunnel:1"}
        tunnel.runs("master", run_id="r2")  # the tunnel leads elsewhere
        assert (await setup.name(server(2), configured=[tunnel])).keys() == {ONE}


class TestWhoGoes:
    async def test_one_that_nobody_names_stays_for_the_grace_time(
        self, setup: Setup, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: now)
        await setup.name(server(2), server(3))
        now += 299
        assert (await setup.name(server(2))).keys() == {ONE, TWO}
        now += 2
        assert (await setup.name(server(2))).keys() == {ONE}

    async def test_at_once_if_the_node_is_elsewhere(self, setup: Setup) -> None:
        await setup.name(server(2, id="a"))
        assert (await setup.name(server(3, id="a"))).keys() == {TWO}

    async def test_or_if_its_seed_is_gone(self, setup: Setup) -> None:
        await setup.name(server(2))
        setup.nodes.forget({}, 300)
        assert await setup.nodes.targets({}, LABELS, Slices()) == []

    async def test_all_at_once(self, setup: Setup) -> None:
        await setup.name(server(2))
        setup.nodes.clear()
        assert await setup.nodes.targets({SEED: setup.seed.watched}, LABELS, Slices()) == []


class TestRoles:
    async def test_as_others_say_until_the_server_says_it_itself(self, setup: Setup) -> None:
        await setup.name(server(2, role="slave"))
        assert setup.nodes.roles == {ONE: "slave"}
        polled = setup.poll(ONE, role="master")
        await setup.name(server(2, role="slave"))
        assert setup.nodes.roles == {ONE: "master"}
        polled.up = False
        await setup.name(server(2, role="slave"))
        assert setup.nodes.roles == {ONE: "slave"}

    async def test_it_is_part_of_the_target_only_where_it_is_shown(self, setup: Setup) -> None:
        before = await setup.name(server(2, role="slave"))
        assert await setup.name(server(2, role="master")) == before
        shown = await setup.name(server(2, role="master"), shown=("role", "cluster"))
        node = shown[ONE].node
        assert node is not None
        assert node.labels == (("role", "master"), ("cluster", "c"))
