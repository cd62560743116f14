"""Options of another program."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from exporter.errors import UsageError
from exporter.library.given import Given, flags_of
from exporter.options.commandline import parse


def test_each_value_is_written_as_on_the_command_line() -> None:
    given: Given = {"poll.interval": "10s", "keys.scan-count": 100, "debug": True, "ping-on-connect": False}
    assert flags_of(given) == (
        "--poll.interval=10s", "--keys.scan-count=100", "--debug=true", "--ping-on-connect=false",
    )  # fmt: skip


def test_a_sequence_repeats_the_flag() -> None:
    assert flags_of({"redis.addr": ["a", "b"]}) == ("--redis.addr=a", "--redis.addr=b")


@pytest.mark.parametrize("none", [(), []])
def test_an_empty_sequence_is_an_empty_value(none: Sequence[str]) -> None:
    """The default of an option that is left out may be another one."""
    assert flags_of({"redis.addr": none}) == ("--redis.addr=",)
    assert parse(flags_of({"redis.addr": none}), {}).redis.addr == ()


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"redis.password": b"hunter2"}, r"'redis.password' is of the type bytes: write a text"),
        ({"redis.password": None}, r"'redis.password' is None: leave the option out"),
        ({"redis.addr": {"a": "b"}}, r"'redis.addr' is of the type dict: write a text"),
        ({"redis.addr": ["a", 1]}, r"'redis.addr' holds a value of the type int"),
        ({"namespace": ["a", "b"]}, r"'namespace' takes one value.* write one text"),
        ({"--redis.addr": "h"}, r"'--redis.addr' has dashes in front: write 'redis.addr'"),
        ({"redis.password=hunter2": "x"}, r"'redis.password' has no valid name"),
        ({"": "x"}, r"'' has no valid name"),
        ({1: "x"}, r"the name of an option is of the type int"),
        ("abc", r"the options are of the type str: write a dictionary"),
    ],
)  # fmt: skip
def test_a_mistake_names_the_option_and_not_its_value(given: Any, text: str) -> None:
    with pytest.raises(UsageError, match=text) as raised:
        flags_of(given)
    assert "hunter2" not in str(raised.value)
