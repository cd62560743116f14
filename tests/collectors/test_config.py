"""CONFIG GET: what is asked of whom, the limits, the whole configuration without its secrets, the size of
the dump."""

from __future__ import annotations

import dataclasses
import math
import pathlib
from typing import Any

import pytest

from exporter.collectors._contract import AnyCollector
from exporter.collectors._file_sizes import FileSizes
from exporter.collectors._several import Apart
from exporter.collectors.config import COMMANDLOG, ConfigCollector, hash_of, is_secret
from exporter.collectors.info import InfoCollector
from exporter.errors import BusyError, ReplyError
from exporter.options.commandline import parse
from exporter.options.table import Options
from exporter.polling.memory import TargetMemory
from exporter.protocol.facts import Facts
from tests.collectors.conftest import Drive
from tests.collectors.recorded import DATA, assert_go_families, recorded, versions_with
from tests.watch_harness import RedisFactory, WatchHarness

REDIS_7 = Facts((7, 0, 15), "redis", "master", "standalone", "r", False, False, 16, (7, 0, 15))
REDIS_6 = dataclasses.replace(REDIS_7, version=(6, 2, 16))
VALKEY_8 = dataclasses.replace(REDIS_7, version=(7, 2, 4), flavor="valkey", flavor_version=(8, 1, 1))
REFUSED = ReplyError("ERR unknown command `CONFIG`, with args beginning with: ")
NAMED = ("io-threads", "maxclients", "maxmemory", "repl-backlog-size", "client-output-buffer-limit")
DEFAULT = parse([], {})
EVERYTHING = parse(["--include-config-metrics"], {})
UNREDACTED = parse(["--include-config-metrics", "--redact-config-metrics=false"], {})
WITH_SIZE = parse(["--include-rdb-file-size-metric"], {})


@pytest.fixture
def drive(drive: Drive) -> Drive:
    """Of a server that is known to take several keys, unless the test has another memory."""

    def run(collector: AnyCollector, *replies: Any, **more: Any) -> Any:
        if isinstance(collector, ConfigCollector):
            more.setdefault("memory", Apart((), "r", math.inf))
        return drive(collector, *replies, **more)

    return run


def config(**pairs: str) -> list[bytes]:
    return [word.encode() for key, value in pairs.items() for word in (key.replace("_", "-"), value)]


def facts_of(version: str, drive: Drive) -> Facts:
    text = (DATA / version / "info_default.txt").read_bytes()
    return drive(InfoCollector(), [text], facts=REDIS_7).facts


def test_families_are_those_of_the_go_exporter() -> None:
    assert_go_families(ConfigCollector(), r"CONFIG GET .*")


@pytest.mark.parametrize("value", ["-1", "N/A", "unavailable", ""])
def test_a_limit_that_is_no_number_or_below_0_is_not_known(drive: Drive, value: str) -> None:
    reply = config(maxclients=value, maxmemory="5")
    played = drive(ConfigCollector(), [reply], [[], [], [], []][:3], facts=REDIS_7)
    assert played.samples() == {"redis_config_maxmemory": "5"}


