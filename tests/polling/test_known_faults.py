"""What the log is told of faults that last."""

from __future__ import annotations

from exporter.polling.known_faults import KnownFaults


def test_a_fault_is_told_once_and_again_when_its_reason_changes() -> None:
    faults = KnownFaults()
    told = [
        list(faults.note("scripts", {"a.lua": text, "b.lua": "same"}))
        for text in ("one 1", "one 2", "two", "two")
    ]
    assert told == [[("a.lua", "one 1"), ("b.lua", "same")], [], [("a.lua", "two")], []]


def test_a_fault_that_was_over_is_told_again() -> None:
    faults = KnownFaults()
    told = [list(faults.note("scripts", each)) for each in ({"a.lua": "x"}, {}, {"a.lua": "x"})]
    assert told == [[("a.lua", "x")], [], [("a.lua", "x")]]


def test_family_sets_have_their_own() -> None:
    faults = KnownFaults()
    assert list(faults.note("one", {"a": "x"})) == [("a", "x")]
    assert list(faults.note("two", {"a": "x"})) == [("a", "x")]
