"""What a Sentinel knows of masters, replicas, other Sentinels, and its links to them."""

from __future__ import annotations

import csv
import dataclasses
import json
import pathlib
import re
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from exporter.collectors._registry import REGISTRY
from exporter.collectors.sentinel import FIELDS_MAX, MASTERS_MAX, SentinelCollector
from exporter.errors import ProtocolError, ReplyError
from exporter.metrics.family import NameSet
from exporter.options.commandline import parse
from exporter.protocol.command import PIECE
from exporter.protocol.facts import Facts
from exporter.protocol.neighbours import NamedServer
from tests.clusters import DOWN_AFTER_MS, Sentinel
from tests.collectors.conftest import OPTIONS, Drive
from tests.servers import RedisServer, wait_until
from tests.watch_harness import WatchHarness

DATA = pathlib.Path(__file__).parent.parent / "data"
VERSIONS = sorted(path.parent.name for path in DATA.glob("*/sentinel_masters.json"))
FACTS = Facts((7, 0, 15), "redis", "sentinel", "sentinel", "r", False, False)
FAMILIES = {family.name: family for family in SentinelCollector.families}
WITH_PEERS = parse(["--include-sentinel-peer-info"], {})

MASTER = {
    "name": "m", "ip": "10.0.0.1", "port": "6379", "runid": "r", "flags": "master",
    "link-pending-commands": "1", "link-refcount": "1",
    "last-ping-sent": "0", "last-ok-ping-reply": "384", "last-ping-reply": "385",
    "down-after-milliseconds": "600", "info-refresh": "6144",
    "role-reported": "master", "role-reported-time": "6151", "config-epoch": "3", "num-slaves": "1",
    "num-other-sentinels": "1",
    "quorum": "2", "failover-timeout": "2000", "parallel-syncs": "4",
}  # fmt: skip
REPLICA = {
    "name": "10.0.0.2:6379", "ip": "10.0.0.2", "port": "6379", "runid": "r",
    "flags": "s_down,slave,disconnected",
    "link-pending-commands": "3", "link-refcount": "1", "last-ping-sent": "2500",
    "last-ok-ping-reply": "2600", "last-ping-reply": "2600",
    "s-down-time": "1900", "down-after-milliseconds": "600", "info-refresh": "9000",
    "role-reported": "slave", "role-reported-time": "9500",
    "master-link-down-time": "1500", "master-link-status": "err", "master-host": "10.0.0.1",
    "master-port": "6379",
    "slave-priority": "100", "slave-repl-offset": "559", "replica-announced": "1",
}  # fmt: skip
PEER = {
    "name": "f" * 40, "ip": "10.0.0.9", "port": "26379", "runid": "f" * 40, "flags": "sentinel",
    "link-pending-commands": "0",
    "link-refcount": "1", "last-ping-sent": "0", "last-ok-ping-reply": "1", "last-ping-reply": "1",
    "down-after-milliseconds": "600",
    "last-hello-message": "37", "voted-leader": "?", "voted-leader-epoch": "0",
}  # fmt: skip
OK = b"OK 2 usable Sentinels. Quorum and failover authorization can be reached"


def flat(entry: dict[str, str]) -> list[bytes]:
    return [text.encode() for pair in entry.items() for text in pair]


def told(
    drive: Drive,
    master: Any = MASTER,
    quorum: Any = OK,
    peers: Any = (PEER,),
    replicas: Any = (REPLICA,),
    **kwargs: Any,
) -> dict[str, str]:
    batches = (
        [[flat(master)]],
        [quorum, [flat(peer) for peer in peers], [flat(replica) for replica in replicas]],
    )
    return drive(SentinelCollector(), *batches, facts=FACTS, **kwargs).samples()


def recorded(version: str, name: str) -> Any:
    def encoded(value: Any) -> Any:
        return [encoded(item) for item in value] if isinstance(value, list) else value.encode()

    return encoded(json.loads((DATA / version / f"sentinel_{name}.json").read_text()))


def of_version(version: str) -> Facts:
    major, minor, patch = (int(digits) for digits in version.rpartition("-")[2].split("."))
    return dataclasses.replace(FACTS, version=(major, minor, patch))


@pytest.fixture
async def watch_harness() -> AsyncIterator[WatchHarness]:
    watch_harness = WatchHarness(REGISTRY, argv=["--include-sentinel-peer-info", "--include-config-metrics"])
    yield watch_harness
    await watch_harness.close()


