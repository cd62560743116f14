"""A command that gives a password, as it is configured."""

from __future__ import annotations

from exporter.targets.password_command import PasswordCommand


def test_its_text_shows_no_argument() -> None:
    """An argument may hold the value of a variable."""
    command = PasswordCommand(("vault", "read", "kiwi"), "vault", 60.0, ("fig",))
    assert "vault" in repr(command)
    assert "kiwi" not in repr(command)
    assert "fig" not in repr(command)


def test_commands_differ_by_what_is_run_and_how_long_it_counts() -> None:
    one = PasswordCommand(("vault",), "vault")
    assert one == PasswordCommand(("vault",), "vault", secrets=("fig",))
    assert one != PasswordCommand(("vault", "-v"), "vault")
    assert one != PasswordCommand(("vault",), "vault", 60.0)
