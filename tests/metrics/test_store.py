"""The store: which snapshot stands, what may be served of it, and when that changed."""

from __future__ import annotations

import struct

import pytest

from exporter import engine
from exporter.metrics.lane import Lane
from exporter.metrics.store import LaneTimes, Snapshot, Store

BLOCK = engine.Block(b"up 1\n", struct.pack("=2i", 0, 5), 1, 0, ())
ONE, OTHER = "redis://one:6379", "redis://other:6379"


def snapshot(
    addr: str = ONE, family_set: str = "info", *, began_at: float = 1.0, expires_at: float = 100.0
) -> Snapshot:
    return Snapshot(addr, family_set, Lane.FAST, BLOCK, LaneTimes(began_at, expires_at))


def visible_of(store: Store, *addrs: str) -> list[Snapshot]:
    """What pages show of these targets, or of all."""
    found = store.snapshots("info", addrs or list(store.addrs()))
    return [each for each in found if each is not None]


@pytest.fixture
def store() -> Store:
    return Store(("info", "stats"))


class TestPut:
    def test_what_was_put_is_there(self, store: Store) -> None:
        kept = snapshot()
        assert store.put(kept)
        assert store.get(ONE, "info") is kept
        assert store.visible(ONE, "info") is kept
        assert visible_of(store) == [kept]

    def test_each_target_and_family_set_has_its_own(self, store: Store) -> None:
        kept = [snapshot(), snapshot(family_set="stats"), snapshot(OTHER)]
        for each in kept:
            store.put(each)
        assert [store.get(ONE, "info"), store.get(ONE, "stats"), store.get(OTHER, "info")] == kept
        assert store.get(OTHER, "stats") is None

    def test_a_later_poll_takes_the_place(self, store: Store) -> None:
        store.put(snapshot(began_at=1))
        later = snapshot(began_at=2)
        assert store.put(later)
        assert visible_of(store) == [later]

    def test_a_poll_that_began_before_the_stored_one_is_refused(self, store: Store) -> None:
        stored = snapshot(began_at=2)
        store.put(stored)
        generation = store.generation
        assert not store.put(snapshot(began_at=1))
        assert store.get(ONE, "info") is stored
        assert store.generation == generation

    def test_the_same_poll_may_tell_more(self, store: Store) -> None:
        store.put(snapshot(began_at=2))
        more = snapshot(began_at=2)
        assert store.put(more)
        assert store.get(ONE, "info") is more

    def test_targets_stay_in_the_order_they_came(self, store: Store) -> None:
        for addr in (OTHER, ONE, OTHER):
            store.put(snapshot(addr))
        assert [each.addr for each in visible_of(store)] == [OTHER, ONE]


class TestExpire:
    def test_at_its_time_and_once(self, store: Store) -> None:
        kept = snapshot(expires_at=100)
        store.put(kept)
        assert store.expire(99.9) == []
        assert not store.expired(ONE, "info")
        assert store.expire(100.0) == [kept]
        assert store.expired(ONE, "info")
        assert store.expire(101.0) == []

    def test_concerns_its_own_target_and_family_set_only(self, store: Store) -> None:
        for each in (snapshot(expires_at=10), snapshot(family_set="stats"), snapshot(OTHER)):
            store.put(each)
        assert [(each.addr, each.family_set) for each in store.expire(50)] == [(ONE, "info")]
        assert store.visible(ONE, "stats") is not None
        assert [each.addr for each in visible_of(store)] == [OTHER]

    @pytest.mark.parametrize(("policy", "served"), [("drop", False), ("fail", False), ("serve", True)])
    def test_the_policy_says_whether_it_is_still_served(self, policy: str, served: bool) -> None:
        store = Store(("info",), policy)
        kept = snapshot(expires_at=10)
        store.put(kept)
        store.expire(10)
        assert store.visible(ONE, "info") is (kept if served else None)
        assert visible_of(store) == ([kept] if served else [])
        assert store.get(ONE, "info") is kept

    def test_a_new_snapshot_is_served_again(self, store: Store) -> None:
        store.put(snapshot(expires_at=10))
        store.expire(10)
        store.put(snapshot(began_at=2, expires_at=20))
        assert not store.expired(ONE, "info")
        assert store.visible(ONE, "info") is not None
        assert store.expire(15) == []
        assert len(store.expire(20)) == 1

    def test_one_that_came_too_late_leaves_it_expired(self, store: Store) -> None:
        store.put(snapshot(began_at=2, expires_at=10))
        store.expire(10)
        store.put(snapshot(began_at=1, expires_at=50))
        assert store.expired(ONE, "info")


class TestDrop:
    def test_nothing_is_left_of_the_target(self, store: Store) -> None:
        for each in (snapshot(expires_at=10), snapshot(family_set="stats"), snapshot(OTHER)):
            store.put(each)
        store.expire(10)
        store.drop(ONE)
        assert store.get(ONE, "info") is store.get(ONE, "stats") is None
        assert not store.expired(ONE, "info")
        assert [each.addr for each in visible_of(store)] == [OTHER]

    def test_one_family_set_of_a_target_may_go_alone(self, store: Store) -> None:
        for each in (snapshot(expires_at=10), snapshot(family_set="stats"), snapshot(OTHER)):
            store.put(each)
        store.expire(10)
        generation, membership = store.generation, store.membership
        store.withdraw(ONE, "info")
        assert store.get(ONE, "info") is None
        assert not store.expired(ONE, "info")
        assert store.get(ONE, "stats") is not None
        assert store.get(OTHER, "info") is not None
        assert store.generation > generation
        assert store.membership > membership
        store.withdraw(ONE, "info")
        store.withdraw(ONE, "closed")

    def test_one_that_comes_back_is_as_new(self, store: Store) -> None:
        store.put(snapshot(began_at=5, expires_at=10))
        store.expire(10)
        store.drop(ONE)
        assert store.put(snapshot(began_at=1))
        assert store.visible(ONE, "info") is not None


