"""Which seeds belong together, and what they name."""

from __future__ import annotations

import pytest

from exporter.fleet import seed_groups
from exporter.fleet.seed_groups import SeedGroup, join, read_cluster, read_others
from exporter.fleet.slices import Slices
from exporter.polling.watched_target import WatchedTarget
from exporter.protocol.neighbours import NamedServer, Neighbours
from tests.fleet.named import Naming, node


async def words(watched: WatchedTarget) -> Neighbours | None:
    if watched.cluster is None:
        return None
    return await read_cluster(watched.cluster, Slices(), hostnames=False)


async def grouped(*seeds: Naming) -> list[SeedGroup]:
    return await join([each.watched for each in seeds], words, Slices())


def addresses(group: SeedGroup) -> list[str]:
    return [each.target.addr for each in group.seeds]


def cluster_of(*hosts: int) -> list[str]:
    return [node(f"id{host}", f"10.0.0.{host}:7000") for host in hosts]


class TestTogether:
    async def test_seeds_that_name_the_same_server(self) -> None:
        one, other = Naming("10.0.0.1:7000", "cluster"), Naming("10.0.0.9:7000", "cluster")
        one.sees_nodes(*cluster_of(1, 2))
        other.sees_nodes(*cluster_of(9, 2))
        [group] = await grouped(one, other)
        assert addresses(group) == ["redis://10.0.0.1:7000", "redis://10.0.0.9:7000"]

    async def test_a_seed_that_says_nothing_belongs_where_it_is_named(self) -> None:
        dead, alive = Naming("10.0.0.1:7000", "cluster"), Naming("10.0.0.2:7000", "cluster")
        dead.up = False
        alive.sees_nodes(*cluster_of(1, 2))
        [group] = await grouped(dead, alive)
        assert addresses(group)[0] == "redis://10.0.0.1:7000"
        assert len(group.views) == 1

    async def test_a_seed_with_a_name_is_known_by_its_connection(self) -> None:
        named, other = Naming("seed.example:7000", "cluster"), Naming("10.0.0.2:7000", "cluster")
        named.connect("10.0.0.1")
        other.sees_nodes(*cluster_of(1, 2))
        assert len(await grouped(named, other)) == 1

    async def test_a_third_one_joins_two_groups(self) -> None:
        one, two, both = (Naming(f"10.0.0.{n}:7000", "cluster") for n in (1, 2, 3))
        one.sees_nodes(*cluster_of(1))
        two.sees_nodes(*cluster_of(2))
        both.sees_nodes(*cluster_of(3, 2, 1))
        [group] = await grouped(one, two, both)
        assert addresses(group)[0] == "redis://10.0.0.1:7000"
        assert len(group.seeds) == len(group.views) == 3

    async def test_not_those_of_two_clusters_nor_of_two_kinds(self) -> None:
        one, two = Naming("10.0.0.1:7000", "cluster"), Naming("10.0.0.2:7000", "cluster")
        replicas = Naming("10.0.0.3:7000", "replicas")
        one.sees_nodes(*cluster_of(1, 4))
        two.sees_nodes(*cluster_of(2, 5))
        replicas.sees_nodes(*cluster_of(4))
        assert len(await grouped(one, two, replicas)) == 3

    async def test_of_many_seeds_of_one_cluster_only_some_are_listened_to(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(seed_groups, "VIEWS_MAX", 2)
        seeds = [Naming(f"10.0.0.{n}:7000", "cluster") for n in range(1, 6)]
        for seed in seeds:
            seed.sees_nodes(*cluster_of(1, 2, 3, 4, 5))
        [group] = await grouped(*seeds)
        assert (len(group.seeds), len(group.views), group.is_full) == (5, 2, True)


class TestName:
    @pytest.mark.parametrize(
        ("mode", "alias", "of_group", "name"),
        [
            ("cluster", "", "", "10.0.0.1:7000"),
            ("cluster", "orders-1", "", "orders-1"),
            ("cluster", "orders-1", "orders", "orders"),
            ("sentinel", "", "orders", "orders"),
            ("replicas", "", "caches", "10.0.0.1:7000"),
            ("replicas", "sessions", "caches", "sessions"),
        ],
    )
    async def test_it_follows_from_the_configuration(
        self, mode: str, alias: str, of_group: str, name: str
    ) -> None:
        seed = Naming("10.0.0.1:7000", mode, alias=alias, settings_group=of_group)
        [group] = await grouped(seed)
        assert group.name == name


class TestWords:
    async def test_members_of_a_cluster(self) -> None:
        seed = Naming("10.0.0.1:7000", "cluster")
        seed.sees_nodes(
            node("a", "10.0.0.1:7000", myself=True, name="one.example"),
            node("b", ":0", flags="noaddr"),
            node("c", "10.0.0.3:7000", flags="handshake"),
            at=5.0,
        )
        assert seed.cluster is not None
        said = await read_cluster(seed.cluster, Slices(), hostnames=False)
        assert said == Neighbours((NamedServer("10.0.0.1", 7000, "master", "a"),), 5.0, "a")
        named = await read_cluster(seed.cluster, Slices(), hostnames=True)
        assert named.servers[0].host == "one.example"

    def test_a_sentinel_and_what_it_watches(self) -> None:
        seed = Naming("10.0.0.1:26379", "sentinel")
        assert read_others(seed.watched) is None
        master = NamedServer("10.0.0.5", 6379, "master", master_name="m")
        seed.sees_masters(master)
        seed.runs("sentinel")
        said = read_others(seed.watched)
        assert said is not None
        assert said.servers == (NamedServer("10.0.0.1", 26379, "sentinel"), master)

    def test_a_master_and_its_replicas(self) -> None:
        seed = Naming("10.0.0.1:6379", "replicas")
        assert read_others(seed.watched) is None
        seed.replicates("10.0.0.2:6379")
        said = read_others(seed.watched)
        assert said is not None
        assert said.servers == (
            NamedServer("10.0.0.1", 6379, "master"),
            NamedServer("10.0.0.2", 6379, "slave"),
        )

    def test_a_found_target_does_not_name_itself(self) -> None:
        found = Naming("10.0.0.2:6379", "replicas", source="discovered")
        found.replicates(master="10.0.0.1:6379")
        assert read_others(found.watched) == Neighbours((NamedServer("10.0.0.1", 6379),))
