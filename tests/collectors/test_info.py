"""INFO: every row of the table, on the recorded replies of many servers."""

from __future__ import annotations

import math
import pathlib
import re
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from exporter.collectors._enabled import enable
from exporter.collectors._info_replies import SECTIONS, InfoMemory, MovingSections
from exporter.collectors._several import LOOK_AGAIN_S, Apart, Sections
from exporter.collectors.info import GATED, WHOLES_MAX, InfoCollector
from exporter.collectors.server import ServerCollector
from exporter.collectors.stats import StatsCollector
from exporter.errors import AuthError, BusyError, NoPermError, ProtocolError, ReplyError
from exporter.metrics.family import EverySubField, Family, Field, MetricType, NameSet, Record
from exporter.metrics.labels import label_forms
from exporter.options.commandline import parse
from exporter.polling.memory import TargetMemory
from exporter.polling.output import CollectorOutput
from exporter.protocol.facts import Facts
from exporter.protocol.info_commands import INFO, INFO_MOVING, MOVING
from tests.collectors.conftest import LABELS, NOW, OPTIONS, Drive
from tests.collectors.test_info_replies import moving_of

DATA = pathlib.Path(__file__).parent.parent / "data"
VERSIONS = sorted(path.name for path in DATA.iterdir() if (path / "info_default.txt").exists())
RECORDED = sorted(path for version in VERSIONS for path in (DATA / version).glob("*info*.txt"))
#: a server without it cannot be identified
VERSION = b"redis_version:7.0.15\r\n"
FAMILIES = {
    family.name: family
    for family in (*InfoCollector.families, *ServerCollector.families, *StatsCollector.families)
}
FACTS = Facts((7, 0, 15), "redis", "master", "standalone", "r", False, False, 16)
#: of a server whose sections are known
SECTIONS_LOOKED_AT = Sections(Apart((), "r", math.inf), Apart((), "r", math.inf))
MOVING_LOOKED_AT = MovingSections("r", math.inf)
LOOKED_AT = InfoMemory(sections=SECTIONS_LOOKED_AT, moving=MOVING_LOOKED_AT)


def looked_at() -> TargetMemory:
    """Of a server whose sections are known."""
    return TargetMemory(
        collectors={"info": InfoMemory(sections=SECTIONS_LOOKED_AT, moving=MovingSections("r", math.inf))}
    )


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
        played = drive(reader_of(family), [reply], facts=FACTS)
    values = [line.split()[-1] for line in played.text.splitlines() if line.startswith(head)]
    assert [value for value in values if value[0] == "-"] == (["-1"] if family.name in NEGATIVE else [])


def reader_of(family: Family) -> InfoCollector | ServerCollector:
    return ServerCollector() if family in ServerCollector.families else InfoCollector()


@pytest.mark.parametrize(
    "family", [*InfoCollector.families, *ServerCollector.families], ids=lambda family: family.name
)
def test_every_family_is_rendered_from_its_field(drive: Drive, family: Family) -> None:
    text, head = text_for(family)
    played = drive(reader_of(family), [VERSION + text], facts=FACTS)
    assert any(line.startswith(head) for line in played.text.splitlines()), text


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_no_recorded_reply_writes_what_is_no_number(drive: Drive, path: pathlib.Path) -> None:
    for collector in (InfoCollector(), ServerCollector()):
        played = drive(collector, [VERSION + path.read_bytes()], facts=FACTS, memory=LOOKED_AT)
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
        drive(InfoCollector(), *self.replies(text))
        played = drive(ServerCollector(), [text], facts=FACTS, memory=LOOKED_AT)
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
            each for each in drive(ServerCollector(), [text], facts=FACTS).samples() if "instance" in each
        ]
        assert not re.search(r"server_name|(?<!redis)_version", plain)
        text += f"{name}_version:1.2\r\n".encode()
        [named] = [
            each for each in drive(ServerCollector(), [text], facts=FACTS).samples() if "instance" in each
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
            assert played.samples()['redis_db_keys{db="db0"}'] == "5"
            replies = [self.PLAIN, self.PERSISTENCE, self.KEYSPACE]
            slow = drive(ServerCollector(), replies, facts=played.facts, memory=memory)
            assert slow.samples()["redis_loading_dump_file"] == "0"
            played = drive(InfoCollector(), replies, facts=played.facts, memory=memory)
            assert played.asked == slow.asked == [[("INFO",), *parts]]

    @pytest.mark.parametrize("reply", [b"", b"\r\n", PLAIN])
    def test_those_that_are_nowhere_are_asked_for_once(self, drive: Drive, reply: bytes) -> None:
        memory = TargetMemory(collectors={"info": InfoMemory(moving=MOVING_LOOKED_AT)})
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
            assert played.samples()['redis_db_keys{db="db0"}'] == "5"
            replies = [self.PLAIN, *names], [whole]
            slow = drive(ServerCollector(), *replies, facts=played.facts, memory=memory)
            assert slow.samples()["redis_loading_dump_file"] == "0"
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
        memory = InfoMemory()
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
            drive(ServerCollector(), [VERSION + b"uptime_in_seconds:100\r\n"], facts=FACTS).samples()[
                "redis_start_time_seconds"
            ]
            == "1795379900"
        )

    def test_nan_is_dropped_and_counted(self, drive: Drive) -> None:
        played = drive(InfoCollector(), [VERSION + b"mem_fragmentation_ratio:-nan\r\n"], facts=FACTS)
        assert "redis_mem_fragmentation_ratio" not in played.samples()
        assert played.block.invalid == 1


