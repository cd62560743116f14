"""CLIENT LIST: each client, clients by some of their fields, and how it is kept from holding a server up."""

from __future__ import annotations

import dataclasses
import re
import socket
from typing import Any

import pytest

from exporter.collectors._enabled import enable
from exporter.collectors.clients import BY, GROUPS, ClientsCollector, clients_of, idle_counts
from exporter.collectors.info import InfoCollector
from exporter.errors import BusyError, NoPermError, ProtocolError, ReplyError
from exporter.metrics.labels import label_forms
from exporter.options.commandline import parse
from exporter.polling.memory import TargetMemory
from exporter.polling.output import CollectorOutput
from exporter.protocol.facts import Facts
from tests.collectors.conftest import NOW, Drive
from tests.collectors.go_rows import DATA, assert_same_families, go_rows
from tests.watch_harness import RedisFactory, WatchHarnessFactory

FACTS = Facts((7, 0, 15), "redis", "master", "standalone", "r", False, False, 16)
VERSIONS = sorted(path.parent.name for path in DATA.glob("*/client_list.txt"))
NOT_HERE = ReplyError("ERR not here")
FEW = [b"# Clients\r\nconnected_clients:3\r\n", b"# Replication\r\nrole:master\r\nconnected_slaves:1\r\n"]
ASKED_FIRST = [("INFO", "clients"), ("INFO", "replication")]
EACH = parse(["--export-client-list"], {})
LINE = (
    b"id=11 addr=127.0.0.1:63508 laddr=127.0.0.1:6379 fd=8 name=web age=6321 idle=6320 flags=N db=2 sub=1 "
    b"psub=2 ssub=3 multi=-1"
    b" watch=4 qbuf=26 qbuf-free=16360 argv-mem=10 multi-mem=0 rbs=1024 rbp=0 obl=7 oll=8 omem=9 "
    b"tot-mem=17728 events=r"
    b" cmd=client|list user=default redir=-1 resp=2 lib-name=redis-py lib-ver=5.0.1\n"
)
#: what Redis 8.8 has at the end of a line
LATER = b" tot-net-in=70 tot-net-out=71 read-events=73 avg-pipeline-len-sum=75 avg-pipeline-len-cnt=74"


def told(drive: Drive, text: bytes, *argv: str, keep: str = "redis_connected_client") -> dict[str, str]:
    samples = drive(
        ClientsCollector(),
        FEW,
        [text],
        facts=FACTS,
        options=parse(list(argv) or ["--export-client-list"], {}),
    ).samples()
    return {name: value for name, value in samples.items() if name.startswith(keep)}


def changed(old: bytes, new: bytes) -> bytes:
    assert old in LINE
    return LINE.replace(old, new)


def test_the_families_of_the_go_exporter() -> None:
    assert_same_families(ClientsCollector(), go_rows("CLIENT LIST"))


