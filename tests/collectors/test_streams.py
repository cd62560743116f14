"""Streams, their groups and consumers."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from typing import Any

import pytest

from exporter.collectors._key_places import KeyMemory
from exporter.collectors.streams import (
    FAMILIES,
    GROUPS_MAX,
    FoundStreamsCollector,
    StreamsCollector,
    milliseconds,
)
from exporter.errors import ReplyError, TargetError
from exporter.metrics.lane import Lane
from exporter.options.commandline import parse
from exporter.options.values import KeyName
from exporter.polling.bounds import ROWS_MAX
from exporter.protocol.command import PIECE
from exporter.protocol.facts import Facts
from tests.collectors.conftest import Drive, Played, SessionFactory
from tests.collectors.go_rows import go_rows
from tests.watch_harness import RedisFactory, server_field

DATA = pathlib.Path(__file__).parent.parent / "data"
REDIS_7 = Facts((7, 0, 15), "redis", "master", "standalone", "r", False, False, 16)
STREAMS = StreamsCollector()
FOUND = FoundStreamsCollector()
WITHOUT_CONSUMERS = "--streams-exclude-consumer-metrics"


def recorded(version: str, name: str) -> Any:
    """A reply as it was recorded, its texts as the bytes they were."""

    def as_replied(value: Any) -> Any:
        if isinstance(value, list):
            return [as_replied(each) for each in value]
        return value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value

    return as_replied(json.loads((DATA / version / f"{name}.json").read_text("utf-8")))


FULL = ("XINFO", "STREAM", b"s", "FULL", "COUNT", "1")


def quiet(*replies: Any) -> list[Any]:
    """The replies of a server that is told not to touch the keys, from 7.2 on."""
    return [b"OK", *replies, b"OK"]


def read(
    drive: Drive, replies: Any, *argv: str, collector: Any = STREAMS, facts: Facts = REDIS_7, **more: Any
) -> Played:
    """From a server that has taken all commands before."""
    memory = more.pop("memory", None) or KeyMemory()
    memory.answered.begin(facts.run_id)
    memory.answered.words.update(("TYPE", "XINFO STREAM", "XINFO GROUPS", "XINFO CONSUMERS"))
    return drive(collector, *replies, facts=facts, options=parse(argv, {}), memory=memory, **more)


class TestWhich:
    def test_single_streams_are_fast_and_found_ones_standard(self) -> None:
        assert (STREAMS.lane, FOUND.lane) == (Lane.FAST, Lane.STANDARD)
        enabled = {
            argv: (STREAMS.enabled(parse([argv], {})), FOUND.enabled(parse([argv], {})))
            for argv in (
                "--check-single-streams=a*",
                "--check-streams=a",
                "--check-streams=a*",
                "--check-keys=a,a*",
            )
        }
        assert list(enabled.values()) == [(True, False), (True, False), (False, True), (False, False)]
        many = parse(["--check-streams=" + ",".join(f"s{n}" for n in range(1001))], {})
        assert (STREAMS.enabled(many), FOUND.enabled(many)) == (False, True)

    def test_servers_without_streams_and_spared_primaries_are_left_alone(self) -> None:
        assert not STREAMS.wants(dataclasses.replace(REDIS_7, version=(4, 0, 14)), parse([], {}))
        assert not STREAMS.wants(REDIS_7, parse(["--skip-checkkeys-for-role-master"], {}))
        assert STREAMS.wants(REDIS_7, parse([], {}))

    def test_it_needs_xinfo(self) -> None:
        assert {"+xinfo|stream", "+xinfo|groups", "+xinfo|consumers", "~s"} <= set(
            STREAMS.acl(parse(["--check-streams=s"], {}))
        )
        assert "~s*" in FOUND.acl(parse(["--check-streams=s*"], {}))


class TestReplies:
    @pytest.mark.parametrize("version", ["redis-6.2.16", "redis-7.0.15", "valkey-8.1.1"])
    def test_recorded_streams_are_read_whole(self, drive: Drive, version: str) -> None:
        replies = [[b"stream"], [recorded(version, "xinfo_stream"), recorded(version, "xinfo_groups")]]
        with_consumers = [row[1].decode() for row in replies[1][1] if row[3]]
        replies.append([recorded(version, "xinfo_consumers")] + [[]] * (len(with_consumers) - 1))
        played = read(drive, replies, "--check-single-streams=s")
        assert played.asked[0] == [("TYPE", b"s")]
        assert played.asked[1] == [("XINFO", "STREAM", b"s"), ("XINFO", "GROUPS", b"s")]
        assert [args[3].decode() for args in played.asked[2]] == with_consumers
        assert "g1" in with_consumers
        samples = played.samples()
        named = {name.partition("{")[0] for name in samples}
        expected = {f"redis_{family.name}" for family in FAMILIES if not family.since.startswith("8.")}
        if version == "redis-6.2.16":
            expected -= {f"redis_{family.name}" for family in FAMILIES if family.since}
        assert named == expected
        assert samples['redis_stream_length{db="db0",stream="s"}'] == "49"
        assert samples['redis_stream_groups{db="db0",stream="s"}'] == "5"
        assert samples['redis_stream_group_consumers{db="db0",stream="s",group="g1"}'] == "5"
        assert samples['redis_stream_group_messages_pending{db="db0",stream="s",group="g1"}'] == "28"
        assert samples['redis_stream_group_pending{db="db0",stream="s",group="g1"}'] == "28"
        labels = f'{{db="db0",stream="s",group="{with_consumers[0]}",consumer="bob smith"}}'
        assert samples[f"redis_stream_group_consumer_messages_pending{labels}"] == "7"

    def test_every_number_of_redis_7(self, drive: Drive) -> None:
        replies = [
            [b"stream"],
            [recorded("redis-7.0.15", "xinfo_stream"), recorded("redis-7.0.15", "xinfo_groups")],
        ]
        samples = read(drive, replies, "--check-single-streams=s", WITHOUT_CONSUMERS).samples()
        told = {
            name: value for name, value in samples.items() if "group=" not in name or 'group="g1"' in name
        }
        assert told == {
            'redis_stream_length{db="db0",stream="s"}': "49",
            'redis_stream_radix_tree_keys{db="db0",stream="s"}': "1",
            'redis_stream_radix_tree_nodes{db="db0",stream="s"}': "2",
            'redis_stream_last_generated_id{db="db0",stream="s"}': "1795378784514",
            'redis_stream_groups{db="db0",stream="s"}': "5",
            'redis_stream_max_deleted_entry_id{db="db0",stream="s"}': "1795378784512",
            'redis_stream_first_entry_id{db="db0",stream="s"}': "1795378784511",
            'redis_stream_last_entry_id{db="db0",stream="s"}': "1795378784514",
            'redis_stream_entries_added_total{db="db0",stream="s"}': "50",
            'redis_stream_group_consumers{db="db0",stream="s",group="g1"}': "5",
            'redis_stream_group_messages_pending{db="db0",stream="s",group="g1"}': "28",
            'redis_stream_group_pending{db="db0",stream="s",group="g1"}': "28",
            'redis_stream_group_last_delivered_id{db="db0",stream="s",group="g1"}': "1795378784513",
            'redis_stream_group_entries_read{db="db0",stream="s",group="g1"}': "28",
            'redis_stream_group_lag{db="db0",stream="s",group="g1"}': "22",
        }

    def test_every_field_of_a_stream_of_the_go_exporter(self, drive: Drive) -> None:
        rows = go_rows("XINFO STREAM")
        values: dict[str, Any] = {row["field"].removesuffix("[0]"): 70 for row in rows.values()}
        values |= {field: b"70-1" for field in values if field.endswith("-id")}
        values |= {field: [b"70-1", [b"a", b"b"]] for field in values if field.endswith("-entry")}
        reply = [part for field, value in values.items() for part in (field.encode(), value)]
        replies = [[b"stream"], [reply, []]]
        samples = read(drive, replies, "--check-single-streams=s").samples()
        assert samples == {f'redis_{name}{{db="db0",stream="s"}}': "70" for name in rows}

    def test_entries_that_were_given_back_are_counted_by_group(self, drive: Drive) -> None:
        groups = [[b"name", name, b"pending", 3] for name in (b"g1", b"g2")]
        whole = [
            [b"name", b"g2", b"pel-count", 3, b"nacked-count", 2],
            [b"nacked-count", 1],
        ]
        full = [b"length", 9, b"entries", [], b"groups", whole]
        played = read(
            drive,
            [quiet(b"stream"), quiet([], groups), quiet(full)],
            "--check-single-streams=s",
            WITHOUT_CONSUMERS,
            facts=dataclasses.replace(REDIS_7, version=(8, 8, 0)),
        )
        assert played.asked[2][1] == FULL
        nacked = {name: value for name, value in played.samples().items() if "nacked" in name}
        assert nacked == {'redis_stream_group_messages_nacked{db="db0",stream="s",group="g2"}': "2"}

    @pytest.mark.parametrize("full", [None, ReplyError("NOPERM no"), 7, [b"groups", 7], [b"groups", [[7]]]])
    def test_without_them_the_rest_is_there(self, drive: Drive, full: Any) -> None:
        facts = dataclasses.replace(REDIS_7, version=(8, 8, 0))
        replies = [quiet(b"stream"), quiet([b"length", 7], [[b"name", b"g", b"pending", 3]]), quiet(full)]
        samples = read(drive, replies, "--check-single-streams=s", WITHOUT_CONSUMERS, facts=facts).samples()
        assert samples['redis_stream_length{db="db0",stream="s"}'] == "7"
        assert samples['redis_stream_group_messages_pending{db="db0",stream="s",group="g"}'] == "3"

    def test_they_are_not_asked_for_where_very_many_consumers_would_come(self, drive: Drive) -> None:
        """The budget of consumers is one for all streams."""
        facts = dataclasses.replace(REDIS_7, version=(8, 8, 0))
        groups = {b"a": ROWS_MAX - 40, b"b": 41, b"c": 0, b"s": 40}
        rows = [[[b"name", b"g", b"consumers", number]] for number in groups.values()]
        listed = quiet(*(each for row in rows for each in ([], row)))
        replies = [quiet(*[b"stream"] * 4), listed, quiet(*[[]] * 3)]
        argv = "--check-single-streams=a,b,c,s", WITHOUT_CONSUMERS
        played = read(drive, replies, *argv, facts=facts)
        asked = [args[2] for args in played.asked[2] if args[0] == "XINFO"]
        assert (asked, played.output.cut) == ([b"a", b"c", b"s"], 1)

    def test_a_server_without_xnack_is_not_asked_for_them(self, drive: Drive) -> None:
        valkey = dataclasses.replace(REDIS_7, flavor="valkey", version=(7, 2, 4), flavor_version=(9, 1, 0))
        for facts in (valkey, dataclasses.replace(REDIS_7, version=(8, 6, 1))):
            played = read(drive, [quiet(b"stream"), quiet([], [])], "--check-single-streams=s", facts=facts)
            asked = [args[:2] for args in played.asked[1] if args[0] == "XINFO"]
            assert asked == [("XINFO", "STREAM"), ("XINFO", "GROUPS")]

    def test_what_a_server_does_not_know_is_absent(self, drive: Drive) -> None:
        replies = [
            [b"stream"],
            [recorded("redis-7.0.15", "xinfo_stream"), recorded("redis-7.0.15", "xinfo_groups")],
        ]
        samples = read(drive, replies, "--check-single-streams=s", WITHOUT_CONSUMERS).samples()
        assert 'redis_stream_group_lag{db="db0",stream="s",group="gé"}' not in samples
        assert 'redis_stream_group_entries_read{db="db0",stream="s",group="g$"}' not in samples
        assert samples['redis_stream_group_lag{db="db0",stream="s",group="g$"}'] == "0"
        assert samples['redis_stream_group_last_delivered_id{db="db0",stream="s",group="gé"}'] == "0"

    def test_an_empty_stream_has_entries_at_0(self, drive: Drive) -> None:
        replies = [[b"stream"], [recorded("redis-7.0.15", "xinfo_stream_empty"), []]]
        samples = read(drive, replies, "--check-single-streams=s").samples()
        assert samples['redis_stream_first_entry_id{db="db0",stream="s"}'] == "0"
        assert samples['redis_stream_last_entry_id{db="db0",stream="s"}'] == "0"
        assert samples['redis_stream_max_deleted_entry_id{db="db0",stream="s"}'] == "0"

    def test_consumers_have_idle_seconds(self, drive: Drive) -> None:
        group = [b"name", b"g", b"consumers", 1, b"pending", 0, b"last-delivered-id", b"0-0"]
        replies = [
            [b"stream"],
            [[], [group]],
            [[[b"name", b"c", b"pending", 2, b"idle", 1792, b"inactive", 5]]],
        ]
        samples = read(drive, replies, "--check-single-streams=s").samples()
        assert (
            samples[
                'redis_stream_group_consumer_messages_pending{db="db0",stream="s",group="g",consumer="c"}'
            ]
            == "2"
        )
        assert (
            samples['redis_stream_group_consumer_idle_seconds{db="db0",stream="s",group="g",consumer="c"}']
            == "1.792"
        )

    def test_very_many_consumers_are_not_asked_for_and_counted(self, drive: Drive) -> None:
        groups = [
            [b"name", name, b"consumers", count]
            for name, count in ((b"a", 100_000), (b"b", 9_999), (b"c", 2), (b"d", 0), (b"e", 1))
        ]
        played = read(drive, [[b"stream"], [[], groups], [[], []]], "--check-single-streams=s")
        assert played.asked[2] == [("XINFO", "CONSUMERS", b"s", b"b"), ("XINFO", "CONSUMERS", b"s", b"e")]
        assert played.output.cut == 100_002
        assert played.samples()['redis_stream_group_consumers{db="db0",stream="s",group="a"}'] == "100000"

    def test_more_consumers_than_a_server_told_of_are_cut_and_counted(self, drive: Drive) -> None:
        groups = [[b"name", b"g%d" % number, b"consumers", 11] for number in range(900)]
        consumers = [[b"name", b"c%d" % number, b"pending", 1] for number in range(900)]
        played = read(drive, [[b"stream"], [[], groups], [consumers] * 900], "--check-single-streams=s")
        assert played.text.count("redis_stream_group_consumer_messages_pending") == 10_000
        assert played.output.cut == 900 * 900 - 10_000

    def test_consumers_that_came_since_the_groups_were_listed_are_read(self, drive: Drive) -> None:
        consumers = [[b"name", b"c%d" % number, b"pending", 1] for number in range(5)]
        groups = [[b"name", b"g", b"consumers", 3], [b"name", b"h", b"consumers", 3]]
        played = read(
            drive, [[b"stream"], [[], groups], [consumers, consumers[:1]]], "--check-single-streams=s"
        )
        assert played.text.count("redis_stream_group_consumer_messages_pending") == 6
        assert played.output.cut == 0

    def test_of_very_many_groups_not_all_are_asked_for_their_consumers(self, drive: Drive) -> None:
        groups = [[b"name", b"g%d" % number, b"consumers", 1] for number in range(GROUPS_MAX + 3)]
        played = read(drive, [[b"stream"], [[], groups], [[]] * GROUPS_MAX], "--check-single-streams=s")
        assert (len(played.asked[2]), played.output.cut) == (GROUPS_MAX, 3)

    def test_many_groups_of_few_consumers_are_written_in_pieces(self, drive: Drive) -> None:
        groups = [[b"name", b"g%d" % number, b"consumers", 9] for number in range(GROUPS_MAX)]
        consumers = [[b"name", b"c%d" % number, b"pending", 1, b"idle", 1] for number in range(9)]
        played = read(
            drive, [[b"stream"], [[], groups], [consumers] * GROUPS_MAX], "--check-single-streams=s"
        )
        assert played.pauses >= 10 * GROUPS_MAX // PIECE

    def test_consumers_that_are_not_wanted_are_not_asked_for(self, drive: Drive) -> None:
        replies = [
            [b"stream"],
            [recorded("redis-7.0.15", "xinfo_stream"), recorded("redis-7.0.15", "xinfo_groups")],
        ]
        played = read(drive, replies, "--check-single-streams=s", WITHOUT_CONSUMERS)
        assert len(played.asked) == 2
        assert not [name for name in played.samples() if name.startswith("redis_stream_group_consumer_")]
        assert 'redis_stream_group_consumers{db="db0",stream="s",group="g1"}' in played.samples()

    @pytest.mark.parametrize("kind", [b"none", b"list", ReplyError("NOPERM x"), None])
    def test_what_is_no_stream_is_asked_no_more(self, drive: Drive, kind: Any) -> None:
        assert read(drive, [[kind]], "--check-single-streams=s").samples() == {}

    @pytest.mark.parametrize(
        "odd",
        [
            None,
            5,
            b"x",
            [],
            [b"name"],
            [[b"name"]],
            [[5, None], 7],
            [b"length", b"x"],
            ReplyError("ERR gone"),
        ],
    )
    def test_odd_replies_cost_nothing_but_themselves(self, drive: Drive, odd: Any) -> None:
        whole = [b"length", 3, b"first-entry", [b"5-0", []], b"last-generated-id", b"x-y"]
        played = read(drive, [[b"stream", b"stream"], [odd, odd, whole, []]], "--check-single-streams=a,b")
        assert played.samples() == {
            'redis_stream_length{db="db0",stream="b"}': "3",
            'redis_stream_first_entry_id{db="db0",stream="b"}': "5",
        }

    def test_no_reply_but_errors_is_a_failure(self, drive: Drive) -> None:
        with pytest.raises(TargetError, match="LOADING"):
            read(drive, [[ReplyError("LOADING x")]], "--check-single-streams=s")

    @pytest.mark.parametrize(
        ("entry_id", "ms"),
        [
            (b"1526985054069-3", 1526985054069),
            (b"0-0", 0),
            (b"7", 7),
            (b"", None),
            (b"x-1", None),
            (None, None),
        ],
    )
    def test_of_an_id_the_time_is_told(self, entry_id: Any, ms: int | None) -> None:
        assert milliseconds(entry_id) == ms


def test_found_streams_are_those_of_the_newest_scan_but_for_single_ones(drive: Drive) -> None:
    memory = KeyMemory(found_streams={KeyName(0, b"s*"): (b"s1", b"s2")})
    played = read(drive, [[b"none"]], "--check-streams=s*,s1", collector=FOUND, memory=memory)
    assert played.asked == [[("TYPE", b"s2")]]


@pytest.mark.server
def test_a_real_stream(redis_server: RedisFactory, session: SessionFactory) -> None:
    server = redis_server()
    reader = session(server.port, "--check-single-streams=2=events,gone,text")
    reader.ask("SET", "text", "x")
    reader.ask("SELECT", 2)
    for entry_id in ("5-1", "6-1", "7-1"):
        reader.ask("XADD", "events", entry_id, "a", "b")
    reader.ask("XGROUP", "CREATE", "events", "workers", "0")
    reader.ask("XREADGROUP", "GROUP", "workers", "ann", "COUNT", 2, "STREAMS", "events", ">")
    reader.ask("XDEL", "events", "7-1")
    reader.ask("SELECT", 0)
    reader.poll(STREAMS)  # after this it is known what the server takes
    samples = reader.poll(STREAMS)
    idle = float(
        samples.pop(
            'redis_stream_group_consumer_idle_seconds{db="db2",stream="events",group="workers",consumer="ann"}'
        )
    )
    assert 0 <= idle < 60
    assert samples == {
        'redis_stream_length{db="db2",stream="events"}': "2",
        'redis_stream_radix_tree_keys{db="db2",stream="events"}': "1",
        'redis_stream_radix_tree_nodes{db="db2",stream="events"}': "2",
        'redis_stream_last_generated_id{db="db2",stream="events"}': "7",
        'redis_stream_groups{db="db2",stream="events"}': "1",
        'redis_stream_max_deleted_entry_id{db="db2",stream="events"}': "7",
        'redis_stream_first_entry_id{db="db2",stream="events"}': "5",
        'redis_stream_last_entry_id{db="db2",stream="events"}': "6",
        'redis_stream_entries_added_total{db="db2",stream="events"}': "3",
        'redis_stream_group_consumers{db="db2",stream="events",group="workers"}': "1",
        'redis_stream_group_messages_pending{db="db2",stream="events",group="workers"}': "2",
        'redis_stream_group_pending{db="db2",stream="events",group="workers"}': "2",
        'redis_stream_group_last_delivered_id{db="db2",stream="events",group="workers"}': "6",
        'redis_stream_group_entries_read{db="db2",stream="events",group="workers"}': "2",
        "redis_stream_group_consumer_messages_pending"
        '{db="db2",stream="events",group="workers",consumer="ann"}': "2",
    } | {key: value for key, value in samples.items() if "lag" in key}
    assert server_field(server, "total_error_replies") == 0
    assert reader.batches == 3
