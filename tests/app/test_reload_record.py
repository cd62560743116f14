"""How the newest reload ended."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from exporter.app.reload_record import ReloadRecord, reload_unasked
from exporter.errors import ConfigError, StoppingError
from exporter.telemetry.own_series import FAMILIES


def shown(record: ReloadRecord) -> list[object]:
    return [read() for read in record.readers().values()]


def test_its_names_are_rows_of_the_exporters_own_series() -> None:
    assert ReloadRecord().readers().keys() <= {family.name for family in FAMILIES}


def test_the_start_counts_as_one_that_went_well() -> None:
    before = time.time()
    record = ReloadRecord()
    assert record.successful
    assert before <= record.succeeded_at <= time.time()


def test_a_mistake_is_logged_and_the_time_of_the_newest_success_stays(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    record = ReloadRecord()
    started_at = record.succeeded_at
    with pytest.raises(ConfigError), record.attempt():
        raise ConfigError("a.yml: no", "b.yml: no")
    assert shown(record) == [0, started_at]
    [line] = caplog.records
    assert (line.levelname, line.getMessage()) == ("ERROR", "the reload failed, and nothing has changed")
    assert vars(line)["err"] == "a.yml: no\nb.yml: no"
    with record.attempt():
        pass
    record.say("1 added")
    *_, last = caplog.records
    assert last.getMessage() == "reloaded: 1 added"
    assert [vars(each)["topic"] for each in caplog.records] == ["reload"] * 2
    assert record.successful
    assert record.succeeded_at > started_at


def test_a_bug_counts_as_a_failure_and_a_stop_does_not() -> None:
    record = ReloadRecord()
    with pytest.raises(StoppingError), record.attempt():
        raise StoppingError
    assert record.successful
    with pytest.raises(KeyError), record.attempt():
        raise KeyError
    assert not record.successful


class TestUnasked:
    async def test_a_mistake_or_a_bug_is_not_the_last_reload(self, caplog: pytest.LogCaptureFixture) -> None:
        errors = [ConfigError("no"), KeyError("a bug")]

        async def fail() -> None:
            raise errors.pop(0)

        await reload_unasked(fail)
        await reload_unasked(fail)
        assert caplog.messages == ["internal error in a reload (please report)"]

    async def test_a_stop_is(self) -> None:
        async def stop() -> None:
            raise StoppingError

        with pytest.raises(StoppingError):
            await reload_unasked(stop)


def test_a_reload_happens_within_what_somebody_else_put_around_it() -> None:
    record, told = ReloadRecord(), []

    @contextmanager
    def around() -> Iterator[None]:
        told.append("begin")
        try:
            yield
        finally:
            told.append("end")

    record.around = around
    with record.attempt():
        told.append("reload")
    assert told == ["begin", "reload", "end"]
