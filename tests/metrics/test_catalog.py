"""Families as the options make them: numbered, named, hidden, and under which labels a target's series
stand."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from exporter import engine
from exporter.collectors._enabled import enable
from exporter.collectors._registry import REGISTRY
from exporter.errors import InternalError
from exporter.metrics.catalog import Catalog, header
from exporter.metrics.family import Family, Field, NameSet, Pattern, Record, Transform, counter, gauge
from exporter.metrics.family_set import FamilySet, make_family_set
from exporter.metrics.lane import Lane
from exporter.metrics.runtime_families import FAMILIES_MAX, LABELS_MAX
from tests.store_fixture import page_of

CLIENTS = gauge("clients", "Clients.", Field("connected_clients", also=("clients",)))
ROLE = gauge(
    "info",
    "What it is.",
    Field("version", Transform.ONE, labels=(("role", "role"), ("fork", "fork")), optional=("fork",)),
)
CALLS = counter("calls_total", "Calls.", Record(Pattern("cmdstat_", "cmd", first="calls="), "calls"))


def family_set(
    *families: Family, name: str = "info", lane: Lane = Lane.FAST, namespace: str = "redis", **more: Any
) -> FamilySet:
    return make_family_set(name, lane, families, namespace=namespace, **more)


class TestHeader:
    def test_of_the_fast_lane(self) -> None:
        assert (
            header(b"redis_clients", CLIENTS, Lane.FAST)
            == b"# HELP redis_clients Clients.\n# TYPE redis_clients gauge\n"
        )

    @pytest.mark.parametrize("lane", [Lane.STANDARD, Lane.SLOW, Lane.SCAN])
    def test_of_another_lane_says_so(self, lane: Lane) -> None:
        assert (
            header(b"x", CALLS, lane) == f"# HELP x Calls. Lane: {lane.value}.\n# TYPE x counter\n".encode()
        )

    def test_help_is_escaped(self) -> None:
        assert header(b"x", gauge("x", "a\\b\nc."), Lane.FAST).startswith(b"# HELP x a\\\\b\\nc.\n")


class TestCatalog:
    PARTS = (family_set(CLIENTS, ROLE), family_set(CALLS, name="stats", lane=Lane.STANDARD))

    def test_shows_family_after_family_and_part_after_family_set(self) -> None:
        catalog = Catalog(self.PARTS)
        assert catalog.names == ["redis_clients", "redis_info", "redis_calls_total"]
        assert catalog.cells == ((0, 0), (0, 1), (1, 0))
        assert catalog.headers[2] == header(b"redis_calls_total", CALLS, Lane.STANDARD)
        assert catalog.family_set_names == ("info", "stats")

    def test_hidden_families_are_not_shown_and_the_others_keep_their_numbers(self) -> None:
        catalog = Catalog(self.PARTS, frozenset({"clients"}))
        assert catalog.names == ["redis_info", "redis_calls_total"]
        assert catalog.cells == ((0, 1), (1, 0))

    def test_a_family_of_two_family_sets_is_a_mistake_of_ours(self) -> None:
        with pytest.raises(InternalError, match="redis_clients is a family of info and of other"):
            Catalog([family_set(CLIENTS), family_set(CLIENTS, name="other")])

    def test_collectors_that_share_their_memory_may_share_a_family(self) -> None:
        family_sets = [
            family_set(CLIENTS, ROLE, shared_name="shared"),
            family_set(CALLS),
            family_set(CLIENTS, name="other", lane=Lane.SCAN, shared_name="shared"),
        ]
        catalog = Catalog(family_sets)
        assert catalog.names == ["redis_clients", "redis_clients", "redis_info", "redis_calls_total"]
        assert catalog.cells == ((0, 0), (2, 0), (0, 1), (1, 0))
        assert catalog.headers[:2] == [
            b"# HELP redis_clients Clients. Lanes: fast, scan.\n# TYPE redis_clients gauge\n",
            b"",
        ]
        assert catalog.view(["redis_clients"]) == (tuple(catalog.headers[:2]), catalog.cells[:2])

    def test_a_family_that_only_looks_alike_is_not_shared(self) -> None:
        with pytest.raises(InternalError, match="redis_clients"):
            Catalog(
                [
                    family_set(CLIENTS, shared_name="shared"),
                    family_set(dataclasses.replace(CLIENTS), name="other", shared_name="shared"),
                ]
            )

    def test_a_view_shows_some_in_the_order_of_the_page(self) -> None:
        catalog = Catalog(self.PARTS)
        headers, cells = catalog.view(["redis_calls_total", "redis_clients", "redis_unheard_of"])
        assert cells == ((0, 0), (1, 0))
        assert headers == (catalog.headers[0], catalog.headers[2])

    def test_a_family_set_is_found_by_name(self) -> None:
        assert Catalog(self.PARTS).family_set("stats") is self.PARTS[1]


class TestRuntimeFamilies:
    """A family that is first seen in a poll takes a place behind its family set's own."""

    @staticmethod
    def make(admits: Callable[[str], bool] = lambda name: True) -> tuple[Catalog, FamilySet]:
        scripts = make_family_set(
            "scripts", Lane.STANDARD, [gauge("script_result", "Help.")], namespace="redis", grows=True
        )
        catalog = Catalog([family_set(CLIENTS), scripts], admits=admits)
        catalog.open()
        return catalog, scripts

    def test_it_is_shown_with_its_type_and_help(self) -> None:
        catalog, scripts = self.make()
        assert scripts.runtime_families is not None
        number = scripts.runtime_families.number("active_users", "counter", "Users.", ["type"])
        assert number == 1
        place = catalog.names.index("redis_active_users")
        assert (
            catalog.headers[place]
            == b"# HELP redis_active_users Users. Lane: standard.\n# TYPE redis_active_users counter\n"
        )
        assert catalog.cells[place] == (1, number)
        assert catalog.view(["redis_active_users"]) == ((catalog.headers[place],), ((1, 1),))

    @pytest.mark.parametrize(
        ("name", "label"),
        [("clients", "a"), ("script_result", "a"), ("not a name", "a"), ("fine", "not-a-label")],
    )
    def test_names_that_are_taken_or_none_are_refused(self, name: str, label: str) -> None:
        _, scripts = self.make()
        assert scripts.runtime_families is not None
        assert scripts.runtime_families.number(name, "gauge", "Help.", [label]) is None

    def test_those_not_to_be_shown_are_refused(self) -> None:
        _, scripts = self.make(lambda name: name != "redis_secret")
        assert scripts.runtime_families is not None
        assert scripts.runtime_families.number("secret", "gauge", "Help.", []) is None
        assert scripts.runtime_families.number("open", "gauge", "Help.", []) is not None

    def test_a_page_holds_what_was_written_before_and_after_a_label_was_new(self) -> None:
        catalog, scripts = self.make()
        assert scripts.runtime_families is not None
        writer = engine.Writer(scripts.rows, engine.Labels(b""))
        number = scripts.runtime_families.number("users", "gauge", "Users.", ["type"])
        assert number is not None
        writer.add(number, 1, ["admin"])
        before = writer.block()
        assert scripts.runtime_families.number("users", "gauge", "Users.", ["zone"]) == number
        assert scripts.runtime_families.labels_of(number) == ("type", "zone")
        writer = engine.Writer(scripts.rows, engine.Labels(b""))
        writer.add(number, 2, ["", "b"])
        after = writer.block()
        page = engine.Assembler(catalog.headers, catalog.cells, [[], [before, after]])
        assert page_of(page).decode().splitlines()[2:] == [
            'redis_users{type="admin"} 1',
            'redis_users{type="",zone="b"} 2',
        ]

    def test_a_new_catalog_shows_those_that_the_family_set_has(self) -> None:
        _, scripts = self.make()
        assert scripts.runtime_families is not None
        scripts.runtime_families.number("active_users", "gauge", "Users.", [])
        catalog = Catalog([scripts])
        assert "redis_active_users" not in catalog.names, "the one before is in use"
        catalog.open()
        assert "redis_active_users" in catalog.names

    def test_a_catalog_in_use_loses_nothing_to_one_that_is_only_made(self) -> None:
        catalog, scripts = self.make()
        Catalog([scripts])
        assert scripts.runtime_families is not None
        scripts.runtime_families.number("active_users", "gauge", "Users.", [])
        assert "redis_active_users" in catalog.names

    def test_a_new_catalog_hides_those_that_it_does_not_admit(self) -> None:
        _, scripts = self.make()
        assert scripts.runtime_families is not None
        scripts.runtime_families.number("active_users", "gauge", "Users.", [])
        catalog = Catalog([scripts], admits=lambda name: False)
        catalog.open()
        assert "redis_active_users" not in catalog.names

    def test_values_of_those_that_it_does_not_admit_are_off_the_page(self) -> None:
        _, scripts = self.make()
        assert scripts.runtime_families is not None
        writer = engine.Writer(scripts.rows, engine.Labels(b""))
        for name in ("secret", "open"):
            number = scripts.runtime_families.number(name, "gauge", "Help.", [])
            assert number is not None
            writer.add(number, 1, [])
        block = writer.block()
        catalog = Catalog([scripts], admits=lambda name: name != "redis_secret")
        for _ in range(2):  # each change opens the one in use
            catalog.open()
            page = page_of(engine.Assembler(catalog.headers, catalog.cells, [[block]]))
            assert b"redis_secret" not in page
            assert b"# TYPE redis_open gauge\nredis_open 1\n" in page
            assert scripts.runtime_families.number("secret", "gauge", "Help.", []) is None
            assert scripts.runtime_families.number("open", "gauge", "Help.", []) is not None
        late = scripts.runtime_families.number("late", "gauge", "Help.", [])
        assert catalog.cells[catalog.names.index("redis_late")] == (0, late)
        Catalog([scripts]).open()
        assert scripts.runtime_families.number("secret", "gauge", "Help.", []) is not None

    def test_a_name_that_two_have_taken_one_after_the_other_is_shown_once(self) -> None:
        one, other = (
            make_family_set(name, Lane.STANDARD, [], namespace="redis", grows=True)
            for name in ("one", "other")
        )
        assert one.runtime_families is not None
        assert other.runtime_families is not None
        for family_set in (one, other):
            Catalog([family_set]).open()
            assert family_set.runtime_families is not None
            assert family_set.runtime_families.number("jobs", "gauge", "Jobs.", []) == 0
        catalog = Catalog([one, other])
        catalog.open()
        assert catalog.names.count("redis_jobs") == 1
        assert (0, 0) in catalog.cells
        assert (1, 0) not in catalog.cells
        assert one.runtime_families.number("jobs", "gauge", "Jobs.", []) == 0
        assert other.runtime_families.number("jobs", "gauge", "Jobs.", []) is None

    def test_one_target_names_half_of_what_the_others_have_left_at_most(self) -> None:
        _, scripts = self.make()
        runtime_families = scripts.runtime_families
        assert runtime_families is not None
        named = dict.fromkeys("abc", 0)
        for target in named:
            for number in range(FAMILIES_MAX + 1):
                if runtime_families.may_name(f"{target}{number}", named[target]):
                    runtime_families.number(f"{target}{number}", "gauge", "Help.", [])
                    named[target] += 1
        assert named == {"a": FAMILIES_MAX // 2, "b": FAMILIES_MAX // 4, "c": FAMILIES_MAX // 8}
        assert runtime_families.may_name("a0", FAMILIES_MAX), "who has been there before names it freely"

    def test_a_family_has_so_many_labels_and_no_more(self) -> None:
        _, scripts = self.make()
        assert scripts.runtime_families is not None
        assert (
            scripts.runtime_families.number(
                "wide", "gauge", "Help.", [f"l{i}" for i in range(LABELS_MAX + 1)]
            )
            is None
        )
        assert (
            scripts.runtime_families.number("wide", "gauge", "Help.", [f"l{i}" for i in range(LABELS_MAX)])
            is not None
        )
        assert scripts.runtime_families.number("wide", "gauge", "Help.", ["one_more"]) is None

    def test_there_are_so_many_and_no_more(self) -> None:
        catalog, scripts = self.make()
        assert scripts.runtime_families is not None
        numbers = [
            scripts.runtime_families.number(f"n{i}", "gauge", "Help.", []) for i in range(FAMILIES_MAX + 1)
        ]
        assert numbers == [*range(1, FAMILIES_MAX + 1), None]
        assert scripts.runtime_families.number("n7", "gauge", "Help.", []) == 8
        assert len(catalog.names) == 2 + FAMILIES_MAX


class TestRegistered:
    """What holds of all collectors there are."""

    def test_no_two_have_a_family_in_common(self) -> None:
        family_sets = [enable(c, "redis").family_set for c in REGISTRY]
        names = [name for name in Catalog(family_sets).names if name]
        assert len(names) == sum(len(c.families) for c in REGISTRY)

    @pytest.mark.parametrize(
        "family", [f for c in REGISTRY for f in c.families], ids=lambda family: family.name
    )
    def test_a_name_of_ours_says_what_it_is(self, family: Family) -> None:
        """The Go exporter's and the document's names are as they are."""
        if family.name_set is NameSet.OWN:
            assert family.name.endswith("_total") == (family.type.value == "counter")
            assert not family.name.startswith("redis_")
