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
        ("unix://watcher@/run/redis.sock", "unix:///run/redis.sock", "watcher", True),
        ("unix://watcher@/run/redis.sock", "unix:///run/redis.sock", "other", False),
    ],
)
def test_entries_are_found_by_canonical_address_and_user(
    file: Path, key: str, address: str, user: str, found: bool
) -> None:
    file.write_text(json.dumps({key: SECRET}))
    assert read_passwords(str(file)).log_in(replace(parse_address(address), user=user)).password == (
        SECRET if found else ""
    )


def test_the_entry_of_the_user_comes_first(file: Path) -> None:
    file.write_text(json.dumps({"redis://h": "any", "redis://watcher@h": "own"}))
    assert read_passwords(str(file)).log_in(parse_address("redis://watcher:@h")).password == "own"


def test_a_password_beside_the_target_stays(file: Path) -> None:
    file.write_text(json.dumps({"redis://h": SECRET}))
    assert read_passwords(str(file)).log_in(parse_address("redis://:own@h")).password == "own"


@pytest.mark.parametrize(
    ("address", "user", "entry", "login"),
    [
        ("redis://watcher@h", "", "redis://watcher@h", ("watcher", SECRET)),
        ("redis://watcher@h", "", "redis://watcher:@h:6379/0", ("watcher", SECRET)),
        ("redis://watcher@h", "", "redis://watcher:old@h", ("watcher", SECRET)),
        ("redis://watcher@h", "", "redis://h", ("", "watcher")),
        ("redis://watcher@h", "", "redis://other@h", ("", "watcher")),
        ("redis://watcher@h", "", "redis://watcher@h/1", ("", "watcher")),
        ("redis://:watcher@h", "", "redis://watcher@h", ("", "watcher")),
        ("redis://word@h", "watcher", "redis://word@h", ("watcher", "word")),
        ("redis://a%40b@h", "", "redis://a%40b@h", ("a@b", SECRET)),
    ],
)
def test_a_single_word_is_the_user_if_the_file_has_it(
    file: Path, address: str, user: str, entry: str, login: tuple[str, str]
) -> None:
    file.write_text(json.dumps({entry: SECRET}))
    target = replace(parse_address(address), user=user)
    found = read_passwords(str(file)).log_in(target)
    assert (found.user, found.password) == login
    assert found.addr == target.addr


@pytest.mark.parametrize(
    ("scheme", "entry", "found"),
    [
        ("valkey", "redis", True),
        ("valkeys", "rediss", True),
        ("valkey", "valkey", True),
        ("valkey", "rediss", False),
        ("valkeys", "redis", False),
        ("redis", "valkey", False),
        ("tcp", "redis", False),
    ],
)
def test_a_valkey_address_is_found_as_the_go_exporter_looks_for_it(
    file: Path, scheme: str, entry: str, found: bool
) -> None:
    file.write_text(json.dumps({f"{entry}://h:1/2": SECRET}))
    target = parse_address(f"{scheme}://h:1/2")
    assert read_passwords(str(file)).log_in(target).password == (SECRET if found else "")


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
@pytest.mark.parametrize(
    "password", [SECRET, "s3cr:et", " with blanks ", "12345", '"quoted"', "[x", "null", "é\t"]
)
def test_a_file_of_another_form_is_one_password_for_the_targets_of_the_flags(
    file: Path, password: str, end: str
) -> None:
    file.write_bytes((password + end).encode())
    passwords = read_passwords(str(file))
    flag = replace(parse_address("redis://watcher:@h"), source="flags")
    assert passwords.log_in(flag) == replace(flag, password=password, password_rule="--redis.password-file")
    assert passwords.log_in(parse_address("redis://h")).password == ""  # of the instances file
    own = replace(flag, password="own")
    assert passwords.log_in(own) == own
    assert password not in repr(passwords)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (b"one\ntwo\n", "it has several lines"),
        (b"redis://h: one\rredis://g: two", "it has several lines"),
        (b"PNG\x00\x01", "it has control characters"),
        (b"\x1f\x8b\x08\xff", "the file is not UTF-8"),
        (b'["redis://h", "p"]\n', "it is a list"),
        (b"p" * 65_537, "65,537 characters are too many"),
    ],
)
def test_what_cannot_be_a_password_is_refused(file: Path, content: bytes, problem: str) -> None:
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=f"^{file}: {problem}"):
        read_passwords(str(file))


