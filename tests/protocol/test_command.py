"""One command: its bytes and its name."""

from __future__ import annotations

import pytest

from exporter.protocol.command import About, Command


class TestCommand:
    def test_what_goes_over_the_wire(self) -> None:
        assert Command.of("SLOWLOG", "GET", 10).packed == b"*3\r\n$7\r\nSLOWLOG\r\n$3\r\nGET\r\n$2\r\n10\r\n"

    def test_arguments_may_be_any_bytes(self) -> None:
        assert Command.of("GET", b"\xff\r\n").packed == b"*2\r\n$3\r\nGET\r\n$3\r\n\xff\r\n\r\n"

    @pytest.mark.parametrize(
        ("command", "name"),
        [
            (Command.of("INFO"), "INFO"),
            (Command.of("info"), "INFO"),
            (Command.of("INFO", "commandstats"), "INFO commandstats"),
            (Command.of("CONFIG", "GET", "databases"), "CONFIG GET databases"),
            (Command.of("SLOWLOG", "GET", 10), "SLOWLOG GET 10"),
            (Command.of(b"GET", b"k\xff"), "GET k\\xff"),
        ],
    )
    def test_its_name(self, command: Command, name: str) -> None:
        assert command.name == name

    def test_keys_that_differ_in_case_have_different_names(self) -> None:
        assert Command.of("GET", "k").name != Command.of("GET", "K").name

    def test_equal_by_arguments(self) -> None:
        assert Command.of("INFO") == Command.of("INFO")
        assert Command.of("INFO") != Command.of("INFO", "all")


def test_a_new_command_is_the_same_as_a_cached_one() -> None:
    new = Command.new(("LLEN", b"key"), "h:1", About.DATA)
    cached = Command.of("LLEN", b"key", node="h:1", about=About.DATA)
    assert (new, new.packed, new.about) == (cached, cached.packed, cached.about)
