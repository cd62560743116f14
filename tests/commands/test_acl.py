"""The least rule: what it says, and that a real server with it refuses nothing."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import hiredis
import pytest

from exporter.cli import main
from exporter.collectors._contract import AnyCollector, Collector
from exporter.commands.acl import SENTINELS, rules
from exporter.connection.settings import DialSettings
from exporter.metrics.lane import Lane
from exporter.options.commandline import parse
from exporter.options.table import Options
from exporter.protocol.facts import Facts
from tests.clusters import Cluster, Sentinel
from tests.go_readme import GO_README
from tests.servers import RedisServer
from tests.store_fixture import until
from tests.watch_harness import SECRET, CountingDialer, WatchHarness, server_field

RedisFactory = Callable[..., RedisServer]
#: flags by which more is asked for; not those that need a module
MORE = (
    "--ping-on-connect",
    "--include-config-metrics",
    "--include-memory-stats-metrics",
    "--include-acl-log-metrics",
    "--export-client-list",
    "--export-unknown-info",
    "--check-keys=db1=pattern*",
    "--check-single-keys=single,missing",
    "--count-keys=pattern*",
    "--check-streams=stream*",
    "--check-single-streams=stream1",
)


class Asking(Collector[None]):
    """Asks the servers that `asks` tells, for the `words`."""

    name, help, lane, families = "asking", "Asks.", Lane.FAST, ()

    def __init__(
        self,
        words: str,
        asks: Callable[[Facts], bool] = lambda facts: facts.mode != "sentinel",
        where: str = "",
    ) -> None:
        self._words = tuple(words.split())
        self._asks = asks
        self.acl_where = where  # type: ignore[misc]

    def wants(self, facts: Facts, options: Options) -> bool:
        return self._asks(facts)

    def acl(self, options: Options) -> tuple[str, ...]:
        return self._words


def of(*collectors: AnyCollector, argv: tuple[str, ...] = ("--set-client-name=false",)) -> dict[str, str]:
    return {where: " ".join(words) for where, words in rules(parse(argv, {}), collectors=collectors).items()}


class TestRules:
    def test_are_in_order_and_each_once(self) -> None:
        assert of(Asking("~b* +info ~a +scan"), Asking("+get +info ~a")) == {"": "+get +info +scan ~a ~b*"}

    def test_a_collector_that_is_not_asked_for_needs_nothing(self) -> None:
        off = Asking("+info")
        off.enabled = lambda options: False  # type: ignore[method-assign]
        assert of(off) == {"": ""}

    @pytest.mark.parametrize(
        ("argv", "word", "there"),
        [
            ((), "+client|setname", True),
            (("--set-client-name=false",), "+client|setname", False),
            ((), "+ping", False),
            (("--ping-on-connect",), "+ping", True),
        ],
    )
    def test_greeting(self, argv: tuple[str, ...], word: str, there: bool) -> None:
        assert (word in of(argv=argv)[""].split()) is there

    def test_a_database_is_selected(self) -> None:
        assert "+select" not in rules(parse([], {}))[""]
        assert "+select" in rules(parse([], {}), databases=True)[""]

    def test_what_newer_servers_know_stands_apart(self) -> None:
        collectors = (
            Asking("+info"),
            Asking("+info +new", lambda facts: facts.version >= (7, 0, 0) and facts.mode != "sentinel"),
        )
        assert of(*collectors) == {"": "+info", "Redis 7.0 and later, Valkey": "+new"}

    def test_servers_that_do_not_follow_each_other(self) -> None:
        def asks(facts: Facts) -> bool:
            return facts.version >= (7, 4, 0) or facts.flavor == "valkey"

        assert of(Asking("+new", asks)) == {
            "": "",
            "Redis 7.4 and later": "+new",
            "Valkey 8.0 and later": "+new",
        }

    def test_a_role_or_a_mode_makes_no_difference(self) -> None:
        asks = [lambda facts: facts.cluster_enabled, lambda facts: facts.role == "slave"]
        assert of(*map(Asking, ("+cluster|info", "+role"), asks)) == {"": "+cluster|info +role"}

    def test_servers_that_a_collector_names(self) -> None:
        module = Asking("+ft.info", where="servers with a search module")
        assert of(Asking("+info"), module) == {"": "+info", "servers with a search module": "+ft.info"}

    def test_commands_of_newer_servers_that_older_ones_are_not_asked(self) -> None:
        assert of(Asking("+pexpiretime +pttl")) == {
            "": "+pttl",
            "Redis 7.0 and later, Valkey": "+pexpiretime",
        }

    def test_a_sentinel_has_a_rule_of_its_own(self) -> None:
        """Most commands of a server are unknown to it, those of CONFIG too."""
        collectors = (
            Asking("+info +config|get", lambda facts: True),
            Asking("+sentinel|masters", lambda facts: facts.mode == "sentinel"),
        )
        assert of(*collectors, argv=()) == {
            "": "+client|setname +config|get +info",
            SENTINELS: "+client|setname +info +sentinel|masters",
        }


class TestLines:
    def test_can_be_pasted(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["acl", "--redis.user=watcher"], {}) == 0
        line = capsys.readouterr().out.splitlines()[0]
        assert line.startswith("ACL SETUSER watcher on >PASSWORD resetkeys resetchannels -@all +")
        assert {"+client|setname", "+config|get", "+info"} <= set(line.split())

    def test_what_only_some_servers_know_stands_apart(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["acl", "--redis.user=watcher", "--include-search-indexes-metrics"], {}) == 0
        first, *more = capsys.readouterr().out.splitlines()
        assert "+ft." not in first
        assert "+commandlog" not in first
        assert "# Valkey 8.1 and later:\nACL SETUSER watcher +commandlog|get +commandlog|len" in "\n".join(
            more
        )
        assert "# servers with a search module:\nACL SETUSER watcher +ft._list +ft.info" in "\n".join(more)

    def test_one_for_each_user_with_what_that_one_needs(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = tmp_path / "instances.yml"
        entries = (
            "{addr: 'redis://a/1', user: one}",
            "{addr: redis://b, user: one}",
            "{addr: redis://c, user: 'two words'}",
            "{addr: redis://d}",
        )
        file.write_text(f"redis_instances: [{', '.join(entries)}]")
        assert main(["acl", f"--redis-file={file}"], {}) == 0
        made = {
            line.split(" on >")[0]: line
            for line in capsys.readouterr().out.splitlines()
            if " on >" in line and "sentinel|" not in line
        }
        assert list(made) == ["ACL SETUSER one", 'ACL SETUSER "two words"', "ACL SETUSER exporter"]
        assert ["+select" in line for line in made.values()] == [True, False, False]

    def test_a_target_s_own_settings_count(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file = tmp_path / "redis_exporter.yml"
        entries = (
            "{addr: redis://a, collectors: {slowlog: false}}",
            "{addr: redis://b, collectors: {slowlog: false, acl_log: true}, checks: {single_keys: one}}",
            "{addr: redis://c, user: other, options: {config-command: '-'}}",
        )
        file.write_text(f"redis_instances: [{', '.join(entries)}]")
        assert main(["acl", f"--config.file={file}"], {}) == 0
        own, other = (
            line.split()
            for line in capsys.readouterr().out.splitlines()
            if " on >" in line and "sentinel|" not in line
        )
        wanted = {"+slowlog|get", "+acl|log", "~one", "+config|get"}
        assert wanted.intersection(own) == {"+acl|log", "~one", "+config|get"}
        assert wanted.intersection(other) == {"+slowlog|get"}

    def test_hold_no_secret(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["acl", f"--redis.addr=redis://watcher:{SECRET}@h"], {}) == 0
        assert SECRET not in capsys.readouterr().out

    def test_a_mistake_in_the_targets_is_told(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["acl", "--redis.addr=gopher://h"], {}) == 1
        assert capsys.readouterr().out == ""


class TestOnAServer:
    @staticmethod
    def allow(
        server: RedisServer, argv: tuple[str, ...], capsys: pytest.CaptureFixture[str], without: str = ""
    ) -> None:
        """Tell the server all of it, as somebody would who does not know which server it is."""
        assert main(["acl", "--redis.addr=redis://h/1", "--redis.user=watcher", *argv], {}) == 0
        lines = [line for line in capsys.readouterr().out.splitlines() if SENTINELS not in line]
        commands = [line.replace(">PASSWORD", f">{SECRET}") for line in lines if not line.startswith("#")]
        for number, command in enumerate(commands):
            if "sentinel|" not in command:
                reply = server.ask(*(word for word in shlex.split(command) if word != without))
                assert number > 0 or reply == b"OK", reply

    @staticmethod
    async def errors(server: RedisServer, argv: tuple[str, ...]) -> int:
        """How many error replies many polls get, over all lanes."""
        watch_harness = WatchHarness(argv=argv)
        watch_harness.dialer = CountingDialer(DialSettings(ping="--ping-on-connect" in argv))
        before = server_field(server, "total_error_replies")
        watched = watch_harness.watched(server.port, user="watcher", password=SECRET, db=1)
        try:
            for _ in range(14):
                await watch_harness.poll(watched)
            await until(lambda: not watched.scanner.busy)
        finally:
            await watch_harness.close()
        return server_field(server, "total_error_replies") - before

    @pytest.mark.parametrize("argv", [(), MORE], ids=["default", "more"])
    async def test_the_rule_suffices(
        self, argv: tuple[str, ...], redis_server: RedisFactory, capsys: pytest.CaptureFixture[str]
    ) -> None:
        server = redis_server()
        for key in ("pattern1", "single"):
            server.ask("SET", key, "1")
        server.ask("XADD", "stream1", "*", "a", "1")
        self.allow(server, argv, capsys)
        assert await self.errors(server, argv) == 0

    @pytest.mark.parametrize("rights", ["of this command", "of the Go exporter's README"])
    def test_a_user_with_few_rights_gets_all_that_is_asked_for(
        self, rights: str, redis_server: RedisFactory, capfdbinary: pytest.CaptureFixture[bytes]
    ) -> None:
        server = redis_server()
        server.ask("MSET", "single", "12.5", "pattern1", "text")
        server.ask("PFADD", "pattern2", "a", "b", "c")
        server.ask("XADD", "stream1", "*", "a", "1")
        server.ask("XGROUP", "CREATE", "stream1", "group", "0")
        flags = [flag.replace("db1=", "") for flag in MORE]
        made = rules(parse(flags, {}))
        own = (*made[""], *made["Redis 7.0 and later, Valkey"])
        words = own if rights == "of this command" else (*GO_README, "~*")
        server.ask("ACL", "SETUSER", "watcher", "on", f">{SECRET}", *words)
        addr = f"redis://watcher:{SECRET}@127.0.0.1:{server.port}"
        argv = ["once", f"--redis.addr={addr}", "--target-labels=never", "--log-level=ERROR", *flags]
        assert main(argv, {}) == 0
        page = capfdbinary.readouterr().out
        for line in (
            b'redis_key_size{db="db0",key="single"} 4',
            b'redis_key_value{db="db0",key="single"} 12.5',
            b'redis_key_size{db="db0",key="pattern1"} 4',
            b'redis_key_value_as_string{db="db0",key="pattern1",val="text"} 1',
            b'redis_key_size{db="db0",key="pattern2"} 3',
            b'redis_keys_count{db="db0",key="pattern*"} 2',
            b'redis_stream_length{db="db0",stream="stream1"} 1',
            b'redis_stream_group_consumers{db="db0",stream="stream1",group="group"} 0',
            b"redis_config_maxclients 10000",
            b"redis_slowlog_length 0",
        ):
            assert b"\n" + line + b"\n" in page
        for name in (b"memory_usage_bytes", b"exists"):
            assert page.count(b"\nredis_key_" + name + b"{") == (3 if name != b"exists" else 4)

    @pytest.mark.parametrize("word", ["+client|setname", "+config|get", "+info", "+ping", "+select"])
    async def test_and_is_the_least(
        self, word: str, redis_server: RedisFactory, capsys: pytest.CaptureFixture[str]
    ) -> None:
        server = redis_server()
        self.allow(server, MORE, capsys, without=word)
        assert await self.errors(server, MORE) > 0

    def test_a_rule_for_other_servers_is_refused_and_harms_nothing(self, redis_server: RedisFactory) -> None:
        server = redis_server()
        server.ask("ACL", "SETUSER", "watcher", "on", ">" + SECRET, "-@all", "+info")
        before = server.ask("ACL", "GETUSER", "watcher")
        assert isinstance(
            server.ask("ACL", "SETUSER", "watcher", "+get", "+commandlog|get"), hiredis.ReplyError
        )
        assert server.ask("ACL", "GETUSER", "watcher") == before


def refused(page: bytes) -> list[bytes]:
    """The collectors of a page that failed or were refused."""
    return [
        line
        for line in page.splitlines()
        if line.startswith(b"redis_exporter_collector_su") and line.endswith(b" 0")
    ]


@pytest.mark.server
class TestElsewhere:
    def test_the_rule_for_a_sentinel_suffices(
        self, redis_server: RedisFactory, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
    ) -> None:
        argv = ["--include-config-metrics", "--log-level=ERROR"]
        sentinel = Sentinel(tmp_path, [("mymaster", redis_server().port, 1)])
        try:
            sentinel.start()
            words = ["resetkeys", "resetchannels", "-@all", *rules(parse(argv, {}))[SENTINELS]]
            assert sentinel.ask("ACL", "SETUSER", "watcher", "on", f">{SECRET}", *words) == b"OK"
            assert (
                main(["once", f"--redis.addr=redis://watcher:{SECRET}@127.0.0.1:{sentinel.port}", *argv], {})
                == 0
            )
        finally:
            sentinel.stop()
        page = capfdbinary.readouterr().out
        assert b"\nredis_sentinel_master_quorum_ok{" in page
        assert b"\nredis_sentinel_config_value{" in page
        assert refused(page) == []

    def test_the_rule_suffices_for_a_cluster_node(
        self, redis_cluster: Cluster, capfdbinary: pytest.CaptureFixture[bytes]
    ) -> None:
        node = redis_cluster.nodes[0]
        made = rules(parse([], {}))
        words = ["resetkeys", "resetchannels", "-@all", *made[""], *made["Redis 7.0 and later, Valkey"]]
        assert node.ask("ACL", "SETUSER", "watcher", "on", f">{SECRET}", *words) == b"OK"
        try:
            assert (
                main(
                    [
                        "once",
                        f"--redis.addr=redis://watcher:{SECRET}@127.0.0.1:{node.port}",
                        "--log-level=ERROR",
                    ],
                    {},
                )
                == 0
            )
        finally:
            node.ask("ACL", "DELUSER", "watcher")
        page = capfdbinary.readouterr().out
        assert b"\nredis_cluster_slots_uncovered{" in page
        assert refused(page) == []
