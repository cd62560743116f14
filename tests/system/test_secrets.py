"""Secrets are planted in every place that takes one, and then looked for in everything that comes out."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from bench.ports import free_port
from exporter.cli import main
from exporter.options.endpoints import ROUTES
from tests.servers import Conversation, wait_until
from tests.system.conftest import ExporterFactory
from tests.watch_harness import RedisFactory, ScriptFactory, info

#: what all planted secrets have in common, in any case and however it is escaped
PLANT = "pl4nt"
FORMAT = ["--log-format=txt", "--log-format=json"]


class Planter:
    """Makes secrets, each with its place in it."""

    def __init__(self) -> None:
        self.planted: list[str] = []

    def __call__(self, place: str) -> str:
        self.planted.append(f"{PLANT}-{place}")
        return self.planted[-1]


def found_in(text: str) -> list[str]:
    """The secrets in a text, as they are, reversed, or with escapes."""
    plain = re.sub(r"%([0-9a-fA-F]{2})|\\x([0-9a-fA-F]{2})", lambda m: chr(int(m[1] or m[2], 16)), text)
    return re.findall(rf".{{0,60}}{PLANT}.{{0,30}}", f"{text}\n{plain}", re.IGNORECASE)


@pytest.fixture
def plant() -> Planter:
    return Planter()


def echoing(talk: Conversation) -> None:
    """A server that repeats what it was sent, as some do."""
    seen = b""
    while True:
        words = talk.command()
        seen += b" ".join(words) + b" "
        talk.send(
            info() if words[0] == b"INFO" and b"AUTH" not in seen else b"-ERR what is " + seen + b"\r\n"
        )


def files_of(folder: Path, plant: Planter, places: Iterator[str]) -> list[str]:
    """Write files with a secret in each place, and return the flags that name them."""

    def addr() -> str:
        return next(places)

    for name in ("defaults", "group", "entry", "placeholder", "command"):
        (folder / name).write_text(plant(f"file-{name}") + "\n")
    (folder / "passwords.json").write_text(
        json.dumps(
            {
                addr(): plant("json-place"),
                f"redis://:{plant('json-key')}@{addr()}": plant("json-uri"),
                f"redis://{plant('json-bad-key')} @{addr()}": plant("json-bad"),
                "10.0.0.0/8": plant("json-network"),
            }
        )
    )
    (folder / "config.yml").write_text(
        f"""
options: {{basic-auth-username: scraper, basic-auth-password: {plant("options")}}}
defaults: {{user: watcher, password_file: {folder}/defaults}}
groups:
  one: {{password_file: {folder}/group}}
  two: {{password_command: [cat, {folder}/command], password_ttl: 1s}}
  three: {{password: {plant("group")}}}
redis_instances:
- {{addr: "{addr()}", group: one}}
- {{addr: "{addr()}", group: two}}
- {{addr: "{addr()}", group: three}}
- {{addr: "{addr()}"}}
- {{addr: "{addr()}", password: {plant("entry")}}}
- {{addr: "{addr()}", password_file: {folder}/entry}}
- {{addr: "{addr()}", password: "${{PLANTED}}"}}
- {{addr: "{addr()}", password: "${{file:{folder}/placeholder}}"}}
- {{addr: "redis://watcher:{plant("entry-url")}@{addr()}?password={plant("entry-query")}"}}
- addr: "{addr()}"
  password_command:
    [sh, -c, "echo $1 of $PLANTED_TOKEN >&2; echo {plant("argument")} >/dev/null; exit 3", sh, "${{PLANTED}}"]
- addr: "{addr()}"
  password_command: [sh, -c, "echo {plant("printed")}; echo {plant("printed")} >&2"]