class TestEachClient:
    def test_all_that_is_told_of_one(self, drive: Drive) -> None:
        now = int(NOW)
        series = {
            "output_buffer_memory_usage_bytes": 9,
            "total_memory_consumed_bytes": 17728,
            "created_at_timestamp": now - 6321,
            "idle_since_timestamp": now - 6320,
            "channel_subscriptions_count": 1,
            "pattern_matching_subscriptions_count": 2,
            "query_buffer_length_bytes": 26,
            "query_buffer_free_space_bytes": 16360,
            "output_buffer_length_bytes": 7,
            "output_list_length": 8,
            "shard_channel_subscriptions_count": 3,
            "shard_channel_watched_keys": 4,
        }
        labels = 'id="11",name="web",flags="N",db="2",host="127.0.0.1",port="",user="default",resp="2"'
        assert told(drive, LINE) == {
            f"redis_connected_client_info{{{labels}}}": "1",
            **{
                f'redis_connected_client_{name}{{id="11",name="web"}}': str(value)
                for name, value in series.items()
            },
        }

    def test_the_port_is_told_on_demand(self, drive: Drive) -> None:
        samples = told(drive, LINE, "--export-client-list", "--export-client-port")
        assert [name for name in samples if 'port="63508"' in name] == [
            'redis_connected_client_info{id="11",name="web",flags="N",db="2",host="127.0.0.1",port="63508",user="default",resp="2"}'
        ]

    @pytest.mark.parametrize(
        ("address", "host", "port"),
        [
            (b"fd40:1481::1:44426", "fd40:1481::1", "44426"),
            (b"[::1]:49940", "[::1]", "49940"),
            (b"/run/odd dir=1/s k=2.sock:0", "/run/odd dir=1/s k=2.sock", "0"),
            (b"", "", ""),
        ],
    )
    def test_addresses(self, drive: Drive, address: bytes, host: str, port: str) -> None:
        samples = told(
            drive,
            changed(b"addr=127.0.0.1:63508", b"addr=" + address),
            "--export-client-list",
            "--export-client-port",
        )
        assert f'host="{host}",port="{port}"' in next(iter(samples))

    def test_a_line_without_a_descriptor(self, drive: Drive) -> None:
        """As Garnet writes it: the fields after the addresses are read too."""
        samples = told(
            drive, b"id=4 addr=10.0.0.3:51002 laddr=10.0.0.2:6379 name=app age=120 user=u flags=N db=1"
        )
        assert 'id="4",name="app",flags="N",db="1",host="10.0.0.3",port="",user="u"' in next(iter(samples))

    def test_what_redis_8_8_counts_of_one(self, drive: Drive) -> None:
        samples = told(drive, LINE.rstrip(b"\n") + LATER + b"\n")
        assert {
            name: value for name, value in samples.items() if name.partition("{")[0].endswith("_total")
        } == {
            'redis_connected_client_read_events_total{id="11",name="web"}': "73",
            'redis_connected_client_pipeline_commands_total{id="11",name="web"}': "75",
            'redis_connected_client_pipeline_batches_total{id="11",name="web"}': "74",
        }

    @pytest.mark.parametrize("name", [b"a=b", b"=", b"name=evil", b"addr=10.0.0.1:1", b'say"so'])
    def test_names_may_look_like_fields(self, drive: Drive, name: bytes) -> None:
        samples = told(drive, changed(b"name=web", b"name=" + name))
        escaped = name.decode().replace('"', '\\"')
        assert samples[f'redis_connected_client_output_list_length{{id="11",name="{escaped}"}}'] == "8"
        assert len(samples) == 13

    @pytest.mark.parametrize("field", ["sub", "qbuf", "omem", "tot-mem", "ssub", "age", "idle"])
    def test_a_negative_number_is_not_known(self, drive: Drive, field: str) -> None:
        value = next(part for part in LINE.split() if part.startswith(f"{field}=".encode()))
        samples = told(drive, changed(b" " + value + b" ", f" {field}=-1 ".encode()))
        assert len(samples) == 12

    @pytest.mark.parametrize(
        "field", ["sub", "psub", "qbuf", "qbuf-free", "obl", "oll", "omem", "tot-mem", "ssub", "watch"]
    )
    def test_a_value_that_is_no_number_is_0(self, drive: Drive, field: str) -> None:
        row = next(name for name, row in go_rows("CLIENT LIST").items() if row["field"] == field)
        value = next(part for part in LINE.split() if part.startswith(f"{field}=".encode()))
        assert (
            told(drive, changed(b" " + value + b" ", f" {field}=ERR ".encode()))[
                f'redis_{row}{{id="11",name="web"}}'
            ]
            == "0"
        )

    @pytest.mark.parametrize(
        ("field", "family"),
        [
            (b"omem=9", "output_buffer_memory_usage_bytes"),
            (b"tot-mem=17728", "total_memory_consumed_bytes"),
            (b"sub=1", "channel_subscriptions_count"),
            (b"qbuf=26", "query_buffer_length_bytes"),
            (b"oll=8", "output_list_length"),
            (b"ssub=3", "shard_channel_subscriptions_count"),
            (b"watch=4", "shard_channel_watched_keys"),
            (b"age=6321", "created_at_timestamp"),
            (b"idle=6320", "idle_since_timestamp"),
        ],
    )
    def test_what_is_missing_is_left_out(self, drive: Drive, field: bytes, family: str) -> None:
        samples = told(drive, changed(b" " + field, b""))
        assert f'redis_connected_client_{family}{{id="11",name="web"}}' not in samples
        assert len(samples) == 12

    @pytest.mark.parametrize("field", [b"age=6321", b"idle=6320"])
    def test_a_bad_time_costs_no_more_than_itself(self, drive: Drive, field: bytes) -> None:
        assert len(told(drive, changed(field, field.partition(b"=")[0] + b"=x"))) == 12

    @pytest.mark.parametrize(
        "text",
        [b"", b"\n", b"id=7 name=x\n", changed(b"id=11 ", b""), changed(b"id=11", b"id=x"), b"\xff\x00=="],
    )
    def test_what_is_no_client_is_left_out(self, drive: Drive, text: bytes) -> None:
        assert told(drive, text) == {}

    @pytest.mark.parametrize("version", VERSIONS)
    def test_recorded_servers(self, drive: Drive, version: str) -> None:
        for path in (DATA / version).glob("client_list*.txt"):
            text = path.read_bytes()
            samples = told(drive, text)
            infos = [name for name in samples if name.startswith("redis_connected_client_info")]
            assert len(infos) == text.count(b"id=") - text.count(b"name=id=") - text.count(b"lib-id=")
            assert all(float(value) >= -1 for value in samples.values())

    def test_a_sentinels_clients(self, drive: Drive) -> None:
        text = (DATA / "redis-7.4.1" / "sentinel_client_list.txt").read_bytes()
        assert len([name for name in told(drive, text) if "client_info" in name]) == text.count(b"\n")