class TestWhatIsAsked:
    def test_a_server_that_takes_several_keys_is_asked_once(self, drive: Drive) -> None:
        assert drive(ConfigCollector(), [[]], facts=REDIS_7).asked == [[("CONFIG", "GET", *NAMED)]]

    def test_an_older_one_for_each_key_once_the_first_is_answered(self, drive: Drive) -> None:
        asked, memory = [("CONFIG", "GET", key) for key in NAMED], TargetMemory()
        played = drive(ConfigCollector(), [[]], [[]] * 4, facts=REDIS_6, memory=memory)
        assert played.asked == [asked[:1], asked[1:]]
        played = drive(ConfigCollector(), [[]] * 5, facts=REDIS_6, memory=memory)
        assert played.asked == [asked], "in the same run of the server"
        other = dataclasses.replace(REDIS_6, run_id="other")
        played = drive(ConfigCollector(), [REFUSED], [REFUSED], facts=other, memory=memory)
        assert played.asked == [asked[:1], [("CONFIG", "GET", "databases")]]

    @pytest.mark.parametrize(
        ("facts", "options", "first"),
        [(REDIS_6, DEFAULT, NAMED[:1]), (REDIS_7, DEFAULT, NAMED), (REDIS_7, EVERYTHING, ("*",))],
    )
    def test_one_that_refuses_a_single_key_too_is_not_asked_for_more(
        self, drive: Drive, facts: Facts, options: Options, first: tuple[str, ...]
    ) -> None:
        played = drive(
            ConfigCollector(), [REFUSED], [REFUSED], facts=facts, options=options, memory=TargetMemory()
        )
        assert played.asked == [[("CONFIG", "GET", *first)], [("CONFIG", "GET", "databases")]]
        assert played.text == ""

    def test_one_that_refused_the_collector_of_info_is_asked_for_that_key_alone(self, drive: Drive) -> None:
        """One error reply, not one for each of both collectors."""
        facts = dataclasses.replace(REDIS_7, databases=None)
        played = drive(ConfigCollector(), [REFUSED], facts=facts)
        assert played.asked == [[("CONFIG", "GET", "databases")]]
        assert played.text == ""

    def test_and_for_the_others_once_that_is_answered(self, drive: Drive) -> None:
        facts = dataclasses.replace(REDIS_7, databases=None)
        values = config(**{key.replace("-", "_"): "1" for key in NAMED})
        played = drive(ConfigCollector(), [config(databases="1")], [values], facts=facts)
        assert played.asked[1:] == [[("CONFIG", "GET", *NAMED)]]

    @pytest.mark.parametrize(
        ("facts", "options"), [(REDIS_6, DEFAULT), (REDIS_7, DEFAULT), (REDIS_7, EVERYTHING)]
    )
    def test_one_that_refuses_them_together_is_asked_one_by_one(
        self, drive: Drive, facts: Facts, options: Options
    ) -> None:
        values = [[], config(maxclients="64000"), config(maxmemory="5"), REFUSED, []]
        played = drive(
            ConfigCollector(), [REFUSED], [config(databases="1")], values, facts=facts, options=options
        )
        assert played.asked[2:] == [[("CONFIG", "GET", key) for key in NAMED]]
        assert played.samples()["redis_config_maxclients"] == "64000"
        assert played.samples()["redis_config_maxmemory"] == "5"

    def test_keys_that_a_server_ignores_are_asked_for_apart_from_then_on(self, drive: Drive) -> None:
        memory = TargetMemory()
        first, clients, found = config(io_threads="1"), config(maxclients="7"), []
        drive(ConfigCollector(), [first], [clients, [], [], []], facts=REDIS_7, memory=memory)
        for _ in range(2):
            played = drive(ConfigCollector(), [first, clients], facts=REDIS_7, memory=memory)
            found.append(played.samples())
            assert played.asked == [[("CONFIG", "GET", *NAMED), ("CONFIG", "GET", "maxclients")]]
        assert found == [{"redis_config_io_threads": "1", "redis_config_maxclients": "7"}] * 2

    def test_valkey_is_asked_for_the_limits_of_its_logs_too(self, drive: Drive) -> None:
        assert drive(ConfigCollector(), [[]], facts=VALKEY_8).asked == [
            [("CONFIG", "GET", *NAMED, *COMMANDLOG)]
        ]

    def test_valkey_before_8_1_has_no_such_logs(self, drive: Drive) -> None:
        older = dataclasses.replace(VALKEY_8, flavor_version=(8, 0, 9))
        assert drive(ConfigCollector(), [[]], facts=older).asked == [[("CONFIG", "GET", *NAMED)]]

    @pytest.mark.parametrize("facts", [REDIS_6, REDIS_7, VALKEY_8])
    def test_everything_in_one_call(self, drive: Drive, facts: Facts) -> None:
        assert drive(ConfigCollector(), [[]], facts=facts, options=EVERYTHING).asked == [
            [("CONFIG", "GET", "*")]
        ]

    def test_place_and_name_of_the_dump_on_request(self, drive: Drive) -> None:
        assert drive(ConfigCollector(), [[]], facts=REDIS_7, options=WITH_SIZE).asked == [
            [("CONFIG", "GET", *NAMED, "dir", "dbfilename")]
        ]

    def test_a_renamed_command(self, drive: Drive) -> None:
        options = parse(["--config-command=CONFIG-7f3a"], {})
        [[asked]] = drive(ConfigCollector(), [[]], facts=REDIS_7, options=options).asked
        assert asked[0] == "CONFIG-7f3a"

    @pytest.mark.parametrize("command", ["-", ""])
    def test_nothing_if_told_so(self, command: str, drive: Drive) -> None:
        options = parse([f"--config-command={command}"], {})
        assert not ConfigCollector().enabled(options)
        assert not ConfigCollector().wants(REDIS_7, options)
        text = (DATA / "redis-7.0.15" / "info_default.txt").read_bytes()
        assert drive(InfoCollector(), [text], options=options).asked == [[("INFO",)]]
        assert InfoCollector().acl(options) == ("+info",)

    def test_not_a_sentinel(self) -> None:
        options = parse([], {})
        assert ConfigCollector().wants(REDIS_7, options)
        assert not ConfigCollector().wants(dataclasses.replace(REDIS_7, mode="sentinel"), options)

    def test_a_server_that_cannot_answer_now_is_a_failure(self, drive: Drive) -> None:
        with pytest.raises(BusyError):
            drive(ConfigCollector(), [ReplyError("BUSY Redis is busy")], facts=REDIS_7)

    def test_one_key_that_cannot_be_told_does_not_cost_the_others(self, drive: Drive) -> None:
        replies = [config(maxclients="7"), ReplyError("NOPERM no"), [], []]
        memory = TargetMemory()
        for batches in ([[[]], replies], [[[], *replies]]):
            played = drive(ConfigCollector(), *batches, facts=REDIS_6, memory=memory)
            assert played.samples() == {"redis_config_maxclients": "7"}


