"""Which targets a shard owns: evenly many, the same on every machine, and few that move when a shard is
added."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from exporter.errors import ConfigError
from exporter.options.commandline import parse
from exporter.targets.address import parse_address
from exporter.targets.shard import Shard, divide, jump_hash, owner, shard_of
from exporter.targets.spread import spread
from exporter.targets.target import Target

ADDRS = [f"redis://cache-{number:05}.example.internal:6379" for number in range(20_000)]


def chosen(*flags: str) -> Shard | None:
    return shard_of(parse(flags, {}).targets)


@pytest.mark.parametrize(
    ("key", "buckets", "bucket"),
    [(1, 1, 0), (42, 57, 43), (0xDEAD10CC, 1, 0), (0xDEAD10CC, 666, 361), (256, 1024, 520)],
)
def test_the_hash_is_the_one_of_the_paper(key: int, buckets: int, bucket: int) -> None:
    """Values that its other implementations are tested with."""
    assert jump_hash(key, buckets) == bucket


class TestOwner:
    @pytest.mark.parametrize("total", [1, 2, 3, 10, 40])
    def test_all_shards_own_about_equally_many(self, total: int) -> None:
        counts = Counter(owner(addr, total) for addr in ADDRS)
        mean = len(ADDRS) / total
        assert counts.keys() == set(range(total))
        assert all(abs(count - mean) < 5 * mean**0.5 + 1 for count in counts.values())

    @pytest.mark.parametrize("total", [1, 2, 3, 10, 39])
    def test_one_more_shard_takes_its_share_and_moves_nothing_else(self, total: int) -> None:
        moved = [addr for addr in ADDRS if owner(addr, total) != owner(addr, total + 1)]
        assert {owner(addr, total + 1) for addr in moved} == {total}
        assert len(moved) / len(ADDRS) == pytest.approx(1 / (total + 1), rel=0.2)

    def test_it_is_the_same_for_ever(self) -> None:
        """A changed number moves targets between shards that run different versions."""
        assert [owner(f"redis://10.0.0.{number}:6379", 5) for number in range(10)] == [
            4,
            1,
            3,
            1,
            0,
            1,
            2,
            0,
            3,
            1,
        ]

    def test_the_targets_of_a_shard_are_in_all_time_slots(self) -> None:
        owned = [addr for addr in ADDRS if owner(addr, 10) == 3]
        slots = Counter(spread(addr, "time slot") % 10 for addr in owned)
        assert len(slots) == 10
        assert max(slots.values()) < 1.5 * min(slots.values())


class TestOptions:
    def test_without_an_index_there_is_no_shard(self) -> None:
        assert chosen() is None

    def test_an_index_and_a_total(self) -> None:
        assert chosen("--shard.index=1", "--shard.total=3") == Shard(1, 3)

    def test_one_shard_is_a_shard(self) -> None:
        assert chosen("--shard.index=0") == Shard(0, 1)

    @pytest.mark.parametrize(
        ("name", "index"), [("redpoll-0", 0), ("my-redpoll-12", 12), ("redpoll-3.redpoll.monitoring.svc", 3)]
    )
    def test_auto_is_the_number_of_the_pod(
        self, name: str, index: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HOSTNAME", name)
        assert chosen("--shard.index=auto", "--shard.total=20") == Shard(index, 20)

    def test_auto_needs_a_number(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOSTNAME", "redpoll")
        with pytest.raises(
            ConfigError, match=r"the host name redpoll does not end in a number.*write the index"
        ):
            chosen("--shard.index=auto", "--shard.total=3")

    def test_without_the_variable_the_system_is_asked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("HOSTNAME", raising=False)
        monkeypatch.setattr("socket.gethostname", lambda: "redpoll-2")
        assert chosen("--shard.index=auto", "--shard.total=3") == Shard(2, 3)

    @pytest.mark.parametrize(
        ("flags", "words"),
        [
            (
                ["--shard.total=3"],
                r"--shard.total=3 needs .* write --shard.index=0 to 2, or --shard.index=auto",
            ),
            (
                ["--shard.index=3", "--shard.total=3"],
                "--shard.index=3: .* the last one is 2.* --shard.total=4",
            ),
            (
                ["--shard.index=auto", "--shard.total=2"],
                "--shard.index=auto is 7, by the host name redpoll-7: .* the last one is 1",
            ),
        ],
    )
    def test_a_shard_that_is_none_is_refused(
        self, flags: list[str], words: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HOSTNAME", "redpoll-7")
        with pytest.raises(ConfigError, match=words):
            chosen(*flags)


TARGETS = [parse_address(f"redis://10.0.0.{number}:6379") for number in range(50)]


class TestDivision:
    def test_without_a_shard_all_targets_are_owned(self) -> None:
        division = divide(TARGETS, None)
        assert division.polled == TARGETS
        assert division.other_owner("redis://10.0.0.1") is None

    def test_each_target_has_one_owner(self) -> None:
        owned = [target for index in range(3) for target in divide(TARGETS, Shard(index, 3)).polled]
        assert sorted(target.addr for target in owned) == sorted(target.addr for target in TARGETS)

    def test_the_owner_is_known_by_any_spelling(self) -> None:
        target = TARGETS[0]
        mine = owner(target.addr, 3)
        other = divide(TARGETS, Shard((mine + 1) % 3, 3))
        for text in ("redis://10.0.0.0:6379", "10.0.0.0", "redis://user:secret@10.0.0.0:6379/0"):
            assert other.other_owner(text) == mine
            assert divide(TARGETS, Shard(mine, 3)).other_owner(text) is None

    def test_and_by_the_alias_even_if_that_could_be_an_address(self) -> None:
        named = Target("redis://10.0.0.1:6379", "redis", "10.0.0.1", 6379, "", 0, alias="orders")
        mine = owner(named.addr, 3)
        assert divide([named], Shard((mine + 1) % 3, 3)).other_owner("orders") == mine

    def test_what_is_no_address_has_no_owner(self) -> None:
        assert divide(TARGETS, Shard(0, 3)).other_owner("http://here") is None

    def test_seeds_of_discovery_are_polled_by_every_shard(self) -> None:
        seeds = [replace(target, discover="cluster") for target in TARGETS]
        division = divide(seeds, Shard(0, 3))
        assert [target.addr for target in division.polled] == [target.addr for target in seeds]
        assert all(target.elsewhere == (owner(target.addr, 3) != 0) for target in division.polled)
        assert division.seeds_elsewhere == sum(owner(target.addr, 3) != 0 for target in seeds)

    def test_nodes_are_not(self) -> None:
        nodes = [replace(each, discover="cluster", source="discovered") for each in TARGETS]
        division = divide(nodes, Shard(0, 3))
        assert {target.addr for target in division.polled} == {
            target.addr for target in nodes if owner(target.addr, 3) == 0
        }
        assert not any(target.elsewhere for target in division.polled)
