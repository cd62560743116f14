"""What names a target: addresses, flags, the instances file. Each bad file says in its first lines what is expected."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter import texts
from exporter.errors import ConfigError
from exporter.model import Target
from exporter.targets import load_targets, parse_address

CONFIG = Path(__file__).parent / "data" / "config"
ENVIRON = {"REDIS_MASTER_PASSWORD": "kiwi", "REDIS_REPLICA_PASSWORD": "fig", "SHARED_PASSWORD": "plum", "B_PASSWORD": "${SHARED_PASSWORD}"}


def load(*addresses: str, given: bool | None = None, user: str = "", password: str = "", file: str | Path = "") -> list[Target]:
    return load_targets(
        addresses,
        addr_given=bool(addresses) if given is None else given,
        user=user,
        password=password,
        file=str(file),
        environ=ENVIRON,
    )


def problems_of(*addresses: str, given: bool | None = None, user: str = "", password: str = "", file: str | Path = "") -> Sequence[str]:
    with pytest.raises(ConfigError) as caught:
        load(*addresses, given=given, user=user, password=password, file=file)
    return caught.value.problems


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
def test_address_of_tcp(text: str, addr: str, host: str, port: int, db: int, user: str, password: str) -> None:
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
        ("redis://a b", "a blank or a control character"),
        ("redis://a\x00", "a blank or a control character"),
        ("http://h", "no scheme of ours: write redis://, rediss://, valkey://, valkeys://, tcp:// or unix://"),
        ("redis://::1:6379", "write an IPv6 address in brackets"),
        ("redis://[::1", "brackets hold an IPv6 address"),
        ("redis://[h]:1", "brackets hold an IPv6 address"),
        ("redis://[::1]6379", "brackets hold an IPv6 address"),
        ("redis://h:", "the port is no number"),
        ("redis://h:0", "the port is no number"),
        ("redis://h:65536", "the port is no number"),
        ("redis://h:6379x", "the port is no number"),
        ("redis://h:٣", "the port is no number"),
        ("redis://a,redis://b", "the host is neither"),
        ("redis://-h", "the host is neither"),
        ("redis://é", "the host is neither"),
        ("redis://h/abc", "the database is no number"),
        ("redis://h/-1", "the database is no number"),
        ("redis://h/1/", "the database is no number"),
        ("redis://h/1?db=2", "the database is no number"),
        ("redis://h?db=2", "write it as in redis://host:6379/2"),
        ("redis://h#2", "write it as in redis://host:6379/2"),
        ("redis://:p/w@h", "write it as %2F, %3F or %23"),
        ("redis://:p#w@h", "write it as %2F, %3F or %23"),
        ("redis://:p%w@h", "write it as %25"),
        ("unix://u:p@/run/r.sock", "write unix:///path/to/redis.sock"),
        ("unix://", "write unix:///path/to/redis.sock"),
        ("unix:///", "write unix:///path/to/redis.sock"),
        ("unix:///r?password=p", "write unix:///path/to/redis.sock?db=2"),
        ("unix:///r?db=x", "the database is no number"),
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
    end=st.sampled_from(["@host", "@host:6379/1", "@", "", "@host:port", "@[::1", "@host/db", "@/run/redis.sock"]),
)
def test_no_message_about_an_address_holds_a_piece_of_its_userinfo(scheme: str, user: str, password: str, end: str) -> None:
    text = f"{scheme}{user}:{password}{end}"
    said = said_by(lambda: parse_address(text)) + said_by(lambda: load(text, "redis://other:port"))
    assert not set(SECRET_LETTERS) & set(said)


def test_default_address_holds_only_without_another_source() -> None:
    default = "redis://localhost:6379"
    assert [t.addr for t in load(default, given=False)] == [default]
    assert default not in [t.addr for t in load(default, given=False, file=CONFIG / "handbook.good.yml")]
    assert load(default, given=True, file=CONFIG / "handbook.good.yml")[0].addr == default
    assert load(given=True) == []


@pytest.mark.parametrize(
    ("addresses", "user", "password", "expected"),
    [
        (("a",), "u", "p,w", [("u", "p,w")]),
        (("a", "b"), "u", "p", [("u", "p"), ("u", "p")]),
        (("a", "b"), "u,v", "p,w", [("u", "p"), ("v", "w")]),
        (("a", "b"), "", "p,", [("", "p"), ("", "")]),
        (("redis://v:w@a", "redis://:w@b", "redis://v:@c"), "u", "p", [("v", "w"), ("u", "w"), ("v", "p")]),
    ],
)
def test_credentials_of_the_flags(addresses: tuple[str, ...], user: str, password: str, expected: list[tuple[str, str]]) -> None:
    assert [(t.user, t.password) for t in load(*addresses, user=user, password=password)] == expected


def test_credentials_of_the_flags_stay_away_from_the_file() -> None:
    flag, first, second = load("c", user="u", password="p", file=CONFIG / "scalars.good.yml")
    assert (flag.user, flag.password) == ("u", "p")
    assert (first.user, first.password, second.user, second.password) == ("", "0123", "", "")


def test_mistakes_of_the_flags_come_all_at_once() -> None:
    assert problems_of("h:x", "a", "A:6379", user="u,v", password="p,q,r,s") == (
        "--redis.user holds 2 values for 3 addresses: write one for all, or one for each with commas between",
        "--redis.password holds 4 values for 3 addresses: write one for all, or one for each with commas between",
        "--redis.addr: address 1 of 3: the port is no number from 1 to 65535: write it after the host, as in redis://host:6379",
        "--redis.addr: address 3 of 3: redis://a:6379 is named already by --redis.addr: address 2 of 3: leave one of them out",
    )


def test_a_password_that_was_cut_at_its_comma_is_noticed() -> None:
    assert problems_of("redis://se", "cret@h") == (
        "--redis.addr: address 2 of 2: write a comma in a user or password as %2C, and redis:// before each address that has a password",
    )


@pytest.mark.parametrize("file", sorted(CONFIG.glob("*.bad.yml")), ids=lambda file: file.name.split(".")[0])
def test_bad_file(file: Path) -> None:
    comments = re.match(r"(?:# .*\n)+", file.read_text(encoding="latin-1"))
    assert comments
    expected = comments[0].encode("latin-1").decode().replace("{file}", str(file)).splitlines()
    problems = problems_of(given=False, file=file)
    assert [f"# {problem}" for problem in problems] == expected
    assert not [problem for problem in problems if "kiwi" in problem]


def test_missing_file(tmp_path: Path) -> None:
    assert problems_of(file=tmp_path / "no.yml") == (
        f"{tmp_path}/no.yml: the file cannot be read (No such file or directory): check --redis-file",
    )
    assert problems_of(file=tmp_path) == (f"{tmp_path}: the file cannot be read (Is a directory): check --redis-file",)


def test_mistakes_of_flags_and_file_come_together() -> None:
    file = CONFIG / "missing_addr.bad.yml"
    flag, entry = problems_of("h:x", file=file)
    assert flag.startswith("--redis.addr: address 1 of 1: ")
    assert entry.startswith(f"{file}: entry 1 (orders): ")


def test_file_of_the_handbook() -> None:
    assert load(file=CONFIG / "handbook.good.yml") == [
        Target(
            "redis://redis-master.prod:6379", "redis", "redis-master.prod", 6379, "", 0, "master-prod",
            (("env", "production"), ("role", "master"), ("region", "us-east-1")), "", "kiwi", None,
        ),
        Target(
            "redis://redis-replica1.prod:6379", "redis", "redis-replica1.prod", 6379, "", 0, "replica1-prod",
            (("env", "production"), ("role", "replica"), ("region", "us-west-2")), "", "fig", None,
        ),
    ]  # fmt: skip


def test_url_wins_over_entry_and_entry_over_defaults() -> None:
    a, b, c, d = load(file=CONFIG / "defaults.good.yml")
    assert (a.user, a.password, a.interval_s, a.labels) == ("watcher", "plum", 10, (("env", "production"), ("team", "core")))
    # what a variable holds is not filled in again
    assert (b.user, b.password, b.interval_s) == ("other", "x-${SHARED_PASSWORD}-${y}", 90)
    assert b.labels == (("env", "production"), ("team", "42"))
    assert (c.user, c.password) == ("url", "fig")
    assert (d.user, d.password) == ("", "")


def test_scalars_stay_as_written() -> None:
    first, second = load(file=CONFIG / "scalars.good.yml")
    assert (first.alias, first.password) == ("7", "0123")
    assert first.labels == (("env", "yes"), ("rack", "0123"), ("version", "1.10"), ("day", "2026-01-02"))
    assert dict(second.labels) == {**dict(first.labels), "rack": "9"}
    assert second.password == ""


def test_a_target_does_not_show_its_credentials() -> None:
    assert "kiwi" not in repr(parse_address("redis://watcher:kiwi@h"))


def test_a_user_and_a_password_may_be_any_bytes() -> None:
    target = parse_address("redis://%e4:%ff%00p@h")
    assert (texts.given_bytes(target.user), texts.given_bytes(target.password)) == (b"\xe4", b"\xff\x00p")
    from_environment = parse_address(os.fsdecode(b"redis://:p\xe4@h"))
    assert texts.given_bytes(from_environment.password) == b"p\xe4"


def test_the_label_of_a_socket_is_valid_whatever_its_path_holds() -> None:
    target = parse_address(os.fsdecode(b"unix:///run/\xe4.sock"))
    assert os.fsencode(target.path) == b"/run/\xe4.sock"
    assert target.addr == "unix:///run/\ufffd.sock"
