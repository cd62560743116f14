"""The web configuration file in a process that runs: who comes in, what answers carry, and how that changes
without a restart."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import bcrypt
import pytest

from bench.ports import free_port
from tests.servers import Certificates, make_certificates, wait_until
from tests.system.conftest import Exporter, ExporterFactory, ProcessFactory

HSTS = "Strict-Transport-Security: max-age=60"


def hashed(password: str) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()


class Curl:
    """Asks one exporter."""

    def __init__(self, url: str, *argv: str) -> None:
        self._url = url
        self._argv = argv

    def __call__(self, path: str, *argv: str) -> tuple[int, str]:
        """Status, and the whole answer with its head; 0 where there is no connection."""
        done = subprocess.run(
            ["curl", "--silent", "--include", "--max-time", "10", *self._argv, *argv, self._url + path],
            capture_output=True,
            text=True,
            check=False,
        )
        status = re.match(r"HTTP/1\.1 (\d+)", done.stdout)
        return int(status[1]) if status else 0, done.stdout

    def status(self, path: str, *argv: str) -> int:
        return self(path, *argv)[0]


def test_users_headers_and_certificates_change_without_a_restart(
    exporter_process: ProcessFactory, tmp_path: Path
) -> None:
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        folder.mkdir()
    first, second = (make_certificates(folder) for folder in folders)
    trusted = str(shutil.copy(first.ca, tmp_path / "trusted.crt"))
    file = tmp_path / "web.yml"

    def write(users: dict[str, str], *, more: str = "") -> None:
        lines = ["tls_server_config: {cert_file: first/server.crt, key_file: first/server.key}"]
        lines += ["http_server_config:", "  headers:", f"    {HSTS}", "basic_auth_users:"]
        new = file.with_suffix(".new")
        new.write_text("\n".join([*lines, *(f"  {name}: {word}" for name, word in users.items()), more]))
        new.rename(file)

    write({"ann": hashed("one")})
    url = f"https://localhost:{free_port()}"
    log = exporter_process(
        f"--web.listen-address={url.removeprefix('https://')}", f"--web.config.file={file}", "--redis.addr="
    )
    wait_until(lambda: "listening on https://" in log.read_text(), "the exporter")
    ask, ann, bob = Curl(url, "--cacert", trusted), ("--user", "ann:one"), ("--user", "bob:two")
    for path in ("/metrics", "/", "/nowhere", "/-/healthy", "/scrape?target=x"):
        status, answer = ask(path)
        assert (status, HSTS.lower() in answer.lower()) == (401, True), path
    status, answer = ask("/metrics", *ann)
    assert (status, answer.lower().count("strict-transport-security"), answer.lower().count("nosniff")) == (
        200,
        1,
        1,
    )
    assert ask.status("/", *ann) == 200
    assert ask.status("/metrics", *bob) == 401

    write({"bob": hashed("two")})
    wait_until(lambda: ask.status("/metrics", *bob) == 200, "the new user")
    assert ask.status("/metrics", *ann) == 401

    write({"bob": "s3cret"})
    wait_until(
        lambda: ask.status("/metrics", *bob) == 200 and "stay in use" in log.read_text(), "a line in the log"
    )
    status, answer = ask("/-/reload", *bob, "--request", "POST")
    assert status == 500
    assert f"{file}, line 6: basic_auth_users: bob: the password is not a bcrypt hash" in answer
    assert "s3cret" not in answer + log.read_text()

    write({"bob": hashed("two")})
    for name in ("server", "server_key"):
        shutil.copy(getattr(second, name), getattr(first, name))
    new = Curl(url, "--cacert", second.ca)
    wait_until(lambda: new.status("/metrics", *bob) == 200, "the new certificate")
    assert ask.status("/metrics", *bob) == 0
    assert "Traceback" not in log.read_text()


def test_settings_of_tls_change_too_and_tls_itself_does_not(
    exporter_process: ProcessFactory, certificates: Certificates, tmp_path: Path
) -> None:
    file = tmp_path / "web.yml"
    pair = f"tls_server_config:\n  cert_file: {certificates.server}\n  key_file: {certificates.server_key}\n"
    file.write_text(pair)
    url = f"https://localhost:{free_port()}"
    log = exporter_process(
        f"--web.listen-address={url.removeprefix('https://')}", f"--web.config.file={file}", "--redis.addr="
    )
    wait_until(lambda: "listening on https://" in log.read_text(), "the exporter")
    ask = Curl(url, "--cacert", certificates.ca)
    assert ask.status("/-/healthy", "--tls-max", "1.2") == 200
    file.write_text(f"{pair}  min_version: TLS13\n")
    wait_until(lambda: ask.status("/-/healthy", "--tls-max", "1.2") == 0, "the old version to go")
    assert ask.status("/-/healthy") == 200
    shown = ("--cert", certificates.issued, "--key", certificates.issued_key)
    checked = f"  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: {certificates.issuing_ca}\n"
    file.write_text(f"{pair}{checked}")
    wait_until(lambda: ask.status("/-/healthy") == 0, "certificates to be asked for")
    assert ask.status("/-/healthy", *shown) == 200
    file.write_text(f"{pair}{checked}  client_allowed_sans: [nobody]\n")
    wait_until(lambda: ask.status("/-/healthy", *shown) == 0, "names to be checked")
    file.write_text(f"{pair}{checked}  client_allowed_sans: [redis.test]\n")
    wait_until(lambda: ask.status("/-/healthy", *shown) == 200, "the right name")
    file.write_text("")
    status, answer = ask("/-/reload", "--request", "POST", *shown)
    assert status == 500
    assert "a running exporter cannot switch TLS on or off: start it again" in answer
    assert ask.status("/-/healthy", *shown) == 200


def test_a_rate_limit_lets_some_through_and_counts_the_others(
    exporter: ExporterFactory, tmp_path: Path
) -> None:
    file = tmp_path / "web.yml"
    file.write_text("rate_limit: {interval: 10ms, burst: 5}\n")
    program: Exporter = exporter("--redis.addr=", f"--web.config.file={file}", "--web.open-probes")
    ask = Curl(f"http://127.0.0.1:{program.port}")
    file.write_text("rate_limit: {interval: 1h, burst: 3}\n")
    wait_until(lambda: ask.status("/metrics") == 429, "the slower rate")
    status, answer = ask("/metrics")
    assert (status, "retry-after: 1" in answer.lower()) == (429, True)
    assert ask.status("/-/healthy") == 200
    file.write_text("")
    wait_until(lambda: ask.status("/metrics") == 200, "no limit")
    name = 'redis_exporter_http_incidents_total{reason="rate_limited"}'
    wait_until(lambda: name in program.get(), "the count")


@pytest.mark.parametrize("path", ["/", "/scrapers", "/cardinality", "/config", "/setup", "/targets/nobody"])
def test_every_page_for_people_forbids_what_it_does_not_need(exporter: ExporterFactory, path: str) -> None:
    """Without any option."""
    program: Exporter = exporter("--redis.addr=")
    _, answer = Curl(f"http://127.0.0.1:{program.port}")(path)
    head = answer.partition("\n\n")[0].lower()
    assert "content-type: text/html" in head
    for line in (
        "x-content-type-options: nosniff",
        "referrer-policy: no-referrer",
        "content-security-policy: default-src 'none'; ",
        "frame-ancestors 'none'",
    ):
        assert line in head, line


def test_a_file_that_cannot_be_used_ends_the_start_with_every_mistake(tmp_path: Path) -> None:
    file = tmp_path / "web.yml"
    file.write_text("tls_server_config: {cert_file: x}\nbasic_auth_users: {ann: s3cret}\n")
    done = subprocess.run(
        [sys.executable, "-m", "exporter", f"--web.config.file={file}", "--redis.addr="],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "line 1: tls_server_config: cert_file: key_file is missing" in done.stderr
    assert "line 2: basic_auth_users: ann: the password is not a bcrypt hash" in done.stderr
    assert "s3cret" not in done.stdout + done.stderr
