"""Set-ups of widely used charts: what their variables and files say."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.ports import free_port
from tests.servers import PATIENCE_S, wait_for_start, wait_until
from tests.system.conftest import ExporterFactory
from tests.watch_harness import RedisFactory

SECRET = "s3cr:et"


@pytest.mark.parametrize("with_password", [True, False])
def test_a_password_in_a_file_of_plain_text(
    exporter: ExporterFactory, redis_server: RedisFactory, tmp_path: Path, with_password: bool
) -> None:
    """Bitnami's charts set REDIS_PASSWORD_FILE, and their start script REDIS_PASSWORD too."""
    server = redis_server("--requirepass", SECRET)
    file = tmp_path / "redis-password"
    file.write_text(SECRET)
    address = f"redis://127.0.0.1:{server.port}"
    environ = {"REDIS_ADDR": address, "REDIS_PASSWORD_FILE": str(file)}
    if with_password:
        environ["REDIS_PASSWORD"] = SECRET
    program = exporter(environ=environ)
    wait_until(lambda: program.values("redis_up") == {address: 1}, "the login")
    assert program.get("/-/reload") == "ok\n"
    assert SECRET not in program.log.read_text()


def test_the_container_of_bitnamis_chart(
    redis_server: RedisFactory, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Its start script under bash, and all its variables."""
    server = redis_server("--requirepass", SECRET)
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "redis-password").write_text(SECRET)
    port = free_port()
    script = f'export REDIS_PASSWORD="$(< $REDIS_PASSWORD_FILE)"\nexec {sys.executable} -m exporter'
    environ = {
        "REDIS_ALIAS": "my-redis",
        "REDIS_EXPORTER_WEB_LISTEN_ADDRESS": f":{port}",
        "REDIS_USER": "default",
        "REDIS_PASSWORD_FILE": f"{secrets}/redis-password",
        "REDIS_ADDR": f"redis://localhost:{server.port}",  # its own default is the default port
    }
    log = tmp_path / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(["/bin/bash", "-ec", script], env={**os.environ, **environ}, stderr=out)
    request.addfinalizer(process.wait)
    request.addfinalizer(process.kill)

    def page(path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE_S) as response:
            return str(response.read().decode())

    wait_for_start(lambda: _answers(page), "the exporter", process.kill)
    wait_until(
        lambda: f'redis_up{{addr="redis://localhost:{server.port}"}} 1' in page("/metrics"), "the login"
    )
    assert page("/")  # its probe
    assert SECRET not in log.read_text()


def _answers(page: Callable[[str], str]) -> bool:
    try:
        return page("/-/ready") == "ok\n"
    except OSError:
        return False


def test_an_address_as_client_libraries_write_it(
    exporter: ExporterFactory, redis_server: RedisFactory
) -> None:
    server = redis_server("--requirepass", SECRET)
    place = f"redis://127.0.0.1:{server.port}"
    given = f"redis://:{SECRET}@127.0.0.1:{server.port}/0?db=2&timeout=kiwi"
    program = exporter(environ={"REDIS_ADDR": given})
    wait_until(lambda: program.values("redis_up") == {f"{place}/2": 1}, "the target is up")
    asked = f"/scrape?target={place}%3Fdb=2%26protocol=3"
    wait_until(lambda: "redis_up 1" in program.get(asked), "the same by another spelling")
    wait_until(lambda: program.log.read_text().count("are ignored") == 2, "both lines")
    lines = [line for line in program.log.read_text().splitlines() if "are ignored" in line]
    assert ["(timeout)" in line for line in lines] == [True, False]
    assert ["(protocol)" in line for line in lines] == [False, True]
    assert "kiwi" not in program.log.read_text()
