"""Several names with one command, and those that a server answers one by one alone."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.collectors._several import LOOK_AGAIN_S, Apart, Several, section, shows_section
from exporter.errors import ReplyError
from exporter.protocol.command import Command

ALL = Several(Command.of("INFO", "a", "b", "c"), section, ("a", "b", "c"), shows_section)
A, B, C = (f"# {name}\r\nx{name}:1\r\n".encode() for name in "ABC")
ODD = ReplyError("ERR odd")


def ask(apart: Apart, *batches: list[Any], run_id: str | None = "r", now: float = 0.0) -> tuple[Any, Any]:
    """What is asked after the command for all, batch by batch, and the replies in the end."""
    steps = ALL.ask(apart, run_id, now)
    asked = []
    commands = next(steps)
    try:
        for replies in batches:
            asked.append([command.args[1] for command in commands if command is not ALL.together])
            commands = steps.send(replies)
    except StopIteration as end:
        return asked, end.value
    pytest.fail(f"it asks on: {commands}")


@pytest.fixture
def apart() -> Apart:
    return Apart()


def test_where_all_are_answered_nothing_more_is_asked(apart: Apart) -> None:
    assert ask(apart, [A + B + C]) == ([[]], [A + B + C])


def test_what_is_missing_is_asked_once_and_then_with_the_others(apart: Apart) -> None:
    assert ask(apart, [A], [B, b""]) == ([[], ["b", "c"]], [A, B])
    assert ask(apart, [A, B]) == ([["b"]], [A, B])


def test_a_refused_one_is_kept_because_it_may_be_allowed_later(apart: Apart) -> None:
    assert ask(apart, [A], [ODD, C])[1] == [A, ODD, C]
    assert ask(apart, [A, ODD, C])[0] == [["b", "c"]]


@pytest.mark.parametrize("reply", [ODD, None, 7])
def test_a_reply_that_tells_nothing_is_given_back(apart: Apart, reply: Any) -> None:
    assert ask(apart, [reply]) == ([[]], [reply])


@pytest.mark.parametrize(("run_id", "now"), [("s", 0.0), ("r", LOOK_AGAIN_S)])
def test_another_run_is_looked_at_and_the_same_after_an_hour(apart: Apart, run_id: str, now: float) -> None:
    ask(apart, [A], [B, b""])
    assert ask(apart, [A, B], [C], run_id=run_id, now=now) == ([["b"], ["c"]], [A, B, C])


def test_one_that_comes_together_with_the_others_now_is_not_asked_apart(apart: Apart) -> None:
    ask(apart, [A], [B, b""])
    assert ask(apart, [A + B + C, B], run_id="s")[1] == [A + B + C]
    assert apart.names == ()


def test_before_the_first_info_every_look_is_due(apart: Apart) -> None:
    ask(apart, [A + B + C], run_id=None)
    assert apart.is_due(None, 0.0)


@pytest.mark.parametrize(
    ("text", "name", "shows"),
    [
        (b"# Persistence\r\nloading:0\r\n", "persistence", True),
        (b"x:1\r\n#CPU\r\n", "cpu", True),
        (b"# Replication(MASTER)\r\nrole:master\r\n", "replication", True),
        (b"# Stats\r\n# Keyspace\r\n", "keyspace", True),
        (b"# Stats\r\nkeyspace:1\r\n", "keyspace", False),
        (b"loading:0\r\n", "persistence", True),  # it may have any
        (b"\r\n", "persistence", False),
        (None, "persistence", False),
        (ODD, "persistence", False),
    ],
)
def test_a_section_is_known_by_its_heading(text: Any, name: str, shows: bool) -> None:
    assert shows_section(text, name) is shows
