"""INFO and its parts."""

from __future__ import annotations

from exporter.protocol.command import Command
from exporter.protocol.info_commands import INFO, INFO_MOVING, MOVING, is_shareable


def test_sections_are_asked_for_with_one_command() -> None:
    assert INFO_MOVING.args == ("INFO", *MOVING)


def test_replies_to_info_are_shared_and_others_are_not() -> None:
    assert is_shareable(INFO)
    assert is_shareable(Command.of("INFO", "commandstats"))
    assert not is_shareable(Command.of("SELECT", 1))
    assert not is_shareable(Command.of("SLOWLOG", "LEN"))
