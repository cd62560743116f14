"""Families as the options make them: numbered, named, hidden, and under which labels a target's series stand."""

from __future__ import annotations

import dataclasses
import itertools
import struct
from collections.abc import Callable
from typing import Any

import pytest

from exporter import fastparse
from exporter.catalog import Catalog, Part, full_name, header, hidden_families, is_denied, label_forms, make_part, target_labels
from exporter.collector import Collector
from exporter.collectors.info import GATED
from exporter.commandline import parse
from exporter.dynamic import LABELS_MAX, SLOTS
from exporter.errors import InternalError
from exporter.model import Dialect, Family, Field, How, Lane, Open, Pattern, Record, SubName, Target, counter, gauge, summary
from exporter.options import MetricsOptions
from exporter.registry import REGISTRY
from tests.stock import page_of

CLIENTS = gauge("clients", "Clients.", Field("connected_clients", also=("clients",)))
ROLE = gauge("info", "What it is.", Field("version", How.ONE, labels=(("role", "role"), ("fork", "fork")), optional=("fork",)))
CALLS = counter("calls_total", "Calls.", Record(Pattern("cmdstat_", "cmd", first="calls="), "calls"))
LENGTH = gauge("slowlog_length", "Entries of the slow log.")
TARGET = Target("redis://h:6379", "redis", "h", 6379, "", 0)


def part(*families: Family, name: str = "info", lane: Lane = Lane.FAST, namespace: str = "redis", **more: Any) -> Part:
    return make_part(name, lane, families, namespace=namespace, **more)


def read(made: Part, text: bytes, labels: fastparse.Labels | None = None) -> list[str]:
    """The samples of each family."""
    assert made.plan is not None
    block = made.plan.read(text, labels or fastparse.Labels(b""))
    ends = struct.unpack(f"={len(made.families) + 1}i", block.offsets)
    return [block.samples[begin:end].decode() for begin, end in itertools.pairwise(ends)]


class TestPart:
    def test_families_are_numbered_in_their_order(self) -> None:
        made = part(CLIENTS, LENGTH)
        assert made.families == (CLIENTS, LENGTH)
        assert made.names == (b"redis_clients", b"redis_slowlog_length")
        assert made.numbers == {"clients": 0, "slowlog_length": 1}

    def test_rows_are_what_a_writer_wants(self) -> None:
        assert part(LENGTH, CALLS).rows == [(b"redis_slowlog_length", ()), (b"redis_calls_total", (b"cmd",))]

    @pytest.mark.parametrize(("namespace", "name"), [("redis", b"redis_clients"), ("", b"clients"), ("a_b", b"a_b_clients")])
    def test_names_begin_with_the_namespace(self, namespace: str, name: bytes) -> None:
        assert part(CLIENTS, namespace=namespace).names == (name,) == (full_name(namespace, CLIENTS),)

    def test_a_family_named_twice_is_a_mistake_of_ours(self) -> None:
        with pytest.raises(InternalError, match="info: a family is named twice"):
            part(CLIENTS, gauge("clients", "Others."))

    def test_without_sources_there_is_nothing_to_read(self) -> None:
        assert part(LENGTH).plan is None

    def test_every_kind_of_source_is_read(self) -> None:
        usec = summary(
            "usec",
            "Times.",
            Open(
                Pattern("latency_", "cmd"),
                "quantile",
                SubName.FRACTION,
                How.USEC,
                sum=Record(Pattern("cmdstat_", "cmd", first="calls="), "usec", How.USEC),
                count=Record(Pattern("cmdstat_", "cmd", first="calls="), "calls"),
            ),
            labels=("cmd",),
        )
        made = part(CLIENTS, LENGTH, CALLS, ROLE, usec)
        text = b"clients:3\nversion:7\nrole:master\ncmdstat_get:calls=2,usec=5\nlatency_get:p50=1\n"
        assert read(made, text) == [
            "redis_clients 3\n",
            "",
            'redis_calls_total{cmd="get"} 2\n',
            'redis_info{role="master"} 1\n',
            'redis_usec{cmd="get",quantile="0.5"} 0.000001\nredis_usec_sum{cmd="get"} 0.000005\nredis_usec_count{cmd="get"} 2\n',
        ]

    def test_constant_labels_of_a_pattern_are_escaped(self) -> None:
        made = part(gauge("x", "X.", Record(Pattern("x_", "name", constant=(("type", 'a"b'),)), "n")))
        assert read(made, b"x_1:n=2\n") == ['redis_x{name="1",type="a\\"b"} 2\n']

    def test_hidden_families_keep_their_number_and_are_not_read(self) -> None:
        made = part(CLIENTS, CALLS, hidden=frozenset({"clients"}))
        assert made.numbers["calls_total"] == 1
        assert read(made, b"clients:3\ncmdstat_get:calls=2\n") == ["", 'redis_calls_total{cmd="get"} 2\n']

    def test_texts_that_facts_are_made_of_are_given_back(self) -> None:
        made = part(CLIENTS, wanted_fields=("role", "run_id"))
        assert made.plan is not None
        assert made.plan.read(b"role:master\n", fastparse.Labels(b"")).fields == (b"master", None)
        assert made.wanted_fields == ("role", "run_id")

    def test_label_values_have_a_length(self) -> None:
        assert read(part(CALLS, label_max=2), b"cmdstat_get:calls=2\n") == ['redis_calls_total{cmd="ge"} 2\n']


