"""ACL LOG: each denial is counted once, whatever becomes of the log."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import pytest

from exporter.collectors.acl_log import FIELDS_MAX, OTHER, PAIRS_MAX, AclLogCollector
from exporter.collectors.info import InfoCollector
from exporter.errors import BusyError, ReplyError
from exporter.options.commandline import parse
from exporter.polling.memory import TargetMemory
from exporter.protocol.facts import Facts
from tests.collectors.conftest import OPTIONS, Drive
from tests.collectors.recorded import recorded, versions_with
from tests.watch_harness import RedisFactory, WatchHarness

REDIS_7 = Facts((7, 0, 15), "redis", "master", "standalone", "r", False, False, 16)
#: versions whose entries have ids, and those whose have none
VERSIONS = versions_with("acl_log")
WITHOUT_IDS = {"keydb-6.3.4", "redis-6.2.16", "redis-7.0.15"}
Read = Callable[..., dict[str, str]]


def entry(
    user: str, count: int = 1, *, id: int | None = None, reason: str = "key", obj: str = "k", created: int = 1
) -> list[object]:
    words: list[object] = [
        b"count",
        count,
        b"reason",
        reason.encode(),
        b"context",
        b"toplevel",
        b"object",
        obj.encode(),
    ]
    words += [
        b"username",
        user.encode(),
        b"age-seconds",
        b"0.01",
        b"client-info",
        b"id=3 addr=10.0.0.1:5 name=kiwi",
    ]
    return words if id is None else [*words, b"entry-id", id, b"timestamp-created", created]


@pytest.fixture
def read(drive: Drive) -> Read:
    """Reads one log after another, and gives the counts by reason and user; those missed as `missed`."""
    memory = TargetMemory()

    def one(*entries: list[object], users: tuple[bytes, ...] = ()) -> dict[str, str]:
        replies: list[list[Any]] = [[list(entries)]]
        if any(b"auth" in words for words in entries):
            replies.append([list(users)])
        played = drive(AclLogCollector(), *replies, facts=REDIS_7, memory=memory)
        found = {}
        for name, value in played.samples().items():
            pair = re.search(r'reason="(.*)",user="(.*)"', name)
            found[f"{pair[1]} {pair[2]}" if pair else "missed"] = value
        return found

    return one


def test_of_an_entry_with_very_many_fields_the_first_are_read(read: Read) -> None:
    padding = [word for number in range(FIELDS_MAX) for word in (b"f%d" % number, b"")]
    assert read(padding + entry("a")) == {}
    assert read(entry("a") + padding) != {}


def test_who_is_asked(drive: Drive) -> None:
    assert AclLogCollector().wants(dataclasses.replace(REDIS_7, version=(6, 0, 0)), OPTIONS)
    assert not AclLogCollector().wants(dataclasses.replace(REDIS_7, version=(5, 0, 14)), OPTIONS)
    assert not AclLogCollector().wants(dataclasses.replace(REDIS_7, mode="sentinel"), OPTIONS)
    assert not AclLogCollector().enabled(parse([], {}))
    assert AclLogCollector().enabled(parse(["--include-acl-log-metrics"], {}))
    assert drive(AclLogCollector(), [[]], facts=REDIS_7).asked == [[("ACL", "LOG", 128)]]


@pytest.mark.parametrize("version", VERSIONS)
def test_recorded_servers(drive: Drive, version: str) -> None:
    memory = TargetMemory()
    users = [b"default", b"alice", b"off-user", b"we=ird:user"]
    first, after = (recorded(version, name) for name in ("acl_log", "acl_log_after"))
    before = drive(AclLogCollector(), [first], [users], facts=REDIS_7, memory=memory)
    assert set(before.samples().values()) == {"0"}
    played = drive(AclLogCollector(), [after], [users], facts=REDIS_7, memory=memory)
    assert played.asked == [[("ACL", "LOG", 128)], [("ACL", "USERS")]]
    samples = played.samples()
    assert samples['redis_acl_log_denials_total{reason="command",user="restricted"}'] != "0"
    assert int(samples['redis_acl_log_denials_total{reason="auth",user=""}']) > 0
    entries = [dict(zip(words[::2], words[1::2], strict=True)) for words in after]
    assert {e[b"username"] for e in entries if e[b"reason"] == b"auth"} & {b"nosuch", b"nouser"}
    assert "nouser" not in played.text
    assert "nosuch" not in played.text
    total = sum(e[b"count"] for e in entries)
    known = {row[row.index(b"entry-id") + 1] for row in first if b"entry-id" in row}
    if version not in WITHOUT_IDS:
        total -= sum(e[b"count"] for e in entries if e[b"entry-id"] in known)
    denials = sum(int(value) for name, value in samples.items() if "denials" in name)
    assert total - 4 <= denials <= total
    assert ("redis_acl_log_entries_missed_total" in samples) == (version not in WITHOUT_IDS)


class TestEachDenialIsCountedOnce:
    def test_what_the_first_reading_finds_is_of_any_age(self, read: Read) -> None:
        assert read(entry("ann", 5, id=3), entry("bob", 2, id=1)) == {
            "key ann": "0",
            "key bob": "0",
            "missed": "0",
        }

    @pytest.mark.parametrize("first", [7, None])
    def test_entries_grow_and_new_ones_come(self, read: Read, first: int | None) -> None:
        second = None if first is None else first + 1
        read(entry("ann", 5, id=first))
        assert read(entry("ann", 8, id=first))["key ann"] == "3"
        assert read(entry("ann", 2, id=second), entry("ann", 8, id=first))["key ann"] == "5"
        assert read(entry("ann", 2, id=second), entry("ann", 8, id=first))["key ann"] == "5"

    @pytest.mark.parametrize("first", [7, None])
    def test_a_reset_log_takes_nothing_away(self, read: Read, first: int | None) -> None:
        second = None if first is None else first + 1
        read()
        assert read(entry("ann", 5, id=first))["key ann"] == "5"
        assert read() == {"key ann": "5"} | ({} if first is None else {"missed": "0"})
        assert read(entry("ann", 2, id=second))["key ann"] == "7"

    def test_the_ids_of_a_restarted_server_begin_anew(self, read: Read) -> None:
        read()
        read(entry("ann", 5, id=0, created=1000))
        assert read(entry("ann", 6, id=0, created=9000)) == {"key ann": "11", "missed": "0"}

    def test_entries_without_ids_may_come_in_any_order(self, read: Read) -> None:
        read(entry("ann", 3), entry("ann", 1))
        assert read(entry("ann", 2), entry("ann", 3)) == {"key ann": "1"}

    def test_entries_of_other_objects_are_others(self, read: Read) -> None:
        read(entry("ann", 3, obj="a"))
        assert read(entry("ann", 5, obj="b")) == {"key ann": "5"}

    def test_entries_without_ids_are_each_taken_for_one_before(self, read: Read) -> None:
        read(entry("ann", 5))
        assert read(entry("ann", 5), entry("ann", 5)) == {"key ann": "5"}

    def test_gaps_between_ids_are_told(self, read: Read) -> None:
        read(entry("ann", id=10))
        assert read(entry("ann", id=15), entry("ann", id=14))["missed"] == "3"
        assert read(entry("ann", id=16))["missed"] == "3"

    def test_an_empty_log_leaves_open_what_was_before(self, read: Read) -> None:
        read()
        assert read(entry("ann", id=500))["missed"] == "0"


class TestLabels:
    def test_a_name_that_is_no_users_is_not_shown(self, read: Read) -> None:
        read()
        log = (entry("hunter2", 3, reason="auth", id=0), entry("ann", 2, reason="auth", id=1))
        assert read(*log, users=(b"ann", b"default")) == {"auth ": "3", "auth ann": "2", "missed": "0"}

    def test_nor_is_any_if_the_users_are_not_told(self, drive: Drive) -> None:
        log = [entry("hunter2", reason="auth")]
        played = drive(AclLogCollector(), [log], [ReplyError("NOPERM no")], facts=REDIS_7)
        assert set(played.samples()) == {'redis_acl_log_denials_total{reason="auth",user=""}'}

    def test_objects_and_clients_are_not_shown(self, drive: Drive) -> None:
        played = drive(AclLogCollector(), [[entry("ann", obj="passwords:kiwi", id=1)]], facts=REDIS_7)
        assert "kiwi" not in played.text

    @pytest.mark.parametrize("reason", ["", "Two Words", "a" * 40, 'q"'])
    def test_a_reason_is_a_word(self, read: Read, reason: str) -> None:
        assert read(entry("ann", reason=reason)) == {f"{OTHER} ann": "0"}

    def test_there_are_only_so_many(self, read: Read) -> None:
        read()
        for start in range(0, PAIRS_MAX + 256, 128):
            counts = read(*(entry(f"user{start + number}") for number in range(128)))
        assert len(counts) == PAIRS_MAX + 1
        assert counts[f"{OTHER} "] == str((PAIRS_MAX // 128 + 3) * 128 - PAIRS_MAX)


@pytest.mark.parametrize(
    "row",
    [
        None,
        7,
        [],
        [b"count"],
        [b"count", 1, b"reason", b"key"],
        [b"count", b"1", b"reason", b"key", b"username", b"eve"],
        [b"count", -1, b"reason", b"key", b"username", b"eve"],
        [b"count", 1, b"reason", None, b"username", b"eve"],
        [b"count", 1, b"reason", b"key", b"username", [b"eve"]],
        [[b"count"], 1, b"reason", b"key", b"username", b"eve"],
    ],
)
def test_an_entry_of_another_form_does_not_cost_the_others(drive: Drive, row: object) -> None:
    played = drive(AclLogCollector(), [[row, entry("ann")]], facts=REDIS_7)
    assert set(played.samples()) == {'redis_acl_log_denials_total{reason="key",user="ann"}'}


def test_odd_ids_and_objects(drive: Drive) -> None:
    odd = [
        b"count",
        1,
        b"reason",
        b"key",
        b"username",
        b"ann",
        b"object",
        [b"x"],
        b"entry-id",
        b"1",
        b"timestamp-created",
        None,
    ]
    assert drive(AclLogCollector(), [[odd]], facts=REDIS_7).samples() == {
        'redis_acl_log_denials_total{reason="key",user="ann"}': "0"
    }


@pytest.mark.parametrize(
    "reply", [None, b"text", 7, ReplyError("NOPERM no"), ReplyError("ERR unknown command `ACL`")]
)
def test_nothing_is_written_of_nothing(drive: Drive, reply: object) -> None:
    assert drive(AclLogCollector(), [reply], facts=REDIS_7).text == ""


def test_any_other_error_is_a_failure(drive: Drive) -> None:
    with pytest.raises(BusyError):
        drive(AclLogCollector(), [ReplyError("BUSY Redis is busy")], facts=REDIS_7)


@pytest.mark.server
async def test_a_real_server(redis_server: RedisFactory) -> None:
    server = redis_server()
    server.ask("ACL", "SETUSER", "ann", "on", "nopass", "resetkeys", "~own:*", "+@all")
    denied = "redis_acl_log_denials_total"
    watch_harness = WatchHarness((InfoCollector(), AclLogCollector()), argv=["--include-acl-log-metrics"])
    try:
        watched = watch_harness.watched(server.port)
        server.ask("AUTH", "nobody", "wrong")
        await watch_harness.poll(watched)
        assert watch_harness.value(watched, denied, "auth", "") == 0
        server.ask("AUTH", "nobody", "wrong")
        server.ask("AUTH", "nobody", "wrong")
        await watch_harness.poll_until(watched, lambda: watch_harness.value(watched, denied, "auth", "") == 2)
        server.ask("ACL", "LOG", "RESET")
        server.ask("AUTH", "nobody", "wrong")
        server.ask("ACL", "SETUSER", "default", "resetkeys", "~own:*")
        server.ask("GET", "others:1")
        await watch_harness.poll_until(
            watched, lambda: watch_harness.value(watched, denied, "key", "default") == 1
        )
        # the count after the reset is below the one before it: a new entry
        assert watch_harness.value(watched, denied, "auth", "") == 3
        assert watch_harness.went_well(watched)
    finally:
        await watch_harness.close()
