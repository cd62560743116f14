"""The program's own endpoint as a process: HTTPS, basic authentication, a password file that changes."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import redis

from bench.ports import free_port
from tests.servers import PATIENCE_S, Certificates, make_certificates, wait_until
from tests.system.conftest import ExporterFactory, ProcessFactory
from tests.watch_harness import RedisFactory


def test_https_with_a_password(
    redis_server: RedisFactory, exporter_process: ProcessFactory, certificates: Certificates, tmp_path: Path
) -> None:
    port = free_port()
    log = exporter_process(
        f"--web.listen-address=127.0.0.1:{port}",
        f"--redis.addr=redis://127.0.0.1:{redis_server().port}",
        f"--tls-server-cert-file={certificates.server}",
        f"--tls-server-key-file={certificates.server_key}",
        "--basic-auth-username=prom",
        "--basic-auth-password=pw",
    )
    context = ssl.create_default_context(cafile=certificates.ca)
    context.check_hostname = False
    passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    passwords.add_password(None, f"https://127.0.0.1:{port}", "prom", "pw")
    plain = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))
    known = urllib.request.build_opener(
        urllib.request.HTTPSHandler(context=context), urllib.request.HTTPBasicAuthHandler(passwords)
    )

    wait_until(lambda: f"listening on https://127.0.0.1:{port}" in log.read_text(), "the exporter")
    with pytest.raises(urllib.error.HTTPError, match="401"):
        plain.open(f"https://127.0.0.1:{port}/health", timeout=PATIENCE_S).close()
    with known.open(f"https://127.0.0.1:{port}/metrics", timeout=PATIENCE_S) as response:
        assert b"\nredis_up{" in response.read()


def curl(*argv: str) -> str:
    """The body, or the status where --write-out asks for it; "" where there is no connection."""
    return subprocess.run(
        ["curl", "--silent", "--max-time", "10", *argv], capture_output=True, text=True, check=False
    ).stdout


def test_certificates_and_authorities_are_read_again(
    exporter_process: ProcessFactory, tmp_path: Path
) -> None:
    """With curl, which shows a certificate of its own."""
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        folder.mkdir()
    first, second = (make_certificates(folder) for folder in folders)
    url = f"https://localhost:{free_port()}"
    log = exporter_process(
        f"--web.listen-address={url.removeprefix('https://')}",
        f"--tls-server-cert-file={first.server}",
        f"--tls-server-key-file={first.server_key}",
        f"--tls-server-ca-cert-file={first.ca}",
        "--redis.addr=",
    )
    wait_until(lambda: "listening on https://" in log.read_text(), "the exporter")

    def healthy(trusted: str, shown: Certificates) -> bool:
        return (
            curl("--cacert", trusted, "--cert", shown.client, "--key", shown.client_key, f"{url}/-/healthy")
            == "ok\n"
        )

    trusted = str(shutil.copy(first.ca, tmp_path / "trusted.crt"))
    assert healthy(trusted, first)
    assert not healthy(trusted, second)
    assert curl("--cacert", trusted, f"{url}/-/healthy") == ""
    for name in ("server", "server_key", "ca"):
        shutil.copy(getattr(second, name), getattr(first, name))
    wait_until(lambda: healthy(second.ca, second), "the files are looked at, within a second")
    assert not healthy(second.ca, first)
    assert not healthy(trusted, second)
    assert "Traceback" not in log.read_text()


def test_a_reload_asks_again_what_was_refused(redis_server: RedisFactory, exporter: ExporterFactory) -> None:
    server = redis_server("--user", "watcher", "on", ">pw", "~*", "+@all", "-slowlog")
    program = exporter(f"--redis.addr=redis://watcher:pw@127.0.0.1:{server.port}")
    supported = "redis_exporter_collector_supported"
    wait_until(lambda: list(program.values(supported, collector="slowlog").values()) == [0], "a refusal")
    server.ask("ACL", "SETUSER", "watcher", "+slowlog")
    with pytest.raises(urllib.error.HTTPError, match="400") as refused:
        program.get("/-/reload")
    assert "--redis.password-file" in refused.value.read().decode()
    wait_until(lambda: program.values("redis_slowlog_length"), "an answer")
    wait_until(lambda: program.values(supported) == {}, "no refusal")


def test_a_new_password_comes_by_the_file(
    redis_server: RedisFactory, exporter: ExporterFactory, tmp_path: Path
) -> None:
    server = redis_server("--requirepass", "first")
    addr = f"redis://127.0.0.1:{server.port}"
    file = tmp_path / "passwords.json"
    file.write_text(json.dumps({addr: "first"}))
    program = exporter(f"--redis.addr={addr}", f"--redis.password-file={file}")
    wait_until(lambda: program.values("redis_up") == {addr: 1}, "redis_up 1")
    with redis.Redis(port=server.port, password="first") as client:
        client.config_set("requirepass", "second")
        client.client_kill_filter(_type="normal", skipme=True)
    wait_until(lambda: program.values("redis_up") == {addr: 0}, "redis_up 0")
    file.write_text("{")
    with pytest.raises(urllib.error.HTTPError, match="500"):
        program.get("/-/reload")
    file.write_text(json.dumps({addr: "second"}))
    assert program.get("/-/reload") == "ok\n"
    wait_until(lambda: program.values("redis_up") == {addr: 1}, "redis_up 1 again")
    assert "second" not in program.log.read_text()
