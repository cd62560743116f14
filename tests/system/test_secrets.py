"""Secrets are planted in every place that takes one, and then looked for in everything that comes out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import pytest

from bench.ports import free_port
from exporter.app.state_file import read_records
from exporter.options.commands import COMMANDS
from tests.planted import PLANT, Planting, found_in, places
from tests.recording_server import RecordingWeb
from tests.servers import Certificates, Conversation, wait_until
from tests.system.asker import Asker
from tests.system.conftest import ExporterFactory
from tests.watch_harness import RedisFactory, ScriptFactory, info

EVERY_LOGIN = pytest.mark.parametrize("login", Planting.LOGINS)


def echoing(talk: Conversation) -> None:
    """A server that repeats what it was sent, as some do."""
    seen = b""
    while True:
        words = talk.command()
        seen += b" ".join(words) + b" "
        talk.send(
            info() if words[0] == b"INFO" and b"AUTH" not in seen else b"-ERR what is " + seen + b"\r\n"
        )


def printed_by(*args: str, environ: Mapping[str, str] | None = None) -> str:
    """What a command prints, on both streams."""
    outcome = subprocess.run(
        [sys.executable, "-m", "exporter", *args],
        env={**os.environ, **(environ or {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return outcome.stdout + outcome.stderr


def test_every_place_that_takes_a_secret_is_planted(certificates: Certificates, tmp_path: Path) -> None:
    """A new option or key that takes one has to be added to the planting."""
    planted = {"request", "answer of http_sd"}  # below, in the running program
    for login in Planting.LOGINS:
        (tmp_path / login).mkdir()
        at = [f"127.0.0.1:{number}" for number in range(1, 40)]
        planted |= set(Planting(tmp_path / login, at, certificates, login, serves_tls=True).plant.places)
    assert places() - planted == set()


def texts_of_state(file: str) -> str:
    return "".join(
        json.dumps(record.data) + "".join(blob.decode("latin-1") for blob in record.blobs)
        for record in read_records(file)
    )


def proc(pid: int, name: str) -> list[str]:
    return Path(f"/proc/{pid}/{name}").read_bytes().decode("utf-8", "replace").split("\0")


@EVERY_LOGIN
def test_a_running_program(
    exporter: ExporterFactory,
    redis_server: RedisFactory,
    scripted_server: ScriptFactory,
    certificates: Certificates,
    tmp_path: Path,
    login: str,
) -> None:
    closed, wrong, echo = free_port(), redis_server("--requirepass", "another"), scripted_server(echoing)
    kinds = [wrong.port, echo.port, closed]
    # each target needs an address of its own: the database tells them apart
    at = [f"127.0.0.1:{kinds[number % 3]}/{number}" for number in range(1, 40)]
    at[12] = f"127.0.0.1:{wrong.port}/60"  # by TLS, which a script does not speak
    groups: list[object] = []
    with RecordingWeb(groups) as inventory:
        planting = Planting(tmp_path, at, certificates, login, inventory=inventory.url.split("/")[2])
        plant = planting.plant
        groups.append({"targets": [f"redis://u:{plant('answer of http_sd')}@127.0.0.1:{echo.port}/50"]})
        flags = [
            *planting.flags,
            "--log-format=json" if login == "basic-auth-hash-password" else "--log-format=txt",
            "--connection-max-age=2s",
            "--scrape.allow=127.0.0.0/8",
            "--web.enable-lifecycle",
        ]
        program = exporter(*flags, environ=planting.environ, credentials=("scraper", planting.password))
        asker = Asker(program, planting.password)
        wait_until(lambda: f"127.0.0.1:{echo.port}/50" in asker("/metrics"), "the target of http_sd")
        asker.ask_everything()
        for place in at[1:4]:  # one of each kind
            name = quote(place, safe="")
            assert "AUTH ***" in asker.trace(name) or str(closed) in name
            asker(f"/api/v1/targets/{name}/pause?for=1s", "POST")
        asker.ask_with_secrets(plant, echo.port)
        break_files(planting, asker)
        wait_until(lambda: program.log.read_text().count("password_command") > 3, "runs of the commands")
        wait_until(lambda: "http://***@certificate" in program.log.read_text(), "the new certificate")
        wait_until((tmp_path / "child-environ").exists, "what a command has")
        title = proc(program.process.pid, "cmdline")
        threads = []
        for path in Path(f"/proc/{program.process.pid}/task").glob("*/comm"):
            with suppress(OSError):  # it has ended
                threads.append(path.read_text())
        assert program.stop() == 0
    log = program.log.read_text()
    assert "connecting" in log
    assert f":{echo.port}/77" in log  # nobody configured it
    assert "the server refuses the user or password" in log
    assert "http://***@state is left out: " in log  # at start
    assert [found for text in (*asker.answers, log, *threads) for found in found_in(text)] == []
    assert found_in(program.output.read_text()) == []
    assert [word for word in title if PLANT in word and word not in flags] == []
    assert found_in(texts_of_state(planting.state)) == []
    assert_nothing_is_added(tmp_path / "child-environ", planting.environ)


def break_files(planting: Planting, asker: Asker) -> None:
    """Reload with mistakes in each file, and with other secrets in it."""
    for name in ("defaults", "passwords.json", "config.yml", "sd.json", "web.yml"):
        file = planting.folder / name
        if not file.exists():
            continue
        before = file.read_text()
        for broken in (
            f"{planting.plant('broken')}\n{planting.plant('lines')}",
            f"{{{planting.plant('json')}: [",
            "redis_instances: [\x01",
        ):
            file.write_text(broken)
            asker("/-/reload")
        file.write_text(before.replace(f"{PLANT}-defaults", planting.plant("rotated")))
        asker("/-/reload")
    Path(planting.certificate).touch()


def assert_nothing_is_added(file: Path, environ: Mapping[str, str]) -> None:
    """A command has the environment that the operator gave, and no other secret."""
    lines = [line for line in file.read_text().splitlines() if PLANT in line]
    assert set(lines) == {f"{name}={value}" for name, value in environ.items()}


def lines_of(command: str, flags: list[str], url: str) -> list[list[str]]:
    """Command lines of a command, right and wrong ones."""
    row = COMMANDS[command]
    bad = url.replace("//", "//u:p@", 1)
    lines = [[*row.flags, url], [url, bad], [bad, url, "--no-such-flag"], [f"--{url}"]]
    lines += [[word] for word in row.words] or [[]]
    return [*lines, flags] if row.takes_options or row.of_running else lines


@EVERY_LOGIN
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command(certificates: Certificates, tmp_path: Path, login: str, command: str) -> None:
    planting = unserved_planting(certificates, tmp_path, login)
    url = f"http://u:{planting.plant('argument')}@127.0.0.1:{free_port()}/-/ready?token={planting.plant('query')}"
    for line in lines_of(command, planting.flags, url):
        text = printed_by(command, *line, environ=planting.environ)
        assert text, f"{line} prints nothing"
        assert found_in(text) == []


@EVERY_LOGIN
@pytest.mark.parametrize("flag", ["--print-config", "--help", "--version"])
def test_flags_that_print(certificates: Certificates, tmp_path: Path, login: str, flag: str) -> None:
    planting = unserved_planting(certificates, tmp_path, login)
    text = printed_by(*planting.flags, flag, environ=planting.environ)
    assert text.count("\n") > 0
    assert found_in(text) == []


def unserved_planting(certificates: Certificates, folder: Path, login: str) -> Planting:
    """Secrets of targets that nothing serves."""
    at = [f"127.0.0.1:{free_port()}/{number}" for number in range(40)]
    return Planting(folder, at, certificates, login, serves_tls=True)


def test_health_and_compare_of_servers_that_repeat_what_they_get(scripted_server: ScriptFactory) -> None:
    def repeat(talk: Conversation) -> None:
        head = talk.receive()
        body = b"%d " % len(head) + head.replace(b"\r\n", b" ")
        talk.send(b"HTTP/1.1 500 %s\r\nContent-Length: %d\r\n\r\n%s" % (body, len(body), body))

    for command in ("health", "compare"):
        url = (
            f"http://u:{PLANT}-argument@127.0.0.1:{scripted_server(repeat).port}/metrics?token={PLANT}-query"
        )
        text = printed_by(command, *[url] * (2 if command == "compare" else 1))
        assert "500" in text
        assert found_in(text) == []
        assert b64encode(f"u:{PLANT}-argument".encode()).decode() not in text
