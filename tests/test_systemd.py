"""What systemd hands over: whom it is for, and which sockets."""

from __future__ import annotations

import os
import sys

import pytest

from exporter.systemd import GivenSocket, given_sockets, is_meant_for_us


def test_variables_are_for_one_process() -> None:
    assert is_meant_for_us(str(os.getpid()))
    assert not is_meant_for_us(str(os.getppid()))
    assert not is_meant_for_us("")


def test_a_one_file_build_is_the_child_of_the_process_that_systemd_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "_MEIPASS", "/tmp/_MEI", raising=False)
    assert is_meant_for_us(str(os.getppid()))
    assert not is_meant_for_us("1")


def test_sockets_have_the_names_of_their_units() -> None:
    environ = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "3", "LISTEN_FDNAMES": "pages:local"}
    assert given_sockets(environ) == (
        GivenSocket("pages", 3),
        GivenSocket("local", 4),
        GivenSocket("", 5),
    )


@pytest.mark.parametrize(
    "wrong", [{"LISTEN_PID": "1"}, {"LISTEN_PID": ""}, {"LISTEN_FDS": "x"}, {"LISTEN_FDS": ""}]
)
def test_there_are_none_for_others_and_of_no_number(wrong: dict[str, str]) -> None:
    assert given_sockets({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", **wrong}) == ()
