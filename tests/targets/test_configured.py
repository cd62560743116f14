"""All configured targets: those of the flags and those of the file."""

from __future__ import annotations

import pytest

from exporter import files
from exporter.options.config_file import ConfigFile
from exporter.targets.configured import load_targets
from tests.targets.loading import CONFIG, ENVIRON, load, problems_of


def test_default_address_holds_only_without_another_source() -> None:
    default = "redis://localhost:6379"
    assert [t.addr for t in load(default, given=False)] == [default]
    assert default not in [t.addr for t in load(default, given=False, file=CONFIG / "handbook.good.yml")]
    assert load(default, given=True, file=CONFIG / "handbook.good.yml")[0].addr == default
    assert load(given=True) == []


def test_what_the_targets_of_the_flags_name() -> None:
    file = ConfigFile("redis-file", str(CONFIG / "handbook.good.yml"), files.DEFAULT)
    targets = load_targets(["a"], addr_given=True, files=[file], environ=ENVIRON, discover="cluster")
    assert [target.discover for target in targets if target.source == "flags"] == ["cluster"]
    assert {target.discover for target in targets if target.source == "file"} == {""}


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
def test_credentials_of_the_flags(
    addresses: tuple[str, ...], user: str, password: str, expected: list[tuple[str, str]]
) -> None:
    assert [(t.user, t.password) for t in load(*addresses, user=user, password=password)] == expected


def test_credentials_of_the_flags_stay_away_from_the_file() -> None:
    flag, first, second = load("c", user="u", password="p", file=CONFIG / "scalars.good.yml")
    assert (flag.user, flag.password) == ("u", "p")
    assert (first.user, first.password, second.user, second.password) == ("", "0123", "", "")


def test_mistakes_of_the_flags_come_all_at_once() -> None:
    assert problems_of("h:x", "a", "A:6379", user="u,v", password="p,q,r,s") == (
        "--redis.user has 2 values for 3 addresses: write one for all, or one for each, separated by commas",
        "--redis.password has 4 values for 3 addresses: write one for all, or one for each, separated by "
        "commas",
        "--redis.addr: address 1 of 3: the port must be 1 to 65535: write it after the host, as "
        "in redis://host:6379",
        "--redis.addr: address 3 of 3: redis://a:6379 is already named by --redis.addr: address 2 of 3: "
        "leave one of them out",
    )


def test_a_password_that_was_cut_at_its_comma_is_noticed() -> None:
    assert problems_of("redis://se", "cret@h") == (
        "--redis.addr: address 2 of 2: write a comma in a user or password as %2C, and redis:// before each "
        "address that has a password",
    )


def test_mistakes_of_flags_and_file_come_together() -> None:
    file = CONFIG / "missing_addr.bad.yml"
    flag, entry = problems_of("h:x", file=file)
    assert flag.startswith("--redis.addr: address 1 of 1: ")
    assert entry.startswith(f"{file}, line 3: entry 1 (orders): ")


def test_a_target_says_what_gave_its_user_and_its_password() -> None:
    targets = load(
        "redis://u:p@a", "redis://:p@b", "redis://u:@c", "d", "unix://u:p@/e", user="v", password="q"
    )
    itself = "the address itself"
    assert [(target.user_rule, target.password_rule) for target in targets] == [
        (itself, itself),
        ("--redis.user", itself),
        (itself, "--redis.password"),
        ("--redis.user", "--redis.password"),
        (itself, itself),
    ]
    assert [target.login_text for target in load("a")] == ["no user and no password"]
    assert targets[0].login_text == "user and password: the address itself"