def go_rows() -> list[dict[str, str]]:
    with (DATA / "go_metrics.csv").open(newline="") as file:
        return [
            row
            for row in csv.DictReader(file)
            if row["source"].startswith("SENTINEL ") and "CONFIG" not in row["source"]
        ]


@pytest.mark.parametrize("row", go_rows(), ids=lambda row: row["name"])
def test_every_row_of_the_go_exporter_is_in_the_table(row: dict[str, str]) -> None:
    family = FAMILIES[row["name"].removeprefix("redis_")]
    assert (family.type.value, ";".join(family.labels), family.name_set) == (
        row["type"],
        row["labels"],
        NameSet.GO,
    )


class TestMasters:
    def test_have_their_settings_and_who_is_there_for_them(self, drive: Drive) -> None:
        samples = told(drive)
        expected = {
            "setting_ckquorum": "2", "setting_failover_timeout": "2000", "setting_parallel_syncs": "4",
            "setting_down_after_milliseconds": "600", "config_epoch": "3",
            "last_ok_ping_reply_seconds": "0.384",
            "ok_sentinels": "2", "ok_slaves": "0", "quorum_ok": "1",
        }  # fmt: skip
        labels = '{master_name="m",master_address="10.0.0.1:6379"}'
        assert {name: samples[f"redis_sentinel_master_{name}{labels}"] for name in expected} == expected

    @pytest.mark.parametrize("as_status", [OK, OK.decode()])
    def test_have_a_quorum(self, drive: Drive, as_status: Any) -> None:
        key = f'redis_sentinel_master_ckquorum_status{{master_name="m",message="{OK.decode()}"}}'
        assert told(drive, quorum=as_status)[key] == "1"

    def test_have_none(self, drive: Drive) -> None:
        text = (
            "NOQUORUM 1 usable Sentinels. Not enough available Sentinels to reach the specified quorum "
            "for this master"
        )
        samples = told(drive, quorum=ReplyError(text))
        assert samples[f'redis_sentinel_master_ckquorum_status{{master_name="m",message="{text}"}}'] == "0"
        assert (
            samples['redis_sentinel_master_quorum_ok{master_name="m",master_address="10.0.0.1:6379"}'] == "0"
        )

    @pytest.mark.parametrize(
        "reply",
        [ReplyError("NOPERM no"), ReplyError("ERR Unknown sentinel subcommand 'CKQUORUM'"), None, 7, []],
    )
    def test_of_which_the_quorum_cannot_be_asked_are_not_said_to_have_none(
        self, drive: Drive, reply: Any
    ) -> None:
        assert not any("quorum_" in key for key in told(drive, quorum=reply))

    @pytest.mark.parametrize("quorum", ["x", "-1", "N/A"])
    def test_a_setting_that_is_missing_or_no_number_is_left_out(self, drive: Drive, quorum: str) -> None:
        samples = told(drive, {**MASTER, "quorum": quorum, "config-epoch": ""})
        assert not any("setting_ckquorum" in key or "config_epoch" in key for key in samples)
        assert any("parallel_syncs" in key for key in samples)

    @pytest.mark.parametrize(
        ("flags", "counted"),
        [
            ("slave", 1),
            ("slave,disconnected", 1),
            ("s_down,slave", 0),
            ("o_down,slave", 0),
            ("slave,reconf_sent", 1),
            (None, 0),
        ],
    )
    def test_count_those_that_are_not_down(self, drive: Drive, flags: str | None, counted: int) -> None:
        own = {} if flags is None else {"flags": flags}
        plain = {"name": "x", "ip": "10.0.0.3", "port": "1", **own}
        labels = '{master_name="m",master_address="10.0.0.1:6379"}'
        assert told(drive, replicas=[plain])[f"redis_sentinel_master_ok_slaves{labels}"] == str(counted)
        assert told(drive, peers=[plain])[f"redis_sentinel_master_ok_sentinels{labels}"] == str(1 + counted)

    def test_whose_sentinels_or_replicas_are_not_told_have_no_count_of_them(self, drive: Drive) -> None:
        replies = [OK, ReplyError("NOPERM no"), ReplyError("ERR No such master with that name")]
        samples = drive(SentinelCollector(), [[flat(MASTER)]], replies, facts=FACTS).samples()
        assert not any("ok_sentinels" in key or "ok_slaves" in key for key in samples)
        assert any("setting_ckquorum" in key for key in samples)

    def test_are_none_at_a_sentinel_that_watches_nobody(self, drive: Drive) -> None:
        played = drive(SentinelCollector(), [[]], facts=FACTS)
        assert (played.asked, played.samples()) == ([[("SENTINEL", "MASTERS")]], {})


