"""Logs of numbered entries: each is counted once, by the command's name alone."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.collectors._entry_log import (
    BATCH_MAX,
    COMMANDS_MAX,
    OTHER,
    READ_MAX,
    REMEMBERED_MAX,
    Count,
    EntryLog,
    read_entries,
)
from exporter.errors import ReplyError
from exporter.protocol.command import Command

NOW = 1_795_378_916


class Server:
    """A log as a server keeps it: at most `size` entries, numbered from 0 in each run."""

    def __init__(self, size: int = 1000) -> None:
        self.size = size
        self.next_id = 0
        self.now = NOW
        self.entries: list[Any] = []  # the newest first
        self.asked: list[int] = []
        self.busy_command = b""  # logged before each answer

    def log(self, *commands: bytes, amount: int = 5) -> None:
        for command in commands:
            self.entries.insert(
                0, [self.next_id, self.now, amount, [command, b"an argument"], b"127.0.0.1:5", b""]
            )
            self.next_id += 1
        del self.entries[self.size :]

    def length(self) -> int:
        return len(self.entries)

    def get(self, count: int) -> list[Any]:
        answer = self.entries[:count]
        if self.busy_command:
            self.log(self.busy_command)
        return answer

    def reset(self) -> None:
        self.entries.clear()

    def restart(self) -> None:
        self.reset()
        self.next_id = 0

    def poll(self, log: EntryLog) -> None:
        self.asked.clear()
        length, newest = self.length(), self.get(log.first_count)
        run = log.follow(length, newest, lambda count: Command.of("GET", count))
        try:
            [command] = next(run)
            while True:
                count = int(command.args[1])
                self.asked.append(count)
                [command] = run.send([self.get(count)])
        except StopIteration:
            pass


class OldestFirst(Server):
    """As Garnet: of the newest entries, the oldest one comes first."""

    def get(self, count: int) -> list[Any]:
        return super().get(count)[::-1]


class Threads(Server):
    """Dragonfly: each thread has a log of its own, and the reply is in the order of time."""

    def __init__(self, threads: int = 8, size: int = 20) -> None:
        super().__init__()
        self.threads = [Server(size) for _ in range(threads)]
        self._logged = 0
        self._order: dict[tuple[int, int], int] = {}  # thread and id → the moment

    def log_on(self, thread: int, *commands: bytes, amount: int = 5) -> None:
        own = self.threads[thread]
        for command in commands:
            self._logged += 1
            self._order[thread, own.next_id] = self._logged
            own.now = self.now
            own.log(command, amount=amount)

    def length(self) -> int:
        return sum(len(own.entries) for own in self.threads)

    def get(self, count: int) -> list[Any]:
        joined = [
            (self._order[thread, id], [id * len(self.threads) + thread, *rest])
            for thread, own in enumerate(self.threads)
            for id, *rest in own.entries
        ]
        return [entry for _, entry in sorted(joined, reverse=True)[:count]]

    def reset(self) -> None:
        for own in self.threads:
            own.reset()


class Shards(Threads):
    """A proxy that asks each shard and puts their answers one behind the other."""

    def __init__(self, shards: int = 3, size: int = 1000) -> None:
        super().__init__(shards, size)
        self.away: set[int] = set()

    def get(self, count: int) -> list[Any]:
        return [
            entry
            for shard, own in enumerate(self.threads)
            if shard not in self.away
            for entry in own.get(count)
        ]


@pytest.fixture
def server() -> Server:
    return Server()


def counted(log: EntryLog) -> dict[str, int]:
    return {command: count.entries for command, count in log.counts.items()}


@pytest.fixture
def log(server: Server) -> EntryLog:
    """A log that was read once, with two old entries in it."""
    log = EntryLog()
    server.log(b"old", b"old")
    server.poll(log)
    return log


class TestCounting:
    def test_what_is_there_at_first_is_not_counted(self, server: Server, log: EntryLog) -> None:
        server.poll(log)
        assert (counted(log), log.missed, server.asked) == ({}, 0, [])

    def test_one_new_entry_needs_no_further_question(self, server: Server, log: EntryLog) -> None:
        server.log(b"GET")
        server.poll(log)
        assert (counted(log), server.asked) == ({"get": 1}, [])

    def test_the_first_reading_looks_whether_the_ids_rise_by_one(self, server: Server) -> None:
        server.log(*[b"old"] * 5)
        server.poll(EntryLog())
        assert server.asked == [2]

    def test_entries_of_one_moment_that_are_equal_but_for_their_ids(
        self, server: Server, log: EntryLog
    ) -> None:
        for _ in range(3):
            server.log(*[b"get"] * 7)
            server.poll(log)
            server.poll(log)
        assert (counted(log), log.missed) == ({"get": 21}, 0)

    def test_several_are_asked_for_at_once_and_counted_once(self, server: Server, log: EntryLog) -> None:
        server.log(b"GET", b"SET", b"get")
        server.poll(log)
        assert server.asked == [3]
        server.poll(log)
        assert (counted(log), log.missed, server.asked) == ({"get": 2, "set": 1}, 0, [])

    def test_amounts_are_summed_and_the_greatest_kept(self, server: Server, log: EntryLog) -> None:
        server.log(b"get", amount=30)
        server.log(b"get", amount=7)
        server.poll(log)
        assert log.counts == {"get": Count(2, 37, 30)}

    def test_a_log_that_was_empty_at_first_holds_new_entries_only(self, server: Server) -> None:
        log = EntryLog()
        server.log(*[b"old"] * 50)
        server.reset()
        server.poll(log)
        server.log(b"get", b"set", b"set")
        server.poll(log)
        assert (counted(log), log.missed, server.asked) == ({"get": 1, "set": 2}, 0, [3])

    def test_entries_that_come_while_it_reads_are_counted_too(self, server: Server, log: EntryLog) -> None:
        server.busy_command = b"slowlog"
        for _ in range(5):
            server.log(b"get", b"set")
            server.poll(log)
        server.busy_command = b""
        server.poll(log)
        assert counted(log) == {"get": 5, "set": 5, "slowlog": server.next_id - 12}
        assert log.missed == 0


class TestOldestFirst:
    def test_each_is_counted_once_and_what_is_gone_is_missed(self) -> None:
        server, log = OldestFirst(size=20), EntryLog()
        server.log(b"get", b"set")
        server.poll(log)
        server.log(b"get", b"del", b"get")
        server.poll(log)
        server.poll(log)
        assert (counted(log), log.missed) == ({"get": 2, "del": 1}, 0)
        server.log(*[b"set"] * 30)
        server.poll(log)
        assert (counted(log), log.missed) == ({"get": 2, "del": 1, "set": 20}, 10)

    def test_the_newest_one_is_the_first_that_is_read(self) -> None:
        server = OldestFirst()
        server.log(b"get", b"set", b"del")
        assert [entry.command for entry in read_entries(server.get(2)) or ()] == ["del", "set"]


class TestMissing:
    def test_more_than_a_batch(self, server: Server, log: EntryLog) -> None:
        server.log(*[b"get"] * (BATCH_MAX + 10))
        server.poll(log)
        assert (counted(log), log.missed, server.asked) == ({"get": BATCH_MAX}, 10, [BATCH_MAX])

    def test_more_than_the_log_holds(self, server: Server, log: EntryLog) -> None:
        server.size = 4
        server.log(*[b"get"] * 7)
        server.poll(log)
        assert (counted(log), log.missed, server.asked) == ({"get": 4}, 3, [7])

    def test_what_was_there_before_a_reset(self, server: Server, log: EntryLog) -> None:
        server.log(b"get", b"get")
        server.reset()
        server.poll(log)
        assert (counted(log), log.missed) == ({}, 0)  # nothing is known of them yet
        server.log(b"set")
        server.poll(log)
        assert (counted(log), log.missed) == ({"set": 1}, 2)

    def test_of_what_a_single_entry_cannot_tell(self) -> None:
        """Its id jumped: other entries may be gone, or be of other threads."""
        server, log = Server(size=1), EntryLog()
        server.log(b"old")
        server.poll(log)
        server.log(*[b"get"] * 8)
        server.poll(log)
        assert (counted(log), log.missed) == ({"get": 1}, 0)


class TestRestart:
    def test_all_that_a_restarted_server_has_is_new(self, server: Server, log: EntryLog) -> None:
        server.restart()
        server.log(b"get")
        server.poll(log)
        server.log(b"get", b"set")
        server.poll(log)
        assert (counted(log), log.missed) == ({"get": 2, "set": 1}, 0)

    def test_and_some_of_it_may_be_gone(self, server: Server, log: EntryLog) -> None:
        server.log(*[b"get"] * 9)
        server.poll(log)
        server.restart()
        server.size = 2
        server.log(*[b"set"] * 5)
        server.poll(log)
        assert (counted(log), log.missed) == ({"get": 9, "set": 2}, 3)

    def test_its_empty_log_does_not_tell(self, server: Server, log: EntryLog) -> None:
        server.log(*[b"get"] * 9)
        server.poll(log)
        server.restart()
        server.poll(log)
        server.log(b"set", b"set")
        server.poll(log)
        assert (counted(log), log.missed) == ({"get": 9, "set": 2}, 0)

    def test_one_entry_with_the_id_of_the_newest_one_before(self, server: Server) -> None:
        log = EntryLog()
        server.log(b"old")
        server.poll(log)
        server.restart()
        server.now += 1
        server.log(b"get")
        server.poll(log)
        assert (counted(log), log.missed) == ({"get": 1}, 0)

    @pytest.mark.parametrize("ids_before", [3, 40])
    def test_another_server_at_the_same_address_has_old_entries(
        self, server: Server, log: EntryLog, ids_before: int
    ) -> None:
        """It was promoted: nobody saw what its log had before, and that was not missed either."""
        server.log(*[b"get"] * 10)
        server.now += 60
        server.log(b"get")
        server.poll(log)
        other = Server()
        other.next_id = ids_before
        other.log(*[b"strlen"] * 5)
        other.now += 90
        other.log(b"set", b"set")
        other.poll(log)
        assert (counted(log), log.missed) == ({"get": 11, "set": 2}, 0)


class TestThreads:
    """Ids that come by thread: they neither rise by one nor rise at all."""

    @staticmethod
    def rounds(server: Threads, log: EntryLog, rounds: int) -> None:
        for number in range(rounds):
            server.now += 1
            server.log_on(number * 5 % len(server.threads), b"GET", amount=20 + number)
            server.poll(log)

    @pytest.mark.parametrize("old", range(4))
    def test_each_is_counted_once_however_many_were_there_before(self, old: int) -> None:
        server, log = Threads(), EntryLog()
        for thread in range(old):
            server.log_on(thread * 3, b"old")
        server.poll(log)
        self.rounds(server, log, 40)
        assert (counted(log), log.missed) == ({"get": 40}, 0)

    def test_entries_that_are_equal_but_for_their_ids(self) -> None:
        server, log = Threads(), EntryLog()
        server.log_on(1, b"old", b"old")
        server.log_on(5, b"old")
        server.poll(log)
        for thread in (1, 5, 1, 7):
            server.log_on(thread, b"GET", b"GET")
            server.poll(log)
        assert (counted(log), log.missed) == ({"get": 8}, 0)

    def test_a_burst_that_a_log_did_not_hold_is_not_missed(self) -> None:
        """How many there were cannot be told."""
        server, log = Threads(threads=2, size=3), EntryLog()
        server.log_on(0, b"old", b"old")
        server.log_on(1, b"old")
        server.poll(log)
        server.now += 1
        server.log_on(0, *[b"get"] * 50)
        server.poll(log)
        assert (counted(log), log.missed) == ({"get": 3}, 0)

    def test_one_that_comes_into_sight_again_is_not_new(self) -> None:
        """There are more entries than are asked for: as new ones push others out, old ones come up."""
        server, log = Threads(threads=2, size=BATCH_MAX), EntryLog()
        server.log_on(1, *[b"old"] * BATCH_MAX)
        server.now += 1
        server.log_on(0, *[b"get"] * BATCH_MAX)
        server.poll(log)
        for own in server.threads[:1]:
            own.reset()
        server.poll(log)
        assert counted(log) == {}

    def test_all_is_new_after_a_reset_and_after_a_restart(self) -> None:
        server, log = Threads(), EntryLog()
        server.poll(log)
        self.rounds(server, log, 10)
        server.reset()
        server.poll(log)
        self.rounds(server, log, 5)
        for own in server.threads:
            own.restart()
        self.rounds(server, log, 5)
        assert (counted(log), log.missed) == ({"get": 20}, 0)

    def test_all_that_matters_is_asked_for_at_once(self) -> None:
        server, log = Threads(), EntryLog()
        self.rounds(server, log, 10)
        self.rounds(server, log, 1)
        assert (log.first_count, server.asked) == (BATCH_MAX, [])


class TestShards:
    """Several logs, one behind the other: ids repeat, and the answers are longer than was asked."""

    def test_each_is_counted_once(self) -> None:
        server, log = Shards(), EntryLog()
        for shard in range(3):
            server.log_on(shard, b"old", b"old")
        server.poll(log)
        for number in range(30):
            server.now += 1
            server.log_on(number % 3, b"get")
            server.poll(log)
        assert (counted(log), log.missed) == ({"get": 30}, 0)

    def test_the_same_entry_of_two_shards_is_two(self) -> None:
        server, log = Shards(), EntryLog()
        server.log_on(0, b"old")
        server.log_on(1, b"old")
        server.poll(log)
        for _ in range(2):
            server.log_on(0, b"get")
            server.log_on(1, b"get")
            server.poll(log)
            server.poll(log)
        assert counted(log) == {"get": 4}

    def test_a_shard_that_did_not_answer_once_has_nothing_new(self) -> None:
        server, log = Shards(), EntryLog()
        for shard in range(3):
            server.log_on(shard, *[b"old"] * 5)
        server.poll(log)
        for away in ({1}, set(), {0, 2}, set()):
            server.away = away
            server.poll(log)
        assert counted(log) == {}

    def test_no_more_is_read_and_remembered_than_this(self) -> None:
        server, log = Shards(shards=40), EntryLog()
        for _ in range(3):
            server.now += 1
            for shard in range(40):
                server.log_on(shard, *[b"get"] * BATCH_MAX, amount=shard)
            server.poll(log)
        assert log._joined is not None
        assert len(log._joined._seen) == REMEMBERED_MAX
        assert counted(log)["get"] <= 2 * READ_MAX


class TestCommands:
    def test_so_many_are_told_apart_and_no_more(self, server: Server, log: EntryLog) -> None:
        for number in range(COMMANDS_MAX + 3):
            server.log(b"cmd%d" % number)
            server.poll(log)
        server.log(b"cmd0")
        server.poll(log)
        assert len(log.counts) == COMMANDS_MAX + 1
        assert log.counts[OTHER].entries == 3
        assert log.counts["cmd0"].entries == 2

    @pytest.mark.parametrize(
        ("arguments", "command"),
        [
            ([b"CONFIG", b"SET", b"requirepass", b"pw"], "config"),
            ([b"JSON.GET", b"k"], "json.get"),
            ([b"b840fc02d524045429941cc15f59e41cb7be6c52"], OTHER),  # what an operator renamed a command to
            ([b"get this"], OTHER),
            ([b"\xff"], OTHER),
            ([b""], OTHER),
            ([5], OTHER),
            ([], OTHER),
            (b"get", OTHER),
            (None, OTHER),
        ],
    )
    def test_only_the_name_is_read(self, arguments: Any, command: str) -> None:
        entries = read_entries([[1, 2, 3, arguments]])
        assert entries is not None
        assert [entry.command for entry in entries] == [command]

    @pytest.mark.parametrize(
        "item",
        [
            [1, 2, 3, [b"get", b"k"]],  # before Redis 4
            [1, 2, 3, [b"get", b"k"], b"10.0.0.1:5", b"name"],
            [1, 2, 3, 7, [b"get", b"k"], b"10.0.0.1:5", b"name"],  # Redis Enterprise: how complex it was
            [1, 2, 3, b"N:7", [b"get", b"k"]],
        ],
    )
    def test_the_arguments_are_the_list_wherever_it_is(self, item: Any) -> None:
        entries = read_entries([item])
        assert entries is not None
        assert [entry.command for entry in entries] == ["get"]


class TestOddReplies:
    @pytest.mark.parametrize(
        "item",
        [
            b"x",
            None,
            [],
            [1, 2, 3],
            [b"1", 2, 3, []],
            [1, 2, b"3", []],
            [1, 2, -3, []],
            [1, b"2", 3, []],
        ],
    )
    def test_what_is_no_entry_is_left_out(self, item: Any) -> None:
        entries = read_entries([item, [7, 2, 3, [b"get"]]])
        assert entries is not None
        assert [entry.id for entry in entries] == [7]

    @pytest.mark.parametrize("reply", [None, b"OK", 5, ReplyError("ERR no")])
    def test_a_reply_that_is_no_list(self, reply: Any, server: Server, log: EntryLog) -> None:
        assert read_entries(reply) is None
        assert list(log.follow(1, reply, lambda count: Command.of("GET", count))) == []

    def test_of_very_many_some_are_read(self) -> None:
        assert (
            len(read_entries([[number, 2, 3, [b"get"]] for number in range(READ_MAX + 9)]) or []) == READ_MAX
        )

    def test_an_error_in_the_middle_leaves_all_as_it_was(self, server: Server, log: EntryLog) -> None:
        server.log(b"get", b"set")
        run = log.follow(4, server.get(1), lambda count: Command.of("GET", count))
        next(run)
        with pytest.raises(StopIteration):
            run.send([ReplyError("BUSY a script runs")])
        assert counted(log) == {}
        server.poll(log)
        assert counted(log) == {"get": 1, "set": 1}

    def test_a_server_that_lies_is_not_asked_without_end(self, log: EntryLog) -> None:
        """Each answer claims that there is one entry more than was asked for."""
        run = log.follow(1, [[3, 0, 0, [b"get"]]], lambda count: Command.of("GET", count))
        batches = 0
        try:
            [command] = next(run)
            while True:
                batches += 1
                count = int(command.args[1])
                [command] = run.send([[[2 + count - number, 0, 0, [b"get"]] for number in range(count)]])
        except StopIteration:
            pass
        assert batches <= 8
