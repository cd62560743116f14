"""`check`: what it prints, and that it says what a start would say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.cli import main
from tests.servers import ScriptedServer

ScriptedFactory = Callable[..., ScriptedServer]
SECRET = "s3cret-of-mine"


def test_names_each_target_and_ends_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "instances.yml"
    file.write_text(
        f"redis_instances: [{{name: main, addr: 'redis://h', password: {SECRET}}}, {{addr: "
        f"'rediss://other:7/2'}}]"
    )
    assert main(["check", f"--redis-file={file}"], {}) == 0
    assert capsys.readouterr().out == "redis://h:6379  main\nrediss://other:7/2\nok: 2 targets\n"


def test_a_name_stays_on_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "instances.yml"
    file.write_text('redis_instances: [{name: "ma\\nin", addr: "redis://h"}]')
    assert main(["check", f"--redis-file={file}"], {}) == 0
    assert capsys.readouterr().out == "redis://h:6379  ma\\nin\nok: 1 target\n"


def test_says_which_one_is_not_polled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "redis_exporter.yml"
    file.write_text("redis_instances: [{addr: redis://h, enabled: false}, {addr: redis://g}]")
    assert main(["check", f"--config.file={file}"], {}) == 0
    assert capsys.readouterr().out == "redis://h:6379  (enabled: false)\nredis://g:6379\nok: 2 targets\n"


def test_says_what_else_names_targets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "redis_exporter.yml"
    file.write_text("redis_instances: [{addr: redis://h, discover: cluster}]")
    lists = [f"--targets.file-sd={tmp_path}/*.yml", "--targets.http-sd=http://h/"]
    assert main(["check", f"--config.file={file}", *lists], {}) == 0
    assert capsys.readouterr().out.endswith(
        "ok: 1 target; more come from --targets.file-sd and --targets.http-sd and discovery while it runs\n"
    )
    assert main(["check", "--redis.addr=", "--scrape.allow=10.0.0.0/8"], {}) == 0
    assert capsys.readouterr().out == "ok: 0 targets; more come from /scrape while it runs\n"


def test_says_which_shard_polls_a_target(capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["check", "--redis.addr=10.0.0.1,10.0.0.4", "--shard.total=2"]
    owners = {}
    for index in (0, 1):
        assert main([*argv, f"--shard.index={index}"], {}) == 0
        *lines, end = capsys.readouterr().out.splitlines()
        assert end == "ok: 2 targets"
        owners[index] = [line.partition("  ")[2] for line in lines]
    for here, there in zip(owners[0], owners[1], strict=True):
        assert {here, there} in ({"", "(shard 0)"}, {"", "(shard 1)"})


def test_connects_to_nobody(scripted_server: ScriptedFactory) -> None:
    server = scripted_server(lambda talk: None)
    assert main(["check", f"--redis.addr=redis://127.0.0.1:{server.port}"], {}) == 0
    assert server.accepted == 0


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (["--redis.addr=gopher://h"], 1, "unknown scheme"),
        (["--redis-file=/no/such/file"], 1, "cannot be read"),
        (
            ["--redis.addr=rediss://h", "--tls-ca-cert-file=/no/such/file"],
            1,
            "/no/such/file cannot be read",
        ),
        (["--check-keys=a=b=c"], 2, "write one between"),
        (["--check-search-indexes=("], 2, "not a regular expression"),
        (["--connection-timeout=5"], 2, "write 5s"),
        (["--no-such-flag"], 2, "unknown flag"),
        (["--poll.interval=100000000000000h"], 2, "the most is 87600h"),
        (
            ["--target-labels=never", "--redis.addr=h,redis://g"],
            1,
            "write --target-labels=auto or always",
        ),
    ],
)
def test_says_what_a_start_would_say(
    argv: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", *argv], {}) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