class TestSetApart:
    def test_it_is_there_only_for_those_who_name_it(self, store: Store) -> None:
        store.set_apart(OTHER)
        kept, apart = snapshot(), snapshot(OTHER)
        store.put(kept)
        store.put(apart)
        assert visible_of(store) == [kept]
        assert list(store.addrs()) == [ONE]
        assert visible_of(store, OTHER) == [apart]
        assert store.visible(OTHER, "info") is apart

    def test_until_it_is_shown(self, store: Store) -> None:
        store.set_apart(OTHER)
        apart = snapshot(OTHER)
        store.put(apart)
        membership = store.membership
        store.set_apart(OTHER, apart=False)
        assert visible_of(store) == [apart]
        assert store.membership > membership

    def test_one_that_was_dropped_may_come_back_among_the_others(self, store: Store) -> None:
        store.set_apart(OTHER)
        store.put(snapshot(OTHER))
        store.drop(OTHER)
        again = snapshot(OTHER)
        store.put(again)
        assert visible_of(store) == [again]

    def test_one_may_be_set_apart_later_and_come_back(self, store: Store) -> None:
        shown = snapshot()
        store.put(shown)
        before = store.membership, store.generation
        store.set_apart(ONE)
        assert visible_of(store) == []
        assert (store.membership > before[0], store.generation > before[1]) == (True, True)
        before = store.membership, store.generation
        store.set_apart(ONE)
        assert (store.membership, store.generation) == before
        store.set_apart(ONE, apart=False)
        assert visible_of(store) == [shown]


class TestGeneration:
    def test_grows_with_every_change_of_what_may_be_served(self, store: Store) -> None:
        seen = [store.generation]
        for change in (
            lambda: store.put(snapshot(expires_at=10)),
            lambda: store.put(snapshot(expires_at=10)),
            lambda: store.expire(10),
            lambda: store.drop(ONE),
        ):
            change()
            seen.append(store.generation)
        assert seen == sorted(set(seen))

    def test_stands_still_where_nothing_changed(self, store: Store) -> None:
        store.put(snapshot())
        before = store.generation
        store.expire(1)
        store.drop(OTHER)
        store.get(ONE, "info")
        assert store.generation == before


class TestFamilySets:
    def test_those_that_are_open_are_known(self, store: Store) -> None:
        store.open("slowlog")
        store.close("stats")
        assert store.family_sets == ("info", "slowlog")

    def test_one_that_is_opened_takes_snapshots(self, store: Store) -> None:
        assert not store.put(snapshot(family_set="slowlog"))
        store.open("slowlog")
        assert store.put(snapshot(family_set="slowlog"))
        assert store.visible(ONE, "slowlog") is not None

    def test_opening_an_open_one_changes_nothing(self, store: Store) -> None:
        store.put(snapshot())
        before = store.generation, store.membership
        store.open("info")
        assert store.visible(ONE, "info") is not None
        assert (store.generation, store.membership) == before

    def test_nothing_is_left_of_one_that_is_closed(self, store: Store) -> None:
        for each in (snapshot(expires_at=10), snapshot(OTHER, expires_at=10), snapshot(family_set="stats")):
            store.put(each)
        store.expire(10)
        store.close("info")
        assert store.get(ONE, "info") is store.visible(OTHER, "info") is None
        assert visible_of(store) == visible_of(store, ONE) == []
        assert not store.expired(ONE, "info")
        assert list(store.addrs()) == [ONE]
        assert store.expire(1000) == [store.get(ONE, "stats")]

    def test_a_poll_that_ends_after_its_set_was_closed_is_refused(self, store: Store) -> None:
        store.close("info")
        generation = store.generation
        assert not store.put(snapshot())
        assert store.generation == generation
        store.open("info")
        assert list(store.addrs()) == []

    def test_one_that_is_opened_again_is_empty_and_takes_any_poll(self, store: Store) -> None:
        store.put(snapshot(began_at=5, expires_at=10))
        store.expire(10)
        store.close("info")
        store.open("info")
        assert store.get(ONE, "info") is None
        assert store.put(snapshot(began_at=1))
        assert store.visible(ONE, "info") is not None

    @pytest.mark.parametrize("change", ["open", "close"])
    def test_pages_are_outdated_by_each_change(self, store: Store, change: str) -> None:
        store.put(snapshot())
        before = store.generation, store.membership
        store.open("slowlog") if change == "open" else store.close("info")
        assert store.generation > before[0]
        assert store.membership > before[1]

    def test_closing_one_that_is_closed_changes_nothing(self, store: Store) -> None:
        before = store.generation, store.membership
        store.close("slowlog")
        assert (store.generation, store.membership) == before
