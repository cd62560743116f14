"""The password file of the Go exporter."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from exporter.errors import ConfigError
from exporter.passwords import PasswordFile
from exporter.targets import parse_address

SECRET = "s3cret-of-mine"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "passwords.json"


@pytest.mark.parametrize(
    ("key", "address", "user", "found"),
    [
        ("redis://h:6379", "redis://h", "", True),
        ("h", "redis://H:6379", "", True),
        ("redis://h:6379", "redis://h:6380", "", False),
        ("redis://h:6379", "rediss://h:6379", "", False),
        ("redis://h:6379", "redis://h:6379/2", "", False),
        ("redis://h:6379", "redis://h:6379", "watcher", True),  # an entry without a user is for all
        ("redis://watcher@h:6379", "redis://h:6379", "watcher", True),
        ("redis://watcher@h:6379", "redis://h:6379", "other", False),
        ("redis://watcher:@h:6379", "redis://h:6379", "watcher", True),
        ("unix:///run/redis.sock", "unix:///run/redis.sock", "", True),
    ],
)
def test_entries_are_found_by_canonical_address_and_user(file: Path, key: str, address: str, user: str, found: bool) -> None:
    file.write_text(json.dumps({key: SECRET}))
    assert PasswordFile(str(file)).find(replace(parse_address(address), user=user)) == (SECRET if found else "")


def test_the_entry_of_the_user_comes_first(file: Path) -> None:
    file.write_text(json.dumps({"redis://h": "any", "redis://watcher@h": "own"}))
    assert PasswordFile(str(file)).find(replace(parse_address("redis://h"), user="watcher")) == "own"


@pytest.mark.parametrize(
    ("content", "problems"),
    [
        ("{", ["line 1: not valid JSON"]),
        ("[]", ["must be an object of addresses and passwords"]),
        (
            json.dumps({"gopher://h": SECRET, "redis://h": 7}),
            ["entry 1: the address has no scheme of ours", "entry 2: the password must be a text"],
        ),
    ],
)
def test_a_wrong_file_keeps_what_was_read_before(file: Path, content: str, problems: list[str]) -> None:
    file.write_text(json.dumps({"redis://h": SECRET}))
    passwords = PasswordFile(str(file))
    file.write_text(content)
    with pytest.raises(ConfigError) as caught:
        passwords.read()
    assert len(caught.value.problems) == len(problems)
    assert all(part in line and str(file) in line for part, line in zip(problems, caught.value.problems, strict=True))
    assert SECRET not in str(caught.value)
    assert passwords.find(parse_address("redis://h")) == SECRET


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match="/no/such/file: the file cannot be read"):
        PasswordFile("/no/such/file")
