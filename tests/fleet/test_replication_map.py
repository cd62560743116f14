"""Who replicates whom, how far behind, and masters that disagree."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from exporter.fleet.replication_map import SHARING_MAX, ReplicationMap
from exporter.polling.memory import TargetMemory
from exporter.targets.address import parse_address
from exporter.telemetry.target_series import TargetSeries

A, B, C = "a" * 40, "b" * 40, "c" * 40
NOBODY = "0" * 40


class FakeWatched:
    """A target that was polled, and counts how often its series were published."""

    def __init__(self, addr: str, peer: str = "") -> None:
        self.target = parse_address(addr)
        self.up: bool | None = True
        self.published = 0
        self.facts = SimpleNamespace(run_id=addr)
        self.state = SimpleNamespace(
            memory=TargetMemory(peer=peer),
            series=TargetSeries(),
            labels=SimpleNamespace(group=""),
            publish=self._publish,
        )

    def _publish(self, now: float) -> None:
        self.published += 1

    def says(self, *lines: str) -> None:
        self.state.memory.replication_section = "\r\n".join(["# Replication", *lines, ""]).encode()

    def masters(self, offset: int, *replicas: str, id: str = A, former: str = NOBODY) -> None:
        self.says(
            "role:master",
            f"connected_slaves:{len(replicas)}",
            *(f"slave{number}:{replica}" for number, replica in enumerate(replicas)),
            f"master_replid:{id}",
            f"master_replid2:{former}",
            f"master_repl_offset:{offset}",
        )

    def replicates(self, offset: int, *replicas: str, id: str = A) -> None:
        self.says(
            "role:slave",
            "master_host:10.0.0.1",
            "master_port:6379",
            f"slave_repl_offset:{offset}",
            f"connected_slaves:{len(replicas)}",
            *(f"slave{number}:{replica}" for number, replica in enumerate(replicas)),
            f"master_replid:{id}",
            f"master_replid2:{NOBODY}",
            f"master_repl_offset:{offset}",
        )

    @property
    def lag(self) -> Any:
        return self.state.series.replica_lag

    @property
    def conflicts(self) -> Any:
        return self.state.series.conflicts


def line(host: str, offset: int, port: int = 6379) -> str:
    return f"ip={host},port={port},state=online,offset={offset},lag=0"


@pytest.fixture
def replication() -> Any:
    return ReplicationMap()


class TestLag:
    def test_it_comes_from_one_reply_of_the_master(self, replication: Any) -> None:
        master, replica = FakeWatched("redis://10.0.0.1"), FakeWatched("redis://10.0.0.2")
        replica.replicates(700)
        replication.note(replica, 0.0)
        master.masters(1000, line("10.0.0.2", 900))
        replication.note(master, 1.0)
        assert replica.lag == (100, None, "master")
        replica.replicates(990)
        replication.note(replica, 2.0)
        assert replica.lag == (100, None, "master")  # and from no other
        assert master.lag is None

    def test_a_replica_is_known_by_the_address_that_its_name_led_to(self, replication: Any) -> None:
        master = FakeWatched("redis://10.0.0.1")
        replica = FakeWatched("redis://replica.example", peer="10.0.0.2")
        replica.replicates(700)
        replication.note(replica, 0.0)
        master.masters(1000, line("10.0.0.2", 900))
        replication.note(master, 1.0)
        assert replica.lag == (100, None, "master")

    def test_seconds_follow_from_the_rate_of_writing(self, replication: Any) -> None:
        master, replica = FakeWatched("redis://10.0.0.1"), FakeWatched("redis://10.0.0.2")
        replica.replicates(0)
        replication.note(replica, 0.0)
        for at in range(0, 60, 5):
            master.masters(1000 + 20 * at, line("10.0.0.2", 1000 + 20 * at - 100))
            replication.note(master, float(at))
        assert replica.lag == (100, pytest.approx(5.0), "master")
        master.masters(5000, line("10.0.0.2", 5000))
        replication.note(master, 60.0)
        assert replica.lag == (0, 0.0, "master")

    def test_without_writes_only_bytes_are_known(self, replication: Any) -> None:
        master, replica = FakeWatched("redis://10.0.0.1"), FakeWatched("redis://10.0.0.2")
        replica.replicates(0)
        replication.note(replica, 0.0)
        for at in (0.0, 5.0):
            master.masters(1000, line("10.0.0.2", 900))
            replication.note(master, at)
        assert replica.lag == (100, None, "master")

    def test_of_a_replica_that_its_master_does_not_list_it_is_an_estimate(self, replication: Any) -> None:
        master, replica = FakeWatched("redis://10.0.0.1"), FakeWatched("redis://10.0.0.2")
        master.masters(1000, line("172.17.0.5", 900))
        replication.note(master, 0.0)
        replica.replicates(950)
        replication.note(replica, 1.0)
        assert replica.lag == (50, None, "estimate")
        replica.replicates(1010)  # it was asked later
        replication.note(replica, 2.0)
        assert replica.lag == (0, 0.0, "estimate")

    def test_a_replica_of_a_replica_is_listed_there(self, replication: Any) -> None:
        master, middle, last = (FakeWatched(f"redis://10.0.0.{number}") for number in (1, 2, 3))
        last.replicates(100)
        replication.note(last, 0.0)
        middle.replicates(800, line("10.0.0.3", 650))
        replication.note(middle, 1.0)
        master.masters(1000, line("10.0.0.2", 900))
        replication.note(master, 2.0)
        assert (middle.lag, last.lag) == ((100, None, "master"), (150, None, "master"))

    def test_of_a_master_that_is_down_nothing_is_known(self, replication: Any) -> None:
        master, replica = FakeWatched("redis://10.0.0.1"), FakeWatched("redis://10.0.0.2")
        master.masters(1000, line("10.0.0.2", 900))
        replica.replicates(900)
        for each in (replica, master):
            replication.note(each, 0.0)
        replication.forget(master.target.key, 1.0)
        assert replica.lag is None
        replica.replicates(901)
        replication.note(replica, 2.0)
        assert replica.lag is None

    def test_an_estimate_comes_back_with_the_master(self, replication: Any) -> None:
        master, replica = FakeWatched("redis://10.0.0.1"), FakeWatched("redis://10.0.0.2")
        replica.replicates(950)
        replication.note(replica, 0.0)
        master.masters(1000, line("172.17.0.5", 900))
        replication.note(master, 1.0)
        assert replica.lag == (50, None, "estimate")

    def test_a_new_master_has_none(self, replication: Any) -> None:
        master, replica = FakeWatched("redis://10.0.0.1"), FakeWatched("redis://10.0.0.2")
        replica.replicates(900)
        replication.note(replica, 0.0)
        master.masters(1000, line("10.0.0.2", 900))
        replication.note(master, 0.0)
        assert replica.lag is not None
        replica.masters(1000, id=B, former=A)
        replication.note(replica, 1.0)
        assert replica.lag is None

    def test_it_is_published_when_it_changes(self, replication: Any) -> None:
        master, replica = FakeWatched("redis://10.0.0.1"), FakeWatched("redis://10.0.0.2")
        replica.replicates(900)
        replication.note(replica, 0.0)
        for _ in range(3):
            master.masters(1000, line("10.0.0.2", 900))
            replication.note(master, 0.0)
        assert replica.published == 1
        assert master.published == 0


class TestConflicts:
    def test_two_masters_with_one_id_name_each_other(self, replication: Any) -> None:
        one, other = FakeWatched("redis://10.0.0.1"), FakeWatched("redis://10.0.0.2")
        for each in (one, other):
            each.masters(5)
            replication.note(each, 0.0)
        assert one.conflicts == (("same", other.target.addr),)
        assert other.conflicts == (("same", one.target.addr),)

    def test_a_promoted_replica_and_the_master_that_it_had(self, replication: Any) -> None:
        old, new = FakeWatched("redis://10.0.0.1"), FakeWatched("redis://10.0.0.2")
        old.masters(1000, line("10.0.0.2", 900))
        new.replicates(900)
        for each in (old, new):
            replication.note(each, 0.0)
        assert old.conflicts == new.conflicts == ()
        new.masters(900, id=B, former=A)
        replication.note(new, 1.0)
        assert old.conflicts == (("former", new.target.addr),)
        assert new.conflicts == (("former", old.target.addr),)
        old.replicates(901, id=B)  # it has learnt of the new one
        replication.note(old, 2.0)
        assert old.conflicts == new.conflicts == ()

    def test_two_that_came_from_one_are_in_no_conflict_with_each_other(self, replication: Any) -> None:
        one, other = FakeWatched("redis://10.0.0.1"), FakeWatched("redis://10.0.0.2")
        one.masters(5, id=B, former=A)
        other.masters(5, id=C, former=A)
        for each in (one, other):
            replication.note(each, 0.0)
        assert one.conflicts == other.conflicts == ()

    def test_one_that_leaves_ends_it(self, replication: Any) -> None:
        one, other = FakeWatched("redis://10.0.0.1"), FakeWatched("redis://10.0.0.2")
        for each in (one, other):
            each.masters(5)
            replication.note(each, 0.0)
        replication.forget(one.target.key, 1.0)
        assert one.conflicts == other.conflicts == ()

    def test_masters_without_an_id_are_in_none(self, replication: Any) -> None:
        one, other = FakeWatched("redis://10.0.0.1"), FakeWatched("redis://10.0.0.2")
        for each in (one, other):
            each.says("role:master", "connected_slaves:0")  # Redis 2.8
            replication.note(each, 0.0)
        assert one.conflicts == other.conflicts == ()


def test_nothing_is_left_of_what_is_forgotten(replication: Any) -> None:
    members = [FakeWatched(f"redis://10.0.0.{number}") for number in (1, 2, 3)]
    members[0].masters(1000, line("10.0.0.2", 900))
    members[1].replicates(900)
    members[2].masters(1, id=B, former=A)
    for each in members:
        replication.note(each, 0.0)
    assert len(replication) == 3
    for each in members:
        replication.forget(each.target.addr, 1.0)
        replication.forget(each.target.addr, 1.0)
    assert len(replication) == 0
    assert replication._by_id == {}


def test_a_target_that_says_nothing_is_no_member(replication: Any) -> None:
    sentinel = FakeWatched("redis://10.0.0.9")
    replication.note(sentinel, 0.0)
    assert len(replication) == 0


class TestManyOfOneId:
    def test_databases_of_one_server_are_in_no_conflict(self, replication: Any) -> None:
        one, other = FakeWatched("redis://10.0.0.1/0"), FakeWatched("redis://10.0.0.1/1")
        one.facts.run_id = other.facts.run_id = "r" * 40
        for each in (one, other):
            each.masters(1)
            replication.note(each, 0.0)
        assert one.conflicts == other.conflicts == ()

    def test_an_id_that_very_many_share_costs_nothing(self, replication: Any) -> None:
        """As a server behind thousands of names has it: to compare all with all would stop the loop."""
        targets = [FakeWatched(f"redis://10.0.{number // 250}.{number % 250}") for number in range(3000)]
        for each in targets:
            each.masters(1)
            replication.note(each, 0.0)
        assert targets[-1].conflicts == ()
        assert sum(each.published for each in targets) < SHARING_MAX**2