class TestGroups:
    TEXT = b"".join(
        LINE.replace(b"id=11", b"id=%d" % number)
        .replace(b"name=web", b"name=" + name)
        .replace(b"age=6321 idle=6320", b"age=%d idle=%d" % (100 * number, 10 * number))
        .replace(b"omem=9 tot-mem=17728", b"omem=%d tot-mem=%d" % (number, 1000 * number))
        for number, name in enumerate((b"web", b"web", b"job"), 1)
    )

    @pytest.mark.parametrize(
        ("field", "lost"),
        [
            (b"omem", {"output_memory_bytes", "output_memory_max_bytes"}),
            (b"tot-mem", {"memory_bytes", "memory_max_bytes"}),
            (b"idle", {"idle_max_seconds"}),
            (b"age", {"age_max_seconds"}),
        ],
    )
    def test_a_field_that_no_line_has_gives_no_value(
        self, drive: Drive, field: bytes, lost: set[str]
    ) -> None:
        without = re.sub(rb" %s=\d+" % field, b"", self.TEXT)
        samples = told(drive, without, "--client-list-by=name", keep="redis_client_group")
        kept = {name.partition("{")[0].removeprefix("redis_client_group_") for name in samples}
        assert kept & lost == set()
        assert len(kept) == 7 - len(lost)

    def group(self, drive: Drive, by: str) -> dict[str, str]:
        return told(drive, self.TEXT, f"--client-list-by={by}", keep="redis_client_group")

    def test_by_name(self, drive: Drive) -> None:
        labels = '{name="%s",user="",lib_name="",cmd="",db="",flags=""}'
        numbers = {
            "clients": (2, 1),
            "output_memory_bytes": (3, 3),
            "output_memory_max_bytes": (2, 3),
            "memory_bytes": (3000, 3000),
            "memory_max_bytes": (2000, 3000),
            "idle_max_seconds": (20, 30),
            "age_max_seconds": (200, 300),
        }
        assert self.group(drive, "name") == {
            f"redis_client_group_{family}{labels % name}": str(value)
            for family, values in numbers.items()
            for name, value in zip(("web", "job"), values, strict=True)
        }

    def test_by_all_at_once_in_any_order(self, drive: Drive) -> None:
        samples = self.group(drive, ",".join(reversed(BY)))
        labels = 'user="default",lib_name="redis-py",cmd="client|list",db="2",flags="N"'
        assert samples[f'redis_client_group_clients{{name="web",{labels}}}'] == "2"

    def test_memory_is_left_out_of_servers_that_do_not_tell_it(self, drive: Drive) -> None:
        text = (DATA / "redis-4.0.14" / "client_list.txt").read_bytes()
        samples = told(drive, text, "--client-list-by=flags", keep="redis_client_group")
        assert {name.split("{")[0] for name in samples} == {
            f"redis_{f.name}" for f in GROUPS if f.since != "6.2"
        }

    @pytest.mark.parametrize("version", VERSIONS)
    def test_recorded_servers(self, drive: Drive, version: str) -> None:
        text = (DATA / version / "client_list.txt").read_bytes()
        samples = told(drive, text, "--client-list-by=db,cmd", keep="redis_client_group_clients")
        assert sum(map(int, samples.values())) == text.count(b"\n")

    def test_neither_is_told_where_only_the_other_was_asked_for(self, drive: Drive) -> None:
        assert told(drive, LINE, "--client-list-by=db") == {}
        assert told(drive, LINE, keep="redis_client_group") == {}


