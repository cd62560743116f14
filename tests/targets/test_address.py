"""Addresses: what is read, what is refused, and what no message shows."""

from __future__ import annotations

import os
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter import safe_text
from exporter.errors import ConfigError
from exporter.targets.address import parse_address
from exporter.targets.target import Target
from tests.targets.loading import load


@pytest.mark.parametrize(
    ("text", "addr", "host", "port", "db", "user", "password"),
    [
        ("redis://localhost:6379", "redis://localhost:6379", "localhost", 6379, 0, "", ""),
        ("example", "redis://example:6379", "example", 6379, 0, "", ""),
        ("example:1", "redis://example:1", "example", 1, 0, "", ""),
        (" example ", "redis://example:6379", "example", 6379, 0, "", ""),
        ("redis://", "redis://localhost:6379", "localhost", 6379, 0, "", ""),
        ("redis://:7000", "redis://localhost:7000", "localhost", 7000, 0, "", ""),
        ("redis:///3", "redis://localhost:6379/3", "localhost", 6379, 3, "", ""),
        ("redis://h/0", "redis://h:6379", "h", 6379, 0, "", ""),
        ("redis://h/", "redis://h:6379", "h", 6379, 0, "", ""),
        ("redis://h:06379/07", "redis://h:6379/7", "h", 6379, 7, "", ""),
        ("REDIS://Redis-1.Prod_a.", "redis://redis-1.prod_a.:6379", "redis-1.prod_a.", 6379, 0, "", ""),
        ("rediss://h", "rediss://h:6379", "h", 6379, 0, "", ""),
        ("valkey://h", "valkey://h:6379", "h", 6379, 0, "", ""),
        ("valkeys://h", "valkeys://h:6379", "h", 6379, 0, "", ""),
        ("tcp://h:1/2", "tcp://h:1/2", "h", 1, 2, "", ""),
        ("redis://10.0.0.5", "redis://10.0.0.5:6379", "10.0.0.5", 6379, 0, "", ""),
        ("redis://[::1]", "redis://[::1]:6379", "::1", 6379, 0, "", ""),
        ("[FE80::1%25eth0]:7/1", "redis://[fe80::1%eth0]:7/1", "fe80::1%eth0", 7, 1, "", ""),
        ("redis://:pw@h", "redis://h:6379", "h", 6379, 0, "", "pw"),
        ("redis://word@h", "redis://h:6379", "h", 6379, 0, "", "word"),
        ("redis://u:@h", "redis://h:6379", "h", 6379, 0, "u", ""),
        ("u:pw@h:1", "redis://h:1", "h", 1, 0, "u", "pw"),
        ("redis://u%3A:p%40%2F%23%C3%A9@[::1]:1/2", "redis://[::1]:1/2", "::1", 1, 2, "u:", "p@/#é"),
        ("redis://u:p@ss:w@h", "redis://h:6379", "h", 6379, 0, "u", "p@ss:w"),
    ],
)
def test_address_of_tcp(
    text: str, addr: str, host: str, port: int, db: int, user: str, password: str
) -> None:
    target = parse_address(text)
    assert (target.addr, target.host, target.port, target.db) == (addr, host, port, db)
    assert (target.user, target.password, target.path) == (user, password, "")
    assert target.tls == addr.startswith(("rediss", "valkeys"))


@pytest.mark.parametrize(
    ("text", "addr", "path", "db"),
    [
        ("unix:///run/Redis.sock", "unix:///run/Redis.sock", "/run/Redis.sock", 0),
        ("unix:///run/a@b.sock?db=2", "unix:///run/a@b.sock?db=2", "/run/a@b.sock", 2),
        ("unix:///run/r.sock?db=0", "unix:///run/r.sock", "/run/r.sock", 0),
    ],
)
def test_address_of_a_socket(text: str, addr: str, path: str, db: int) -> None:
    assert parse_address(text) == Target(addr, "unix", "", 0, path, db)