class TestHeader:
    def test_of_the_fast_lane(self) -> None:
        assert header(b"redis_clients", CLIENTS, Lane.FAST) == b"# HELP redis_clients Clients.\n# TYPE redis_clients gauge\n"

    @pytest.mark.parametrize("lane", [Lane.STANDARD, Lane.SLOW, Lane.SCAN])
    def test_of_another_lane_says_so(self, lane: Lane) -> None:
        assert header(b"x", CALLS, lane) == f"# HELP x Calls. Lane: {lane.value}.\n# TYPE x counter\n".encode()

    def test_help_is_escaped(self) -> None:
        assert header(b"x", gauge("x", "a\\b\nc."), Lane.FAST).startswith(b"# HELP x a\\\\b\\nc.\n")


class TestCatalog:
    PARTS = (part(CLIENTS, ROLE), part(CALLS, name="stats", lane=Lane.STANDARD))

    def test_shows_family_after_family_and_part_after_part(self) -> None:
        catalog = Catalog(self.PARTS)
        assert catalog.names == ["redis_clients", "redis_info", "redis_calls_total"]
        assert catalog.cells == ((0, 0), (0, 1), (1, 0))
        assert catalog.headers[2] == header(b"redis_calls_total", CALLS, Lane.STANDARD)
        assert catalog.part_names == ("info", "stats")

    def test_hidden_families_are_not_shown_and_the_others_keep_their_numbers(self) -> None:
        catalog = Catalog(self.PARTS, frozenset({"clients"}))
        assert catalog.names == ["redis_info", "redis_calls_total"]
        assert catalog.cells == ((0, 1), (1, 0))

    def test_a_family_of_two_parts_is_a_mistake_of_ours(self) -> None:
        with pytest.raises(InternalError, match="redis_clients is a family of info and of other"):
            Catalog([part(CLIENTS), part(CLIENTS, name="other")])

    def test_collectors_that_share_their_memory_may_share_a_family(self) -> None:
        parts = [part(CLIENTS, ROLE, collector=Sharing()), part(CALLS), part(CLIENTS, name="other", lane=Lane.SCAN, collector=Sharing())]
        catalog = Catalog(parts)
        assert catalog.names == ["redis_clients", "redis_clients", "redis_info", "redis_calls_total"]
        assert catalog.cells == ((0, 0), (2, 0), (0, 1), (1, 0))
        assert catalog.headers[:2] == [b"# HELP redis_clients Clients. Lanes: fast, scan.\n# TYPE redis_clients gauge\n", b""]
        assert catalog.view(["redis_clients"]) == (tuple(catalog.headers[:2]), catalog.cells[:2])

    def test_a_family_that_only_looks_alike_is_not_shared(self) -> None:
        with pytest.raises(InternalError, match="redis_clients"):
            Catalog([part(CLIENTS, collector=Sharing()), part(dataclasses.replace(CLIENTS), name="other", collector=Sharing())])

    def test_a_view_shows_some_in_the_order_of_the_page(self) -> None:
        catalog = Catalog(self.PARTS)
        headers, cells = catalog.view(["redis_calls_total", "redis_clients", "redis_unheard_of"])
        assert cells == ((0, 0), (1, 0))
        assert headers == (catalog.headers[0], catalog.headers[2])

    def test_a_part_is_found_by_name(self) -> None:
        assert Catalog(self.PARTS).part("stats") is self.PARTS[1]