def of_link(samples: dict[str, str], link: str) -> dict[str, str]:
    return {
        key.partition("{")[0].removeprefix("redis_sentinel_link_"): value
        for key, value in samples.items()
        if f'link="{link}"' in key
    }


class TestLinks:
    def test_to_a_master(self, drive: Drive) -> None:
        samples = told(drive)
        assert of_link(samples, "master") == {
            "connected": "1", "pending_commands": "1", "ping_pending_seconds": "0",
            "last_ok_ping_reply_seconds": "0.384",
            "last_ping_reply_seconds": "0.385", "down_after_seconds": "0.6", "role_reported_seconds": "6.151",
            "subjective_down_seconds": "0", "objective_down_seconds": "0",
        }  # fmt: skip
        assert (
            'redis_sentinel_link_connected{master_name="m",link="master",address="10.0.0.1:6379"}' in samples
        )

    def test_to_a_master_that_is_down(self, drive: Drive) -> None:
        down = {
            **MASTER,
            "flags": "s_down,o_down,master,disconnected",
            "s-down-time": "13580",
            "o-down-time": "1300",
        }
        link = of_link(told(drive, down), "master")
        assert (link["connected"], link["subjective_down_seconds"], link["objective_down_seconds"]) == (
            "0",
            "13.58",
            "1.3",
        )

    def test_to_a_replica(self, drive: Drive) -> None:
        samples = told(drive)
        assert of_link(samples, "replica") == {
            "connected": "0", "pending_commands": "3", "ping_pending_seconds": "2.5",
            "last_ok_ping_reply_seconds": "2.6",
            "last_ping_reply_seconds": "2.6", "down_after_seconds": "0.6", "role_reported_seconds": "9.5",
            "subjective_down_seconds": "1.9",
        }  # fmt: skip
        own = {key: value for key, value in samples.items() if key.startswith("redis_sentinel_replica_")}
        labels = '{master_name="m",address="10.0.0.2:6379"}'
        assert own == {
            f"redis_sentinel_replica_master_link_up{labels}": "0",
            f"redis_sentinel_replica_master_link_down_seconds{labels}": "1.5",
            f"redis_sentinel_replica_priority{labels}": "100",
            f"redis_sentinel_replica_repl_offset_bytes{labels}": "559",
        }

    def test_to_another_sentinel(self, drive: Drive) -> None:
        samples = told(drive)
        assert of_link(samples, "sentinel") == {
            "connected": "1", "pending_commands": "0", "ping_pending_seconds": "0",
            "last_ok_ping_reply_seconds": "0.001",
            "last_ping_reply_seconds": "0.001", "down_after_seconds": "0.6", "subjective_down_seconds": "0",
        }  # fmt: skip
        assert (
            samples['redis_sentinel_peer_last_hello_seconds{master_name="m",address="10.0.0.9:26379"}']
            == "0.037"
        )

    def test_to_two_at_one_address_are_one_series(self, drive: Drive) -> None:
        samples = drive(
            SentinelCollector(), [[flat(MASTER)]], [OK, [flat(PEER)] * 2, [flat(REPLICA)] * 2], facts=FACTS
        ).text
        series = [line.rsplit(" ", 1)[0] for line in samples.splitlines()]
        assert len(series) == len(set(series))


