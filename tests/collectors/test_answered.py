"""What an error reply speaks of, by what was answered before."""

from __future__ import annotations

import pytest

from exporter.collectors._answered import Answered
from exporter.errors import ReplyError
from exporter.protocol.command import About


@pytest.fixture
def answered() -> Answered:
    answered = Answered()
    answered.begin("a")
    answered.note([("TYPE", b"none"), ("STRLEN", ReplyError("ERR no"))])
    return answered


def test_an_answered_command_is_one_about_data_and_another_a_trial(answered: Answered) -> None:
    assert answered.about("TYPE") is About.DATA
    assert answered.about("STRLEN") is answered.about("LLEN") is About.TRIAL


@pytest.mark.parametrize(("run_id", "about"), [("a", About.DATA), ("b", About.TRIAL)])
def test_it_holds_for_one_run_of_the_server(answered: Answered, run_id: str, about: About) -> None:
    answered.begin(run_id)
    assert answered.about("TYPE") is about
