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
from exporter.targets.address import canonical_host, ignored_warning, parse_address
from exporter.targets.target import Target
from tests.targets.loading import load

#: no message holds one of these letters
SECRET_LETTERS = "QXZJ"


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
        ("[fe80:0::01%25Eth0]", "redis://[fe80::1%Eth0]:6379", "fe80::1%Eth0", 6379, 0, "", ""),
        ("[2001:DB8:0:0:0:0:0:1]", "redis://[2001:db8::1]:6379", "2001:db8::1", 6379, 0, "", ""),
        ("[2001:db8::0001]", "redis://[2001:db8::1]:6379", "2001:db8::1", 6379, 0, "", ""),
        ("[::ffff:a00:1]", "redis://[::ffff:10.0.0.1]:6379", "::ffff:10.0.0.1", 6379, 0, "", ""),
        ("[0::FFFF:10.0.0.1]", "redis://[::ffff:10.0.0.1]:6379", "::ffff:10.0.0.1", 6379, 0, "", ""),
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


@pytest.mark.parametrize(
    ("text", "addr", "user", "password"),
    [
        ("unix://u:p@/run/r.sock", "unix:///run/r.sock", "u", "p"),
        ("unix://u:p%2F@ss@/run/a@/r.sock?db=2", "unix:///run/a@/r.sock?db=2", "u", "p/@ss"),
        ("unix://word@/run/r.sock", "unix:///run/r.sock", "", "word"),
        ("unix://u:@/run/r.sock", "unix:///run/r.sock", "u", ""),
    ],
)
def test_a_socket_may_have_a_login(text: str, addr: str, user: str, password: str) -> None:
    target = parse_address(text)
    assert (target.addr, target.user, target.password) == (addr, user, password)
    assert target.path == addr.removeprefix("unix://").partition("?")[0]
    assert target.one_word is ("word" in text)


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
        ("redis://h/9223372036854775808", "the database must be a number"),
        ("redis://h/1?db=x", "the database must be a number"),
        ("redis://h?db=-1", "the database must be a number"),
        ("redis://h?timeout=5#2", "write it as in redis://host:6379/2"),
        ("redis://h#2", "write it as in redis://host:6379/2"),
        ("redis://:p/w@h", "write it as %2F, %3F or %23"),
        ("redis://:p#w@h", "write it as %2F, %3F or %23"),
        ("redis://:p%w@h", "write it as %25"),
        ("unix://u:p@run/r.sock", "write unix:///path/to/redis.sock"),
        ("unix://u:p@/", "write unix:///path/to/redis.sock"),
        ("unix://u:p%@/run/r.sock", "write it as %25"),
        ("unix://", "write unix:///path/to/redis.sock"),
        ("unix:///", "write unix:///path/to/redis.sock"),
        ("unix:///r?db=x", "the database must be a number"),
    ],
)
def test_bad_address(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        parse_address(text)


@pytest.mark.parametrize(
    ("text", "addr", "ignored"),
    [
        ("redis://h/0?timeout=5", "redis://h:6379", ("timeout",)),
        ("rediss://h:1/3?ssl_cert_reqs=none", "rediss://h:1/3", ("ssl_cert_reqs",)),
        ("redis://h?db=2", "redis://h:6379/2", ()),
        ("redis://h:1/1?db=2", "redis://h:1/2", ()),
        ("redis://h/1?db=", "redis://h:6379/1", ()),
        ("redis://h/?protocol=2&db=9223372036854775807&x", "redis://h:6379/9223372036854775807", None),
        ("h:1?a=1&a=2&&client-name=x", "redis://h:1", ("a", "client-name")),
        ("redis://u:p@[::1]/1?db=0&dial_timeout=5s", "redis://[::1]:6379", ("dial_timeout",)),
        ("redis://h/2?", "redis://h:6379/2", ()),
        ("unix:///run/r.sock?timeout=5&db=2", "unix:///run/r.sock?db=2", ("timeout",)),
        ("unix:///run/r.sock?password=p", "unix:///run/r.sock", ("password",)),
    ],
)
def test_of_the_parameters_only_the_database_counts(
    text: str, addr: str, ignored: tuple[str, ...] | None
) -> None:
    target = parse_address(text)
    assert target.addr == addr
    assert target.ignored == (("protocol", "with unusual characters") if ignored is None else ignored)
    assert parse_address(addr).db == target.db


@given(st.text("db=&?;%/ab1.-é" + SECRET_LETTERS, max_size=20), st.text(SECRET_LETTERS, min_size=1))
def test_the_line_about_parameters_holds_no_value_of_them(query: str, secret: str) -> None:
    try:
        target = parse_address(f"redis://h?{query.replace('db=', '')}&password={secret}&{secret}")
    except ConfigError:
        return
    named = {part.partition("=")[0] for part in query.split("&") if "=" in part}
    [line] = ignored_warning("here", target.ignored)
    assert line.startswith("here: parameters of the address are ignored (")
    assert "password" in line
    assert len(line) < 400
    if not any(set(SECRET_LETTERS) & set(name) for name in named):
        assert not set(SECRET_LETTERS) & set(line)


def test_an_address_without_parameters_needs_no_line() -> None:
    assert ignored_warning("here", parse_address("redis://h/1?db=2").ignored) == ()


@pytest.mark.parametrize(
    ("text", "is_one_word"),
    [("redis://word@h", True), ("redis://:word@h", False), ("redis://u:p@h", False), ("redis://h", False)],
)
def test_a_single_word_before_the_at_is_noted(text: str, is_one_word: bool) -> None:
    assert parse_address(text).one_word is is_one_word


def said_by(call: Callable[[], object]) -> str:
    try:
        call()
    except ConfigError as error:
        return str(error)
    return ""


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


@pytest.mark.parametrize("host", ["Redis.Example", "10.0.0.1", "FD00:0::1", "::ffff:a00:1", "a_b", "h."])
def test_a_host_has_the_spelling_that_it_has_in_an_address(host: str) -> None:
    written = f"[{host}]" if ":" in host else host
    assert canonical_host(host) == parse_address(f"redis://{written}:1").host


@pytest.mark.parametrize(
    "text", ["", "?", "u@h", "h/1", "h?db=1", "h#", "-h", "[::1]", "1:2", "h:1", "x" * 254]
)
def test_a_text_that_is_no_host_has_none(text: str) -> None:
    assert canonical_host(text) == ""