class TestNamed:
    """Servers that a Sentinel names, for those who look for further targets."""

    MASTER_SERVER = NamedServer("10.0.0.1", 6379, "master", master_name="m")

    @staticmethod
    def named(drive: Drive, *masters: dict[str, str], peers: Any = (), replicas: Any = ()) -> Any:
        answers = [OK, [flat(each) for each in peers], [flat(each) for each in replicas]] * len(masters)
        batches = ([[flat(each) for each in masters]], *([answers] if masters else []))
        return drive(SentinelCollector(), *batches, facts=FACTS).memory.sentinel

    def test_are_masters_replicas_and_other_sentinels(self, drive: Drive) -> None:
        found = self.named(drive, MASTER, peers=[PEER], replicas=[REPLICA])
        assert found.servers == (
            self.MASTER_SERVER,
            NamedServer("10.0.0.9", 26379, "sentinel", "f" * 40),
            NamedServer("10.0.0.2", 6379, "slave", master_name="m", works=False),
        )
        assert found.seen_at == 1_795_380_000.25

    def test_are_each_named_once(self, drive: Drive) -> None:
        other = {**MASTER, "name": "n", "port": "6380"}
        found = self.named(drive, MASTER, other, peers=[PEER])
        assert [server.role for server in found.servers] == ["master", "sentinel", "master"]

    @pytest.mark.parametrize("lacking", [{"ip": ""}, {"port": "0"}, {"port": "65536"}, {"port": "?"}])
    def test_are_left_out_without_an_address(self, drive: Drive, lacking: dict[str, str]) -> None:
        found = self.named(drive, MASTER, replicas=[{**REPLICA, **lacking}])
        assert found.servers == (self.MASTER_SERVER,)

    def test_are_none_where_nobody_is_watched(self, drive: Drive) -> None:
        assert self.named(drive).servers == ()


class TestPeers:
    def test_are_named_on_request(self, drive: Drive) -> None:
        assert not any("peer_info" in key for key in told(drive))
        assert any("ok_sentinels" in key for key in told(drive))
        name = "f" * 40
        own = f'name="{name}",ip="10.0.0.9",port="26379",runid="{name}",flags="sentinel"'
        key = f'redis_sentinel_peer_info{{master_name="m",master_address="10.0.0.1:6379",{own}}}'
        assert told(drive, options=WITH_PEERS)[key] == "1"

    def test_without_flags_have_an_empty_label(self, drive: Drive) -> None:
        peer = {name: value for name, value in PEER.items() if name != "flags"}
        [key] = [key for key in told(drive, peers=[peer], options=WITH_PEERS) if "peer_info" in key]
        assert 'flags=""' in key


def test_more_masters_than_a_sentinel_has_are_not_asked_about(drive: Drive) -> None:
    masters = [
        flat(MASTER | {"name": f"m{number}", "port": str(number)}) for number in range(MASTERS_MAX + 5)
    ]
    played = drive(SentinelCollector(), [masters], [OK, [], []] * MASTERS_MAX, facts=FACTS)
    assert len(played.asked[1]) == 3 * MASTERS_MAX
    assert played.output.cut == 5


class TestRecorded:
    @pytest.mark.parametrize("version", VERSIONS)
    @pytest.mark.parametrize("name", ["masters", "masters_after", "masters_failover"])
    def test_every_master_is_told_whole(self, drive: Drive, version: str, name: str) -> None:
        masters = recorded(version, name)
        replies = [OK, recorded(version, "sentinels"), recorded(version, "slaves")]
        played = drive(
            SentinelCollector(),
            [masters],
            replies * len(masters),
            facts=of_version(version),
            options=WITH_PEERS,
        )
        samples = played.samples()
        for master in masters:
            entry = dict(zip(master[::2], master[1::2], strict=True))
            label = f'master_name="{entry[b"name"].decode()}"'
            found = {key.partition("{")[0].removeprefix("redis_") for key in samples if label in key}
            # Redis 7.4 says -1000 while it does not know
            unknown = {"sentinel_replica_master_link_down_seconds"} if b"-1000" in replies[2][0] else set()
            assert found == FAMILIES.keys() - unknown
            down = b"s_down" in entry[b"flags"]
            address = b":".join((entry[b"ip"], entry[b"port"])).decode()
            s_down = samples[
                f'redis_sentinel_link_subjective_down_seconds{{{label},link="master",address="{address}"}}'
            ]
            assert (float(s_down) > 0) == down
        series = [line.rsplit(" ", 1)[0] for line in played.text.splitlines()]
        assert len(series) == len(set(series))

    @pytest.mark.parametrize(
        ("version", "word"), [((2, 8, 24), "SLAVES"), ((4, 0, 14), "SLAVES"), ((5, 0, 0), "REPLICAS")]
    )
    def test_replicas_are_asked_for_by_the_word_that_the_version_knows(
        self, drive: Drive, version: tuple[int, int, int], word: str
    ) -> None:
        facts = dataclasses.replace(FACTS, version=version)
        played = drive(
            SentinelCollector(),
            [[flat(MASTER), flat({**MASTER, "name": "n"})]],
            [OK, [], []] * 2,
            facts=facts,
        )
        assert played.asked == [
            [("SENTINEL", "MASTERS")],
            [("SENTINEL", what, name) for name in (b"m", b"n") for what in ("CKQUORUM", "SENTINELS", word)],
        ]


