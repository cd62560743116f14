"""INFO: every row of the table, on the recorded replies of many servers."""

from __future__ import annotations

import math
import pathlib
import re
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from exporter.collectors._several import Apart, Sections
from exporter.collectors.info import GATED, SECTIONS, FactTexts, InfoCollector
from exporter.collectors.stats import StatsCollector
from exporter.errors import AuthError, BusyError, NoPermError, ProtocolError, ReplyError
from exporter.metrics.family import EverySubField, Family, Field, MetricType, NameSet, Record
from exporter.polling.memory import TargetMemory
from exporter.protocol.facts import Facts
from tests.collectors.conftest import Drive

DATA = pathlib.Path(__file__).parent.parent / "data"
VERSIONS = sorted(path.name for path in DATA.iterdir() if (path / "info_default.txt").exists())
RECORDED = sorted(path for version in VERSIONS for path in (DATA / version).glob("*info*.txt"))
#: a server without it cannot be identified
VERSION = b"redis_version:7.0.15\r\n"
FAMILIES = {family.name: family for family in (*InfoCollector.families, *StatsCollector.families)}
FACTS = Facts((7, 0, 15), "redis", "master", "standalone", "r", False, False, 16)
#: of a server whose sections are known
SECTIONS_LOOKED_AT = Sections(Apart((), "r", math.inf), Apart((), "r", math.inf))
LOOKED_AT = FactTexts(sections=SECTIONS_LOOKED_AT)


def text_for(family: Family) -> tuple[bytes, str]:
    """A text of INFO that holds what the family is read from, and what its line must look like."""
    match family.source:
        case Field():
            lines = [f"{family.source.key}:7"] + [
                f"{key.split('|')[0]}:x" for _, key in family.source.labels if key != family.source.key
            ]
        case Record():
            pattern = family.source.pattern
            key = f"{pattern.prefix}{'3' if pattern.digits else 'name'}{pattern.suffix}"
            first = pattern.first if pattern.first and pattern.first != f"{family.source.sub}=" else ""
            sub = family.source.sub.partition("|")[0]
            value = f"{first}1,{sub}=7" if first else f"{sub}=7" if sub else "7"
            lines = [f"{key}:{value}"]
        case EverySubField():
            pattern = family.source.pattern
            lines = [
                f"{pattern.prefix}{'3' if pattern.digits else 'name'}{pattern.suffix}:"
                f"{'p50' if family.type is MetricType.SUMMARY else '8'}=7"
            ]
    return "\r\n".join(lines).encode(), f"redis_{family.name}{{"


#: -1 says "never", "not now" or "no offset" there, as in the Go exporter, or one size is taken from another,
#: or a certificate has expired
NEGATIVE = {
    "rdb_last_bgsave_duration_sec",
    "rdb_current_bgsave_duration_sec",
    "aof_last_rewrite_duration_sec",
    "aof_current_rewrite_duration_sec",
    "master_last_io_seconds_ago",
    "master_last_io_seconds",
    "master_repl_offset",
    "second_repl_offset",
    "slave_repl_offset",
    "allocator_frag_bytes",
    "allocator_rss_bytes",
    "rss_overhead_bytes",
    "mem_fragmentation_bytes",
    "tls_server_cert_expires_in_seconds",
    "tls_client_cert_expires_in_seconds",
    "tls_ca_cert_expires_in_seconds",
}


@pytest.mark.parametrize(
    "family", [each for each in FAMILIES.values() if each.source], ids=lambda family: family.name
)
def test_few_numbers_may_be_negative(drive: Drive, family: Family) -> None:
    text, head = text_for(family)
    reply = VERSION + re.sub(rb"([:=])7\b", rb"\1-1", text)
    if family in StatsCollector.families:
        played = drive(StatsCollector(), [reply], facts=FACTS, memory=SECTIONS_LOOKED_AT)
    else:
        played = drive(InfoCollector(), [reply], facts=FACTS)
    values = [line.split()[-1] for line in played.text.splitlines() if line.startswith(head)]
    assert [value for value in values if value[0] == "-"] == (["-1"] if family.name in NEGATIVE else [])


