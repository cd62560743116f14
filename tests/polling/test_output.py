"""What a collector writes on: samples from INFO and from Python in one block, labels, families whose names
come from replies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from exporter import engine
from exporter.collectors._contract import Collector
from exporter.collectors._enabled import EnabledCollector, enable
from exporter.errors import InternalError, ReplyError
from exporter.metrics.family import Family, Field, Pattern, Record, gauge
from exporter.metrics.family_set import LABEL_MAX
from exporter.metrics.labels import label_forms
from exporter.metrics.lane import Lane
from exporter.polling.memory import TargetMemory
from exporter.polling.output import CollectorOutput
from exporter.protocol.command import Command

NOW = 1_700_000_000.5
CLIENTS = gauge("clients", "Clients.", Field("connected_clients"))
LENGTH = gauge("slowlog_length", "Entries of the slow log.")
ITEM = gauge("item", "Something by name.", labels=("name",))


def enabled(
    *written: Family, fields: tuple[str, ...] = (), at_run_time: bool = False, label_max: int = LABEL_MAX
) -> EnabledCollector:
    """A collector of these families."""

    class Plain(Collector[None]):
        name = "it"
        lane = Lane.FAST
        families = written
        wanted_fields = fields
        has_runtime_families = at_run_time

    return enable(Plain(), "redis", label_max=label_max)


def test_it_says_what_the_server_has_refused() -> None:
    memory = TargetMemory()
    output = CollectorOutput(enabled(LENGTH), engine.Labels(b""), memory, 0.0)
    assert not output.is_refused(Command.of("CONFIG", "GET", "databases"))
    memory.refusals.add("CONFIG GET databases", ReplyError("NOPERM no"), 0.0)
    assert output.is_refused(Command.of("CONFIG", "GET", "databases"))
    assert not output.is_refused(Command.of("CONFIG", "GET", "maxmemory"))


class TestRuntimeFamilies:
    @staticmethod
    def written(labels: bytes, *calls: tuple[str, dict[str, str]]) -> tuple[list[bool], list[str]]:
        output = CollectorOutput(
            enabled(LENGTH, at_run_time=True), engine.Labels(labels), TargetMemory(), 0.0
        )
        taken = [output.add_runtime(name, "gauge", "Help.", 1.5, own) for name, own in calls]
        return taken, output.block().samples.decode().splitlines()

    def test_each_sample_has_its_labels_and_those_it_lacks_are_empty(self) -> None:
        calls = [("users", {"type": "a"}), ("users", {"zone": "z"}), ("bad name", {})]
        assert self.written(b'addr="h"', *calls) == (
            [True, True, False],
            ['redis_users{addr="h",type="a"} 1.5', 'redis_users{addr="h",type="",zone="z"} 1.5'],
        )

    def test_a_label_that_the_target_bears_is_left_off(self) -> None:
        labels = b'addr="h",role="quo\\",odd=\\"te"'
        assert self.written(labels, ("users", {"role": "mine", "odd": "b"})) == (
            [True],
            [f'redis_users{{{labels.decode()},odd="b"}} 1.5'],
        )

    def test_only_a_collector_that_says_so_may(self) -> None:
        output = CollectorOutput(
            enabled(LENGTH),
            engine.Labels(b""),
            TargetMemory(),
            0.0,
        )
        with pytest.raises(InternalError):
            output.add_runtime("users", "gauge", "Help.", 1, {})


class TestSamples:
    CALLS = gauge("calls", "Calls.", Record(Pattern("cmdstat_", "cmd", first="calls="), "calls"))
    PAIRS = ((b"addr", b"h"), (b"name", b"configured"))

    def output(
        self, *families: Family, pairs: Sequence[tuple[bytes, bytes]] = (), **more: Any
    ) -> CollectorOutput:
        made = enabled(*families, **more)
        labels = label_forms([made.family_set], pairs)["it"]
        return CollectorOutput(made, labels, TargetMemory(), NOW)

    def test_samples_from_python(self) -> None:
        output = self.output(LENGTH, ITEM)
        output.add(ITEM, 2, "b")
        output.add(ITEM, 0.5, b"a\xff")
        output.add(LENGTH, 1)
        block = output.block()
        assert (
            block.samples.decode()
            == 'redis_slowlog_length 1\nredis_item{name="b"} 2\nredis_item{name="a\ufffd"} 0.5\n'
        )
        assert block.series == 3

    def test_samples_from_info_and_from_python_are_one_block(self) -> None:
        output = self.output(LENGTH, CLIENTS, ITEM)
        output.add(ITEM, 2, "b")
        output.info(b"connected_clients:3\r\n")
        output.add(LENGTH, 1)
        block = output.block()
        assert block.samples == b'redis_slowlog_length 1\nredis_clients 3\nredis_item{name="b"} 2\n'
        assert block.series == 3

    def test_values_that_were_no_numbers_are_counted(self) -> None:
        output = self.output(LENGTH, CLIENTS)
        output.info(b"connected_clients:many\r\n")
        output.add(LENGTH, 1)
        assert output.block().invalid == 1

    def test_nothing_written_is_an_empty_block(self) -> None:
        block = self.output(LENGTH, ITEM).block()
        assert (block.samples, len(block.offsets), block.series) == (b"", 4 * 3, 0)

    def test_labels_of_the_target_give_way_to_the_familys_own(self) -> None:
        output = self.output(LENGTH, ITEM, pairs=self.PAIRS)
        output.add(LENGTH, 1)
        output.add(ITEM, 2, "b")
        assert output.block().samples == (
            b'redis_slowlog_length{addr="h",name="configured"} 1\nredis_item{addr="h",name="b"} 2\n'
        )

    def test_label_values_are_as_short_however_they_are_written(self) -> None:
        output = self.output(ITEM, self.CALLS, label_max=3)
        output.add(ITEM, 1, "abcdef")
        output.info(b"cmdstat_abcdef:calls=2\n")
        assert output.block().samples == b'redis_item{name="abc"} 1\nredis_calls{cmd="abc"} 2\n'

    def test_reading_info_gives_the_texts_that_are_wanted(self) -> None:
        output = self.output(CLIENTS, fields=("role", "run_id"))
        assert output.info(b"role:master\n") == (b"master", None)

    def test_info_is_read_once(self) -> None:
        output = self.output(CLIENTS)
        output.info(b"connected_clients:3\n")
        with pytest.raises(InternalError, match="it: INFO is read once"):
            output.info(b"connected_clients:3\n")

    def test_missing_databases_are_filled_up(self) -> None:
        keys = gauge(
            "keys", "Keys.", Record(Pattern("db", "db", digits=True, first="keys="), "keys", fill=True)
        )
        output = self.output(keys)
        output.info(b"db1:keys=4\n", fill=2)
        assert output.block().samples == b'redis_keys{db="1"} 4\nredis_keys{db="0"} 0\n'


def test_a_whole_info_and_a_part_have_line_orders_of_their_own() -> None:
    """Each order holds for the texts of one shape: neither makes the other look up its keys again. A change
    of other collectors leaves both."""
    memory, clients = TargetMemory(), enabled(CLIENTS)
    whole, part = b"# Server\r\nrun_id:x\r\n# Clients\r\nconnected_clients:1\r\n", b"connected_clients:1\r\n"
    known = set()
    for text in (whole, part, whole, part):
        output = CollectorOutput(clients, engine.Labels(b""), memory, NOW)
        output.info(text)
        assert output.block().samples == b"redis_clients 1\n"
        [orders] = memory.orders.values()
        known.add(orders)
        memory.keep_only([clients])
    [(of_whole, of_part)] = known
    assert of_whole is not of_part


class TestReplication:
    SECTION = b"# Replication\r\nrole:master\r"
    WHOLE = b"# Server\r\nredis_version:7.2.4\r\n" + b"a:1\r\n" * 50 + SECTION + b"\n# CPU\r\nx:1\r\n"
    PART = b"# Clients\r\nconnected_clients:1\r\n" + SECTION + b"\n# CPU\r\nx:1\r\n"

    def test_where_the_section_was_is_remembered_of_whole_texts_and_of_parts(self) -> None:
        memory, it = TargetMemory(), enabled(CLIENTS)
        for text in (self.WHOLE, self.PART, self.WHOLE):
            memory.replication_section = b""
            output = CollectorOutput(it, engine.Labels(b""), memory, NOW)
            output.info(text)
            output.learn_replication(text)
            assert memory.replication_section == self.SECTION
        assert memory.replication_at == self.WHOLE.index(self.SECTION)
        assert memory.part_replication_at == self.PART.index(self.SECTION)