class TestMany:
    def test_peers_and_replicas_are_read_in_pieces(self, drive: Drive) -> None:
        count = 1000
        entries = [
            flat({**MASTER, "name": f"n{number}", "port": str(number + 1), "flags": "sentinel"})
            for number in range(count)
        ]
        played = drive(
            SentinelCollector(), [[flat(MASTER)]], [OK, entries, entries], facts=FACTS, options=WITH_PEERS
        )
        loops = 5 + 4  # through the peers and through the replicas
        assert played.pauses >= loops * count // PIECE
        assert played.samples()[
            'redis_sentinel_master_ok_sentinels{master_name="m",master_address="10.0.0.1:6379"}'
        ] == str(count + 1)

    def test_of_an_entry_with_very_many_fields_the_first_are_read(self, drive: Drive) -> None:
        entry = flat({**MASTER, **{f"f{number}": "1" for number in range(FIELDS_MAX)}})
        assert (
            "77"
            not in drive(SentinelCollector(), [[[*entry, b"quorum", b"77"]]], [OK, [], []], facts=FACTS)
            .samples()
            .values()
        )


class TestOdd:
    @pytest.mark.parametrize(
        "entry",
        [
            None,
            7,
            b"text",
            [],
            [b"name"],
            [b"name", None],
            [b"name", b""],
            [b"ip", b"10.0.0.1"],
            [[b"name"], [b"x"]],
        ],
    )
    def test_an_entry_that_is_none_costs_no_other(self, drive: Drive, entry: Any) -> None:
        played = drive(
            SentinelCollector(),
            [[entry, flat(MASTER)]],
            [OK, [entry], [entry]],
            facts=FACTS,
            options=WITH_PEERS,
        )
        assert len(played.asked[1]) == 3
        assert (
            'redis_sentinel_master_setting_ckquorum{master_name="m",master_address="10.0.0.1:6379"}'
            in played.samples()
        )

    @pytest.mark.parametrize("reply", [None, b"text", 7])
    def test_an_answer_that_is_no_list_fails_it(self, drive: Drive, reply: Any) -> None:
        with pytest.raises(ProtocolError):
            drive(SentinelCollector(), [reply], facts=FACTS)

    def test_a_refusal_writes_nothing(self, drive: Drive) -> None:
        assert drive(SentinelCollector(), [ReplyError("NOPERM no")], facts=FACTS).samples() == {}

    def test_only_sentinels_are_asked(self) -> None:
        assert SentinelCollector().wants(FACTS, OPTIONS)
        assert not SentinelCollector().wants(dataclasses.replace(FACTS, mode="standalone"), OPTIONS)
        assert not SentinelCollector().wants(dataclasses.replace(FACTS, version=(2, 6, 17)), OPTIONS)


def has_links(sentinel: Sentinel) -> bool:
    """Whether it is connected to its master, to a replica and to another Sentinel."""
    links = [
        sentinel.entries("MASTERS"),
        sentinel.entries("REPLICAS", "mymaster"),
        sentinel.entries("SENTINELS", "mymaster"),
    ]
    return all(entries and b"disconnected" not in entries[0][b"flags"] for entries in links)


@pytest.fixture
def sentinels(
    tmp_path: pathlib.Path, redis_server: Callable[..., RedisServer]
) -> Iterator[tuple[Sentinel, Sentinel]]:
    """Two that have found each other, a master and its replica."""
    master = redis_server()
    redis_server("--replicaof", "127.0.0.1", str(master.port))
    started: list[Sentinel] = []
    try:
        for name in ("sentinel-a", "sentinel-b"):
            (tmp_path / name).mkdir()
            sentinel = Sentinel(tmp_path / name, [("mymaster", master.port, 2)])
            sentinel.start()
            started.append(sentinel)
        wait_until(
            lambda: all(has_links(sentinel) for sentinel in started),
            "the Sentinels have found each other and the replica",
        )
        wait_until(
            lambda: all(isinstance(s.ask("SENTINEL", "CKQUORUM", "mymaster"), bytes) for s in started),
            "there is a quorum",
        )
        yield started[0], started[1]
    finally:
        for sentinel in started:
            sentinel.stop()