"""
    )
    return [f"--config.file={folder}/config.yml", f"--redis.password-file={folder}/passwords.json"]


def environ_of(plant: Planter) -> dict[str, str]:
    return {"PLANTED": plant("variable"), "PLANTED_TOKEN": plant("token")}


def flags_of(plant: Planter, places: Iterator[str]) -> list[str]:
    at = [next(places) for _ in range(4)]
    addrs = [
        f"redis://watcher:{plant('url')}@{at[0]}",
        f"redis://{plant('word')}@{at[1]}",
        f"redis://{at[2]}?password={plant('query')}&timeout={plant('value')}",
        at[3],
    ]
    return [f"--redis.addr={','.join(addrs)}"]


def printed_by(*args: str, environ: dict[str, str]) -> str:
    """What a command prints, on both streams."""
    outcome = subprocess.run(
        [sys.executable, "-m", "exporter", *args],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return outcome.stdout + outcome.stderr


def fault_of(capfd: pytest.CaptureFixture[str], *args: str, environ: dict[str, str]) -> str:
    """What is printed when there is a mistake in the configuration."""
    assert main(args, environ) > 0
    return "".join(capfd.readouterr())


@pytest.mark.parametrize("form", FORMAT)
def test_a_running_program(
    plant: Planter,
    exporter: ExporterFactory,
    redis_server: RedisFactory,
    scripted_server: ScriptFactory,
    tmp_path: Path,
    form: str,
) -> None:
    closed, wrong, echo = free_port(), redis_server("--requirepass", "another"), scripted_server(echoing)
    kinds = [wrong.port, echo.port, closed]
    # each target needs an address of its own: the database tells them apart
    places = (f"127.0.0.1:{kinds[number % 3]}/{number}" for number in range(1, 100))
    flags = [
        *files_of(tmp_path, plant, places),
        *flags_of(plant, places),
        "--debug",
        "--verbose",
        form,
        "--connection-max-age=2s",
        "--scrape.allow=127.0.0.0/8",
    ]
    credentials = ("scraper", f"{PLANT}-options")
    program = exporter(*flags, environ=environ_of(plant), credentials=credentials)
    pages = []
    for page in ask(program, plant, echo.port):
        pages += found_in(page)
    for name in ("defaults", "passwords.json", "config.yml"):
        file = tmp_path / name
        before = file.read_text()
        for broken in (
            f"{plant('broken')}\n{plant('lines')}",
            f"{{{plant('json')}: [",
            "redis_instances: [\x01",
        ):
            file.write_text(broken)
            pages += found_in(read(program, "/-/reload"))
        file.write_text(before.replace(f"{PLANT}-file", plant("rotated")))
        pages += found_in(read(program, "/-/reload"))
    wait_until(lambda: program.log.read_text().count("password_command") > 3, "runs of the commands")
    assert pages == []
    assert program.stop() == 0
    log = program.log.read_text()
    assert "connecting" in log
    assert f":{echo.port}/77" in log  # nobody configured it
    assert "the server refuses the user or password" in log
    assert found_in(log) == []


def read(program: object, path: str) -> str:
    """An answer, whatever its status is, with its headers."""
    try:
        return str(program.get(path))  # type: ignore[attr-defined]
    except urllib.error.HTTPError as error:
        return f"{error.headers}{error.read().decode()}"


def ask(program: object, plant: Planter, port: int) -> Iterator[str]:
    """The answers of all paths, and of requests with secrets in them."""
    for route in ROUTES:
        yield read(program, route.path)
    places = [
        f"redis://u:{plant('asked')}@127.0.0.1:{port}/1",
        f"redis://{plant('asked-word')}@127.0.0.1:{port}",
        f"redis://u:{plant('adopted')}@127.0.0.1:{port}/77",
        f"redis://{plant('adopted-word')}@127.0.0.1:{port}/78",
        f"redis://u:{plant('foreign')}@192.0.2.1",
        f"redis://127.0.0.1:{port}?password={plant('asked-query')}",
        f"redis://u:{plant('mangled')}@@h:x",
        f"{plant('scheme')}://h",
    ]
    for place in places:
        yield read(program, f"/scrape?target={quote(place)}")
    yield read(program, f"/scrape?target=h&auth={plant('auth')}")
    yield read(program, f"/metrics?group={plant('group-name')}&name[]={plant('name')}")


def test_commands(plant: Planter, tmp_path: Path) -> None:
    places = (f"127.0.0.1:{free_port()}" for _ in range(100))
    flags = [*files_of(tmp_path, plant, places), *flags_of(plant, places), "--debug", "--verbose"]
    environ = environ_of(plant)
    texts = [printed_by(command, *flags, environ=environ) for command in ("check", "once", "acl")]
    texts.append(printed_by(*flags, "--print-config", f"--redis.password={plant('flag')}", environ=environ))
    environ["REDIS_PASSWORD"] = plant("environment")
    texts.append(printed_by(*flags, "--print-config", environ=environ))
    assert [found_in(text) for text in texts] == [[]] * 5
    assert all(texts)


@pytest.mark.parametrize(
    "args",
    [
        ["--redis.addr=redis://u:SECRET@h:x"],
        ["--redis.addr=redis://u:SECRET/@h"],
        ["--redis.addr=redis://u:SEC%RET@h"],
        ["--redis.addr=redis://a,SECRET@h"],
        ["--redis.addr=SECRET://h"],
        ["redis://u:SECRET@h"],
        ["check", "redis://u:SECRET@h"],
        ["--redis.password", "SECRET", "SECRET"],
        ["--redis.addr=a,b,c", "--redis.password=SECRET,SECRET"],
        ["--config.file=http://u:SECRET@h/file"],
        ["--redis.password-file=http://u:SECRET@h/file"],
        ["--basic-auth-password=SECRET"],
    ],
)
def test_mistakes_on_the_command_line(
    plant: Planter, capfd: pytest.CaptureFixture[str], args: list[str]
) -> None:
    secret = plant("argument")
    text = fault_of(
        capfd, *(arg.replace("SECRET", secret).replace("SEC%RET", f"{secret}%") for arg in args), environ={}
    )
    assert text.startswith("redis_exporter: ")
    assert found_in(text) == []


BROKEN = {
    ("placeholder",): [""],  # a part of a password may have any form
    ("defaults", "group", "entry"): ["", "SECRET\nSECRET", '{"h": "SECRET"}', "\0SECRET"],
    ("passwords.json",): [
        "",
        "SECRET\nSECRET",
        '{"h": [SECRET',
        '["SECRET"]',
        '{"h": ["SECRET"]}',
        "\0SECRET",
    ],
    ("config.yml",): [
        "SECRET",
        "SECRET: [",
        "[SECRET]",
        "\0SECRET",
        "CONFIG  password: SECRET\n bad",
        "CONFIG  password: [SECRET]",
        "CONFIG  password: SECRET: SECRET",
        "redis_instances: [{addr: h, password: {SECRET SECRET: x}}]",
        "redis_instances: [{addr: h, password: !SECRET x}]",
        "redis_instances: [{addr: h, password: *SECRET}]",
        "redis_instances: [{addr: h, pasword: SECRET}]",
        "redis_instances: [{addr: h, password:SECRET SECRET}]",
        "redis_instances: [{addr: h, password_command: 'echo SECRET'}]",
        "redis_instances: [{addr: h, password_command: [[SECRET]]}]",
        "redis_instances: [{addr: h, password: SECRET, password_file: /dev/null}]",
        "redis_instances: [{addr: 'redis://u:SECRET@h:x'}]",
        "redis_instances: [{addr: h}]\ndefaults: {password: 'SECRET${NO}'}",
        "redis_instances: [{addr: h}]\noptions: {basic-auth-password: [SECRET]}",
        "redis_instances: [{addr: h}]\noptions: {poll.interval: 'http://u:SECRET@h'}",
    ],
}


@pytest.mark.parametrize(
    ("name", "broken"), [(name, text) for names, texts in BROKEN.items() for name in names for text in texts]
)
def test_broken_files(
    plant: Planter, capfd: pytest.CaptureFixture[str], tmp_path: Path, name: str, broken: str
) -> None:
    places = (f"127.0.0.1:{number}" for number in range(20001, 20100))
    flags = [*files_of(tmp_path, plant, places), *flags_of(plant, places), "--debug"]
    file = tmp_path / name
    file.write_text(broken.replace("CONFIG", file.read_text()).replace("SECRET", plant("broken")))
    text = fault_of(capfd, *flags, environ=environ_of(plant))
    assert f"{file}" in text
    assert found_in(text) == []