class TestLimits:
    @pytest.mark.parametrize("version", versions_with("config_get"))
    def test_of_recorded_servers(self, drive: Drive, version: str) -> None:
        facts = facts_of(version, drive)
        reply = recorded(version, "config_get")
        replies = [[reply]] if facts.version >= (7, 0, 0) else [[reply], [[]] * 4]
        samples = drive(ConfigCollector(), *replies, facts=facts).samples()
        threads = samples.pop("redis_config_io_threads", None)
        assert threads == ("1" if facts.version >= (6, 0, 0) and facts.flavor != "keydb" else None)
        logs = {name: value for name, value in samples.items() if "commandlog" in name}
        expected = {
            "redis_commandlog_execution_slower_than": "10000",
            "redis_commandlog_slow_execution_max_len": "300",
            "redis_commandlog_request_larger_than": "-1",
            "redis_commandlog_large_request_max_len": "128",
            "redis_commandlog_reply_larger_than": "-1",
            "redis_commandlog_large_reply_max_len": "128",
        }
        assert logs == (expected if version == "valkey-8.1.1" else {})
        assert {name: value for name, value in samples.items() if name not in logs} == {
            "redis_config_maxclients": "10000",
            "redis_config_maxmemory": "1073741824",
            "redis_config_repl_backlog_size": "10485760" if version == "valkey-8.1.1" else "1048576",
            'redis_config_client_output_buffer_limit_bytes{class="normal",limit="hard"}': "0",
            'redis_config_client_output_buffer_limit_bytes{class="normal",limit="soft"}': "0",
            'redis_config_client_output_buffer_limit_bytes{class="slave",limit="hard"}': "268435456",
            'redis_config_client_output_buffer_limit_bytes{class="slave",limit="soft"}': "67108864",
            'redis_config_client_output_buffer_limit_bytes{class="pubsub",limit="hard"}': "33554432",
            'redis_config_client_output_buffer_limit_bytes{class="pubsub",limit="soft"}': "8388608",
            'redis_config_client_output_buffer_limit_overcome_seconds{class="normal",limit="soft"}': "0",
            'redis_config_client_output_buffer_limit_overcome_seconds{class="slave",limit="soft"}': "60",
            'redis_config_client_output_buffer_limit_overcome_seconds{class="pubsub",limit="soft"}': "60",
        }

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("256mb", "268435456"),
            ("1GB", "1073741824"),
            ("2k", "2000"),
            ("3m", "3000000"),
            ("64b", "64"),
            ("18446744073709551615",) * 2,
        ],
    )
    def test_units(self, drive: Drive, text: str, value: str) -> None:
        reply = config(maxmemory=text, client_output_buffer_limit=f"replica {text} 1kb 60")
        samples = drive(ConfigCollector(), [reply], facts=REDIS_7).samples()
        assert samples["redis_config_maxmemory"] == value
        assert samples['redis_config_client_output_buffer_limit_bytes{class="replica",limit="hard"}'] == value
        assert (
            samples['redis_config_client_output_buffer_limit_bytes{class="replica",limit="soft"}'] == "1024"
        )

    @pytest.mark.parametrize("text", ["", "many", "1.5", "1tb", "0x10", "nan", "9" * 21])
    def test_what_is_no_amount_is_left_out(self, drive: Drive, text: str) -> None:
        reply = config(
            maxmemory=text,
            maxclients="5",
            client_output_buffer_limit=f"odd {text or '-'} 2 3 normal 4 5 6 pubsub 7",
        )
        samples = drive(ConfigCollector(), [reply], facts=REDIS_7).samples()
        assert "redis_config_maxmemory" not in samples
        assert samples["redis_config_maxclients"] == "5"
        assert {name for name in samples if "class" in name and "normal" not in name} == set()
        assert samples['redis_config_client_output_buffer_limit_bytes{class="normal",limit="hard"}'] == "4"

    @pytest.mark.parametrize(
        "reply",
        [None, 7, b"text", [], [b"maxclients"], [[b"maxclients"], b"7"], [b"maxclients", None], [1, 2]],
    )
    def test_replies_of_another_form(self, drive: Drive, reply: object) -> None:
        assert drive(ConfigCollector(), [reply], facts=REDIS_7).text == ""


