"""No mistake of the operator, and no mistake of the program itself, shows a secret."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.cli import main
from exporter.options import commandline
from exporter.options.option import Option
from exporter.options.table import OPTIONS
from tests.failing_program import FAILURES
from tests.planted import PLANT, Planting, found_in
from tests.servers import Certificates, wait_until
from tests.system.asker import Asker
from tests.system.conftest import ExporterFactory
from tests.watch_harness import RedisFactory

SECRET = f"{PLANT}-argument"


def fault_of(capfd: pytest.CaptureFixture[str], *args: str, environ: dict[str, str] | None = None) -> str:
    """What is printed when there is a mistake in the configuration."""
    assert main(args, environ or {}) > 0
    return "".join(capfd.readouterr())


@pytest.mark.parametrize(
    "args",
    [
        ["--redis.addr=redis://u:SECRET@h:x"],
        ["--redis.addr=redis://u:SECRET/@h"],
        ["--redis.addr=redis://u:SECRET%@h"],
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
def test_mistakes_on_the_command_line(capfd: pytest.CaptureFixture[str], args: list[str]) -> None:
    text = fault_of(capfd, *(arg.replace("SECRET", SECRET) for arg in args))
    assert text.startswith("redis_exporter: ")
    assert found_in(text) == []


#: values that show by their form that they hold a secret
VALUES = (
    f"redis://u:{SECRET}@h:x",
    f"rediss://:{SECRET}@h,redis://h?password={SECRET}",
    f"http://u:{SECRET}@h/{'x' * 300}?token={SECRET}",
    *(f"http://{'u' * length}:{SECRET}@h" for length in (80, 180)),  # a text that is cut loses the @
)


def ways_of(option: Option, value: str, file: Path) -> Iterator[tuple[list[str], dict[str, str]]]:
    """Command lines and variables that give this value to an option: by each of its names, by files, and
    for single targets. A key needs its certificate."""
    beside = (option.flag.replace("key", "cert"), option.flag.replace("cert", "key"))
    pair = [flag for flag in beside if "-file" in flag and flag != option.flag and flag in _FLAGS]
    others = [f"--{flag}={value}" for flag in pair]
    for command in ("check", "--print-config"):
        yield [command, *others, f"--{option.flag}={value}"], {}
    yield ["check", f"--{option.flag}-{value}"], {}
    for variable in option.variables:
        yield ["check", *others], {variable: value}
    named = ", ".join(f"{flag}: '{value}'" for flag in (option.flag, *pair))
    for text in (
        f"{{redis_instances: [{{addr: h}}], options: {{{named}}}}}",
        f"{{redis_instances: [{{addr: h, options: {{{named}}}}}]}}",
        f"{{redis_instances: [{{addr: h}}], defaults: {{options: {{{option.flag}: [['{value}']]}}}}}}",
    ):
        file.write_text(text)
        yield ["check", f"--config.file={file}"], {}


_FLAGS = {option.flag: option for option in OPTIONS}


@pytest.mark.parametrize("option", OPTIONS, ids=list(_FLAGS))
def test_a_value_that_looks_like_a_secret_is_shown_for_no_option(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, option: Option
) -> None:
    for value in VALUES:
        for args, environ in ways_of(option, value, tmp_path / "config.yml"):
            main(args, environ)
            assert found_in("".join(capfd.readouterr())) == [], (args, environ)


_PEMS = [
    "SECRET",
    "-----BEGIN PRIVATE KEY-----\nSECRET\n-----END PRIVATE KEY-----",
    "-----BEGIN CERTIFICATE-----\nSECRET\n-----END CERTIFICATE-----",
    "-----BEGIN ENCRYPTED PRIVATE KEY-----\nSECRET\n-----END ENCRYPTED PRIVATE KEY-----",
    "\0SECRET",
]
_INLINE = "-----BEGIN PRIVATE KEY-----\\nSECRET\\n-----END PRIVATE KEY-----"

BROKEN = {
    ("placeholder",): [""],  # a part of a password may have any form
    ("defaults", "groups", "entry"): ["", "SECRET\nSECRET", '{"h": "SECRET"}', "\0SECRET"],
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
    ("web.yml",): [
        "SECRET",
        "basic_auth_users: {u: SECRET}",
        "basic_auth_users: {u: [SECRET]}",
        "basic_auth_users: {'u:SECRET': x}",
        "basic_auth_users: SECRET",
        "basic_auth_users: {u: SECRET",
        "basic_auth_user: {u: SECRET}",
        f'tls_server_config: {{cert: "{_INLINE}", key: "{_INLINE}"}}',
        f'tls_server_config: {{cert_file: cert, key: "{_INLINE}"}}',
        f'tls_server_config: {{key: "{_INLINE}"}}',
        "tls_server_config: {cert: SECRET, cert_file: SECRET, key: SECRET}",
        "tls_server_config: {cert_file: 'http://u:SECRET@h/', key_file: 'http://u:SECRET@h/'}",
        "tls_server_config: {client_auth_type: 'http://u:SECRET@h/'}",
        "http_server_config: {headers: {Authorization: SECRET}}",
        "http_server_config: {headers: {X-Frame-Options: SECRET}}",
        "http_server_config: {http2: 'http://u:SECRET@h/'}",
        "rate_limit: {interval: 'http://u:SECRET@h/', burst: 'http://u:SECRET@h/'}",
    ],
    ("ca", "cert", "key"): _PEMS,
}


@pytest.mark.parametrize(
    ("name", "broken"), [(name, text) for names, texts in BROKEN.items() for name in names for text in texts]
)
def test_broken_files(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, certificates: Certificates, name: str, broken: str
) -> None:
    at = [f"127.0.0.1:{number}" for number in range(20001, 20100)]
    login = "web.config.file" if name == "web.yml" else "basic-auth-password"
    planting = Planting(tmp_path, at, certificates, login)
    file = tmp_path / name
    file.write_text(broken.replace("CONFIG", file.read_text()).replace("SECRET", planting.plant("broken")))
    text = fault_of(capfd, "check", *planting.flags, environ=planting.environ)
    assert f"{file}" in text
    assert found_in(text) == []


def test_a_mistake_of_the_program_before_it_logs(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise ValueError(f"what is {args}")

    monkeypatch.setattr(commandline, "_build", fail)
    text = fault_of(capfd, "check", f"--redis.password={SECRET}")
    assert "internal error (please report): ValueError; " in text
    assert "fail < " in text  # where it was
    assert found_in(text) == []


@pytest.mark.parametrize("form", ["txt", "json"])
def test_mistakes_of_the_running_program(
    exporter: ExporterFactory,
    redis_server: RedisFactory,
    certificates: Certificates,
    tmp_path: Path,
    form: str,
) -> None:
    """Each raises an error whose text is all that was at hand."""
    at = [f"127.0.0.1:{redis_server().port}/{number % 16}" for number in range(40)]
    planting = Planting(tmp_path, at, certificates)
    program = exporter(
        *planting.flags,
        f"--log-format={form}",
        environ=planting.environ,
        credentials=("scraper", planting.password),
        module=("tests.failing_program",),
    )
    asker = Asker(program, planting.password)
    asker("/config")
    asker("/-/reload")
    asker.ask_everything()
    wait_until(lambda: found_names(program.log.read_text()) == set(FAILURES.values()), "a line for each")
    assert program.stop() == 0
    assert found_in(program.log.read_text()) == []
    assert [found for text in asker.answers for found in found_in(text)] == []


def found_names(log: str) -> set[type[Exception]]:
    """Errors that a log names."""
    return {kind for kind in FAILURES.values() if kind.__name__ in log}
