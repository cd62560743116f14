"""The instances file: what is read, and every mistake at once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from exporter.options.values import KeyName
from exporter.targets.target import Target
from tests.targets.loading import CONFIG, load, problems_of


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
    assert problems_of(file=tmp_path) == (
        f"{tmp_path}: the file cannot be read (Is a directory): check --redis-file",
    )
    assert problems_of(file="http://user:s3cret@h/x.yml") == (
        "http://***@h/x.yml: the file cannot be read (No such file or directory): check --redis-file",
    )


def test_a_file_with_everything_in_it() -> None:
    assert load(file=CONFIG / "handbook.good.yml") == [
        Target(
            "redis://redis-master.prod:6379", "redis", "redis-master.prod", 6379, "", 0, "master-prod",
            (("env", "production"), ("role", "master"), ("region", "us-east-1")), "", "kiwi",
            password_rule="password of the entry",
        ),
        Target(
            "redis://redis-replica1.prod:6379", "redis", "redis-replica1.prod", 6379, "", 0, "replica1-prod",
            (("env", "production"), ("role", "replica"), ("region", "us-west-2")), "", "fig",
            password_rule="password of the entry",
        ),
    ]  # fmt: skip


def test_url_wins_over_entry_and_entry_over_defaults() -> None:
    a, b, c, d = load(file=CONFIG / "defaults.good.yml")
    assert (a.user, a.password, dict(a.overrides), a.labels) == (
        "watcher",
        "plum",
        {"poll.interval": 10},
        (("env", "production"), ("team", "core")),
    )
    # what a variable holds is not filled in again
    assert (b.user, b.password) == ("other", "x-${SHARED_PASSWORD}-${y}")
    assert dict(b.overrides) == {"poll.interval": 90}
    assert b.labels == (("env", "production"), ("team", "42"))
    assert (c.user, c.password) == ("url", "fig")
    assert (d.user, d.password) == ("", "")


def test_scalars_stay_as_written() -> None:
    first, second = load(file=CONFIG / "scalars.good.yml")
    assert (first.alias, first.password) == ("7", "0123")
    assert first.labels == (("env", "yes"), ("rack", "0123"), ("version", "1.10"), ("day", "2026-01-02"))
    assert dict(second.labels) == {**dict(first.labels), "rack": "9"}
    assert second.password == ""


def test_a_file_with_every_kind_of_key() -> None:
    orders, carts = load(given=False, file=CONFIG / "everything.good.yml")
    assert (orders.settings_group, orders.enabled, orders.discover) == ("cache", False, "")
    assert orders.labels == carts.labels == (("env", "production"), ("rack", "7"))
    assert dict(orders.overrides) == {
        "check-key-groups": ("^(.*)_",),
        "check-keys": (KeyName(0, b"a"), KeyName(1, b"b*")),
        "check-keys-batch-size": 100,
        "check-single-keys": (KeyName(0, b"c"),),
        "collectors.off": (),
        "config-command": "-",
        "export-client-list": True,
        "include-memory-stats-metrics": True,
        "poll.interval": 10,
        "poll.scan-interval": 600,
        "poll.slow-interval": 120,
        "poll.standard-interval": None,
        "skip-checkkeys-for-role-master": True,
        "skip-tls-verification": False,
        "tls-ca-cert-file": "",
        "tls-server-name": "cache.example",
    }
    assert (carts.settings_group, carts.enabled) == ("empty", True)
    assert dict(carts.overrides) == {"collectors.off": ("slowlog",), "export-client-list": True}


def test_the_line_of_each_value_of_a_target_is_known(tmp_path: Path) -> None:
    """The nearest one that sets it, of a map the line within it."""
    file = tmp_path / "redis.yml"
    file.write_text(
        "defaults: {interval: 20s, options: {max-age: 9m}}\n"
        "groups:\n  cache:\n    lanes:\n      slow: 80s\n"
        "redis_instances:\n"
        "  - addr: redis://h\n    group: cache\n    interval: 40s\n    collectors: {slowlog: false}\n"
    )
    [target] = load(file=file)
    lines = {flag: place.rpartition(" ")[2] for flag, place in target.places}
    assert lines == {
        "max-age": "1",
        "poll.slow-interval": "5",
        "poll.interval": "9",
        "collectors.off": "10",
    }
    assert lines.keys() == dict(target.overrides).keys()
    assert target.places[0][1] == f"{file}, line {lines[target.places[0][0]]}"