class TestEverything:
    @pytest.mark.parametrize("version", versions_with("config_get"))
    def test_every_key_is_there_but_the_secrets(self, drive: Drive, version: str) -> None:
        reply = recorded(version, "config_get")
        samples = drive(ConfigCollector(), [reply], facts=REDIS_7, options=EVERYTHING).samples()
        shown = {
            name.split('key="')[1].split('"')[0]
            for name in samples
            if name.startswith("redis_config_key_value{")
        }
        keys = {
            key.decode()
            for key, value in zip(reply[::2], reply[1::2], strict=True)
            if isinstance(value, bytes)
        }
        assert keys - shown == keys & {
            "requirepass",
            "masterauth",
            "masteruser",
            "primaryauth",
            "primaryuser",
            "tls-key-file-pass",
            "tls-client-key-file-pass",
        }
        assert shown <= keys
        assert samples['redis_config_value{key="maxclients"}'] == "10000"
        assert samples['redis_config_key_value{key="maxclients",value="10000"}'] == "1"
        assert 'redis_config_value{key="dbfilename"}' not in samples

    @pytest.mark.parametrize(
        "key",
        [
            "requirepass",
            "MasterAuth",
            "sentinel-pass",
            "sentinel-user",
            "auth-pass",
            "ldap.search_bind_passwd",
            "oss-global-password",
            "s3-secret",
        ],
    )
    def test_secrets_are_known_by_their_words(self, drive: Drive, key: str) -> None:
        reply = [key.encode(), b"12345", b"port", b"6379"]
        played = drive(ConfigCollector(), [reply], facts=REDIS_7, options=EVERYTHING)
        assert "12345" not in played.text
        assert played.samples()['redis_config_value{key="port"}'] == "6379"

    def test_whether_clients_show_certificates_is_none(self) -> None:
        assert not is_secret("tls-auth-clients")

    def test_they_show_if_told_so(self, drive: Drive) -> None:
        samples = drive(
            ConfigCollector(), [config(requirepass="open sesame")], facts=REDIS_7, options=UNREDACTED
        ).samples()
        assert samples == {'redis_config_key_value{key="requirepass",value="open sesame"}': "1"}

    def test_numbers_are_exact(self, drive: Drive) -> None:
        reply = config(a="18446744073709551615", b="-1", c="0.25", d="nan", e="0x1f", f="", g="12 13")
        samples = drive(ConfigCollector(), [reply], facts=REDIS_7, options=EVERYTHING).samples()
        values = {
            name[24:-2]: value for name, value in samples.items() if name.startswith("redis_config_value{")
        }
        assert values == {"a": "18446744073709551615", "b": "-1", "c": "0.25"}

    def test_values_that_are_no_text_are_left_out(self, drive: Drive) -> None:
        reply: list[Any] = [b"tls-allowlist", [], b"requirepass", None, b"port", b"1"]
        samples = drive(ConfigCollector(), [reply], facts=REDIS_7, options=UNREDACTED).samples()
        assert set(samples) == {
            'redis_config_key_value{key="port",value="1"}',
            'redis_config_value{key="port"}',
        }

    def test_keys_that_look_the_same_are_one(self, drive: Drive) -> None:
        samples = drive(
            ConfigCollector(), [[b"\xff", b"1", b"\xfe", b"2"]], facts=REDIS_7, options=EVERYTHING
        ).text
        assert samples.count("redis_config_value{") == 1