class TestMovingSections:
    """From 7.0 on they are asked for alone."""

    WHOLE = (DATA / "redis-7.0.15" / "info_default.txt").read_bytes()
    PART = moving_of(WHOLE)
    RUN = "977adb172d281f3bdf5e4f5ccc1fa080f0dfc641"
    ASKED = ("INFO", *MOVING)

    def known(self, drive: Drive, memory: TargetMemory) -> Facts:
        """After the first two polls."""
        memory.collectors["info"] = InfoMemory(
            sections=Sections(Apart((), self.RUN, math.inf), Apart((), self.RUN, math.inf))
        )
        first = drive(InfoCollector(), [self.WHOLE], [[]], memory=memory)
        memory.is_new_connection = False
        second = drive(InfoCollector(), [self.WHOLE], [self.PART], facts=first.facts, memory=memory)
        assert second.asked == [[("INFO",)], [self.ASKED]]
        return second.facts

    def test_are_enough_once_the_server_was_seen_to_give_them(self, drive: Drive) -> None:
        memory = TargetMemory()
        known = self.known(drive, memory)
        played = drive(InfoCollector(), [self.PART], facts=known, memory=memory)
        assert played.asked == [[self.ASKED]]
        assert played.facts is known
        whole = drive(InfoCollector(), [self.WHOLE], facts=known, memory=memory)
        assert played.samples() == whole.samples()
        assert memory.replication_section

    def test_a_whole_text_that_another_collector_asked_for_is_read_as_such(self, drive: Drive) -> None:
        memory = TargetMemory()
        known = self.known(drive, memory)
        text = self.WHOLE.replace(b"loading:0", b"loading:1")
        played = drive(InfoCollector(), [text], facts=known, memory=memory)
        assert played.asked == [[self.ASKED]]
        assert played.facts.loading
        played = drive(InfoCollector(), [self.PART], [text], facts=played.facts, memory=memory)
        assert played.asked == [[self.ASKED], [("INFO",)]]

    def test_a_new_connection_is_asked_for_all(self, drive: Drive) -> None:
        memory = TargetMemory()
        known = self.known(drive, memory)
        generator = InfoCollector().identify(known, OPTIONS, output := output_for(memory))
        assert next(generator) == [INFO_MOVING]
        memory.is_new_connection = True  # the connection was closed, and made again for this batch
        assert generator.send([self.PART]) == [INFO]
        with pytest.raises(StopIteration) as end:
            generator.send([self.WHOLE.replace(self.RUN.encode(), b"other")])
        assert end.value.value.run_id == "other"
        assert output.block().series

    def test_a_role_that_changes_is_seen_at_once_and_the_rest_in_the_next_poll(self, drive: Drive) -> None:
        memory = TargetMemory()
        known = self.known(drive, memory)
        played = drive(
            InfoCollector(), [self.PART.replace(b"role:master", b"role:slave")], facts=known, memory=memory
        )
        assert played.facts == replace(known, role="slave")
        played = drive(InfoCollector(), [self.PART], [self.WHOLE], facts=played.facts, memory=memory)
        assert played.asked == [[self.ASKED], [("INFO",)]]

    def test_a_fork_lets_the_next_polls_look_for_the_child_until_it_has_ended(self, drive: Drive) -> None:
        memory = TargetMemory()
        known = self.known(drive, memory)
        part = re.sub(rb"latest_fork_usec:\d+", b"latest_fork_usec:77777", self.PART)
        whole = re.sub(rb"latest_fork_usec:\d+", b"latest_fork_usec:77777", self.WHOLE)
        saving = whole.replace(b"rdb_bgsave_in_progress:0", b"rdb_bgsave_in_progress:1")
        assert drive(InfoCollector(), [part], facts=known, memory=memory).asked == [[self.ASKED]]
        assert (memory.forks.newest_s, memory.forks.is_running) == (0.077777, False)
        for _ in range(2):
            played = drive(InfoCollector(), [part], [saving], facts=known, memory=memory)
            assert played.asked == [[self.ASKED], [("INFO",)]]
            assert memory.forks.is_running
        played = drive(InfoCollector(), [part], [whole], facts=known, memory=memory)
        assert played.asked == [[self.ASKED], [("INFO",)]]
        assert not memory.forks.is_running
        assert drive(InfoCollector(), [part], facts=known, memory=memory).asked == [[self.ASKED]]

    @pytest.mark.parametrize(
        "reply", [b"", WHOLE, ReplyError("ERR syntax error"), PART.replace(b"used_", b"")]
    )
    def test_are_never_asked_for_alone_where_they_lack_something(self, drive: Drive, reply: Any) -> None:
        memory = TargetMemory()
        memory.collectors["info"] = InfoMemory(
            sections=Sections(Apart((), self.RUN, math.inf), Apart((), self.RUN, math.inf))
        )
        first = drive(InfoCollector(), [self.WHOLE], [[]], memory=memory)
        memory.is_new_connection = False
        drive(InfoCollector(), [self.WHOLE], [reply], facts=first.facts, memory=memory)
        played = drive(InfoCollector(), [self.WHOLE], facts=first.facts, memory=memory)
        assert played.asked == [[("INFO",)]]

    def test_a_server_that_refuses_them_later_is_asked_for_all(self, drive: Drive) -> None:
        memory = TargetMemory()
        known = self.known(drive, memory)
        replies = [[ReplyError("ERR no")], [self.WHOLE]]
        played = drive(InfoCollector(), *replies, facts=known, memory=memory)
        assert played.asked == [[self.ASKED], [("INFO",)]]
        assert drive(InfoCollector(), [self.WHOLE], facts=known, memory=memory).asked == [[("INFO",)]]

    def test_are_read_again_while_they_are_enough(self, drive: Drive) -> None:
        memory = TargetMemory()
        known = self.known(drive, memory)
        played = drive(InfoCollector(), [self.PART], facts=known, memory=memory)
        block = played.again(self.PART)
        assert block is not None
        assert block.samples == played.block.samples
        assert played.again(self.PART.replace(b"role:master", b"role:slave")) is None
        assert played.again(re.sub(rb"fork_usec:\d+", b"fork_usec:77777", self.PART)) is None
        assert played.again(self.PART, now=NOW + LOOK_AGAIN_S) is None
        memory.is_new_connection = True
        assert played.again(self.PART) is None
        memory.is_new_connection = False
        memory.collectors["info"].moving.wants_whole = True
        assert played.again(self.PART) is None
        memory.collectors["info"].moving.are_given = False
        assert played.again(self.PART) is None

    def test_a_whole_text_is_read_again_too_but_not_for_ever(self, drive: Drive) -> None:
        """Whoever asks for it may have done so under conditions of earlier."""
        memory = TargetMemory()
        known = self.known(drive, memory)
        played = drive(InfoCollector(), [self.WHOLE], facts=known, memory=memory)
        assert [played.again(self.WHOLE) is not None for _ in range(WHOLES_MAX + 1)] == [
            *[True] * WHOLES_MAX,
            False,
        ]
        assert drive(InfoCollector(), [self.PART], facts=known, memory=memory).asked == [[self.ASKED]]
        assert played.again(self.WHOLE) is not None

    @pytest.mark.parametrize("version", ["redis-6.2.16", "keydb-6.3.4"])
    def test_earlier_servers_are_never_asked_for_them(self, drive: Drive, version: str) -> None:
        memory = TargetMemory()
        whole = (DATA / version / "info_default.txt").read_bytes()
        facts = drive(InfoCollector(), [whole], [[]], memory=memory).facts
        memory.is_new_connection = False
        for _ in range(3):
            played = drive(InfoCollector(), [whole], facts=facts, memory=memory)
            assert played.asked == [[("INFO",)]]