def test_idle_clients_are_counted_by_threshold(drive: Drive) -> None:
    text = b"".join(
        changed(b"idle=6320", b"idle=%d" % seconds) for seconds in (0, 59, 60, 60, 400, 5000, 100_000)
    )
    assert idle_counts(text) == [(60, 5), (300, 3), (3600, 2), (86400, 1)]
    samples = told(drive, text, "--client-list-by=db", keep="redis_client_connections_idle")
    assert samples['redis_client_connections_idle{threshold_seconds="300"}'] == "3"


class TestLimit:
    def test_with_too_many_clients_it_is_skipped(self, drive: Drive) -> None:
        options = parse(["--export-client-list", "--client-list.max-clients=3"], {})
        played = drive(ClientsCollector(), FEW, facts=FACTS, options=options)  # 3 and a replica
        assert played.asked == [ASKED_FIRST]
        assert played.samples() == {"redis_exporter_client_list_skipped": "1"}

    def test_with_as_many_as_may_be_it_is_asked(self, drive: Drive) -> None:
        options = parse(["--export-client-list", "--client-list.max-clients=4"], {})
        played = drive(ClientsCollector(), FEW, [LINE], facts=FACTS, options=options)
        assert played.asked == [ASKED_FIRST, [("CLIENT", "LIST")]]
        assert played.samples()["redis_exporter_client_list_skipped"] == "0"

    def test_how_long_it_took_is_told_without_what_came_before(self) -> None:
        collector = ClientsCollector()
        enabled = enable(collector, "redis")
        output = CollectorOutput(
            enabled, label_forms([enabled.family_set], ())["clients"], TargetMemory(), NOW
        )
        run = collector.collect(FACTS, EACH, output)
        next(run)
        output.spent_s = 0.5
        run.send(FEW)
        output.spent_s = 0.75
        assert run.send([LINE]) == []  # a pause
        with pytest.raises(StopIteration):
            run.send([])
        assert b"\nredis_exporter_client_list_duration_seconds 0.25\n" in output.block().samples

    @pytest.mark.parametrize("replies", [[b"", b""], [b"connected_clients:x\r\n", b""], [5, None]])
    def test_a_server_that_does_not_say_how_many_there_are_is_asked(self, replies: Any) -> None:
        assert clients_of(replies) == 0

    @pytest.mark.parametrize(
        "sections", [[NOT_HERE, NOT_HERE], [NOT_HERE, b"connected_slaves:0"], [b"", b""]]
    )
    def test_a_server_that_has_no_sections_by_name_says_it_in_its_plain_info(
        self, drive: Drive, sections: Any
    ) -> None:
        plain = b"# Clients\r\nconnected_clients:6000\r\n# Replication\r\nconnected_slaves:1\r\n"
        played = drive(ClientsCollector(), sections, [plain], facts=FACTS, options=EACH)
        assert played.asked[1:] == [[("INFO",)]]
        assert played.samples() == {"redis_exporter_client_list_skipped": "1"}

    def test_a_server_that_tells_nothing_of_replicas(self) -> None:
        assert clients_of([b"connected_clients:12\n", b""]) == 12


