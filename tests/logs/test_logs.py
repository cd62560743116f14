"""Logging as it is set up: one handler, for every record, that never waits for stderr."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import warnings
from collections.abc import Iterator

import pytest

from exporter import logs
from exporter.logs import LEVELS, queue, set_up
from exporter.options.table import OPTIONS

PATIENCE_S = 10.0


def said(lines: list[str]) -> list[str]:
    """The messages of lines that need no quotes."""
    return [line.partition(" msg=")[2].partition(" ")[0] for line in lines]


class Pipe:
    """Stands for stderr."""

    def __init__(self) -> None:
        self._reader, self.end = os.pipe()

    def lines(self) -> list[str]:
        """What was logged so far. Nothing can be logged afterwards."""
        assert logs.flush(PATIENCE_S)
        os.set_blocking(self._reader, False)
        try:
            return os.read(self._reader, 1 << 16).decode().splitlines()
        except BlockingIOError:
            return []

    def close(self) -> None:
        os.close(self._reader)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


class TestSetUp:
    @pytest.mark.parametrize(
        ("level", "seen"),
        [
            ("VERBOSE", "vdiwe"),
            ("DEBUG", "diwe"),
            ("INFO", "iwe"),
            ("info", "iwe"),
            ("WARN", "we"),
            ("WARNING", "we"),
            ("ERROR", "e"),
            ("unheard of", "iwe"),
        ],
    )
    def test_records_of_the_level_and_above(self, pipe: Pipe, level: str, seen: str) -> None:
        set_up(level, "txt", pipe.end)
        log = logging.getLogger("exporter.test")
        log.log(logging.DEBUG - 1, "v")
        for write, letter in ((log.debug, "d"), (log.info, "i"), (log.warning, "w"), (log.error, "e")):
            write(letter)
        assert "".join(said(pipe.lines())) == seen

    @pytest.mark.parametrize("name", ["apscheduler", "aiohttp.access", "asyncio"])
    @pytest.mark.parametrize(("level", "seen"), [("DEBUG", "we"), ("INFO", "we"), ("ERROR", "e")])
    def test_of_libraries_only_what_is_amiss(self, pipe: Pipe, name: str, level: str, seen: str) -> None:
        set_up(level, "txt", pipe.end)
        log = logging.getLogger(name)
        for write, letter in ((log.debug, "d"), (log.info, "i"), (log.warning, "w"), (log.error, "e")):
            write(letter)
        assert "".join(said(pipe.lines())) == seen

    def test_it_takes_the_place_of_what_was_set_up_before(self, pipe: Pipe) -> None:
        first = Pipe()
        set_up("INFO", "txt", first.end)
        set_up("INFO", "json", pipe.end)
        logging.getLogger("exporter.test").info("once")
        assert [json.loads(line)["msg"] for line in pipe.lines()] == ["once"]
        assert first.lines() == []
        first.close()

    def test_to_stderr_unless_told_otherwise(self, capfd: pytest.CaptureFixture[str]) -> None:
        set_up("INFO", "txt")
        logging.getLogger("exporter.test").info("here")
        assert logs.flush(PATIENCE_S)
        out, err = capfd.readouterr()
        assert out == ""
        assert err.endswith(" level=INFO msg=here component=test\n")

    def test_a_line_that_repeats_is_counted_and_the_count_is_told_at_the_end(self, pipe: Pipe) -> None:
        set_up("INFO", "txt", pipe.end)
        for _ in range(38):
            logging.getLogger("exporter.test").warning("odd", extra={"addr": "redis://h:1"})
        logging.getLogger().handlers[0].close()
        first, last = pipe.lines()
        assert first.endswith(" msg=odd component=test addr=redis://h:1")
        assert last.endswith(" msg=odd component=test addr=redis://h:1 repeated=37")

    def test_all_lines_of_the_end_are_written(self, pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(queue, "LOOK_S", 0.0)  # repeated lines are checked after each line
        set_up("INFO", "txt", pipe.end)
        handler = logging.getLogger().handlers[0]
        handler.acquire()  # as logging does before it closes a handler
        for number in range(3):
            logging.getLogger("exporter.test").error("mistake-%d", number)
        assert logs.flush(PATIENCE_S)
        handler.release()
        assert said(pipe.lines()) == ["mistake-0", "mistake-1", "mistake-2"]

    def test_a_record_that_cannot_be_formatted_is_told_without_its_values(self, pipe: Pipe) -> None:
        set_up("INFO", "txt", pipe.end)
        logging.getLogger("exporter.test").info("%d", "s3cret")
        [line] = pipe.lines()
        assert 'level=WARN msg="a log line of exporter.test could not be written" component=logs' in line
        assert "s3cret" not in line

    def test_exceptions_that_nobody_caught_are_logged(self, pipe: Pipe) -> None:
        set_up("INFO", "json", pipe.end)
        error = ValueError("s3cret")
        sys.excepthook(ValueError, error, None)
        threading.excepthook(threading.ExceptHookArgs((ValueError, error, None, threading.current_thread())))

        warnings.showwarning("odd", UserWarning, "here.py", 7)
        lines = [json.loads(line) for line in pipe.lines()]
        assert [line["level"] for line in lines] == ["ERROR", "ERROR", "WARN"]
        assert all("s3cret" not in str(line) for line in lines)
        assert "here.py:7: UserWarning: odd" in lines[2]["msg"]

    def test_a_line_for_the_user_follows_what_was_logged(
        self, pipe: Pipe, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "stderr", sys.__stderr__)
        set_up("INFO", "txt", pipe.end)
        logging.getLogger("exporter.test").info("first")
        logs.show("redis_exporter: a\nb \udcff")
        assert pipe.lines()[1:] == ["redis_exporter: a\\nb \ufffd"]


def test_levels_are_those_of_the_option() -> None:
    [option] = [option for option in OPTIONS if option.flag == "log-level"]
    assert option.type.value_name.split("|") == list(LEVELS)
