"""Families whose names are known only when they are seen: which are taken up, and what the log says of the
others."""

from __future__ import annotations

import logging

import pytest

from exporter.metrics.runtime_families import FAMILIES_MAX, HELP, NAME_LENGTH_MAX, WARNED_MAX, RuntimeFamilies


class Slots:
    """A part's slots, and what was told of them."""

    def __init__(self) -> None:
        self.families: list[tuple[str, str, str]] = []
        self.runtime_families = RuntimeFamilies("redis", 0, [])
        self.runtime_families.open(
            self.refuses, lambda slot, name, type, help: self.families.append((name, type, help))
        )

    @staticmethod
    def refuses(name: str) -> str | None:
        return {"redis_taken": "the name is taken", "redis_denied": ""}.get(name)


@pytest.fixture
def slots() -> Slots:
    return Slots()


def test_type_and_help_are_those_of_the_first(slots: Slots) -> None:
    assert slots.runtime_families.number("jobs", "counter", "Jobs.", []) == 0
    for type, help in (("counter", "Jobs."), ("", "Jobs."), ("counter", ""), ("", "")):
        assert slots.runtime_families.number("jobs", type, help, []) == 0
    for type, help in (("gauge", "Jobs."), ("counter", "Other jobs."), ("untyped", "")):
        assert slots.runtime_families.number("jobs", type, help, []) is None
    assert slots.families == [("redis_jobs", "counter", "Jobs.")]


def test_of_one_without_help_it_stays_as_it_is(slots: Slots) -> None:
    assert slots.runtime_families.number("jobs", "", "", []) == 0
    assert slots.runtime_families.number("jobs", "gauge", "Jobs.", []) == 0
    assert slots.families == [("redis_jobs", "gauge", HELP)]


def test_the_log_names_what_is_left_out_once(slots: Slots, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    slots.runtime_families.number("jobs", "counter", "Jobs.", [])
    for _ in range(3):
        assert slots.runtime_families.number("taken", "gauge", "Help.", []) is None
        assert slots.runtime_families.number("denied", "gauge", "Help.", []) is None
        assert slots.runtime_families.number("jobs", "gauge", "Jobs.", []) is None
    assert caplog.messages == [
        "values of redis_taken are left out: the name is taken",
        "values of redis_jobs are left out: it was given before with another type or help",
    ]


def test_those_that_are_refused_later_get_no_values_until_they_are_shown_again(slots: Slots) -> None:
    dynamic = slots.runtime_families
    assert [dynamic.number(name, "", "", []) for name in ("jobs", "users")] == [0, 1]
    shown: list[str] = []
    dynamic.open(
        lambda name: "" if name == "redis_jobs" else None, lambda slot, name, type, help: shown.append(name)
    )
    assert shown == ["redis_users"]
    assert [dynamic.number(name, "", "", []) for name in ("jobs", "users")] == [None, 1]
    dynamic.open(lambda name: None, lambda slot, name, type, help: None)
    assert dynamic.number("jobs", "", "", []) == 0


def test_the_log_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    dynamic = RuntimeFamilies("redis", 0, [])
    dynamic.open(lambda name: "the name is taken", lambda slot, name, type, help: None)
    for number in range(10 * WARNED_MAX):
        dynamic.number(f"n{number}", "gauge", "Help.", [])
    assert len(caplog.messages) == WARNED_MAX
    assert len(dynamic._warned) == WARNED_MAX


@pytest.mark.parametrize("name", ["a b", "a\n", "é", "a-9", "a{}", "a" * (NAME_LENGTH_MAX + 1)])
def test_a_name_that_is_none_takes_no_slot(slots: Slots, name: str) -> None:
    assert slots.runtime_families.number(name, "gauge", "Help.", []) is None
    assert slots.families == []


def test_names_end_with_the_slots(slots: Slots) -> None:
    assert [
        slots.runtime_families.number(f"n{number}", "", "", []) for number in range(FAMILIES_MAX + 1)
    ] == [
        *range(FAMILIES_MAX),
        None,
    ]


def test_those_that_are_known_can_be_named_again(slots: Slots) -> None:
    slots.runtime_families.number("jobs", "counter", "Jobs.", ["queue"])
    slots.runtime_families.number("kiwis", "", "", [])
    slots.runtime_families.number("jobs", "", "", ["priority"])
    after = Slots()
    for name, type, help, labels in slots.runtime_families.known():
        after.runtime_families.number(name, type, help, labels)
    assert after.families == slots.families
    assert after.runtime_families.known() == slots.runtime_families.known()