@pytest.mark.parametrize("family", InfoCollector.families, ids=lambda family: family.name)
def test_every_family_is_rendered_from_its_field(drive: Drive, family: Family) -> None:
    text, head = text_for(family)
    played = drive(InfoCollector(), [VERSION + text], facts=FACTS)
    assert any(line.startswith(head) for line in played.text.splitlines()), text


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_no_recorded_reply_writes_what_is_no_number(drive: Drive, path: pathlib.Path) -> None:
    played = drive(InfoCollector(), [VERSION + path.read_bytes()], facts=FACTS, memory=LOOKED_AT)
    for value in played.samples().values():
        assert re.fullmatch(r"[+-]?(Inf|[0-9.]+(e-?[0-9]+)?)", value), value


class TestTable:
    def test_counters_of_ours_end_in_total_and_gauges_do_not(self) -> None:
        for family in FAMILIES.values():
            if family.name_set is NameSet.OWN and family.type is not MetricType.SUMMARY:
                assert family.name.endswith("_total") == (family.type is MetricType.COUNTER), family.name

    def test_units_of_ours_are_base_units(self) -> None:
        for family in FAMILIES.values():
            if family.name_set is NameSet.OWN:
                assert not re.search(
                    r"_(ms|usec|msec|milliseconds|kb|kbps|perc|percent|sec)(_|$)", family.name
                ), family.name

    def test_no_help_text_is_used_twice(self) -> None:
        texts = [family.help for family in FAMILIES.values()]
        assert sorted(texts) == sorted(set(texts))

    def test_gated_families_are_in_the_table(self) -> None:
        assert set(GATED) <= set(FAMILIES)


class TestServersWithoutAVersionOfRedis:
    @pytest.mark.parametrize(
        ("text", "labels"),
        [
            (
                b"pika_version:3.5.4\nos:Linux 6.1\nrole:master\n",
                {"pika_version": "3.5.4", "os": "Linux 6.1"},
            ),
            (b"# Proxy\nVersion:1.0.5\nName:x\nRedisMode:proxy\n", {"redis_mode": "proxy"}),
            (b"server_name:other\ntcp_port:1\n", {"server_name": "other", "tcp_port": "1"}),
            (b"os:Linux\nprocess_id:11\n", {"os": "Linux", "process_id": "11"}),
        ],
    )
    def test_are_named_as_far_as_they_name_themselves(
        self, drive: Drive, text: bytes, labels: dict[str, str]
    ) -> None:
        played = drive(InfoCollector(), *self.replies(text))
        [head] = [head for head in played.samples() if head.startswith("redis_instance_info{")]
        assert labels.items() <= dict(re.findall(r'(\w+)="([^"]*)"', head)).items()
        assert 'redis_version=""' in head
        assert not [each for each in played.samples() if each.startswith("redis_db_keys")]

    @staticmethod
    def replies(text: bytes) -> list[list[object]]:
        """That of INFO, of all its sections, one by one and together, where the text has none of them, and of
        CONFIG."""
        refused = ReplyError("ERR unknown")
        sections: list[list[object]] = (
            [[refused] * len(SECTIONS), [refused]] if not text or b"# " in text else []
        )
        config: list[list[object]] = [[refused]] if b"_version:" in text or b"role:" in text else []
        return [[text], *sections, *config]

    def test_any_field_that_is_known_will_do(self, drive: Drive) -> None:
        played = drive(InfoCollector(), [b"connected_clients:12\r\n"])
        assert played.samples() == {"redis_connected_clients": "12"}
        assert played.facts.version == (5, 0, 0)

    @pytest.mark.parametrize(
        "text", [b"<html><body>role: none</body></html>", b"version:1.6.21\r\n", b"", b"# Proxy\r\n"]
    )
    def test_without_any_it_is_no_server_of_ours(self, drive: Drive, text: bytes) -> None:
        with pytest.raises(ProtocolError, match="no field that the exporter knows"):
            drive(InfoCollector(), *self.replies(text))

    @pytest.mark.parametrize("name", ["dragonfly", "garnet", "kvrocks", "redict", "valkey"])
    def test_a_version_beside_that_of_redis_is_a_label_where_it_is_there(
        self, drive: Drive, name: str
    ) -> None:
        text = f"redis_version:7.4.0\r\nserver_name:{name}\r\nrole:master\r\n".encode()
        [plain] = [
            each for each in drive(InfoCollector(), [text], facts=FACTS).samples() if "instance" in each
        ]
        assert not re.search(r"server_name|(?<!redis)_version", plain)
        text += f"{name}_version:1.2\r\n".encode()
        [named] = [
            each for each in drive(InfoCollector(), [text], facts=FACTS).samples() if "instance" in each
        ]
        assert named == plain.replace("}", f',{name}_version="1.2"}}')


