"""Options of another program."""

from __future__ import annotations

from exporter.library.given import Given, flags_of


def test_each_value_is_written_as_on_the_command_line() -> None:
    given: Given = {"poll.interval": "10s", "keys.scan-count": 100, "debug": True, "ping-on-connect": False}
    assert flags_of(given) == (
        "--poll.interval=10s", "--keys.scan-count=100", "--debug=true", "--ping-on-connect=false",
    )  # fmt: skip


def test_a_sequence_repeats_the_flag() -> None:
    assert flags_of({"redis.addr": ["a", "b"]}) == ("--redis.addr=a", "--redis.addr=b")
    assert flags_of({"redis.addr": ()}) == ()
