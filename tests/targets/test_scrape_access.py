"""With whose credentials targets are polled that requests name."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.errors import NotAllowedError, RequestError
from exporter.node_allowance import Allowance
from exporter.options.values import parse_allowance
from exporter.targets.address import parse_address
from exporter.targets.asked import Asked
from exporter.targets.password_file import Passwords, read_passwords
from exporter.targets.scrape_access import NamedLogin, ScrapeAccess

ALLOW = parse_allowance("10.0.0.0/8")
CACHE = parse_allowance("10.2.0.0/16")


@pytest.fixture
def passwords(tmp_path: Path) -> Passwords:
    file = tmp_path / "passwords.json"
    file.write_text('{"redis://10.0.0.1:6379": "of-file", "redis://me@10.0.0.2:6379": "of-me"}')
    return read_passwords(str(file))


def named(user: str, password: str, allow: Allowance | None) -> NamedLogin:
    assert allow is not None
    return NamedLogin(allow, {"user": user, "password": password})


def login(access: ScrapeAccess, text: str, auth: str = "") -> tuple[str, str]:
    target = access.log_in(parse_address(text), Asked(text, auth))
    assert target.source == "adopted"
    assert target.addr == parse_address(text).addr
    return target.user, target.password


class TestAllowed:
    def test_what_the_address_says_comes_first(self, passwords: Passwords) -> None:
        access = ScrapeAccess(ALLOW, passwords=passwords, user="common", password="word")
        assert login(access, "redis://you:yours@10.0.0.1") == ("you", "yours")
        assert login(access, "redis://:yours@10.0.0.1") == ("", "yours")

    def test_then_the_password_file_then_the_common_ones(self, passwords: Passwords) -> None:
        access = ScrapeAccess(ALLOW, passwords=passwords, user="common", password="word")
        assert login(access, "10.0.0.1") == ("", "of-file")
        assert login(access, "redis://me@10.0.0.2") == ("me", "of-me")
        assert login(access, "10.0.0.3") == ("common", "word")
        assert login(access, "redis://you:@10.0.0.3") == ("you", "word")

    def test_a_file_of_one_password_is_a_common_one(self) -> None:
        assert login(ScrapeAccess(ALLOW, passwords=Passwords(single="one")), "10.0.0.1") == ("", "one")

    def test_the_rules_say_where_each_comes_from(self, passwords: Passwords) -> None:
        access = ScrapeAccess(ALLOW, passwords=passwords, user="common", password="word")
        target = access.log_in(parse_address("10.0.0.3"), Asked("10.0.0.3"))
        assert (target.user_rule, target.password_rule) == ("--redis.user", "--redis.password")


class TestOpen:
    def test_only_the_address_and_an_entry_for_it_give_a_password(self, passwords: Passwords) -> None:
        """Whoever can name any address would else get the common password sent to a server of his own."""
        access = ScrapeAccess(None, is_open=True, passwords=passwords, user="common", password="word")
        assert login(access, "10.0.0.3") == ("", "")
        assert login(access, "10.0.0.1") == ("", "of-file")
        assert login(access, "redis://you:yours@10.0.0.3") == ("you", "yours")
        single = ScrapeAccess(None, is_open=True, passwords=Passwords(single="one"))
        assert login(single, "10.0.0.1") == ("", "")

    def test_credentials_have_no_names(self) -> None:
        access = ScrapeAccess(None, is_open=True, logins={"cache": named("c", "word", ALLOW)})
        with pytest.raises(NotAllowedError, match=r"--scrape\.allow"):
            login(access, "10.0.0.1", auth="cache")


class TestNamed:
    ACCESS = ScrapeAccess(ALLOW, password="word", logins={"cache": named("c", "of-cache", CACHE)})

    def test_they_are_used_and_sent_only_where_they_may(self) -> None:
        target = self.ACCESS.log_in(parse_address("10.2.0.1"), Asked("", "cache"))
        assert (target.user, target.password, target.login_allow) == ("c", "of-cache", CACHE)
        assert self.ACCESS.log_in(parse_address("10.2.0.1"), Asked("")).login_allow is None

    def test_a_name_that_is_unknown_is_refused(self) -> None:
        with pytest.raises(NotAllowedError, match="a group of the configuration file"):
            login(self.ACCESS, "10.2.0.1", auth="other")

    def test_two_kinds_of_credentials_are_one_too_many(self) -> None:
        with pytest.raises(RequestError, match="leave one of them out"):
            login(self.ACCESS, "redis://you:yours@10.2.0.1", auth="cache")


def test_a_unix_socket_is_no_target_of_requests() -> None:
    with pytest.raises(NotAllowedError, match=r"unix socket: .*--redis\.addr"):
        login(ScrapeAccess(parse_allowance("*")), "unix:///tmp/redis.sock")


def test_no_secret_is_shown() -> None:
    access = ScrapeAccess(ALLOW, password="s3cret", logins={"a": named("u", "s3cret", ALLOW)})
    assert "s3cret" not in repr(access)
    assert "s3cret" not in repr(access.logins["a"])


def test_what_may_be_named_is_compared_without_credentials() -> None:
    one, other = ScrapeAccess(ALLOW, password="a"), ScrapeAccess(ALLOW, password="b")
    assert one.rules == other.rules
    assert one.rules != ScrapeAccess(CACHE).rules
    assert ScrapeAccess().rules != ScrapeAccess(is_open=True).rules
    assert not ScrapeAccess().allows_any
    assert one.allows_any