class TestQuestions:
    def test_the_first_poll_asks_how_many_databases_there_are(self, drive: Drive) -> None:
        played = drive(
            InfoCollector(), [b"redis_version:7.0.0\r\nredis_mode:standalone\r\n"], [[b"databases", b"4"]]
        )
        assert played.asked == [[("INFO",)], [("CONFIG", "GET", "databases")]]
        assert played.facts.databases == 4
        assert [key for key in played.samples() if key.startswith("redis_db_keys{")] == [
            f'redis_db_keys{{db="db{n}"}}' for n in range(4)
        ]

    def test_later_polls_do_not(self, drive: Drive) -> None:
        played = drive(InfoCollector(), [b"redis_version:7.0.0\r\n"], facts=FACTS)
        assert played.asked == [[("INFO",)]]
        assert 'redis_db_keys{db="db15"}' in played.samples()

    def test_it_is_asked_again_where_it_is_not_known(self, drive: Drive) -> None:
        played = drive(
            InfoCollector(),
            [b"redis_version:7.0.0\r\n"],
            [[b"databases", b"4"]],
            facts=replace(FACTS, databases=None),
        )
        assert played.asked == [[("INFO",)], [("CONFIG", "GET", "databases")]]
        assert played.facts.databases == 4

    def test_of_a_server_that_lists_all_its_keys(self, drive: Drive) -> None:
        reply = [b"maxclients", b"10", b"databases", b"3", b"timeout", b"0"]
        assert drive(InfoCollector(), [b"redis_version:7.0.0\r\n"], [reply]).facts.databases == 3

    @pytest.mark.parametrize("reply", [[], [b"databases", b"many"], 7])
    def test_an_answer_without_a_number_means_sixteen_for_good(self, drive: Drive, reply: object) -> None:
        assert drive(InfoCollector(), [b"redis_version:7.0.0\r\n"], [reply]).facts.databases == 16

    def test_a_refused_config_means_sixteen_for_now(self, drive: Drive) -> None:
        played = drive(InfoCollector(), [b"redis_version:7.0.0\r\n"], [ReplyError("NOPERM no")])
        assert played.facts.databases is None
        assert 'redis_db_keys{db="db15"}' in played.samples()

    @pytest.mark.parametrize(
        "text",
        [b"redis_version:7.0.0\r\nredis_mode:sentinel\r\n", b"redis_version:8\r\nserver_mode:sentinel\r\n"],
    )
    def test_a_sentinel_is_not_asked_and_has_no_databases(self, drive: Drive, text: bytes) -> None:
        played = drive(InfoCollector(), [text])
        assert not [key for key in played.samples() if key.startswith("redis_db_keys")]

    def test_a_cluster_node_has_one_database(self, drive: Drive) -> None:
        played = drive(InfoCollector(), [b"redis_version:7.0.0\r\ncluster_enabled:1\r\n"])
        assert [key for key in played.samples() if key.startswith("redis_db_keys{")] == [
            'redis_db_keys{db="db0"}'
        ]

    @pytest.mark.parametrize(
        ("text", "filled"),
        [
            (b"# Keyspace\r\n", True),
            (b"# Keyspace\r\ndb3:keys=1,expires=0,avg_ttl=0\r\n", True),
            (b"# Keyspace\r\n\r\n# Modules\r\nmodule:name=x\r\n", True),
            (b"# Keyspace\r\n# Last scan: never\r\ndb0:keys=1\r\n", True),
            (b"", False),
            (b"# Keyspace\r\n# Time:1970-01-01 08:00:00\r\ndb0 Strings_keys=5, expires=0\r\n", False),
            (b'# Keyspace\n# Use "info keyspace 1" to do async statistics\ndb0 Strings_keys=0\n', False),
            (b"# Keyspace\r\n# Time:1970-01-01 08:00:00\r\nkv keys:0\r\n", False),
        ],
    )
    def test_a_database_is_empty_where_the_server_shows_its_databases(
        self, drive: Drive, text: bytes, filled: bool
    ) -> None:
        sections = b"".join(b"# %b\r\n" % name.title().encode() for name in SECTIONS[:-1])
        reply = b"redis_version:7.0.0\r\n" + sections.replace(b"Cpu", b"CPU") + text
        more = [] if text else [[ReplyError("ERR no such section")]] * 2
        played = drive(InfoCollector(), [reply], *more, facts=FACTS)
        assert ('redis_db_keys{db="db15"}' in played.samples()) is filled

    @pytest.mark.parametrize(
        ("reply", "error"),
        [
            (ReplyError("NOAUTH Authentication required."), AuthError),
            (ReplyError("NOPERM this user has no permissions"), NoPermError),
            (ReplyError("BUSY Redis is busy running a script."), BusyError),
            (17, ProtocolError),
        ],
    )
    def test_without_info_the_poll_has_failed(
        self, drive: Drive, reply: object, error: type[Exception]
    ) -> None:
        with pytest.raises(error):
            drive(InfoCollector(), [reply])


