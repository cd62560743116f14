"""Bytes that are not UTF-8 and control characters in every input: whatever the program puts out is valid
UTF-8, on its line."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.ports import free_port
from exporter.options.table import OPTIONS
from tests.servers import PATIENCE_S, RedisServer, wait_until

SECRET = b"s3cret"
ODD = b"\xff\xe9\x1b[2J\x85\n" + "\u202e\u2028é".encode()
VARIABLES = [option.variable for option in OPTIONS if option.variable]


def run(
    *argv: bytes | str, environ: dict[bytes, bytes] | None = None, locale: str = "C.UTF-8"
) -> subprocess.CompletedProcess[bytes]:
    """Ends well or with one of the program's own codes, never with a traceback."""
    known = {b"PATH": os.environb[b"PATH"], b"LC_ALL": locale.encode()}
    done = subprocess.run(
        [sys.executable, "-m", "exporter", *argv],
        env={**known, **(environ or {})},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode in (0, 1, 2)
    for text in (done.stdout.decode(), done.stderr.decode()):
        assert "Traceback" not in text
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e]", text)
    return done


@pytest.mark.parametrize("locale", ["C.UTF-8", "C", "en_US.ISO-8859-1"])
def test_variables_of_any_bytes_in_print_config(locale: str) -> None:
    done = run(
        "--print-config",
        environ={variable.encode(): ODD + SECRET for variable in VARIABLES if "USER" in variable},
        locale=locale,
    )
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == len(OPTIONS)
    assert b"\xef\xbf\xbd" in done.stdout


def test_secrets_in_any_value_are_not_printed() -> None:
    address = b"redis://u\xff:" + SECRET + b"\xe9@h,unix:///r?password=" + SECRET
    environ = {
        b"REDIS_ADDR": address,
        b"REDIS_PASSWORD": SECRET,
        b"REDIS_EXPORTER_BASIC_AUTH_PASSWORD": b"\xff" + SECRET,
    }
    done = run("--print-config", b"--config-command=redis://x:" + SECRET + b"@h", environ=environ)
    assert done.returncode == 0
    assert SECRET not in done.stdout


@pytest.mark.parametrize("command", [[], ["check"], ["once"], ["acl"], ["--print-config"], ["--help"]])
def test_every_variable_of_odd_bytes_at_once(command: list[str]) -> None:
    environ = {variable.encode(): ODD for variable in VARIABLES}
    assert run(*command, environ=environ).returncode == (0 if "--help" in command else 2)


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.flag)
def test_each_option_of_odd_bytes(option: object, capsys: pytest.CaptureFixture[str]) -> None:
    from exporter.cli import main

    flag = vars(type(option))["flag"].__get__(option)
    code = main(["check", f"--{flag}={ODD.decode('utf-8', 'surrogateescape')}"], {})
    out, err = capsys.readouterr()
    assert code in (0, 1, 2)
    (out + err).encode()
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e]", out + err)


@pytest.mark.parametrize(
    "argv",
    [
        (b"--" + ODD,),
        (ODD,),
        (b"--redis-file=/no/" + ODD,),
        (b"--redis.password-file=/no/" + ODD, b"--redis.addr=h"),
        (b"--script=/no/" + ODD,),
        (b"--tls-server-cert-file=/no/" + ODD, b"--tls-server-key-file=/no/" + ODD),
        (b"--redis.addr=unix:///run/" + ODD,),
        (b"--redis.addr=redis://u:" + SECRET + ODD + b"@h",),
        (b"--redis.addr=redis://[fe80::1%" + ODD + b"]",),
        (b"--check-single-keys=" + ODD + b"=a=b",),
    ],
)
def test_errors_about_odd_values(argv: tuple[bytes, ...]) -> None:
    done = run("check", *argv)
    assert done.returncode in (1, 2)
    assert done.stderr
    assert SECRET not in done.stderr


@pytest.mark.server
@pytest.mark.prometheus
@pytest.mark.parametrize("form", ["txt", "json"])
def test_a_page_and_a_log_of_odd_names(
    redis_server: Callable[..., RedisServer], tmp_path: Path, form: str
) -> None:
    """Aliases, labels, users, the names of scripts and keys."""
    import urllib.request

    server = redis_server()
    server_key = b"k" + ODD
    names = [tmp_path / os.fsdecode(b"a\xff\n.lua"), tmp_path / os.fsdecode(b"a\xfe\n.lua")]
    for name in names:
        name.write_text('return {"\\255\\n\\0\\"", 1}')
    file = tmp_path / "instances.yml"
    odd = json.dumps('a\n\r\x1b\u2028\u202e\\"{}\x85')
    file.write_text(
        f'redis_instances: [{{name: {odd}, addr: "redis://127.0.0.1:{server.port}", user: "${{USER_NAME}}", '
        f"labels: {{x: {odd}}}}}]"
    )
    port = free_port()
    argv: list[str | bytes] = [
        f"--web.listen-address=127.0.0.1:{port}",
        f"--redis-file={file}",
        "--poll.standard-interval=fast",
        "--poll.interval=1s",
    ]
    argv += [
        f"--log-format={form}",
        b"--script=" + b",".join(os.fsencode(name) for name in names),
        b"--check-single-keys=" + server_key.replace(b"\n", b"%0A"),
    ]
    environ = {**os.environb, b"USER_NAME": b"default"}
    log = tmp_path / "log"
    with log.open("wb") as out:
        process = subprocess.Popen([sys.executable, "-m", "exporter", *argv], stderr=out, env=environ)

    def page() -> bytes:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE_S) as response:
                return bytes(response.read())
        except OSError:
            return b""

    try:
        wait_until(lambda: page().count(b"\nredis_script_result{") == 2, "the scripts' results")
        text = page()
        assert text.decode().count("redis_up{") == 1
        check = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
        assert b"error while" not in check.stdout + check.stderr
        assert b"redis_key_size{" in text
    finally:
        process.terminate()
        process.wait(PATIENCE_S)
    lines = log.read_bytes().decode().rstrip("\n").split("\n")
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028]", "".join(lines))
    if form == "json":
        assert {"time", "level", "msg", "component"} <= set.intersection(
            *(set(json.loads(line)) for line in lines)
        )
