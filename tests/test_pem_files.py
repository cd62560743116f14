"""TLS files: what is refused, and when they are read again."""

from __future__ import annotations

import logging
import os
import shutil
import ssl
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter import files, pem_files
from exporter.errors import ConfigError
from exporter.files import FileLimits
from exporter.pem_files import FreshContext, PemFile, expiries, load_authorities, load_pair, trust_each
from tests.servers import PATIENCE_S, Certificates
from tests.store_fixture import until

LIMIT = files.DEFAULT.max_bytes


@pytest.fixture
def ca(certificates: Certificates, tmp_path: Path) -> PemFile:
    """A copy that a test may change."""
    return PemFile("ca", shutil.copy(certificates.ca, str(tmp_path / "ca.pem")))


class Made:
    """Makes contexts that trust a file, and counts them."""

    def __init__(self, file: PemFile) -> None:
        self.file = file
        self.count = 0
        self.failure = ""
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def __call__(self) -> ssl.SSLContext:
        self.count += 1
        assert self.may_go_on.wait(PATIENCE_S)
        if self.failure:
            raise ConfigError(self.failure)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        load_authorities(context, self.file, LIMIT)
        return context


class TestFreshContext:
    @pytest.fixture(autouse=True)
    def looks_at_once(self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
        monkeypatch.setattr(pem_files, "LOOK_EVERY_S", 0.0)
        caplog.set_level(logging.INFO, "exporter.pem_files")

    def test_without_a_file_none_is_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where the system gives no thread, no file is to blame that nobody named."""

        def no_thread(*_: object) -> None:
            raise files.FileError("the system gives no thread to read it in")

        monkeypatch.setattr(files, "start", no_thread)
        monkeypatch.setattr(files, "within", no_thread)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        assert FreshContext([], lambda: context, files.DEFAULT).newest is context

    async def test_stays_the_same_while_its_files_do(self, ca: PemFile) -> None:
        make = Made(ca)
        fresh = FreshContext([ca], make, files.DEFAULT)
        first = fresh.newest
        for _ in range(3):
            await fresh.freshen(PATIENCE_S)
        assert fresh.newest is first
        assert make.count == 1

    @pytest.mark.parametrize("way", ["written", "renamed", "linked", "kept size and time"])
    async def test_is_made_again_however_a_file_changes(
        self, ca: PemFile, certificates: Certificates, tmp_path: Path, way: str
    ) -> None:
        name, new = Path(ca.name), Path(certificates.other_ca)
        if way == "linked":  # as Kubernetes does with a secret
            name.rename(tmp_path / "old")
            name.symlink_to(tmp_path / "old")
        fresh = FreshContext([ca], Made(ca), files.DEFAULT)
        first = fresh.newest
        match way:
            case "written":
                name.write_bytes(new.read_bytes())
            case "renamed":
                Path(shutil.copy(new, tmp_path / "next")).rename(name)
            case "linked":
                (tmp_path / "link").symlink_to(new)
                (tmp_path / "link").rename(name)
            case _:
                before = name.stat()
                name.write_bytes(name.read_bytes())
                os.utime(name, ns=(before.st_atime_ns, before.st_mtime_ns))
        await fresh.freshen(PATIENCE_S)
        assert fresh.newest is not first

    @pytest.mark.parametrize("content", [b"", b"-----BEGIN CERTIFICATE-----\nMIIB", None])
    async def test_stays_while_a_file_cannot_be_used_and_says_so_once(
        self, ca: PemFile, caplog: pytest.LogCaptureFixture, content: bytes | None
    ) -> None:
        fresh = FreshContext([ca], Made(ca), files.DEFAULT)
        first, name = fresh.newest, Path(ca.name)
        good = name.read_bytes()
        name.unlink()
        if content is not None:
            name.write_bytes(content)
        for _ in range(3):
            await fresh.freshen(PATIENCE_S)
        assert fresh.newest is first
        [line] = caplog.records
        assert line.message == "the files that were read before stay in use"
        assert vars(line)["err"].startswith(f"--ca={name} cannot be ")
        name.write_bytes(good)
        await fresh.freshen(PATIENCE_S)
        assert fresh.newest is not first
        assert caplog.messages[1:] == [f"read again: {name}"]

    async def test_a_failure_that_passes_leaves_no_old_files_in_use(
        self, ca: PemFile, caplog: pytest.LogCaptureFixture
    ) -> None:
        make = Made(ca)
        fresh = FreshContext([ca], make, files.DEFAULT)
        first = fresh.newest
        Path(ca.name).write_bytes(Path(ca.name).read_bytes())
        make.failure = "too many open files"
        for _ in range(3):
            await fresh.freshen(PATIENCE_S)
        assert fresh.newest is first
        make.failure = ""
        await fresh.freshen(PATIENCE_S)
        assert fresh.newest is not first
        assert caplog.messages == ["the files that were read before stay in use", f"read again: {ca.name}"]

    async def test_looks_once_in_a_while(self, ca: PemFile, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pem_files, "LOOK_EVERY_S", 60.0)
        fresh = FreshContext([ca], Made(ca), files.DEFAULT)
        looks = counted(monkeypatch)
        for _ in range(3):
            await fresh.freshen(PATIENCE_S)
        assert looks == [(ca.name,)]

    async def test_a_look_waits_for_nothing(self, ca: PemFile, certificates: Certificates) -> None:
        made = Made(ca)
        fresh = FreshContext([ca], made, files.DEFAULT)
        first = fresh.newest
        Path(ca.name).write_bytes(Path(certificates.other_ca).read_bytes())
        made.may_go_on.clear()
        fresh.look()
        assert fresh.newest is first
        made.may_go_on.set()
        await until(lambda: fresh.newest is not first)

    async def test_without_files_it_never_looks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        fresh = FreshContext([], lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), files.DEFAULT)
        looks = counted(monkeypatch)
        await fresh.freshen(PATIENCE_S)
        assert looks == []

    async def test_can_be_read_again_at_once(
        self, ca: PemFile, certificates: Certificates, caplog: pytest.LogCaptureFixture
    ) -> None:
        fresh = FreshContext([ca], Made(ca), files.DEFAULT)
        first, name = fresh.newest, Path(ca.name)
        await fresh.freshen(PATIENCE_S)
        fresh.renew()
        assert fresh.newest is first
        name.write_bytes(b"-----BEGIN CERTIFICATE-----\nMIIB")
        for _ in range(2):
            with pytest.raises(ConfigError, match=f"--ca={ca.name} cannot be used"):
                fresh.renew()
        assert fresh.newest is first
        assert caplog.records == []
        name.write_bytes(Path(certificates.other_ca).read_bytes())
        fresh.renew()
        assert fresh.newest is not first
        assert caplog.messages == [f"read again: {ca.name}"]

    def test_is_not_noted_among_the_files_that_are_read(self, ca: PemFile) -> None:
        noted: dict[str, files.Stamp] = {}
        with files.noting(noted):
            FreshContext([ca], Made(ca), files.DEFAULT)
        assert noted == {}

    def test_a_reading_that_hangs_ends_at_its_limit(self, ca: PemFile) -> None:
        may_end = threading.Event()

        def hang() -> ssl.SSLContext:
            may_end.wait(PATIENCE_S)
            return Made(ca)()

        with pytest.raises(
            ConfigError, match=f"^--ca={ca.name} cannot be read: reading took longer than 0.1 s"
        ):
            FreshContext([ca], hang, FileLimits(timeout_s=0.1))
        may_end.set()


def counted(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The looks at files, from now on."""
    looks: list[object] = []
    stamps: Callable[..., tuple[tuple[int, ...], ...]] = pem_files._stamps

    def look(names: tuple[str, ...]) -> tuple[tuple[int, ...], ...]:
        looks.append(names)
        return stamps(names)

    monkeypatch.setattr(pem_files, "_stamps", look)
    return looks


def openssl_says(file: str) -> int:
    """When a certificate ends, in Unix time."""
    asked = ["openssl", "x509", "-in", file, "-noout", "-enddate"]
    line = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
    return int(ssl.cert_time_to_seconds(line.strip().partition("=")[2]))


def lasting(directory: Path, days: int) -> str:
    """A certificate that lasts so long."""
    file = str(directory / f"{days}.crt")
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    made += ["-keyout", os.devnull, "-out", file, "-days", str(days), "-subj", "/CN=x"]
    subprocess.run(made, check=True, capture_output=True)
    return file


class TestExpiries:
    def test_it_is_what_openssl_says(self, certificates: Certificates) -> None:
        for file in (certificates.ca, certificates.server, certificates.issued):
            assert expiries(Path(file).read_bytes()) == [openssl_says(file)]

    def test_a_year_after_2049_is_written_in_another_way(self, tmp_path: Path) -> None:
        file = lasting(tmp_path, 20_000)
        assert expiries(Path(file).read_bytes()) == [openssl_says(file)]

    def test_what_cannot_be_read_is_left_out(self, certificates: Certificates) -> None:
        good = Path(certificates.server).read_bytes()
        lines = good.splitlines()
        short = b"\n".join([*lines[:3], lines[-1]])  # it is cut in the middle
        odd = b"-----BEGIN CERTIFICATE-----\n%s\n-----END CERTIFICATE-----\n"
        for body in (b"", b"a", b"MA==", b"MAA=", b"MAIwAA==", b"MIA=", b"MP8=", b"\xff\xfe"):
            assert expiries(odd % body) == []
        assert expiries(short + b"\n" + good) == [openssl_says(certificates.server)]
        assert expiries(Path(certificates.server_key).read_bytes()) == []

    async def test_of_a_chain_the_first_counts_and_of_authorities_the_last(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        early, late = lasting(tmp_path, 10), lasting(tmp_path, 20)
        both = tmp_path / "both.pem"
        both.write_bytes(Path(late).read_bytes() + Path(early).read_bytes())
        chain, authorities = PemFile("cert", str(both)), PemFile("ca", str(both), of_authorities=True)
        fresh = FreshContext([chain, authorities], Made(authorities), files.DEFAULT)
        assert fresh.expiries == {chain: openssl_says(early), authorities: openssl_says(late)}
        both.write_bytes(Path(late).read_bytes())
        monkeypatch.setattr(pem_files, "LOOK_EVERY_S", 0.0)
        await fresh.freshen(PATIENCE_S)
        assert fresh.expiries == {chain: openssl_says(late), authorities: openssl_says(late)}


class TestLoading:
    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"no certificate", "cannot be used: it holds no certificate in PEM form$"),
            (b"", "cannot be used: it holds no certificate in PEM form$"),
            (None, "cannot be read: No such file"),
        ],
    )
    def test_a_file_without_a_certificate_is_refused(
        self, tmp_path: Path, content: bytes | None, message: str
    ) -> None:
        file = PemFile("ca", str(tmp_path / "ca.pem"))
        if content is not None:
            Path(file.name).write_bytes(content)
        with pytest.raises(ConfigError, match=f"^--ca={file.name} {message}"):
            load_authorities(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), file, LIMIT)

    def test_a_list_of_revocations_is_no_certificate(self, tmp_path: Path) -> None:
        file = PemFile("ca", str(tmp_path / "crl.pem"))
        Path(file.name).write_text(revocations(tmp_path))
        with pytest.raises(ConfigError, match="it holds no certificate"):
            load_authorities(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), file, LIMIT)

    def test_a_file_beyond_the_limit_is_refused(self, ca: PemFile) -> None:
        with pytest.raises(ConfigError, match=r"more than 10 bytes, the limit of --files\.max-bytes"):
            load_authorities(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ca, 10)

    def test_a_key_that_does_not_fit_is_refused(self, certificates: Certificates) -> None:
        cert, key = PemFile("cert", certificates.client), PemFile("key", certificates.server_key)
        with pytest.raises(
            ConfigError, match=f"^{cert} and {key} cannot be used: the key does not fit the certificate$"
        ):
            load_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), cert, key, LIMIT)

    def test_a_key_in_the_place_of_the_certificate_is_said(self, certificates: Certificates) -> None:
        cert, key = PemFile("cert", certificates.server_key), PemFile("key", certificates.server)
        with pytest.raises(ConfigError, match="the first must hold a certificate and the second its key"):
            load_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), cert, key, LIMIT)

    def test_a_text_that_is_no_certificate_is_refused(self) -> None:
        given = PemFile("web", "", place="web.yml: cert", text="no certificate")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        with pytest.raises(ConfigError, match=r"^web\.yml: cert and web\.yml: cert .*, both in PEM form$"):
            load_pair(context, given, given, LIMIT)
        with pytest.raises(ConfigError, match=r"^web\.yml: cert cannot be used: not in PEM form$"):
            load_authorities(context, given, LIMIT)

    def test_a_text_takes_the_place_of_a_file(self, certificates: Certificates) -> None:
        cert, key, ca = (
            PemFile("web", "", place="web.yml", text=Path(file).read_text())
            for file in (certificates.client, certificates.client_key, certificates.ca)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        load_pair(context, cert, key, LIMIT)
        load_authorities(context, ca, LIMIT)
        assert len(context.get_ca_certs()) == 1
        assert "PRIVATE" not in repr(key)

    def test_a_pair_may_be_one_file(self, certificates: Certificates, tmp_path: Path) -> None:
        both = tmp_path / "both.pem"
        both.write_bytes(Path(certificates.client).read_bytes() + Path(certificates.client_key).read_bytes())
        file = PemFile("cert", str(both))
        load_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), file, file, LIMIT)


def revocations(directory: Path) -> str:
    """A CRL of a CA that has revoked nothing."""
    config = directory / "ca.cnf"
    (directory / "index").touch()
    config.write_text(f"[ca]\ndefault_ca = own\n[own]\ndatabase = {directory}/index\ndefault_md = sha256\n")
    key, cert = directory / "ca.key", directory / "ca.crt"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    made += ["-subj", "/CN=ca", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(made, check=True, capture_output=True)
    command = ["openssl", "ca", "-gencrl", "-config", str(config), "-keyfile", str(key), "-cert", str(cert)]
    return subprocess.run([*command, "-crldays", "2"], check=True, capture_output=True, text=True).stdout


def test_each_certificate_is_an_anchor_and_the_strict_checks_are_off() -> None:
    """The same in every version of Python."""
    context = ssl.create_default_context()
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    trust_each(context)
    assert context.verify_flags & ssl.VERIFY_X509_PARTIAL_CHAIN
    assert not context.verify_flags & ssl.VERIFY_X509_STRICT
