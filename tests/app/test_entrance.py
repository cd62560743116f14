"""From options and the web configuration file to the entrance."""

from __future__ import annotations

from pathlib import Path

import bcrypt
import pytest

from exporter.app.entrance import entrance_of
from exporter.errors import ConfigError
from exporter.files import DEFAULT
from exporter.options.commandline import parse
from exporter.web.entrance import Entrance
from tests.servers import Certificates

HASH = bcrypt.hashpw(b"pw", bcrypt.gensalt(4)).decode()
USERS = f"basic_auth_users: {{ann: {HASH}}}\n"


class File:
    """A web configuration file that a test may change."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "web.yml"
        self.write("")

    def write(self, text: str) -> None:
        self.path.write_text(text)

    def entrance(self, *argv: str) -> Entrance:
        options = parse([f"--web.config.file={self.path}", *argv], {})
        return entrance_of(options.web, DEFAULT)


@pytest.fixture
def file(tmp_path: Path) -> File:
    return File(tmp_path)


def tls(certificates: Certificates, *more: str) -> str:
    lines = [
        "tls_server_config:",
        f"  cert_file: {certificates.server}",
        f"  key_file: {certificates.server_key}",
    ]
    return "\n".join([*lines, *(f"  {line}" for line in more), ""])


def test_without_a_file_the_flags_count(certificates: Certificates) -> None:
    argv = [
        f"--tls-server-cert-file={certificates.server}",
        f"--tls-server-key-file={certificates.server_key}",
    ]
    argv += ["--basic-auth-username=u", "--basic-auth-password=p"]
    newest = entrance_of(parse(argv, {}).web, DEFAULT).newest
    assert newest.auth is not None
    assert newest.tls is not None
    nothing = entrance_of(parse([], {}).web, DEFAULT)
    assert (nothing.newest.auth, nothing.newest.tls, nothing.is_guarded) == (None, None, False)


def test_an_empty_file_leaves_it_to_the_flags(file: File) -> None:
    newest = file.entrance("--basic-auth-username=u", "--basic-auth-password=p").newest
    assert newest.auth is not None
    assert newest.tls is None


async def test_the_file_gives_tls_users_headers_and_a_rate(file: File, certificates: Certificates) -> None:
    file.write(
        tls(certificates, "min_version: TLS13")
        + USERS
        + "http_server_config: {http2: true, headers: {Strict-Transport-Security: max-age=60}}\n"
        + "rate_limit: {interval: 1s, burst: 20}\n"
    )
    newest = file.entrance().newest
    assert newest.tls is not None
    assert newest.tls.settings.min_version == "TLS1.3"
    assert newest.auth is not None
    assert await newest.auth.accepts("Basic YW5uOnB3")
    assert (
        newest.headers.lines == "X-Content-Type-Options: nosniff\r\nStrict-Transport-Security: max-age=60\r\n"
    )
    assert newest.bucket is not None
    assert newest.bucket.limit == (1.0, 20)
    assert newest.notes == (
        f"{file.path}, line 6: http_server_config: http2: this exporter speaks HTTP/1.1, which every client "
        f"does too",
    )


class TestContradictions:
    def test_users_of_both(self, file: File) -> None:
        file.write(USERS)
        for argv in (
            ["--basic-auth-username=u", "--basic-auth-password=s3cret"],
            ["--basic-auth-password=s3cret"],
        ):
            with pytest.raises(ConfigError) as caught:
                file.entrance(*argv)
            flag = argv[0].partition("=")[0]
            assert (
                str(caught.value)
                == f"{file.path}: basic_auth_users and {flag} are both set: keep one of them"
            )

    def test_tls_of_both(self, file: File, certificates: Certificates) -> None:
        file.write(tls(certificates))
        with pytest.raises(ConfigError) as caught:
            file.entrance(
                f"--tls-server-cert-file={certificates.server}",
                f"--tls-server-key-file={certificates.server_key}",
                "--tls-server-min-version=TLS1.3",
            )
        assert caught.value.problems == (
            f"{file.path}: tls_server_config and --tls-server-cert-file are both set: keep one of them",
            f"{file.path}: tls_server_config and --tls-server-min-version are both set: write min_version in "
            f"the file",
        )

    def test_each_may_have_its_own_part(self, file: File, certificates: Certificates) -> None:
        file.write(tls(certificates))
        newest = file.entrance("--basic-auth-username=u", "--basic-auth-password=p").newest
        assert newest.auth is not None
        assert newest.tls is not None


class TestChanges:
    def test_what_stays_the_same_keeps_what_it_remembers(
        self, file: File, certificates: Certificates
    ) -> None:
        rate = "rate_limit: {interval: 1s, burst: 20}\n"
        file.write(tls(certificates) + USERS + rate)
        entrance = file.entrance()
        before = entrance.newest
        file.write("# a comment\n" + tls(certificates) + USERS + rate)
        entrance.renew()
        after = entrance.newest
        assert after is not before
        assert (after.auth, after.bucket) == (before.auth, before.bucket)
        file.write(tls(certificates, "min_version: TLS13") + "basic_auth_users: {}\n")
        entrance.renew()
        assert (entrance.newest.auth, entrance.newest.bucket) == (None, None)
        assert entrance.newest.tls is not None
        assert entrance.newest.tls.settings.min_version == "TLS1.3"

    @pytest.mark.parametrize("first", [True, False])
    def test_tls_is_not_switched_while_it_runs(
        self, file: File, certificates: Certificates, first: bool
    ) -> None:
        file.write(tls(certificates) if first else USERS)
        entrance = file.entrance()
        file.write("" if first else tls(certificates))
        with pytest.raises(ConfigError) as caught:
            entrance.renew()
        assert str(caught.value) == (
            f"{file.path}: a running exporter cannot switch TLS on or off: start it again"
        )
        assert (entrance.newest.tls is not None) == first

    def test_a_file_that_is_half_written_opens_no_door(self, file: File, certificates: Certificates) -> None:
        """However much of it is there yet, who was kept out stays out."""
        whole = (
            "rate_limit: {interval: 1s, burst: 20}\n"
            + tls(
                certificates,
                "client_auth_type: RequireAndVerifyClientCert",
                f"client_ca_file: {certificates.issuing_ca}",
                "client_allowed_sans:",
                "  - redis.test",
            )
            + "basic_auth_users:\n"
            + f"  ann: {HASH}\n  bob: {HASH}\n"
        )
        file.write(whole)
        entrance = file.entrance()
        refused = 0
        for end in range(len(whole)):
            file.write(whole[:end])
            try:
                entrance.renew()
            except ConfigError:
                refused += 1
            newest = entrance.newest
            assert newest.auth is not None
            assert newest.tls is not None
            assert (newest.tls.settings.asks_clients, newest.tls.settings.client_names) == (
                True,
                frozenset({"redis.test"}),
            )
        assert refused > len(whole) - len(HASH)

    def test_what_let_nobody_in_is_missed(self, file: File, certificates: Certificates) -> None:
        authorities = f"client_ca_file: {certificates.issuing_ca}"
        checked = ("client_auth_type: RequireAndVerifyClientCert", authorities)
        named = (*checked, "client_allowed_sans: [redis.test]")
        for before, after, says, meant in (
            (USERS, "", "basic_auth_users is no longer there", "basic_auth_users: {}\n"),
            (
                tls(certificates, *checked),
                tls(certificates),
                "tls_server_config: client_auth_type is no longer there",
                tls(certificates, "client_auth_type: NoClientCert"),
            ),
            (
                tls(certificates, *named),
                tls(certificates, *checked),
                "tls_server_config: client_allowed_sans is no longer there",
                tls(certificates, *checked, "client_allowed_sans: []"),
            ),
        ):
            file.write(before)
            entrance = file.entrance()
            old = entrance.newest
            file.write(after)
            with pytest.raises(ConfigError) as caught:
                entrance.renew()
            assert str(caught.value).startswith(f"{file.path}: {says}, and ")
            assert entrance.newest is old
            file.write(meant)
            entrance.renew()
            assert entrance.newest is not old
            assert file.entrance().newest.auth is None  # a start takes it as it is

    def test_a_mistake_changes_nothing(self, file: File) -> None:
        file.write(USERS)
        entrance = file.entrance()
        before = entrance.newest
        file.write("basic_auth_users: {ann: s3cret}\n")
        with pytest.raises(ConfigError, match="line 1: basic_auth_users: ann: the password is not") as caught:
            entrance.renew()
        assert "s3cret" not in str(caught.value)
        assert entrance.newest is before
