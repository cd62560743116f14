"""What `check` accepts can start: every option, at the edges of what its form takes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvloop

from exporter.app.app import App
from exporter.app.build import configure
from exporter.app.run import read_targets
from exporter.cli import main
from exporter.errors import ConfigError
from exporter.options.commandline import parse
from exporter.options.option import Option
from exporter.options.table import OPTIONS
from tests.servers import PATIENCE_S

EDGES = {
    "DURATION": (
        "0s",
        "1ns",
        "100ms",
        "100.0000001ms",
        "87600h",
        "87599h59m59.999999999s",
        "87601h",
        "1e9h",
        "-1s",
        "100000000000000h",
    ),
    "N": (
        "-9223372036854775808",
        "-9223372036854775807",
        "-1",
        "0",
        "1",
        "2147483648",
        "9223372036854775807",
        "9223372036854775808",
        "9" * 5000,
    ),
    "SHARDS": ("0", "1", "2"),  # more of them need an index too
    "TEXT": ("", " ", "a" * 10_000, "\x00", "*", "-"),
    "FILE": ("", " ", "a" * 10_000, "\x00", "/"),
    "ADDRESS,…": (
        "",
        ",",
        "h:65535/9223372036854775807",
        "h:1/9223372036854775808",
        "unix:///" + "a" * 200,
        "h" * 300,
        "a..b",
        ",".join(f"h{n}" for n in range(300)),
    ),
    "[HOST]:PORT|unix:PATH|fd://[NAME]": (
        "127.0.0.1:0",
        "[::1]:0",
        ":65536",
        "127.0.0.1:99999",
        "unix:x.sock",
        "unix:" + "a" * 200,
        "unix:",
    ),
    "PATH": ("/a/", "//", "/-", "/.", "/" + "a" * 5000, "/healthz"),
    "PREFIX": ("", "_", ":", "a" * 10_000, "process", "scrape"),
    "COLLECTOR,…": ("", "slowlog", "slow log", ",".join(["a"] * 300)),
    "NAME,…": ("", "*", "redis_*", "?", "*" * 100, ",".join(["a*"] * 300)),
    "REGEX": ("", ".*", "(?:a{99999})", "(" * 200 + ")" * 200, "(?:a{99999999999})"),
    "PATTERN,…": ("", "^(", "%", '"', "(" * 40 + ")" * 40, "a" * 10_000),
    "[DB=]KEY,…": (
        "",
        "=",
        "9223372036854775807=k",
        "9223372036854775808=k",
        "%00",
        "k" * 10_000,
        ",".join(f"k{n}" for n in range(2000)),
    ),
}


@pytest.fixture(autouse=True)
def files_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that stops may write a file of a name that is tried here."""
    monkeypatch.chdir(tmp_path)


def texts(option: Option) -> Iterator[str]:
    name = option.type.value_name
    if name == "":
        yield from ("true", "false", "T", "yes")
    elif name == "DURATION|fast":
        yield from ("fast", *EDGES["DURATION"])
    elif name in EDGES:
        yield from EDGES[name]
    else:
        yield from ("", *name.replace(",…", "").split("|"), "kiwi", "a" * 10_000)


def is_accepted(argv: list[str], capfd: pytest.CaptureFixture[str]) -> bool:
    code = main(["check", *argv], {"REDIS_ADDR": ""})
    _, err = capfd.readouterr()
    assert code in (0, 1, 2)
    assert all(len(line) < 1500 for line in err.splitlines()[:30]), (
        "a mistake is said in a line that can be read"
    )
    return code == 0


async def start(argv: list[str]) -> None:
    """As `exporter.app.run.serve`, on a free port of loopback; nobody is there to be polled."""
    options = parse(argv, {"REDIS_ADDR": ""})
    app = App()
    try:
        await app.apply(configure(options, read_targets(options, {})))
    except ConfigError:
        # that an address is not this machine's is the one thing that a check does not see
        assert options.settings["web.listen-address"].text not in ("127.0.0.1:0", ":9121")
        return
    try:
        await asyncio.sleep(0)
    finally:
        await asyncio.wait_for(app.stop(), PATIENCE_S)


@pytest.mark.parametrize(
    "option", [option for option in OPTIONS if option.group != "run"], ids=lambda option: option.flag
)
def test_what_check_accepts_can_start(option: Option, capfd: pytest.CaptureFixture[str]) -> None:
    others = ["--web.listen-address=127.0.0.1:0"] if option.flag != "web.listen-address" else []
    others += (
        ["--redis.addr=redis://127.0.0.1:1", "--log-level=ERROR"]
        if option.flag not in ("redis.addr", "log-level")
        else []
    )
    accepted = 0
    for text in texts(option):
        argv = [*others, f"--{option.flag}={text}"]
        if is_accepted(argv, capfd):
            accepted += 1
            uvloop.run(start(argv))
    assert accepted, "no edge was accepted: this test looks at nothing"


def together(*edges: tuple[str, str]) -> list[str]:
    """One value for all options of each form."""
    return [
        f"--{option.flag}={text}"
        for form, text in edges
        for option in OPTIONS
        if option.type.value_name == form
    ]


@pytest.mark.parametrize(
    "argv",
    [
        together(("DURATION", "87600h"), ("DURATION|fast", "87600h"), ("N", "9223372036854775807")),
        together(("DURATION", "100ms"), ("DURATION|fast", "87600h"), ("N", "1")),
        together(("DURATION", "87600h"), ("DURATION|fast", "100ms"), ("N", "1")),
        together(("DURATION", "100ms"), ("DURATION|fast", "fast"), ("N", "9223372036854775807")),
        [*together(("DURATION", "100ms")), "--poll.interval=87600h"],
        [*together(("DURATION", "87600h")), "--poll.interval=100ms"],
    ],
    ids=lambda argv: f"{argv[-1]} {len(argv)}",
)
def test_edges_of_all_options_at_once(argv: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    argv = [
        "--web.listen-address=127.0.0.1:0",
        "--redis.addr=redis://127.0.0.1:1",
        "--log-level=ERROR",
        "--files.max-bytes=1000",
        *argv,
    ]
    assert is_accepted(argv, capfd)
    uvloop.run(start(argv))


@pytest.mark.parametrize("interval", ["100ms", "87600h", "87601h", "9" * 5000 + "h", "0s"])
def test_an_interval_of_a_targets_own(
    interval: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "instances.yml"
    file.write_text(f"redis_instances: [{{addr: 'redis://127.0.0.1:1', interval: '{interval}'}}]")
    argv = ["--web.listen-address=127.0.0.1:0", f"--redis-file={file}", "--log-level=ERROR"]
    assert is_accepted(argv, capfd) == (interval in ("100ms", "87600h"))
    if interval in ("100ms", "87600h"):
        uvloop.run(start(argv))
