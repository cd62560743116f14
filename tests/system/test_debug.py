"""What `--debug` and `--verbose` log of a running exporter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.servers import wait_until
from tests.system.conftest import Exporter, ExporterFactory
from tests.watch_harness import RedisFactory

SECRET = "s3cret-of-mine"


def lines(started: Exporter, msg: str) -> list[dict[str, Any]]:
    """The complete lines with this message."""
    found = [json.loads(line) for line in started.log.read_text().split("\n")[:-1]]
    return [line for line in found if line["msg"] == msg]


@pytest.mark.parametrize("flag", ["--debug", "--log-level=debug", "--verbose"])
def test_each_poll_has_a_line(redis_server: RedisFactory, exporter: ExporterFactory, flag: str) -> None:
    addr = f"redis://127.0.0.1:{redis_server().port}"
    started = exporter(f"--redis.addr={addr}", "--log-format=json", "--check-keys=k*", flag)
    wait_until(lambda: "scan" in {line["lane"] for line in lines(started, "polled")}, "a scan")
    first = lines(started, "polled")[0]
    assert first.keys() == {"time", "level", "msg", "component", "addr", "lane", "duration_ms", "bytes"}
    assert (first["level"], first["component"], first["addr"]) == ("DEBUG", "polling", addr)
    assert first["lane"] == "fast,standard,slow"
    assert first["bytes"] > 1000
    assert bool(lines(started, "commands")) == (flag == "--verbose")


def test_each_dial_says_what_gave_user_and_password(
    redis_server: RedisFactory, exporter: ExporterFactory, tmp_path: Path
) -> None:
    one, two = (redis_server("--requirepass", SECRET) for _ in range(2))
    file = tmp_path / "passwords.json"
    file.write_text(json.dumps({"10.0.0.0/8": "kiwi", f"127.0.0.1:{two.port}": SECRET}))
    addrs = [f"redis://127.0.0.1:{server.port}" for server in (one, two)]
    started = exporter(
        f"--redis.addr=redis://:wrong@127.0.0.1:{one.port},{addrs[1]}",
        f"--redis.password-file={file}",
        "--log-format=json",
        "--debug",
    )
    wait_until(lambda: started.values("redis_up") == {addrs[0]: 0, addrs[1]: 1}, "both")
    wait_until(lambda: lines(started, "the target is down"), "the log")
    logins = {line["addr"]: line["login"] for line in lines(started, "connecting")}
    assert logins == {
        addrs[0]: "no user, password: the address itself",
        addrs[1]: f"no user, password: entry 127.0.0.1:{two.port} in --redis.password-file",
    }
    [down] = lines(started, "the target is down")
    assert (down["reason"], down["login"]) == ("auth", logins[addrs[0]])
    assert all(word not in started.log.read_text() for word in (SECRET, "kiwi", "wrong@"))


def test_verbose_names_the_commands_and_no_arguments(
    redis_server: RedisFactory, exporter: ExporterFactory
) -> None:
    server = redis_server()
    server.ask("CONFIG", "SET", "requirepass", SECRET)
    addr = f"redis://127.0.0.1:{server.port}"
    started = exporter(
        f"--redis.addr=redis://:{SECRET}@127.0.0.1:{server.port}",
        "--log-format=json",
        f"--check-single-keys={SECRET}-key",
        "--verbose",
    )
    wait_until(lambda: "CONFIG GET" in str(lines(started, "commands")), "the handshake and two exchanges")
    handshake, first, *_ = lines(started, "commands")
    assert handshake["commands"] == "AUTH, CLIENT SETNAME"
    assert first["commands"].startswith("INFO")
    assert {line["addr"] for line in lines(started, "commands")} == {addr}
    assert all(line["duration_ms"] >= 0 for line in lines(started, "commands"))
    assert SECRET not in started.log.read_text()


def test_without_them_there_is_none(redis_server: RedisFactory, exporter: ExporterFactory) -> None:
    started = exporter(f"--redis.addr=redis://127.0.0.1:{redis_server().port}", "--log-format=json")
    assert "DEBUG" not in started.log.read_text()
