"""The table of commands."""

from __future__ import annotations

import importlib

import pytest

from exporter.options.commands import COMMANDS, SubCommand


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_its_module(name: str) -> None:
    assert callable(importlib.import_module(f"exporter.commands.{name}").run)


def test_a_command_has_the_programs_flags_or_its_own_arguments() -> None:
    assert SubCommand("does it") == SubCommand("does it", False, (), False, (), False)
    for row in COMMANDS.values():
        assert not (row.takes_options and (row.words or row.files or row.flags))