@pytest.mark.parametrize("text", ["redis://h:1/2", "valkeys://[::1]:6379", "tcp://h:6379", "unix:///a?db=3"])
def test_the_canonical_address_stands_for_itself(text: str) -> None:
    assert parse_address(text).addr == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the address is empty"),
        ("  ", "the address is empty"),
        ("redis://a b", "a space or a control character"),
        ("redis://a\x00", "a space or a control character"),
        (
            "http://h",
            "unknown scheme: write redis://, rediss://, valkey://, valkeys://, tcp:// or unix://",
        ),
        ("redis://::1:6379", "write an IPv6 address in brackets"),
        ("redis://[::1", "only an IPv6 address may be in brackets"),
        ("redis://[h]:1", "only an IPv6 address may be in brackets"),
        ("redis://[::1]6379", "only an IPv6 address may be in brackets"),
        ("redis://h:", "the port must be 1 to 65535"),
        ("redis://h:0", "the port must be 1 to 65535"),
        ("redis://h:65536", "the port must be 1 to 65535"),
        ("redis://h:6379x", "the port must be 1 to 65535"),
        ("redis://h:٣", "the port must be 1 to 65535"),
        ("redis://a,redis://b", "the host is neither"),
        ("redis://-h", "the host is neither"),
        ("redis://é", "the host is neither"),
        ("redis://h/abc", "the database must be a number"),
        ("redis://h/-1", "the database must be a number"),
        ("redis://h/1/", "the database must be a number"),
        ("redis://h/1?db=2", "the database must be a number"),
        ("redis://h?db=2", "write it as in redis://host:6379/2"),
        ("redis://h#2", "write it as in redis://host:6379/2"),
        ("redis://:p/w@h", "write it as %2F, %3F or %23"),
        ("redis://:p#w@h", "write it as %2F, %3F or %23"),
        ("redis://:p%w@h", "write it as %25"),
        ("unix://u:p@/run/r.sock", "write unix:///path/to/redis.sock"),
        ("unix://", "write unix:///path/to/redis.sock"),
        ("unix:///", "write unix:///path/to/redis.sock"),
        ("unix:///r?password=p", "write unix:///path/to/redis.sock?db=2"),
        ("unix:///r?db=x", "the database must be a number"),
    ],
)
def test_bad_address(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        parse_address(text)


def said_by(call: Callable[[], object]) -> str:
    try:
        call()
    except ConfigError as error:
        return str(error)
    return ""


#: no message holds one of these letters
SECRET_LETTERS = "QXZJ"


@given(
    scheme=st.sampled_from(["redis://", "rediss://", "tcp://", "unix://", "http://", "redis:/", "", "://"]),
    user=st.text(SECRET_LETTERS, max_size=4),
    password=st.text(SECRET_LETTERS + "/#?@:%[], é", max_size=12),
    end=st.sampled_from(
        ["@host", "@host:6379/1", "@", "", "@host:port", "@[::1", "@host/db", "@/run/redis.sock"]
    ),
)
def test_no_message_about_an_address_holds_a_piece_of_its_userinfo(
    scheme: str, user: str, password: str, end: str
) -> None:
    text = f"{scheme}{user}:{password}{end}"
    said = said_by(lambda: parse_address(text)) + said_by(lambda: load(text, "redis://other:port"))
    assert not set(SECRET_LETTERS) & set(said)


def test_a_user_and_a_password_may_be_any_bytes() -> None:
    target = parse_address("redis://%e4:%ff%00p@h")
    assert (safe_text.given_bytes(target.user), safe_text.given_bytes(target.password)) == (
        b"\xe4",
        b"\xff\x00p",
    )
    from_environment = parse_address(os.fsdecode(b"redis://:p\xe4@h"))
    assert safe_text.given_bytes(from_environment.password) == b"p\xe4"


def test_the_label_of_a_socket_is_valid_whatever_its_path_holds() -> None:
    target = parse_address(os.fsdecode(b"unix:///run/\xe4.sock"))
    assert os.fsencode(target.path) == b"/run/\xe4.sock"
    assert target.addr == "unix:///run/\ufffd.sock"