class TestHiddenSections:
    """Dragonfly shows Persistence to those who name it."""

    NAMES: ClassVar = ("Server", "Clients", "Memory", "Stats", "Replication", "CPU")
    PLAIN = b"".join(f"# {name}\r\n".encode() for name in NAMES) + VERSION + b"run_id:r\r\n"
    KEYSPACE = b"# Keyspace\r\ndb0:keys=5,expires=1,avg_ttl=0\r\n"
    PERSISTENCE = b"# Persistence\r\nloading:0\r\n"

    def test_are_asked_for_by_name_from_the_first_poll_on(self, drive: Drive) -> None:
        memory = TargetMemory()
        parts = [("INFO", "persistence"), ("INFO", "keyspace")]
        played = drive(InfoCollector(), [self.PLAIN], [self.PERSISTENCE, self.KEYSPACE], [[]], memory=memory)
        assert played.asked[:2] == [[("INFO",)], parts]
        for _ in range(2):
            assert played.samples()["redis_loading_dump_file"] == "0"
            assert played.samples()['redis_db_keys{db="db0"}'] == "5"
            replies = [self.PLAIN, self.PERSISTENCE, self.KEYSPACE]
            played = drive(InfoCollector(), replies, facts=played.facts, memory=memory)
            assert played.asked == [[("INFO",), *parts]]

    @pytest.mark.parametrize("reply", [b"", b"\r\n", PLAIN])
    def test_those_that_are_nowhere_are_asked_for_once(self, drive: Drive, reply: bytes) -> None:
        memory = TargetMemory()
        played = drive(InfoCollector(), [self.PLAIN], [reply, reply], [reply], [[]], memory=memory)
        for _ in range(2):
            played = drive(InfoCollector(), [self.PLAIN], facts=played.facts, memory=memory)
            assert played.asked == [[("INFO",)]]

    @pytest.mark.parametrize("by_name", [b"", ReplyError("ERR no such section")])
    def test_those_that_only_all_gives_are_taken_from_there(self, drive: Drive, by_name: Any) -> None:
        memory = TargetMemory()
        whole = self.PLAIN + self.PERSISTENCE + self.KEYSPACE
        played = drive(InfoCollector(), [self.PLAIN], [by_name] * 2, [whole], [[]], memory=memory)
        names = [by_name] * 2 if by_name else []  # the driver sends what is refused when it is worth it
        for _ in range(2):
            assert played.samples()["redis_loading_dump_file"] == "0"
            assert played.samples()['redis_db_keys{db="db0"}'] == "5"
            replies = [self.PLAIN, *names], [whole]
            played = drive(InfoCollector(), *replies, facts=played.facts, memory=memory)
            assert played.asked[1:] == [[("INFO", "all")]]

    def test_a_sentinel_hides_none(self, drive: Drive) -> None:
        text = b"# Server\r\nredis_version:7.0.15\r\nredis_mode:sentinel\r\n# Sentinel\r\n"
        assert drive(InfoCollector(), [text]).asked == [[("INFO",)]]