def test_null_and_an_empty_text_are_no_password(file: Path) -> None:
    file.write_text('{"redis://one": null, "redis://other": ""}')
    passwords = read_passwords(str(file))
    assert [passwords.log_in(parse_address(host)).password for host in ("one", "other")] == ["", ""]


def test_an_entry_for_no_possible_target_is_left_out_and_told(file: Path) -> None:
    file.write_text(json.dumps({"# written by a tool": SECRET, "redis://h": "p"}))
    passwords = read_passwords(str(file))
    assert passwords.log_in(parse_address("redis://h")).password == "p"
    [line] = passwords.warnings
    assert line.startswith(f"{file}: entry 1 is left out: the address has a space")
    assert SECRET not in line


@pytest.mark.parametrize("again", ["redis://h", "redis://H:6379/0", "h/0"])
def test_of_two_entries_for_one_address_the_last_one_counts(file: Path, again: str) -> None:
    file.write_text(f'{{"redis://h": "a", "{again}": "b"}}')
    passwords = read_passwords(str(file))
    assert passwords.log_in(parse_address("redis://h")).password == "b"
    [line] = passwords.warnings
    assert line.startswith(f"{file}: entry 2: an entry before has another password")
    file.write_text(f'{{"redis://h": "b", "{again}": "b"}}')
    assert not read_passwords(str(file)).warnings


def test_parameters_of_an_entrys_address_are_ignored_and_told(file: Path) -> None:
    file.write_text(json.dumps({"redis://h/1?timeout=5": SECRET, "redis://h?db=2": "two"}))
    passwords = read_passwords(str(file))
    assert [passwords.log_in(parse_address(f"h/{db}")).password for db in (1, 2)] == [SECRET, "two"]
    [line] = passwords.warnings
    assert line.startswith(f"{file}: entry 1: parameters of the address are ignored (timeout)")


@pytest.mark.parametrize(
    ("content", "problems"),
    [
        ("{", ["line 1: not valid JSON"]),
        (' \n{"redis://h": "a"', ["line 2: not valid JSON"]),
        ("[]", ["it is a list"]),
        ("[" * 100_000, ["100,000 characters are too many"]),
        ('{"redis://h": {"a":' * 50_000, ["nested too deep"]),
        ('{"redis://h": ' + "9" * 5000 + "}", ["entry 1: the password must be a text"]),
        ('{"redis://h": NaN}', ["entry 1: the password must be a text"]),
        ('{"redis://h": "\\ud800"}', ["entry 1: it holds half of a surrogate pair"]),
        (
            json.dumps({"gopher://h": SECRET, "redis://h": 7}),
            ["entry 2: the password must be a text"],
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
    assert read_passwords(str(file)).log_in(parse_address("redis://h")).password == SECRET


def test_a_reading_that_hangs_ends_at_its_limit(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    may_end = threading.Event()
    monkeypatch.setattr(passwords_module, "_load", lambda file, limits: may_end.wait(10))
    with pytest.raises(ConfigError, match=r"took longer than 0.1 s, the limit of --files\.timeout"):
        read_passwords(str(file), FileLimits(timeout_s=0.1))
    may_end.set()


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match=r"http://\*\*\*@h/x.json: the file cannot be read"):
        read_passwords("http://user:s3cret@h/x.json")
    with pytest.raises(ConfigError, match="/no/such/file: the file cannot be read"):
        read_passwords("/no/such/file")


def test_an_entry_for_a_discovered_target_wins_over_what_its_seed_has(file: Path) -> None:
    file.write_text(json.dumps({"redis://h": SECRET}))
    for address, password in (("redis://:own@h", SECRET), ("redis://:own@other", "own")):
        target = replace(parse_address(address), source="discovered")
        assert read_passwords(str(file)).log_in(target).password == password