def errors_of(sentinel: Sentinel) -> dict[str, int]:
    """Errors that the Sentinel has answered, as it counts them itself, but for those that say that there is
    no quorum: on a busy machine the other one may seem to be down for a moment."""
    stats, by_code = (sentinel.ask("INFO", part).decode() for part in ("stats", "errorstats"))
    found = {code: int(count) for code, count in re.findall(r"errorstat_(\S+):count=([0-9]+)", by_code)}
    found["all"] = int(stats.partition("total_error_replies:")[2].split()[0]) - found.pop("NOQUORUM", 0)
    return found


@pytest.mark.server
class TestRealSentinels:
    async def test_tell_of_master_replica_and_each_other(
        self, watch_harness: WatchHarness, sentinels: tuple[Sentinel, Sentinel]
    ) -> None:
        sentinel, peer = sentinels
        [master] = sentinel.entries("MASTERS")
        [replica] = sentinel.entries("REPLICAS", "mymaster")
        address = f"127.0.0.1:{master[b'port'].decode()}"
        watched = watch_harness.watched(sentinel.port)
        of_master = ("mymaster", address)
        links = [
            ("mymaster", link, f"127.0.0.1:{port}")
            for link, port in (
                ("master", master[b"port"].decode()),
                ("replica", replica[b"port"].decode()),
                ("sentinel", peer.port),
            )
        ]
        well: dict[tuple[str, tuple[str, ...]], float] = {
            ("redis_sentinel_master_ok_slaves", of_master): 1,
            ("redis_sentinel_master_ok_sentinels", of_master): 2,
            ("redis_sentinel_master_quorum_ok", of_master): 1,
            ("redis_sentinel_master_setting_ckquorum", of_master): 2,
            # INFO's part spells the address the same way
            ("redis_sentinel_master_status", (*of_master, "ok")): 1,
            **{("redis_sentinel_link_connected", labels): 1 for labels in links},
        }
        # on a busy machine they may miss one another for a moment
        await watch_harness.poll_until(watched, lambda: well.items() <= watch_harness.series(watched).items())
        series = watch_harness.series(watched)
        for labels in links:
            assert 0 <= series["redis_sentinel_link_last_ok_ping_reply_seconds", labels] < 20
            assert series["redis_sentinel_link_down_after_seconds", labels] == DOWN_AFTER_MS / 1000
        assert [labels[4] for name, labels in series if name == "redis_sentinel_peer_info"] == [
            str(peer.port)
        ]
        assert series["redis_sentinel_config_value", ("announce-port",)] == 0
        assert not any("sentinel-pass" in labels for _, labels in series)
        assert series["redis_exporter_collector_success", ("sentinel",)] == 1

    async def test_are_asked_nothing_that_they_do_not_know(
        self, watch_harness: WatchHarness, sentinels: tuple[Sentinel, Sentinel]
    ) -> None:
        sentinel, _ = sentinels
        watched = watch_harness.watched(sentinel.port, standard_every=1)
        before = errors_of(sentinel)
        for _ in range(100):
            await watch_harness.poll(watched)
        assert watch_harness.went_well(watched)
        assert len(watch_harness.ends(watched)) == 100
        assert any(name == "redis_sentinel_master_quorum_ok" for name, _ in watch_harness.series(watched))
        assert errors_of(sentinel) == before

    async def test_one_that_is_alone_has_no_quorum(
        self, watch_harness: WatchHarness, sentinels: tuple[Sentinel, Sentinel]
    ) -> None:
        sentinel, peer = sentinels
        watched = watch_harness.watched(sentinel.port)
        peer.kill()

        def quorum() -> float | None:
            return next(
                (
                    value
                    for (name, _), value in watch_harness.series(watched).items()
                    if name.endswith("quorum_ok")
                ),
                None,
            )

        labels = ("mymaster", "sentinel", f"127.0.0.1:{peer.port}")

        def down_s() -> float:
            return watch_harness.series(watched).get(
                ("redis_sentinel_link_subjective_down_seconds", labels), 0
            )

        # it is down for 0 ms at first
        await watch_harness.poll_until(watched, lambda: quorum() == 0 and down_s() > 0)
        series = watch_harness.series(watched)
        [message] = [labels[1] for name, labels in series if name == "redis_sentinel_master_ckquorum_status"]
        assert message.startswith("NOQUORUM 1 usable Sentinels.")
        assert [
            value for (name, _), value in series.items() if name == "redis_sentinel_master_ok_sentinels"
        ] == [1]
        assert series["redis_sentinel_link_connected", labels] == 0
