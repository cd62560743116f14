"""The password file of the Go exporter."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from exporter.errors import PROBLEMS_MAX, ConfigError
from exporter.files import FileLimits
from exporter.targets import password_file as passwords_module
from exporter.targets.address import parse_address
from exporter.targets.password_file import read_passwords

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
def test_entries_are_found_by_canonical_address_and_user(
    file: Path, key: str, address: str, user: str, found: bool
) -> None:
    file.write_text(json.dumps({key: SECRET}))
    assert read_passwords(str(file)).find(replace(parse_address(address), user=user)) == (
        SECRET if found else ""
    )


def test_the_entry_of_the_user_comes_first(file: Path) -> None:
    file.write_text(json.dumps({"redis://h": "any", "redis://watcher@h": "own"}))
    assert read_passwords(str(file)).find(replace(parse_address("redis://h"), user="watcher")) == "own"


@pytest.mark.parametrize(
    ("content", "problems"),
    [
        ("{", ["line 1: not valid JSON"]),
        ("[]", ["must be an object of addresses and passwords"]),
        ("[" * 100_000, ["nested too deep"]),
        ('{"redis://h": {"a":' * 50_000, ["nested too deep"]),
        ('{"redis://h": ' + "9" * 5000 + "}", ["entry 1: the password must be a text"]),
        ('{"redis://h": NaN}', ["entry 1: the password must be a text"]),
        (
            '{"redis://h": "a", "redis://h": "b"}',
            ["entry 2: an entry before is for the same address and user"],
        ),
        (
            '{"redis://h": "a", "redis://H:6379/0": "b"}',
            ["entry 2: an entry before is for the same address and user"],
        ),
        ('{"redis://h": "\\ud800"}', ["entry 1: it holds half of a surrogate pair"]),
        (
            json.dumps({"gopher://h": SECRET, "redis://h": 7}),
            ["entry 1: the address has an unknown scheme", "entry 2: the password must be a text"],
        ),
    ],
)
def test_a_wrong_file_is_refused_with_every_mistake(file: Path, content: str, problems: list[str]) -> None:
    file.write_text(content)
    with pytest.raises(ConfigError) as caught:
        read_passwords(str(file))
    assert len(caught.value.problems) == len(problems)
    assert all(
        part in line and str(file) in line for part, line in zip(problems, caught.value.problems, strict=True)
    )
    assert SECRET not in str(caught.value)


def test_many_mistakes_are_listed_in_part(file: Path) -> None:
    file.write_text(json.dumps({f"redis://h{number}": 7 for number in range(432)}))
    with pytest.raises(ConfigError) as caught:
        read_passwords(str(file))
    assert len(caught.value.problems) == PROBLEMS_MAX + 1
    assert caught.value.problems[-1] == f"… and {432 - PROBLEMS_MAX} more"


def test_a_byte_order_mark_is_passed_over(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + json.dumps({"redis://h": SECRET}).encode())
    assert read_passwords(str(file)).find(parse_address("redis://h")) == SECRET


def test_a_reading_that_hangs_ends_at_its_limit(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    may_end = threading.Event()
    monkeypatch.setattr(passwords_module, "_load", lambda file, limits: may_end.wait(10))
    with pytest.raises(ConfigError, match=r"took longer than 0.1 s, the limit of --files\.timeout"):
        read_passwords(str(file), FileLimits(timeout_s=0.1))
    may_end.set()


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match="/no/such/file: the file cannot be read"):
        read_passwords("/no/such/file")
