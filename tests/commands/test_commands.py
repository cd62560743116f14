"""Sub-commands that take the program's options: check, once, acl; and docs."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter.cli import COMMANDS, main
from exporter.commandline import parse
from exporter.commands.acl import rule
from tests.clusters import Cluster, Sentinel
from tests.servers import RedisServer, free_port

RedisFactory = Callable[..., RedisServer]
SECRET = "s3cret-of-mine"


class TestCheck:
    def test_names_each_target_and_ends_well(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file = tmp_path / "instances.yml"
        file.write_text(f"redis_instances: [{{name: main, addr: 'redis://h', password: {SECRET}}}, {{addr: 'rediss://other:7/2'}}]")
        assert main(["check", f"--redis-file={file}"], {}) == 0
        assert capsys.readouterr().out == "redis://h:6379  main\nrediss://other:7/2\nok: 2 targets\n"

    @pytest.mark.parametrize(
        ("argv", "code", "words"),
        [
            (["--redis.addr=gopher://h"], 1, "no scheme"),
            (["--redis-file=/no/such/file"], 1, "cannot be read"),
            (["--redis.addr=rediss://h", "--tls-ca-cert-file=/no/such/file"], 1, "/no/such/file cannot be read"),
            (["--check-keys=a=b=c"], 2, "write one between"),
            (["--check-search-indexes=("], 2, "no regular expression"),
            (["--connection-timeout=5"], 2, "write 5s"),
            (["--no-such-flag"], 2, "unknown flag"),
        ],
    )
    def test_says_what_a_start_would_say(self, argv: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["check", *argv], {}) == code
        out, err = capsys.readouterr()
        assert out == ""
        assert words in err


class TestOnce:
    def test_prints_the_page_of_one_poll(self, redis_server: RedisFactory, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
        assert main(["once", f"--redis.addr=redis://127.0.0.1:{redis_server().port}"], {}) == 0
        families = {family.name: family for family in text_string_to_metric_families(capfdbinary.readouterr().out.decode())}
        assert [sample.value for sample in families["redis_up"].samples] == [1]
        assert {"redis_commands", "redis_exporter_build_info", "redis_exporter_snapshot_age_seconds"} <= families.keys()

    def test_ends_with_one_if_a_target_is_down(self, redis_server: RedisFactory, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
        addresses = f"redis://127.0.0.1:{redis_server().port},redis://127.0.0.1:{free_port()}"
        assert main(["once", f"--redis.addr={addresses}", "--log-level=ERROR"], {}) == 1
        page = capfdbinary.readouterr().out
        assert page.count(b"\nredis_up{") == 2

    def test_waits_for_no_more_than_a_deadline(self, redis_server: RedisFactory, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
        server = redis_server()
        server.pause()
        began = time.monotonic()
        assert main(["once", f"--redis.addr=redis://127.0.0.1:{server.port}", "--poll.interval=1s", "--log-level=ERROR"], {}) == 1
        assert time.monotonic() - began < 20
        server.resume()


class TestAcl:
    def test_is_a_line_to_be_pasted(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["acl", "--redis.user=watcher"], {}) == 0
        line = capsys.readouterr().out
        assert line.startswith("ACL SETUSER watcher on >PASSWORD resetkeys resetchannels -@all +client|setname ")
        assert " +info" in line
        assert "+sentinel" not in line  # servers that do not know the word refuse the whole line

    def test_what_only_some_servers_know_stands_apart(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["acl", "--redis.user=watcher", "--include-search-indexes-metrics"], {}) == 0
        first, *more = capsys.readouterr().out.splitlines()
        assert "+ft." not in first
        assert "+commandlog" not in first
        assert "\n".join(more) == (
            "# Valkey 8.1 and later:\nACL SETUSER watcher +commandlog|get +commandlog|len\n"
            "# servers with a search module:\nACL SETUSER watcher +ft._list +ft.info"
        )

    def test_for_a_sentinel_on_request(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["acl", "--is-sentinel"], {}) == 0
        assert capsys.readouterr().out == (
            "ACL SETUSER exporter on >PASSWORD resetkeys resetchannels -@all +client|setname +info "
            "+sentinel|ckquorum +sentinel|masters +sentinel|replicas +sentinel|sentinels\n"
        )

    def test_holds_what_the_options_need_and_no_more(self) -> None:
        assert "+ping" not in rule(parse([], {})).split()
        assert "+ping" in rule(parse(["--ping-on-connect"], {})).split()
        assert "+client|setname" not in rule(parse(["--set-client-name=false"], {})).split()

    def test_suffices(self, redis_server: RedisFactory, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
        server = redis_server()
        server.ask("ACL", "SETUSER", "watcher", "on", f">{SECRET}", *rule(parse([], {})).split())
        assert main(["once", f"--redis.addr=redis://watcher:{SECRET}@127.0.0.1:{server.port}"], {}) == 0
        page = capfdbinary.readouterr().out
        assert b"redis_exporter_collector_supported" in page
        assert [line for line in page.splitlines() if line.startswith(b"redis_exporter_collector_su") and line.endswith(b" 0")] == []
        assert b"\ntotal_error_replies:0\r" in server.ask("INFO", "stats")

    @pytest.mark.server
    def test_of_a_sentinel_suffices_there(
        self, redis_server: RedisFactory, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
    ) -> None:
        sentinel = Sentinel(tmp_path, [("mymaster", redis_server().port, 1)])
        try:
            sentinel.start()
            argv = ["--include-config-metrics", "--is-sentinel"]
            reply = sentinel.ask("ACL", "SETUSER", "watcher", "on", f">{SECRET}", *rule(parse(argv, {})).split())
            assert reply == b"OK"
            assert main(["once", f"--redis.addr=redis://watcher:{SECRET}@127.0.0.1:{sentinel.port}", *argv], {}) == 0
        finally:
            sentinel.stop()
        page = capfdbinary.readouterr().out
        assert b"\nredis_sentinel_master_quorum_ok{" in page
        assert b"\nredis_sentinel_config_value{" in page
        assert [line for line in page.splitlines() if line.startswith(b"redis_exporter_collector_su") and line.endswith(b" 0")] == []

    @pytest.mark.server
    def test_suffices_for_a_cluster_node(self, redis_cluster: Cluster, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
        node = redis_cluster.nodes[0]
        assert node.ask("ACL", "SETUSER", "watcher", "on", f">{SECRET}", *rule(parse([], {})).split()) == b"OK"
        assert main(["once", f"--redis.addr=redis://watcher:{SECRET}@127.0.0.1:{node.port}"], {}) == 0
        page = capfdbinary.readouterr().out
        assert node.ask("ACL", "DELUSER", "watcher") == 1
        assert b"\nredis_cluster_slots_uncovered{" in page
        assert [line for line in page.splitlines() if line.startswith(b"redis_exporter_collector_su") and line.endswith(b" 0")] == []


class TestCommandLine:
    def test_an_unknown_command(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["chekc"], {}) == 2
        assert capsys.readouterr().err == f"redis_exporter: unknown command chekc: write one of {', '.join(COMMANDS)}, or flags only\n"

    @pytest.mark.parametrize("argv", [["docs"], ["docs", "all"]])
    def test_docs_of_nothing(self, argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        assert main(argv, {}) == 2
        assert capsys.readouterr().err == "redis_exporter: write redis_exporter docs metrics or options\n"

    def test_help_is_that_of_the_program(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["check", "--help"], {}) == 0
        out = capsys.readouterr().out
        assert all(f"  {name}" in out for name in COMMANDS)
