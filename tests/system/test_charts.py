"""Set-ups of widely used charts: what their variables and files say."""

from __future__ import annotations

from pathlib import Path

import pytest

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
    assert program.values("redis_up") == {address: 1}
    assert program.get("/-/reload") == "ok\n"
    assert SECRET not in program.log.read_text()


def test_an_address_as_client_libraries_write_it(
    exporter: ExporterFactory, redis_server: RedisFactory
) -> None:
    server = redis_server("--requirepass", SECRET)
    place = f"redis://127.0.0.1:{server.port}"
    given = f"redis://:{SECRET}@127.0.0.1:{server.port}/0?db=2&timeout=kiwi"
    program = exporter(environ={"REDIS_ADDR": given})
    assert program.values("redis_up") == {f"{place}/2": 1}
    assert "redis_up 1" in program.get(f"/scrape?target={place}%3Fdb=2%26protocol=3")
    lines = [line for line in program.log.read_text().splitlines() if "are ignored" in line]
    assert ["(timeout)" in line for line in lines] == [True, False]
    assert ["(protocol)" in line for line in lines] == [False, True]
    assert "kiwi" not in program.log.read_text()