class TestFacts:
    @pytest.mark.parametrize(
        ("version", "flavor", "number"),
        [
            ("redis-2.8.24", "redis", (2, 8, 24)),
            ("redis-7.0.15", "redis", (7, 0, 15)),
            ("valkey-8.1.1", "valkey", (7, 2, 4)),
            ("keydb-6.3.4", "keydb", (6, 3, 4)),
        ],
    )
    def test_version_and_flavor(
        self, drive: Drive, version: str, flavor: str, number: tuple[int, int, int]
    ) -> None:
        played = drive(InfoCollector(), [(DATA / version / "info_default.txt").read_bytes()], facts=FACTS)
        facts = played.facts
        assert (facts.flavor, facts.version) == (flavor, number)

    def test_are_the_same_object_until_a_text_of_theirs_changes(self, drive: Drive) -> None:
        memory = FactTexts()
        one = drive(InfoCollector(), [VERSION + b"connected_clients:1\r\n"], facts=FACTS, memory=memory).facts
        same = drive(InfoCollector(), [VERSION + b"connected_clients:2\r\n"], facts=one, memory=memory).facts
        other = drive(InfoCollector(), [VERSION + b"role:slave\r\n"], facts=one, memory=memory).facts
        assert same is one
        assert other.role == "slave"


class TestValues:
    def test_keyspace_is_read_by_name(self, drive: Drive) -> None:
        text = (
            b"redis_version:7.4.1\r\ndb0:keys=10,expires=2,avg_ttl=1500,subexpiry=3\r\ndb1:keys=1,"
            b"expires=0,avg_ttl=0,cached_keys=7\r\n"
        )
        samples = drive(InfoCollector(), [text], facts=FACTS).samples()
        assert samples['redis_db_keys_with_expiring_items{db="db0"}'] == "3"
        assert samples['redis_db_keys_cached{db="db1"}'] == "7"
        assert 'redis_db_keys_cached{db="db0"}' not in samples
        assert samples['redis_db_avg_ttl_seconds{db="db0"}'] == "1.5"

    def test_a_replica_that_never_acknowledged_has_no_lag(self, drive: Drive) -> None:
        text = b"slave0:ip=10.0.0.2,port=6379,state=online,offset=7,lag=-1\r\n"
        played = drive(InfoCollector(), [VERSION + text], facts=FACTS)
        labels = '{slave_ip="10.0.0.2",slave_port="6379",slave_state="online"}'
        assert played.samples()[f"redis_connected_slave_offset_bytes{labels}"] == "7"
        assert f"redis_connected_slave_lag_seconds{labels}" not in played.samples()
        assert played.block.invalid == 0

    def test_keydb_with_two_masters(self, drive: Drive) -> None:
        samples = drive(
            InfoCollector(), [(DATA / "keydb-6.3.4" / "info_multimaster.txt").read_bytes()], facts=FACTS
        ).samples()
        assert samples['redis_slave_repl_offset{master_host="127.0.0.1",master_port="21042"}'] == "1502"
        assert samples['redis_slave_repl_offset{master_host="127.0.0.1",master_port="21043"}'] == "1805"
        assert samples['redis_master_link_up{master_host="127.0.0.1",master_port="21043"}'] == "1"

    def test_the_start_is_told_by_the_clock(self, drive: Drive) -> None:
        assert (
            drive(InfoCollector(), [VERSION + b"uptime_in_seconds:100\r\n"], facts=FACTS).samples()[
                "redis_start_time_seconds"
            ]
            == "1795379900"
        )

    def test_nan_is_dropped_and_counted(self, drive: Drive) -> None:
        played = drive(InfoCollector(), [VERSION + b"mem_fragmentation_ratio:-nan\r\n"], facts=FACTS)
        assert "redis_mem_fragmentation_ratio" not in played.samples()
        assert played.block.invalid == 1