def output_for(memory: TargetMemory) -> CollectorOutput:
    enabled = enable(InfoCollector(), "redis")
    return CollectorOutput(enabled, label_forms([enabled.family_set], LABELS)["info"], memory, NOW)


def moved(text: bytes) -> bytes:
    """The same server a while later."""
    return re.sub(rb"(uptime_in_seconds|total_commands_processed|keys=)(:?)[0-9]+", rb"\1\g<2>4711", text)


@pytest.mark.parametrize(
    "path",
    [path for path in RECORDED if re.match("info_(default|replica|cluster)|sentinel", path.name)],
    ids=lambda path: f"{path.parent.name}/{path.stem}",
)
def test_what_is_read_again_is_what_a_run_would_write(drive: Drive, path: pathlib.Path) -> None:
    text = path.read_bytes()
    memory = TargetMemory(
        collectors={"info": InfoMemory(sections=SECTIONS_LOOKED_AT, moving=MOVING_LOOKED_AT)}
    )
    first = drive(InfoCollector(), [text], facts=replace(FACTS, run_id="r"), memory=memory)
    memory.learn(first.facts)
    memory.collectors["info"].sections = Sections(
        Apart((), first.facts.run_id, math.inf), Apart((), first.facts.run_id, math.inf)
    )
    memory.collectors["info"].moving = MovingSections(first.facts.run_id, math.inf)
    block = first.again(moved(text))
    section = memory.replication_section
    ran = drive(InfoCollector(), [moved(text)], facts=first.facts, memory=memory)
    assert block is not None
    assert (block.samples, block.offsets, block.series) == (
        ran.block.samples,
        ran.block.offsets,
        ran.block.series,
    )
    assert ran.facts is first.facts
    assert section == memory.replication_section


