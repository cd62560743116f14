"""`health`: whether a running exporter is well."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import bcrypt
import pytest

from bench.ports import free_port
from exporter.cli import main
from exporter.commands import health
from exporter.commands.health import of_options, of_url
from exporter.errors import ConfigError, UsageError
from exporter.options.commandline import parse
from exporter.options.table import WebOptions
from tests.servers import HOST, Certificates, Script, ScriptedServer, drips, wait_until
from tests.store_fixture import PATIENCE_S
from tests.system.conftest import ExporterFactory, ProcessFactory, exporter, exporter_process

__all__ = ["exporter", "exporter_process"]  # fixtures

SECRET = "s3cr:et-ü"
TRUST = "name the file with the authority of that exporter in SSL_CERT_FILE"
Captured = pytest.CaptureFixture[str]


def web_options(*flags: str) -> WebOptions:
    return parse(flags, {}).web


class TestRunning:
    """Against the whole program."""

    def test_asks_the_exporter_that_has_the_same_variables(
        self, exporter: ExporterFactory, capsys: Captured
    ) -> None:
        """It is well though its Redis is dead, and ready once it tried."""
        program = exporter(f"--redis.addr=redis://{HOST}:{free_port()}")
        environ = {"REDIS_EXPORTER_WEB_LISTEN_ADDRESS": f":{program.port}"}
        assert main(["health"], environ) == 0
        assert capsys.readouterr() == (f"ok: http://{HOST}:{program.port}/-/healthy\n", "")
        wait_until(lambda: main(["health", "/-/ready"], environ) == 0, "the exporter is ready")
        assert main(["health", f"http://localhost:{program.port}"], {}) == 0
        assert main(["health", f"--web.listen-address=0.0.0.0:{program.port}"], {}) == 0
        capsys.readouterr()
        assert main(["health", "/health?strict=1"], environ) == 1
        out, err = capsys.readouterr()
        assert (out, '503: {"status":"error"' in err, err.count("\n")) == ("", True, 1)

    def test_with_tls_and_a_password(
        self,
        exporter_process: ProcessFactory,
        certificates: Certificates,
        capsys: Captured,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        port = free_port()
        flags = [
            f"--web.listen-address={HOST}:{port}",
            f"--tls-server-cert-file={certificates.server}",
            f"--tls-server-key-file={certificates.server_key}",
            "--basic-auth-username=prometheus",
            f"--basic-auth-password={SECRET}",
        ]
        exporter_process(*flags)
        wait_until(lambda: main(["health", *flags], {}) == 0, "the exporter is well")
        assert f"ok: https://{HOST}:{port}/-/healthy\n" in capsys.readouterr().out
        url = f"https://prometheus:s3cr%3Aet-%C3%BC@localhost:{port}/-/ready"
        wait_until(lambda: main(["health", url], {}) == 0, "the exporter is ready")
        capsys.readouterr()
        elsewhere = replace(of_url(url), verifies=True)
        assert health.verdict(elsewhere).endswith("the password was not sent; " + TRUST)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ca))
        assert health.verdict(elsewhere) == ""
        assert main(["health", f"https://{HOST}:{port}"], {}) == 1
        assert "401: write redis_exporter health https://USER:PASSWORD@" in capsys.readouterr().err
        assert main(["health", f"http://{HOST}:{port}"], {}) == 1
        assert capsys.readouterr().err.startswith(
            f"redis_exporter: http://{HOST}:{port}/-/healthy: no answer"
        )

    def test_with_client_certificates_and_the_hash_of_a_password(
        self, exporter_process: ProcessFactory, certificates: Certificates, capsys: Captured
    ) -> None:
        """It shows the server's own certificate. Who asks for a password is alive; whether it is ready cannot
        be seen."""
        port = free_port()
        flags = [
            f"--web.listen-address={HOST}:{port}",
            f"--tls-server-cert-file={certificates.server}",
            f"--tls-server-key-file={certificates.server_key}",
            f"--tls-server-ca-cert-file={certificates.ca}",
            "--basic-auth-username=prometheus",
            f"--basic-auth-hash-password={bcrypt.hashpw(SECRET.encode(), bcrypt.gensalt(4)).decode()}",
        ]
        exporter_process(*flags)
        wait_until(lambda: main(["health", *flags], {}) == 0, "the exporter is well")
        capsys.readouterr()
        assert main(["health", "/-/ready", *flags], {}) == 1
        assert "401: only the hash of the password is known here" in capsys.readouterr().err
        assert main(["health", f"https://{HOST}:{port}"], {}) == 1  # without a certificate

    @pytest.mark.parametrize(
        "clients",
        [
            "",
            "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: {ca}\n",
            "  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: {foreign}\n",
        ],
    )
    def test_with_a_web_configuration_file(
        self,
        clients: str,
        exporter_process: ProcessFactory,
        certificates: Certificates,
        tmp_path: Path,
        capsys: Captured,
    ) -> None:
        """A mistake that it has later changes nothing: the exporter goes on. (Without the file, no
        certificate can be shown.)"""
        port, file = free_port(), tmp_path / "web.yml"
        tls = (
            f"tls_server_config:\n  cert_file: {certificates.server}\n  key_file: {certificates.server_key}\n"
        )
        users = f"basic_auth_users: {{p: {bcrypt.hashpw(SECRET.encode(), bcrypt.gensalt(4)).decode()}}}\n"
        file.write_text(tls + clients.format(ca=certificates.ca, foreign=certificates.other_ca) + users)
        flags = [f"--web.listen-address={HOST}:{port}", f"--web.config.file={file}"]
        exporter_process(*flags)
        wait_until(lambda: main(["health", *flags], {}) == 0, "the exporter is well")
        assert f"ok: https://{HOST}:{port}/-/healthy\n" in capsys.readouterr().out
        assert main(["health", "/-/ready", *flags], {}) == 1
        assert "write redis_exporter health https://USER:PASSWORD@" in capsys.readouterr().err
        file.write_text("tls_server_config: {}\nno_such_key: 1\n")
        assert main(["health", *flags], {}) == (1 if "Require" in clients else 0)

    def test_who_asks_too_often_gets_an_answer_of_a_process_that_is_alive(
        self, exporter_process: ProcessFactory, tmp_path: Path, capsys: Captured
    ) -> None:
        port, file = free_port(), tmp_path / "web.yml"
        file.write_text("rate_limit: {interval: 1h, burst: 1}\n")
        flags = [f"--web.listen-address={HOST}:{port}", f"--web.config.file={file}"]
        exporter_process(*flags)
        wait_until(lambda: main(["health", *flags], {}) == 0, "the exporter is well")
        capsys.readouterr()
        assert main(["health", "/-/ready", *flags], {}) == 1
        assert ": 429: Too many requests\n" in capsys.readouterr().err
        assert main(["health", *flags], {}) == 0


class TestRefusals:
    def test_nobody_listens(self, capsys: Captured) -> None:
        port = free_port()
        assert main(["health", f"http://{HOST}:{port}/x"], {}) == 1
        said = f"redis_exporter: http://{HOST}:{port}/x: nothing listens there\n"
        assert capsys.readouterr() == ("", said)

    def test_a_process_that_hangs(self, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(health, "TIMEOUT_S", 0.2)
        with socket.create_server((HOST, 0)) as listening:
            assert main(["health", f"--web.listen-address={HOST}:{listening.getsockname()[1]}"], {}) == 1
        assert capsys.readouterr().err.endswith("/-/healthy: no answer within 0.2 s\n")

    @pytest.mark.parametrize(
        "script",
        [drips(b"HTTP/1.1 200 OK\r\n\r\n", b"a"), drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n")],
        ids=["body", "head"],
    )
    def test_an_answer_that_does_not_end(
        self, capsys: Captured, monkeypatch: pytest.MonkeyPatch, script: Script
    ) -> None:
        monkeypatch.setattr(health, "TIMEOUT_S", 0.4)
        server = ScriptedServer(script)
        try:
            assert main(["health", f"http://{HOST}:{server.port}"], {}) == 1
        finally:
            server.close()
        assert capsys.readouterr().err.endswith("/-/healthy: no answer within 0.4 s\n")

    @pytest.mark.parametrize("path", ["/a b", "/ä", "/a\r\nX: y", "/\x7f"])
    def test_a_path_that_no_request_can_have(self, capsys: Captured, path: str) -> None:
        assert main(["health", path, f"--web.listen-address={HOST}:1"], {}) == 2
        assert "argument 1 holds a character that no URL holds" in capsys.readouterr().err

    def test_a_wrong_command_line(self, capsys: Captured) -> None:
        assert main(["health", "--web.listen-addres=:1"], {}) == 2
        assert "did you mean --web.listen-address?" in capsys.readouterr().err
        assert main(["health", f"redis://:{SECRET}@h"], {}) == 2
        assert SECRET not in capsys.readouterr().err

    def test_help(self, capsys: Captured) -> None:
        assert main(["health", "--help"], {}) == 0
        assert capsys.readouterr().out == health.USAGE

    def test_variables_are_those_of_another_exporter_where_a_url_is_given(self, capsys: Captured) -> None:
        assert main(["health", f"http://{HOST}:{free_port()}"], {"REDIS_EXPORTER_TARGET_LABELS": "x"}) == 1
        assert main(["health"], {"REDIS_EXPORTER_TARGET_LABELS": "x"}) == 2


class TestUnixSockets:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Iterator[str]:
        path = str(tmp_path / "s")
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(path)
            listening.listen()
            listening.settimeout(PATIENCE_S)

            def answer() -> None:
                client, _ = listening.accept()
                with client:
                    assert client.recv(65536).startswith(b"GET /-/healthy HTTP/1.1\r\n")
                    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n")

            thread = threading.Thread(target=answer)
            thread.start()
            yield path
            thread.join()

    def test_a_path_is_asked(self, path: str, capsys: Captured) -> None:
        assert main(["health", f"unix:{path}"], {}) == 0
        assert capsys.readouterr().out == f"ok: unix:{path} /-/healthy\n"

    def test_a_missing_one(self, tmp_path: Path, capsys: Captured) -> None:
        assert main(["health", f"unix:{tmp_path}/none"], {}) == 1
        assert capsys.readouterr().err.endswith("no answer: No such file or directory\n")


class TestContainers:
    """Docker's health check has the variables of the container, and no flags."""

    @pytest.mark.parametrize("start", [["/usr/bin/python3", "-I"], ["/sbin/docker-init", "--"], []])
    def test_the_flags_are_those_of_the_first_process(
        self, start: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
    ) -> None:
        first_process, port = tmp_path / "cmdline", free_port()
        words = [*start, "/redis_exporter", f"--web.listen-address={HOST}:{port}", "--debug"]
        first_process.write_text("".join(f"{word}\0" for word in words))
        monkeypatch.setattr(health, "FIRST_PROCESS", first_process)
        assert main(["health", "/-/ready"], {}) == 1
        assert f"http://{HOST}:{port}/-/ready: nothing" in capsys.readouterr().err
        assert main(["health", f"--web.listen-address={HOST}:1"], {}) == 1  # these are wanted
        assert f"http://{HOST}:1/" in capsys.readouterr().err

    @pytest.mark.parametrize("words", [b"/sbin/init\0--debug\0", b"/redis_exporter\0", b"", None])
    def test_there_are_none(
        self, words: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if words is not None:
            (tmp_path / "cmdline").write_bytes(words)
        monkeypatch.setattr(health, "FIRST_PROCESS", tmp_path / "cmdline")
        assert health.flags_of_first_process() == []


class TestQuestions:
    @pytest.mark.parametrize(
        ("address", "hosts"),
        [
            (":9121", ("127.0.0.1", "::1")),
            ("0.0.0.0:9121", ("127.0.0.1",)),
            ("[::]:9121", ("::1", "127.0.0.1")),
            ("10.0.0.1:9121", ("10.0.0.1",)),
            ("[fd00::1]:9121", ("fd00::1",)),
        ],
    )
    def test_of_a_listen_address(self, address: str, hosts: tuple[str, ...]) -> None:
        question = of_options(web_options(f"--web.listen-address={address}"))
        assert (question.hosts, question.port, question.path) == (hosts, 9121, "/-/healthy")

    def test_of_a_socket_path(self) -> None:
        assert of_options(WebOptions(listen_address="unix:/run/s")).unix == "/run/s"

    def test_of_a_socket_that_somebody_else_opened(self) -> None:
        with pytest.raises(ConfigError, match="write redis_exporter health URL"):
            of_options(WebOptions(listen_address="fd://3"))

    @pytest.mark.parametrize(
        ("url", "text"),
        [
            ("http://h", "http://h:80/-/healthy"),
            ("https://u:p@h/", "https://h:443/-/healthy"),
            ("http://[::1]:9121/-/ready?x=1", "http://[::1]:9121/-/ready?x=1"),
            ("unix:/run/s", "unix:/run/s /-/healthy"),
        ],
    )
    def test_of_a_url(self, url: str, text: str) -> None:
        assert str(of_url(url)) == text

    @pytest.mark.parametrize(
        ("url", "verifies"),
        [
            ("https://u:p@exporter", True),
            ("https://u:p@10.0.0.1", True),
            ("https://exporter", False),
            ("http://u:p@exporter", False),
            ("https://u:p@localhost", False),
            ("https://u:p@127.0.0.1", False),
            ("https://u:p@[::1]:9121", False),
        ],
    )
    def test_a_password_goes_to_another_machine_only_if_that_is_the_right_one(
        self, url: str, verifies: bool
    ) -> None:
        assert of_url(url).verifies == verifies

    @pytest.mark.parametrize("url", ["localhost:9121", "http://", "http://h:99999", "unix:", "ftp://h"])
    def test_of_what_is_no_url(self, url: str) -> None:
        with pytest.raises(UsageError, match="write http://HOST:PORT"):
            of_url(url)


def test_it_loads_no_event_loop_of_the_exporter() -> None:
    """It runs every few seconds beside an exporter with little CPU."""
    code = (
        "import sys; from exporter.cli import main; main(['health', 'http://127.0.0.1:1'], {}); "
        "print(*{'aiohttp', 'uvloop', 'prometheus_client', 'exporter.app', 'jinja2'} & set(sys.modules))"
    )
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert outcome.stdout.strip() == ""
