"""Log lines: one a record, for people and for machines."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from exporter.logs import LEVELS, JsonFormatter, TextFormatter, set_up
from exporter.options import OPTIONS

NOISY = ("apscheduler", "aiohttp.access", "asyncio")


def record(message: str, *args: object, level: int = logging.INFO, exc_info: Any = None, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("exporter.watch", level, __file__, 1, message, args, exc_info)
    made.created = 1_700_000_000.25
    vars(made).update(extra)
    return made


def failure() -> Any:
    try:
        raise ZeroDivisionError("by nought")
    except ZeroDivisionError:
        return sys.exc_info()


class TestText:
    def test_time_level_and_message(self) -> None:
        assert TextFormatter().format(record("polling %d targets", 3)) == "2023-11-14T22:13:20.250Z info    polling 3 targets"

    def test_extras_are_told_in_a_fixed_order_and_others_are_not(self) -> None:
        line = TextFormatter().format(record("down", level=logging.WARNING, duration_ms=1.5, addr="redis://h:1", reason="dns", odd=1))
        assert line == "2023-11-14T22:13:20.250Z warning down addr=redis://h:1 reason=dns duration_ms=1.5"

    @pytest.mark.parametrize(
        ("text", "shown"), [("a\nb", "a\\nb"), ("a\r\nb", "a\\x0d\\nb"), ("\x1b[2J", "\\x1b[2J"), ("\x9b2J", "\\x9b2J"), ("été", "été")]
    )
    def test_nobody_can_begin_a_line_or_drive_a_terminal(self, text: str, shown: str) -> None:
        assert TextFormatter().format(record("said %s", text)).endswith(f"info    said {shown}")
        assert TextFormatter().format(record("said", addr=text)).endswith(f"info    said addr={shown}")

    def test_an_exception_follows_its_line(self) -> None:
        lines = TextFormatter().format(record("a mistake", exc_info=failure())).split("\n")
        assert lines[0].endswith("a mistake")
        assert lines[-1] == "ZeroDivisionError: by nought"


class TestJson:
    def test_one_object_a_line(self) -> None:
        line = JsonFormatter().format(record("été\n%s", "x", level=logging.ERROR, addr="redis://h:1", duration_ms=1.5, odd=1))
        assert "\n" not in line
        assert json.loads(line) == {
            "time": "2023-11-14T22:13:20.250Z",
            "level": "error",
            "msg": "été\nx",
            "addr": "redis://h:1",
            "duration_ms": 1.5,
        }

    def test_an_exception_is_part_of_it(self) -> None:
        line = JsonFormatter().format(record("a mistake", exc_info=failure()))
        assert "\n" not in line
        assert json.loads(line)["exception"].endswith("ZeroDivisionError: by nought")


@pytest.fixture
def untouched() -> Iterator[None]:
    """Puts logging back as it was."""
    loggers = [logging.getLogger(), *map(logging.getLogger, NOISY)]
    before = [(logger, logger.handlers[:], logger.level) for logger in loggers]
    yield
    for logger, handlers, level in before:
        logger.handlers[:] = handlers
        logger.setLevel(level)


@pytest.mark.usefixtures("untouched")
class TestSetUp:
    @pytest.mark.parametrize(
        ("level", "seen"),
        [("DEBUG", "diwe"), ("INFO", "iwe"), ("info", "iwe"), ("WARN", "we"), ("WARNING", "we"), ("ERROR", "e"), ("unheard of", "iwe")],
    )
    def test_records_of_the_level_and_above(self, level: str, seen: str) -> None:
        stream = io.StringIO()
        set_up(level, "txt", stream)
        log = logging.getLogger("exporter.test")
        for write, letter in ((log.debug, "d"), (log.info, "i"), (log.warning, "w"), (log.error, "e")):
            write(letter)
        assert "".join(line[-1] for line in stream.getvalue().splitlines()) == seen

    @pytest.mark.parametrize("name", NOISY)
    @pytest.mark.parametrize(("level", "seen"), [("DEBUG", "we"), ("INFO", "we"), ("ERROR", "e")])
    def test_of_libraries_only_what_is_amiss(self, name: str, level: str, seen: str) -> None:
        stream = io.StringIO()
        set_up(level, "txt", stream)
        log = logging.getLogger(name)
        for write, letter in ((log.debug, "d"), (log.info, "i"), (log.warning, "w"), (log.error, "e")):
            write(letter)
        assert "".join(line[-1] for line in stream.getvalue().splitlines()) == seen

    def test_it_takes_the_place_of_what_was_set_up_before(self) -> None:
        first, second = io.StringIO(), io.StringIO()
        set_up("INFO", "txt", first)
        set_up("INFO", "json", second)
        logging.getLogger("exporter.test").info("once")
        assert first.getvalue() == ""
        assert [json.loads(line)["msg"] for line in second.getvalue().splitlines()] == ["once"]

    def test_to_stderr_unless_told_otherwise(self, capsys: pytest.CaptureFixture[str]) -> None:
        set_up("INFO", "txt")
        logging.getLogger("exporter.test").info("here")
        out, err = capsys.readouterr()
        assert out == ""
        assert err.endswith("info    here\n")


def test_levels_are_those_of_the_option() -> None:
    [option] = [option for option in OPTIONS if option.flag == "log-level"]
    assert option.form.value_name.split("|") == list(LEVELS)
