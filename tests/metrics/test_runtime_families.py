"""Families whose names are known only when they are seen: which are taken up, and what the log says of the
others."""

from __future__ import annotations

import logging

import pytest

from exporter.metrics.runtime_families import FAMILIES_MAX, HELP, NAME_LENGTH_MAX, WARNED_MAX, RuntimeFamilies


class Given:
    """The run-time families of a family set, and which of them it was given."""

    def __init__(self) -> None:
        self.families: list[tuple[str, str, str]] = []
        self.runtime_families = RuntimeFamilies("redis", 0, [])
        self.runtime_families.open(
            self.refuses, lambda place, name, type, help: self.families.append((name, type, help))
        )

    @staticmethod
    def refuses(name: str) -> str | None:
        return {"redis_taken": "the name is taken", "redis_denied": ""}.get(name)


@pytest.fixture
def given() -> Given:
    return Given()


def test_type_and_help_are_those_of_the_first(given: Given) -> None:
    assert given.runtime_families.number("jobs", "counter", "Jobs.", []) == 0
    for type, help in (("counter", "Jobs."), ("", "Jobs."), ("counter", ""), ("", "")):
        assert given.runtime_families.number("jobs", type, help, []) == 0
    for type, help in (("gauge", "Jobs."), ("counter", "Other jobs."), ("untyped", "")):
        assert given.runtime_families.number("jobs", type, help, []) is None
    assert given.families == [("redis_jobs", "counter", "Jobs.")]


def test_of_one_without_help_it_stays_as_it_is(given: Given) -> None:
    assert given.runtime_families.number("jobs", "", "", []) == 0
    assert given.runtime_families.number("jobs", "gauge", "Jobs.", []) == 0
    assert given.families == [("redis_jobs", "gauge", HELP)]


def test_the_log_names_what_is_left_out_once(given: Given, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    given.runtime_families.number("jobs", "counter", "Jobs.", [])
    for _ in range(3):
        assert given.runtime_families.number("taken", "gauge", "Help.", []) is None
        assert given.runtime_families.number("denied", "gauge", "Help.", []) is None
        assert given.runtime_families.number("jobs", "gauge", "Jobs.", []) is None
    assert caplog.messages == [
        "values of redis_taken are left out: the name is taken",
        "values of redis_jobs are left out: it was given before with another type or help",
    ]


def test_those_that_are_refused_later_get_no_values_until_they_are_shown_again(given: Given) -> None:
    runtime_families = given.runtime_families
    assert [runtime_families.number(name, "", "", []) for name in ("jobs", "users")] == [0, 1]
    shown: list[str] = []
    runtime_families.open(
        lambda name: "" if name == "redis_jobs" else None, lambda place, name, type, help: shown.append(name)
    )
    assert shown == ["redis_users"]
    assert [runtime_families.number(name, "", "", []) for name in ("jobs", "users")] == [None, 1]
    runtime_families.open(lambda name: None, lambda place, name, type, help: None)
    assert runtime_families.number("jobs", "", "", []) == 0


def test_the_log_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    runtime_families = RuntimeFamilies("redis", 0, [])
    runtime_families.open(lambda name: "the name is taken", lambda place, name, type, help: None)
    for number in range(10 * WARNED_MAX):
        runtime_families.number(f"n{number}", "gauge", "Help.", [])
    assert len(caplog.messages) == WARNED_MAX
    assert len(runtime_families._warned) == WARNED_MAX


@pytest.mark.parametrize("name", ["a b", "a\n", "é", "a-9", "a{}", "a" * (NAME_LENGTH_MAX + 1)])
def test_a_name_that_is_none_takes_no_place(given: Given, name: str) -> None:
    assert given.runtime_families.number(name, "gauge", "Help.", []) is None
    assert given.families == []


def test_names_end_with_the_places(given: Given) -> None:
    assert [
        given.runtime_families.number(f"n{number}", "", "", []) for number in range(FAMILIES_MAX + 1)
    ] == [
        *range(FAMILIES_MAX),
        None,
    ]


def test_those_that_are_known_can_be_named_again(given: Given) -> None:
    given.runtime_families.number("jobs", "counter", "Jobs.", ["queue"])
    given.runtime_families.number("kiwis", "", "", [])
    given.runtime_families.number("jobs", "", "", ["priority"])
    after = Given()
    for name, type, help, labels in given.runtime_families.known():
        after.runtime_families.number(name, type, help, labels)
    assert after.families == given.families
    assert after.runtime_families.known() == given.runtime_families.known()