class TestDump:
    def size(self, drive: Drive, folder: str | pathlib.Path, name: str) -> str | None:
        reply = config(dir=str(folder), dbfilename=name)
        collector = ConfigCollector(FileSizes(wait_s=10).get)
        return (
            drive(collector, [reply], facts=REDIS_7, options=WITH_SIZE)
            .samples()
            .get("redis_rdb_current_size_bytes")
        )

    def test_its_size(self, drive: Drive, tmp_path: pathlib.Path) -> None:
        (tmp_path / "dump.rdb").write_bytes(b"x" * 123)
        assert self.size(drive, tmp_path, "dump.rdb") == "123"

    def test_none_is_0(self, drive: Drive, tmp_path: pathlib.Path) -> None:
        assert self.size(drive, tmp_path, "dump.rdb") == "0"
        assert self.size(drive, tmp_path / "missing", "dump.rdb") == "0"

    @pytest.mark.parametrize(
        "name", ["", ".", "..", "sub", "sub/dump.rdb", "/etc/passwd", "../dump.rdb", "a\0b", "x" * 300]
    )
    def test_only_a_bare_name_of_a_regular_file_has_a_size(
        self, drive: Drive, tmp_path: pathlib.Path, name: str
    ) -> None:
        (tmp_path / "sub").mkdir()
        (tmp_path / "sub" / "dump.rdb").write_bytes(b"x")
        assert self.size(drive, tmp_path, name) is None

    def test_a_relative_folder_is_not_looked_into(self, drive: Drive) -> None:
        assert self.size(drive, ".", "pyproject.toml") is None

    def test_nothing_is_looked_at_unless_asked(self, drive: Drive) -> None:
        looked: list[bytes] = []
        reply = config(dir="/tmp", dbfilename="dump.rdb")
        drive(ConfigCollector(looked.append), [reply], facts=REDIS_7)
        assert looked == []
        drive(ConfigCollector(looked.append), [reply], facts=REDIS_7, options=WITH_SIZE)
        assert looked == [b"/tmp/dump.rdb"]


@pytest.mark.server
async def test_a_real_server(redis_server: RedisFactory, tmp_path: pathlib.Path) -> None:
    server = redis_server(
        "--requirepass", "", "--maxclients", "321", "--client-output-buffer-limit", "replica 256mb 64mb 60"
    )
    server.ask("SET", "a", "b")
    server.ask("SAVE")
    config_collector = ConfigCollector(FileSizes(wait_s=10).get)
    watch_harness = WatchHarness(
        (InfoCollector(), config_collector),
        argv=["--include-config-metrics", "--include-rdb-file-size-metric"],
    )
    try:
        watched = watch_harness.watched(server.port)
        await watch_harness.poll(watched)
        assert watch_harness.went_well(watched)
        assert watch_harness.value(watched, "redis_config_maxclients") == 321
        assert (
            watch_harness.value(watched, "redis_config_client_output_buffer_limit_bytes", "slave", "hard")
            == 256 << 20
        )
        assert watch_harness.value(watched, "redis_config_value", "port") == server.port
        assert (
            watch_harness.value(watched, "redis_rdb_current_size_bytes")
            == (server.directory / "dump.rdb").stat().st_size
        )
    finally:
        await watch_harness.close()


HASHED = parse(["--include-config-hash"], {})


def test_the_hash_is_shown_and_remembered(drive: Drive) -> None:
    played = drive(ConfigCollector(), [config(hz="10", maxclients="7")], facts=REDIS_7, options=HASHED)
    hash = hash_of({"hz": b"10", "maxclients": b"7"})
    assert played.asked == [[("CONFIG", "GET", "*")]]
    assert played.samples() == {
        "redis_config_maxclients": "7",
        f'redis_config_hash_info{{hash="{hash}"}}': "1",
    }
    assert played.memory.configuration == hash


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("maxmemory", ("100mb", "200mb")),
        ("appendonly", ("yes", "no")),
        ("maxmemory-policy", ("noeviction", "allkeys-lru")),
        ("save", ("", "3600 1")),
    ],
)
def test_a_value_that_should_be_alike_changes_the_hash(key: str, values: tuple[str, str]) -> None:
    one, other = (hash_of({"hz": b"10", key: value.encode()}) for value in values)
    assert one != other


@pytest.mark.parametrize(
    "key",
    [
        *("port", "tls-port", "bind", "bind-source-addr", "dir", "dbfilename", "logfile", "pidfile"),
        *("unixsocket", "aclfile", "cluster-config-file", "cluster-announce-ip", "replica-announce-port"),
        *("slave-announce-ip", "replicaof", "slaveof", "replica-priority", "tls-cert-file", "syslog-ident"),
        *("requirepass", "masterauth", "masteruser", "tls-key-file-pass", "appenddirname", "server_cpulist"),
    ],
)
def test_what_belongs_to_one_server_and_secrets_do_not(key: str) -> None:
    without = hash_of({"hz": b"10"})
    assert hash_of({"hz": b"10", key: b"one"}) == hash_of({key: b"other", "hz": b"10"}) == without


def test_a_hash_does_not_depend_on_the_order() -> None:
    assert hash_of({"a": b"1", "b": b"2"}) == hash_of({"b": b"2", "a": b"1"})