@pytest.mark.parametrize("other", [b"role:slave", b"loading:1", b"run_id:other", b"rdb_bgsave_in_progress:1"])
def test_another_wanted_field_is_not_read_again(drive: Drive, other: bytes) -> None:
    key = other.partition(b":")[0]
    fields = {b"redis_version": b"7.0.15", b"role": b"master", b"loading": b"0", b"run_id": b"r"}
    fields[b"rdb_bgsave_in_progress"] = b"0"
    text = b"".join(b"%s:%s\r\n" % each for each in fields.items())
    memory = TargetMemory(
        collectors={"info": InfoMemory(sections=SECTIONS_LOOKED_AT, moving=MOVING_LOOKED_AT)}
    )
    first = drive(InfoCollector(), [text], facts=FACTS, memory=memory)
    texts = memory.collectors["info"].texts
    assert first.again(text + b"connected_clients:7\r\n") is not None
    assert first.again(text.replace(b"%s:%s" % (key, fields[key]), other)) is None
    assert memory.collectors["info"].texts is texts


def test_what_would_ask_more_is_not_read_again(drive: Drive) -> None:
    """When the server's sections are to be looked at again, or are asked one by one, and while the number of
    its databases is not known."""
    text = VERSION + b"role:master\r\nrun_id:r\r\n"
    sections = Sections(Apart((), "r", NOW), Apart((), "r", NOW))
    memory = TargetMemory(collectors={"info": InfoMemory(sections=sections, moving=MOVING_LOOKED_AT)})
    first = drive(InfoCollector(), [text], facts=FACTS, memory=memory)
    assert first.again(text) is not None
    assert first.again(text, now=NOW + LOOK_AGAIN_S) is None
    assert first.again(text, b"role:master\r\n") is None
    sections.apart.names = ("memory",)
    assert first.again(text) is None
    sections.apart.names, sections.whole.names = (), ("all",)
    assert first.again(text) is None
    sections.whole.names = ()
    first.facts = replace(first.facts, databases=None)
    assert first.again(text) is None
    memory.refusals.add("CONFIG GET databases", ReplyError("ERR unknown command"), 0.0)
    assert first.again(text) is not None
    memory.refusals.forget()
    assert first.again(text) is None
    first.options = parse(["--config-command=-"], {})
    assert first.again(text) is not None


def test_a_text_without_any_wanted_field_is_not_read_again(drive: Drive) -> None:
    memory = TargetMemory(
        collectors={"info": InfoMemory(sections=SECTIONS_LOOKED_AT, moving=MOVING_LOOKED_AT)}
    )
    first = drive(InfoCollector(), [b"connected_clients:7\r\n"], facts=FACTS, memory=memory)
    assert first.again(b"connected_clients:8\r\n") is None
