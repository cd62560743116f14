"""Which entry of a password file a target gets its password from."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from exporter.targets.address import parse_address
from exporter.targets.password_file import Passwords, read_passwords
from exporter.targets.target import Target


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "passwords.json"


def read(file: Path, *keys: str) -> Passwords:
    """A file whose entries have their own key as the password."""
    file.write_text(json.dumps({key: key for key in keys}))
    return read_passwords(str(file))


def target_of(address: str) -> Target:
    user, at, place = address.rpartition("@")
    return replace(parse_address(place), user=user) if at else parse_address(place)


#: from the most specific to the least one, for the user `watcher` at redis://10.0.0.7:6380/2
KEYS = (
    "redis://watcher@10.0.0.7:6380/2",
    "redis://10.0.0.7:6380/2",
    "watcher@10.0.0.7:6380",
    "10.0.0.7:6380",
    "watcher@10.0.0.7",
    "10.0.0.7",
    "watcher@10.0.0.*:6380",
    "10.0.0.*:6380",
    "watcher@10.0.0.*",
    "10.0.*",
    "*:6380",
    "10.0.0.7/32",
    "watcher@10.0.0.0/24",
    "10.0.0.0/24",
    "10.0.0.0/8",
    "0.0.0.0/0",
    "*",
)


@pytest.mark.parametrize("first", range(len(KEYS)))
@pytest.mark.parametrize("order", [1, -1])
def test_the_most_specific_entry_wins_wherever_it_stands(file: Path, first: int, order: int) -> None:
    passwords = read(file, *KEYS[first:][::order])
    target = replace(parse_address("redis://10.0.0.7:6380/2"), user="watcher")
    assert passwords.log_in(target).password == KEYS[first]
    assert not passwords.warnings


@pytest.mark.parametrize(
    ("key", "address", "found"),
    [
        ("h", "redis://h:6380", True),  # any port
        ("h:6379", "redis://h", True),
        ("h:6379", "rediss://H:6379/5", True),  # any scheme and database
        ("h:6379", "redis://h:6380", False),
        ("h:6379", "watcher@redis://h", True),
        ("watcher@h:6379", "watcher@redis://h", True),
        ("watcher@h:6379", "other@redis://h", False),
        ("watcher@h:6379", "redis://h", False),
        ("h", "unix:///h", False),
        ("[::1]:6379", "redis://[0::1]", True),
        ("[::1]", "redis://[::1]:7000", True),
        ("redis-*", "redis://redis-0:6380", True),
        ("redis-0*", "redis://redis-0", True),
        ("redis-*", "redis://my-redis-0", False),
        ("Redis-?.cache", "rediss://redis-1.CACHE", True),
        ("redis-?.cache", "redis://redis-11.cache", False),
        ("redis-?.cache", "redis://redis-1xcache", False),  # a dot is a dot
        ("*.cache.example:6379", "redis://a.b.cache.example", True),
        ("*.cache.example:6379", "redis://a.cache.example:6380", False),
        ("*.cache.example", "redis://cache.example", False),
        ("*", "unix:///run/redis.sock", False),
        ("watcher@redis-*", "watcher@redis://redis-0", True),
        ("watcher@redis-*", "redis://redis-0", False),
        ("10.0.0.0/8", "redis://10.255.0.1:7000", True),
        ("10.0.0.0/8", "redis://11.0.0.1", False),
        ("10.0.0.0/8", "redis://ten.example", False),  # a name is never looked up
        ("0.0.0.0/0", "redis://localhost", False),
        ("0.0.0.0/0", "redis://[::1]", False),
        ("10.0.0.0/8", "redis://[::ffff:10.0.0.1]", True),
        ("fd00::/8", "redis://[fd12::1]", True),
        ("fe80::/10", "redis://[fe80::1%25eth0]", True),
    ],
)
def test_what_a_key_names(file: Path, key: str, address: str, found: bool) -> None:
    assert read(file, key).log_in(target_of(address)).password == (key if found else "")


def test_of_two_patterns_the_one_with_more_letters_wins_and_else_the_later_one(file: Path) -> None:
    target = parse_address("redis://redis-10")
    assert read(file, "*redis-1*", "redis*0").log_in(target).password == "*redis-1*"
    assert read(file, "redis*0", "*redis-1*").log_in(target).password == "*redis-1*"
    assert read(file, "*edis-10", "redis-1*").log_in(target).password == "redis-1*"
    assert read(file, "redis-1*", "*edis-10").log_in(target).password == "*edis-10"


def test_an_entry_without_a_password_keeps_wider_ones_away(file: Path) -> None:
    file.write_text('{"10.0.0.0/8": "wide", "10.0.0.7": null, "10.0.0.8": ""}')
    passwords = read_passwords(str(file))
    found = [passwords.log_in(parse_address(f"redis://10.0.0.{last}")).password for last in (6, 7, 8)]
    assert found == ["wide", "", ""]


def test_the_user_of_a_single_word_may_come_from_any_kind_of_entry(file: Path) -> None:
    found = read(file, "watcher@10.0.0.0/8").log_in(parse_address("redis://watcher@10.0.0.7"))
    assert (found.user, found.password) == ("watcher", "watcher@10.0.0.0/8")
    found = read(file, "10.0.0.0/8").log_in(parse_address("redis://watcher@10.0.0.7"))
    assert (found.user, found.password) == ("", "watcher")


@pytest.mark.parametrize(
    ("key", "fault"),
    [
        ("10.0.0.1/8", "this is no network: write one as in 10.0.0.0/8"),
        ("10.0.0.0/33", "this is no network"),
        ("fd00::1/8", "this is no network"),
        ("redis://*.cache.example", "a pattern has no scheme"),
        ("*.cache.example:66000", "the port must be 1 to 65535"),
        ("h" * 254 + "*", "the pattern: 255 characters are too many"),
        ("h:x", "the port must be 1 to 65535"),
        ("::1", "the host has several colons"),
        ("wat cher@h", "the address has a space"),
        ("", "the address is empty"),
    ],
)
def test_a_key_that_names_nothing_is_left_out_and_told(file: Path, key: str, fault: str) -> None:
    passwords = read(file, key, "redis://h")
    assert passwords.log_in(parse_address("redis://h")).password == "redis://h"
    [line] = passwords.warnings
    assert line.startswith(f"{file}: entry 1 is left out: {fault}")


@pytest.mark.parametrize(
    ("key", "rule"),
    [
        ("redis://h", "entry redis://h:6379 in --redis.password-file"),
        ("H:6379", "entry h:6379 in --redis.password-file"),
        ("H*", "entry h* in --redis.password-file"),
    ],
)
def test_the_rule_says_which_entry_it_was_and_never_the_password(file: Path, key: str, rule: str) -> None:
    found = read(file, key).log_in(parse_address("redis://h"))
    assert found.password_rule == rule
    assert found.login_text == f"no user, password: {rule}"


def test_a_hundred_entries_are_quick_for_many_targets(file: Path) -> None:
    """They are looked at in their order, so a long text must not take long to compare."""
    glob = "*a" * 120
    passwords = read(file, glob, *(f"10.{n}.0.0/16" for n in range(100)))
    assert passwords.log_in(parse_address("redis://" + "a" * 200 + "b")).password == ""
