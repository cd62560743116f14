"""Logs of numbered entries: each is counted once, by the command's name alone."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.collectors._entry_log import BATCH_MAX, COMMANDS_MAX, OTHER, Count, EntryLog, read_entries
from exporter.errors import ReplyError
from exporter.protocol.command import Command


class Server:
    """A log as a server keeps it: at most `size` entries, numbered from 0 in each run."""

    def __init__(self, size: int = 1000) -> None:
        self.size = size
        self.next_id = 0
        self.entries: list[Any] = []  # the newest first
        self.asked: list[int] = []
        self.busy_command = b""  # logged before each answer

    def log(self, *commands: bytes, amount: int = 5) -> None:
        for command in commands:
            self.entries.insert(
                0, [self.next_id, 1_795_378_916, amount, [command, b"an argument"], b"127.0.0.1:5", b""]
            )
            self.next_id += 1
        del self.entries[self.size :]

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
        length, newest = len(self.entries), self.get(1)
        run = log.follow(length, newest, lambda count: Command.of("GET", count))
        try:
            [command] = next(run)
            while True:
                count = int(command.args[1])
                self.asked.append(count)
                [command] = run.send([self.get(count)])
        except StopIteration:
            pass


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
        entries = read_entries([[1, 2, 3, arguments]], 1)
        assert entries is not None
        assert [entry.command for entry in entries] == [command]


class TestOddReplies:
    @pytest.mark.parametrize(
        "item",
        [b"x", None, [], [1, 2, 3], [b"1", 2, 3, []], [1, 2, b"3", []], [-1, 2, 3, []], [1, 2, -3, []]],
    )
    def test_what_is_no_entry_is_left_out(self, item: Any) -> None:
        entries = read_entries([item, [7, 2, 3, [b"get"]]], 2)
        assert entries is not None
        assert [entry.id for entry in entries] == [7]

    @pytest.mark.parametrize("reply", [None, b"OK", 5, ReplyError("ERR no")])
    def test_a_reply_that_is_no_list(self, reply: Any, server: Server, log: EntryLog) -> None:
        assert read_entries(reply, 1) is None
        assert list(log.follow(1, reply, lambda count: Command.of("GET", count))) == []

    def test_more_than_was_asked_for_is_cut(self) -> None:
        assert len(read_entries([[number, 2, 3, [b"get"]] for number in range(9)], 4) or []) == 4

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
