"""Which addresses a dial tries."""

from __future__ import annotations

import pytest

from exporter.connection import candidates
from exporter.connection.candidates import TRIED_MAX, Candidates

MANY = [f"127.0.{number // 250}.{number % 250 + 1}" for number in range(100)]


def test_few_addresses_are_all_tried_in_the_resolvers_order() -> None:
    made = Candidates()
    few = MANY[:TRIED_MAX][::-1]
    for _ in range(3):
        assert made.choose("h", few) == few
        made.note("h", few, None)


def test_a_good_one_among_many_is_found_in_the_end_and_is_tried_first_from_then_on() -> None:
    made = Candidates()
    for good in MANY:
        for _ in range(2 + len(MANY) // TRIED_MAX):
            tried = made.choose(good, MANY)
            assert len(tried) == TRIED_MAX
            if good in tried:
                break
            made.note(good, MANY, None)
        assert good in tried
        made.note(good, MANY, good)
        assert made.choose(good, MANY[::-1])[0] == good


def test_the_first_dial_keeps_the_resolvers_order() -> None:
    assert Candidates().choose("h", MANY[::-1]) == MANY[::-1][:TRIED_MAX]


def test_hosts_that_are_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "HOSTS_MAX", 3)
    made = Candidates()
    for number in range(10):
        made.note(str(number), MANY, None)
        assert len(made._begins) <= 3


def test_a_host_that_is_forgotten_begins_again() -> None:
    made = Candidates()
    made.note("h", MANY, MANY[50])
    assert made.choose("h", MANY)[0] == MANY[50]
    made.forget("h")
    made.forget("unknown")
    assert made.choose("h", MANY) == MANY[:TRIED_MAX]