def test_it_is_asked_for_by_either_option() -> None:
    assert not ClientsCollector().enabled(parse([], {}))
    assert ClientsCollector().enabled(EACH)
    assert ClientsCollector().enabled(parse(["--client-list-by=name"], {}))


@pytest.mark.parametrize(
    ("mode", "version", "wanted"),
    [
        ("standalone", (2, 8, 0), True),
        ("standalone", (2, 4, 0), False),
        ("sentinel", (3, 0, 0), True),
        ("sentinel", (2, 8, 0), False),
    ],
)
def test_who_is_asked(mode: str, version: tuple[int, int, int], wanted: bool) -> None:
    assert ClientsCollector().wants(dataclasses.replace(FACTS, mode=mode, version=version), EACH) is wanted


@pytest.mark.parametrize("reply", [ReplyError("NOPERM no"), None, 5, []])
def test_an_answer_that_is_no_list_of_clients(drive: Drive, reply: Any) -> None:
    with pytest.raises(NoPermError if isinstance(reply, ReplyError) else ProtocolError):
        drive(ClientsCollector(), FEW, [reply], facts=FACTS, options=EACH)


def test_an_info_that_is_not_answered_now_is_a_failure(drive: Drive) -> None:
    with pytest.raises(BusyError):
        drive(ClientsCollector(), [NOT_HERE, b""], [ReplyError("BUSY x")], facts=FACTS, options=EACH)


async def test_a_real_server(redis_server: RedisFactory, make_watch_harness: WatchHarnessFactory) -> None:
    server = redis_server()
    argv = ["--export-client-list", "--export-client-port", "--client-list-by=name"]
    watch_harness = make_watch_harness([InfoCollector(), ClientsCollector()], argv=argv)
    watched = watch_harness.watched(server.port)
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(b"CLIENT SETNAME a=b\r\n")
        assert client.recv(99) == b"+OK\r\n"
        await watch_harness.poll(watched)
        port = str(client.getsockname()[1])
    infos = [
        labels for name, labels in watch_harness.series(watched) if name == "redis_connected_client_info"
    ]
    assert {labels[1] for labels in infos} == {"a=b", "redis_exporter"}
    [ours] = [labels for labels in infos if labels[1] == "a=b"]
    assert ours[2:6] == ("N", "0", "127.0.0.1", port)
    assert watch_harness.value(watched, "redis_client_group_clients", "a=b", "", "", "", "", "") == 1
    assert watch_harness.value(watched, "redis_client_connections_idle", "60") == 0
    assert watch_harness.value(watched, "redis_exporter_client_list_skipped") == 0
    assert 0 < watch_harness.number(watched, "redis_exporter_client_list_duration_seconds") < 20


async def test_a_real_server_with_too_many_clients(
    redis_server: RedisFactory, make_watch_harness: WatchHarnessFactory
) -> None:
    server = redis_server()
    watch_harness = make_watch_harness(
        [InfoCollector(), ClientsCollector()], argv=["--export-client-list", "--client-list.max-clients=1"]
    )
    watched = watch_harness.watched(server.port)
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(b"PING\r\n")
        assert client.recv(99) == b"+PONG\r\n"
        await watch_harness.poll(watched)
    assert watch_harness.value(watched, "redis_exporter_client_list_skipped") == 1
    assert not [
        name for name, _ in watch_harness.series(watched) if name.startswith("redis_connected_client_")
    ]
    assert b"cmdstat_client|list" not in server.ask("INFO", "commandstats")
