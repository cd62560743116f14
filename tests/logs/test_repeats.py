"""Lines that repeat are counted, and changes of state are not lost among them."""

from __future__ import annotations

import logging

import pytest

from exporter.logs import repeats
from exporter.logs.repeats import CHANGES_MAX, CLIENTS_MAX, TEXTS_MAX, WINDOW_S, Repeats


class Log:
    """Records at times of the test's own, and what is written of them."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.repeats = Repeats(lambda: self.now)
        self.written: list[str] = []

    def log(
        self,
        message: str,
        *args: object,
        name: str = "exporter.polling.watched_target",
        level: int = logging.WARNING,
        **extra: object,
    ) -> bool:
        record = logging.LogRecord(name, level, "", 0, message, args, None)
        vars(record).update(extra)
        admitted = self.repeats.admits(record)
        if admitted:
            self.written.append(record.getMessage())
        return admitted

    def state(self, message: str, reason: str | None = None, addr: str = "redis://h:1") -> bool:
        return self.log(message, topic="state", addr=addr, reason=reason)

    def collect(self, after_s: float = WINDOW_S) -> list[tuple[str, int]]:
        self.now += after_s
        return [(record.getMessage(), record.__dict__["repeated"]) for record in self.repeats.collect()]


@pytest.fixture
def log() -> Log:
    return Log()


def test_a_line_is_written_once_a_minute_and_the_others_are_counted(log: Log) -> None:
    assert [log.log("odd", addr="redis://h:1") for _ in range(38)] == [True] + [False] * 37
    assert log.collect(WINDOW_S - 1) == []
    assert log.collect(1) == [("odd", 37)]


def test_debug_lines_are_all_written(log: Log) -> None:
    assert all(log.log("polled", level=logging.DEBUG, addr="redis://h:1") for _ in range(38))
    assert log.collect() == []


def test_errors_that_differ_are_lines_that_differ(log: Log) -> None:
    assert log.log("failed", err="one")
    assert log.log("failed", err="two")
    assert not log.log("failed", err="one")


def test_a_flood_has_one_line_a_minute(log: Log) -> None:
    assert log.log("odd")
    for _ in range(3):
        assert not any(log.log("odd") for _ in range(100))
        assert log.collect() == [("odd", 100)]
    assert log.collect() == []
    assert log.log("odd"), "it was silent for a minute"


def test_sources_levels_and_templates_are_counted_apart(log: Log) -> None:
    assert log.log("odd %s", 1, addr="redis://h:1")
    assert log.log("odd %s", 1, addr="redis://h:2")
    assert log.log("even %s", 1, addr="redis://h:1")
    assert log.log("odd %s", 1, addr="redis://h:1", level=logging.ERROR)
    assert not log.log("odd %s", 1, addr="redis://h:1")


def test_of_one_kind_a_few_texts_are_written(log: Log) -> None:
    assert [log.log("odd %d", number) for number in range(20)] == [True] * TEXTS_MAX + [False] * (
        20 - TEXTS_MAX
    )
    assert log.collect() == [("odd 19", 20 - TEXTS_MAX)]


def test_texts_that_are_not_written_are_not_remembered(log: Log) -> None:
    for number in range(1000):
        log.log("odd %d", number)
    (entry,) = log.repeats._entries.values()
    assert len(entry.seen) == TEXTS_MAX


def test_of_another_library_one_line_a_minute(log: Log) -> None:
    assert log.log("odd %s", "one", name="asyncio")
    assert not log.log("odd %s", "two", name="asyncio")


def test_many_clients_share_what_is_written(log: Log) -> None:
    written = sum(log.log("odd", client=f"127.0.{number // 256}.{number % 256}") for number in range(1000))
    assert written == CLIENTS_MAX + 1


def test_a_state_without_a_reason_is_its_text(log: Log) -> None:
    def reload(message: str, *args: object, err: str | None = None) -> bool:
        return log.log(message, *args, topic="reload", err=err)

    assert reload("reloaded: %s", "0 added")
    assert not reload("reloaded: %s", "0 added")
    assert reload("failed", err="line 1")
    assert reload("failed", err="line 2")
    assert reload("reloaded: %s", "0 added"), "the newest line must not say that it failed"


def test_a_changed_state_or_reason_is_written_at_once(log: Log) -> None:
    assert [log.state("down: no", "refused"), log.state("down: late", "timeout"), log.state("up")] == [
        True
    ] * 3
    assert not log.state("up")


def test_a_repeated_state_does_not_end_the_minute_in_an_old_state(log: Log) -> None:
    log.state("down: no", "refused")
    log.state("down: no", "refused")
    log.state("up")
    assert log.written == ["down: no", "up"]
    assert log.collect() == [("up", 1)]


def test_flapping_is_summed_up_and_its_last_state_is_told(log: Log) -> None:
    for _ in range(20):
        log.state("up")
        log.state("down: no", "refused")
    assert len(log.written) == CHANGES_MAX
    assert log.collect() == [("down: no", 40 - CHANGES_MAX)]
    assert log.state("up"), "a change after the minute is written at once"
    assert not log.state("down: no", "refused")
    assert log.collect() == [("down: no", 1)]


def test_a_state_that_the_minutes_last_line_said_is_not_said_again(log: Log) -> None:
    for _ in range(20):
        log.state("up")
        log.state("down: no", "refused")
    log.collect()
    assert not log.state("down: no", "refused")


def test_many_targets_that_go_down_at_once_have_a_line_each(log: Log) -> None:
    assert all(log.state("down: no", "refused", addr=f"redis://h:{number}") for number in range(10_000))


def test_what_is_remembered_is_bounded_and_forgotten(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "ENTRIES_MAX", 100)
    for number in range(1000):
        log.log("odd", addr=f"redis://h:{number}")
    assert len(log.repeats._entries) <= 101
    log.now += WINDOW_S
    log.repeats.collect()
    log.now += WINDOW_S
    log.repeats.collect()
    assert not log.repeats._entries
    assert not log.repeats._sources


def test_all_is_told_at_the_end(log: Log) -> None:
    log.log("odd")
    log.log("odd")
    assert [record.getMessage() for record in log.repeats.collect(at_once=True)] == ["odd"]
