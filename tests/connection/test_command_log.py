"""Debug lines of commands: names, numbers and times, and nothing of what was asked for."""

from __future__ import annotations

import logging
import time

import pytest

from exporter.connection import command_log
from exporter.connection.command_log import LEVEL, names_of, note, timed
from exporter.errors import DeadlineError, TargetError
from exporter.protocol.command import Command, Reply

ADDR = "redis://h:1"
SECRET = "s3cret"


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(LEVEL, command_log.__name__)
    return caplog


@pytest.mark.parametrize(
    ("commands", "names"),
    [
        ([("INFO",)], "INFO"),
        ([("config", "get", SECRET), ("INFO", "all")], "CONFIG GET, INFO"),
        ([("STRLEN", SECRET), ("TYPE", SECRET), ("STRLEN", f"{SECRET}2")], "STRLEN x2, TYPE"),
        ([("AUTH", "user", SECRET)], "AUTH"),
        ([("AUTH", SECRET)], "AUTH"),
        ([("EVAL", SECRET, 0), ("XINFO", "STREAM", SECRET)], "EVAL, XINFO STREAM"),
        ([(b"CLIENT", b"SETNAME", SECRET)], "CLIENT SETNAME"),
        ([], ""),
    ],
)
def test_a_name_has_no_arguments(commands: list[tuple[str | bytes | int, ...]], names: str) -> None:
    assert names_of(Command.of(*args) for args in commands) == names


def test_a_line_says_how_long_the_replies_took(log: pytest.LogCaptureFixture) -> None:
    note(ADDR, [Command.of("INFO")], time.perf_counter() - 0.25)
    [record] = log.records
    assert vars(record)["duration_ms"] >= 250
    assert (vars(record)["addr"], vars(record)["commands"]) == (ADDR, "INFO")


@pytest.mark.parametrize(
    ("outcome", "reason"), [([b"x"], None), (DeadlineError("no answer"), "timeout")], ids=["replies", "error"]
)
def test_the_line_comes_before_the_outcome_goes_on(
    log: pytest.LogCaptureFixture, outcome: list[Reply] | TargetError, reason: str | None
) -> None:
    seen: list[tuple[object, int]] = []
    timed(ADDR, [Command.of("GET", SECRET)], lambda given: seen.append((given, len(log.records))))(outcome)
    assert seen == [(outcome, 1)]
    assert vars(log.records[0]).get("reason") == reason
    assert SECRET not in str(vars(log.records[0]))


def test_the_lines_of_debug_do_not_hold_them(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, command_log.__name__)
    note(ADDR, [Command.of("INFO")], 0.0)
    assert not command_log.is_on()
    assert caplog.records == []