class Sharing(Collector):
    memory_name = "shared"


class Mixed(Collector):
    name = "mixed"
    help = "Names of all dialects."
    lane = Lane.FAST
    families = (
        gauge("go_name", "Help.", dialect=Dialect.GO),
        gauge("own_name", "Help.", labels=("cmd",)),
        gauge("second_name", "Help.", dialect=Dialect.HANDBOOK),
        gauge("second_name_labelled", "Help.", labels=("cmd",), dialect=Dialect.HANDBOOK),
        summary("second_name_quantiles", "Help.", dialect=Dialect.HANDBOOK),
        gauge("behind_a_flag", "Help.", dialect=Dialect.GO),
    )


def metrics(*argv: str) -> MetricsOptions:
    return parse(argv, {}).metrics


class Scripts(Collector):
    name = "scripts"
    help = "Families of any name."
    lane = Lane.STANDARD
    families = (gauge("script_result", "Help."),)
    dynamic = True


class TestDynamicFamilies:
    """A family that is first seen in a poll takes a slot behind its part's own."""

    @staticmethod
    def make(admits: Callable[[str], bool] = lambda name: True) -> tuple[Catalog, Part]:
        scripts = make_part("scripts", Lane.STANDARD, Scripts.families, namespace="redis", collector=Scripts())
        return Catalog([part(CLIENTS), scripts], admits=admits), scripts

    def test_it_is_shown_with_its_type_and_help(self) -> None:
        catalog, scripts = self.make()
        assert scripts.dynamic is not None
        number = scripts.dynamic.number("active_users", "counter", "Users.", ["type"])
        assert number == 1
        place = catalog.names.index("redis_active_users")
        assert catalog.headers[place] == b"# HELP redis_active_users Users. Lane: standard.\n# TYPE redis_active_users counter\n"
        assert catalog.cells[place] == (1, number)
        assert catalog.view(["redis_active_users"]) == ((catalog.headers[place],), ((1, 1),))

    @pytest.mark.parametrize(("name", "label"), [("clients", "a"), ("script_result", "a"), ("not a name", "a"), ("fine", "not-a-label")])
    def test_names_that_are_taken_or_none_are_refused(self, name: str, label: str) -> None:
        _, scripts = self.make()
        assert scripts.dynamic is not None
        assert scripts.dynamic.number(name, "gauge", "Help.", [label]) is None

    def test_those_not_to_be_shown_are_refused(self) -> None:
        _, scripts = self.make(lambda name: name != "redis_secret")
        assert scripts.dynamic is not None
        assert scripts.dynamic.number("secret", "gauge", "Help.", []) is None
        assert scripts.dynamic.number("open", "gauge", "Help.", []) is not None

    def test_a_page_holds_what_was_written_before_and_after_a_label_was_new(self) -> None:
        catalog, scripts = self.make()
        assert scripts.dynamic is not None
        writer = fastparse.Writer(scripts.rows, fastparse.Labels(b""))
        number = scripts.dynamic.number("users", "gauge", "Users.", ["type"])
        assert number is not None
        writer.add(number, 1, ["admin"])
        before = writer.block()
        assert scripts.dynamic.number("users", "gauge", "Users.", ["zone"]) == number
        assert scripts.dynamic.labels_of(number) == ("type", "zone")
        writer = fastparse.Writer(scripts.rows, fastparse.Labels(b""))
        writer.add(number, 2, ["", "b"])
        after = writer.block()
        blocks = [(block.samples, block.offsets) for block in (before, after)]
        page = fastparse.Assembler(catalog.headers, catalog.cells, [[], blocks])
        assert page_of(page).decode().splitlines()[2:] == ['redis_users{type="admin"} 1', 'redis_users{type="",zone="b"} 2']

    def test_a_new_catalog_shows_those_that_the_part_has(self) -> None:
        _, scripts = self.make()
        assert scripts.dynamic is not None
        scripts.dynamic.number("active_users", "gauge", "Users.", [])
        assert "redis_active_users" in Catalog([scripts]).names

    def test_one_target_names_half_of_what_the_others_have_left_at_most(self) -> None:
        _, scripts = self.make()
        dynamic = scripts.dynamic
        assert dynamic is not None
        named = dict.fromkeys("abc", 0)
        for target in named:
            for number in range(SLOTS + 1):
                if dynamic.may_name(f"{target}{number}", named[target]):
                    dynamic.number(f"{target}{number}", "gauge", "Help.", [])
                    named[target] += 1
        assert named == {"a": SLOTS // 2, "b": SLOTS // 4, "c": SLOTS // 8}
        assert dynamic.may_name("a0", SLOTS), "who has been there before names it freely"

    def test_a_family_has_so_many_labels_and_no_more(self) -> None:
        _, scripts = self.make()
        assert scripts.dynamic is not None
        assert scripts.dynamic.number("wide", "gauge", "Help.", [f"l{i}" for i in range(LABELS_MAX + 1)]) is None
        assert scripts.dynamic.number("wide", "gauge", "Help.", [f"l{i}" for i in range(LABELS_MAX)]) is not None
        assert scripts.dynamic.number("wide", "gauge", "Help.", ["one_more"]) is None

    def test_there_are_so_many_and_no_more(self) -> None:
        catalog, scripts = self.make()
        assert scripts.dynamic is not None
        numbers = [scripts.dynamic.number(f"n{i}", "gauge", "Help.", []) for i in range(SLOTS + 1)]
        assert numbers == [*range(1, SLOTS + 1), None]
        assert scripts.dynamic.number("n7", "gauge", "Help.", []) == 8
        assert len(catalog.names) == 2 + SLOTS


class TestHiddenFamilies:
    @pytest.mark.parametrize(
        ("handbook_names", "hidden"),
        [
            ("all", set()),
            ("scalar", {"second_name_labelled", "second_name_quantiles"}),
            ("none", {"second_name", "second_name_labelled", "second_name_quantiles"}),
        ],
    )
    def test_second_names(self, handbook_names: str, hidden: set[str]) -> None:
        assert hidden_families([Mixed()], metrics(f"--handbook-names={handbook_names}"), {}) == hidden

    def test_those_behind_a_flag(self) -> None:
        assert hidden_families([Mixed()], metrics(), {"behind_a_flag": False}) == {"behind_a_flag"}
        assert hidden_families([Mixed()], metrics(), {"behind_a_flag": True}) == set()

    @pytest.mark.parametrize(
        ("argv", "shown"),
        [
            (["--metrics.allow=go_*"], {"go_name"}),
            (["--metrics.allow=redis_go_name,own_nam?"], {"go_name", "own_name"}),
            (["--metrics.deny=second_*,redis_behind_a_flag"], {"go_name", "own_name"}),
            (["--metrics.allow=*name", "--metrics.deny=redis_go_*"], {"own_name", "second_name"}),
            (["--namespace=kv", "--metrics.allow=kv_own_name,redis_go_name"], {"own_name"}),
        ],
    )
    def test_those_not_allowed_or_denied(self, argv: list[str], shown: set[str]) -> None:
        hidden = hidden_families([Mixed()], metrics(*argv), {})
        assert {family.name for family in Mixed.families} - hidden == shown

    def test_a_family_may_be_denied_by_itself(self) -> None:
        assert is_denied("clients", metrics("--metrics.deny=redis_cli*"))
        assert is_denied("redis_clients", metrics("--metrics.deny=cli*"))
        assert not is_denied("clients", metrics("--metrics.allow=other"))

    def test_every_flag_has_a_family(self) -> None:
        assert GATED.keys() <= {family.name for collector in REGISTRY for family in collector.families}


class TestTargetLabels:
    NAMED = Target("redis://h:6379", "redis", "h", 6379, "", 0, alias="cache", labels=(("env", "prod"), ("team", "kiwi")))

    @pytest.mark.parametrize("mode", ["auto", "always"])
    def test_address_alias_and_the_configured_ones(self, mode: str) -> None:
        assert target_labels(self.NAMED, mode) == (
            (b"addr", b"redis://h:6379"),
            (b"alias", b"cache"),
            (b"env", b"prod"),
            (b"team", b"kiwi"),
        )

    def test_no_alias_where_there_is_none(self) -> None:
        assert target_labels(TARGET, "auto") == ((b"addr", b"redis://h:6379"),)

    def test_never(self) -> None:
        assert target_labels(self.NAMED, "never") == ()

    def test_no_secret(self) -> None:
        target = Target("redis://h:6379", "redis", "h", 6379, "", 0, user="kiwi", password="plum")
        assert not {b"kiwi", b"plum"} & {value for _, value in target_labels(target, "always")}

    def test_values_are_escaped_and_cut(self) -> None:
        target = Target("redis://h:6379", "redis", "h", 6379, "", 0, alias='a"\n' + "x" * 9, labels=(("env", "\ud800"),))
        pairs = dict(target_labels(target, "auto", 5))
        assert pairs[b"alias"] == b'a\\"\\nxx'
        assert pairs[b"env"].decode()


class TestLabelForms:
    PAIRS = ((b"addr", b"h"), (b"role", b"mine"), (b"quantile", b"q"))

    def test_a_familys_own_label_wins(self) -> None:
        made = part(CLIENTS, ROLE)
        labels = label_forms([made], self.PAIRS)[made.name]
        assert labels.text == b'addr="h",role="mine",quantile="q"'
        assert dict(labels.special) == {1: b'addr="h",quantile="q"'}
        assert read(made, b"clients:1\nversion:7\nrole:master\n", labels) == [
            'redis_clients{addr="h",role="mine",quantile="q"} 1\n',
            'redis_info{addr="h",quantile="q",role="master"} 1\n',
        ]

    def test_a_summary_has_the_label_quantile(self) -> None:
        [labels] = label_forms([part(summary("x", "Help.", labels=("cmd",)))], self.PAIRS).values()
        assert dict(labels.special) == {0: b'addr="h",role="mine"'}

    def test_without_labels_nothing_clashes(self) -> None:
        [labels] = label_forms([part(CLIENTS, ROLE)], ()).values()
        assert labels.text == b""
        assert not labels.special


class TestRegistered:
    """What holds of all collectors there are."""

    def test_no_two_have_a_family_in_common(self) -> None:
        parts = [make_part(c.name, c.lane, c.families, namespace="redis", wanted_fields=c.wanted_fields, collector=c) for c in REGISTRY]
        names = [name for name in Catalog(parts).names if name]
        assert len(names) == sum(len(c.families) for c in REGISTRY)

    @pytest.mark.parametrize("family", [f for c in REGISTRY for f in c.families], ids=lambda family: family.name)
    def test_a_name_of_ours_says_what_it_is(self, family: Family) -> None:
        """The Go exporter's and the document's names are as they are."""
        if family.dialect is Dialect.OWN:
            assert family.name.endswith("_total") == (family.kind.value == "counter")
            assert not family.name.startswith("redis_")
