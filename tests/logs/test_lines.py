"""One log record as a line: for people and for machines."""

from __future__ import annotations

import json
import logging
import re
import sys
from typing import Any

import pytest

from exporter.logs.lines import (
    FOREIGN_MESSAGE_MAX,
    FRAMES_MAX,
    MESSAGE_MAX,
    JsonFormatter,
    TextFormatter,
    component_of,
    quoted,
)

SECRET = "Basic U0VDUkVU"
#: control characters, bytes that were not UTF-8, and what some readers take for the end of a line
ODD = "a\x00\n\x1b[2J\x85\u2028\u202e" + b"\xff\xfe".decode("utf-8", "surrogateescape") + "\ud800é"


def record(
    message: str,
    *args: object,
    name: str = "exporter.polling.watched_target",
    level: int = logging.INFO,
    exc_info: Any = None,
    **extra: object,
) -> logging.LogRecord:
    made = logging.LogRecord(name, level, __file__, 1, message, args, exc_info)
    made.created = 1_700_000_000.25
    vars(made).update(extra)
    return made


def failure(error: BaseException | None = None) -> Any:
    try:
        raise error or ZeroDivisionError("by nought")
    except BaseException:
        return sys.exc_info()


class TestText:
    """logfmt: https://brandur.org/logfmt, as Go's log/slog writes it."""

    def test_time_level_message_and_component(self) -> None:
        assert TextFormatter().format(record("polling %d targets", 3)) == (
            'time=2023-11-14T22:13:20.250Z level=INFO msg="polling 3 targets" component=polling'
        )

    def test_fields_have_a_fixed_order_and_unknown_ones_are_left_out(self) -> None:
        line = TextFormatter().format(
            record(
                "down",
                level=logging.WARNING,
                duration_ms=0.0,
                reason="dns",
                addr="redis://h:1",
                err='no "name"',
                odd=1,
            )
        )
        assert line == (
            "time=2023-11-14T22:13:20.250Z level=WARN msg=down component=polling "
            'err="no \\"name\\"" addr=redis://h:1 reason=dns duration_ms=0.0'
        )

    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("plain", "plain"),
            ("", '""'),
            ("two words", '"two words"'),
            ("a=b", '"a=b"'),
            ('a"b', '"a\\"b"'),
            ("C:\\x", "C:\\x"),
            ("C:\\x y", '"C:\\\\x y"'),
            ("a\nb", '"a\\nb"'),
            ("a\r\nb", '"a\\r\\nb"'),
            ("a\tb", '"a\\tb"'),
            ("\x1b[2J", '"\\u001b[2J"'),
            ("\x9b2J", '"\\u009b2J"'),
            ("\u2028", '"\\u2028"'),
            ("été", "été"),
        ],
    )
    def test_a_value_is_quoted_if_it_needs_it(self, text: str, shown: str) -> None:
        assert quoted(text) == shown
        assert f" msg={shown} component=" in TextFormatter().format(record("%s", text))
        assert TextFormatter().format(record("said", addr=text)).endswith(f" addr={shown}")

    def test_readers_of_json_strings_get_each_quoted_value_back(self) -> None:
        """go-logfmt, and so Loki, knows the escapes of JSON only."""
        text = f'"{"".join(map(chr, range(0x3000)))}'
        assert json.loads(quoted(text)) == text

    def test_an_exception_is_part_of_its_line(self) -> None:
        line = TextFormatter().format(record("a mistake", exc_info=failure()))
        assert 'err="ZeroDivisionError: by nought" stack="' in line
        assert re.search(r'stack="[^"]*tests/logs/test_lines.py:\d+ failure"$', line)


class TestJson:
    def test_one_object_a_line(self) -> None:
        line = JsonFormatter().format(
            record("été\n%s", "x", level=logging.ERROR, addr="redis://h:1", duration_ms=1.5, odd=1)
        )
        assert "\n" not in line
        assert json.loads(line) == {
            "time": "2023-11-14T22:13:20.250Z",
            "level": "ERROR",
            "msg": "été\nx",
            "component": "polling",
            "addr": "redis://h:1",
            "duration_ms": 1.5,
        }

    def test_it_has_the_keys_of_the_text(self) -> None:
        made = record("a mistake", exc_info=failure(), addr="h", client="c", reason="dns", repeated=2)
        keys = re.findall(r'(\w+)=(?:"(?:[^"\\]|\\.)*"|\S+)', TextFormatter().format(made))
        assert list(json.loads(JsonFormatter().format(made))) == keys


class TestLevelAndComponent:
    @pytest.mark.parametrize(
        ("level", "name"),
        [
            (logging.DEBUG - 1, "DEBUG"),
            (logging.DEBUG, "DEBUG"),
            (logging.INFO, "INFO"),
            (logging.WARNING, "WARN"),
            (logging.ERROR, "ERROR"),
            (logging.CRITICAL, "ERROR"),
        ],
    )
    def test_levels_have_the_names_of_prometheus(self, level: int, name: str) -> None:
        assert json.loads(JsonFormatter().format(record("x", level=level)))["level"] == name

    @pytest.mark.parametrize(
        ("logger", "component"),
        [
            ("exporter.web.tls", "web"),
            ("exporter.cli", "cli"),
            ("exporter", "exporter"),
            ("__main__", "exporter"),
            ("aiohttp.server", "aiohttp"),
            ("py.warnings", "python"),
        ],
    )
    def test_a_component_is_the_part_that_logs(self, logger: str, component: str) -> None:
        assert component_of(record("x", name=logger)) == component


class TestBounds:
    """Of both forms."""

    @pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
    def test_a_line_is_one_and_valid_whatever_it_holds(self, formatter: logging.Formatter) -> None:
        line = formatter.format(record("said %s", ODD, addr=ODD, reason=ODD))
        line.encode()
        assert len(line.splitlines()) == 1
        assert not {"\x1b", "\x00", "\x85"} & set(line)

    @pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
    def test_a_line_is_bounded(self, formatter: logging.Formatter) -> None:
        line = formatter.format(record("said %s", "x" * 10**6, addr="y" * 10**6))
        assert len(line) < 2 * MESSAGE_MAX

    @pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
    @pytest.mark.parametrize("name", ["exporter.polling.watched_target", "aiohttp.server", "asyncio"])
    @pytest.mark.parametrize(
        "error",
        [
            ValueError(SECRET),
            KeyError(SECRET),
            Exception(SECRET),
            UnicodeDecodeError("utf-8", SECRET.encode(), 0, 1, SECRET),
        ],
    )
    def test_the_text_of_an_exception_is_not_shown_when_it_may_hold_a_request(
        self, formatter: logging.Formatter, name: str, error: Exception
    ) -> None:
        line = formatter.format(record("a mistake", name=name, exc_info=failure(error)))
        assert type(error).__name__ in line
        assert SECRET not in line

    def test_the_systems_own_words_are_shown(self) -> None:
        assert (
            TextFormatter()
            .format(record("odd", exc_info=failure(OSError(28, "No space left on device"))))
            .partition(" err=")[2]
            .startswith('"OSError: No space left on device"')
        )

    def test_a_deep_traceback_is_cut(self) -> None:
        def deep(depth: int) -> None:
            deep(depth + 1)

        try:
            deep(0)
        except RecursionError:
            line = json.loads(JsonFormatter().format(record("deep", exc_info=sys.exc_info())))
        assert line["stack"].count(" < ") == FRAMES_MAX - 1
        assert line["err"].startswith("RecursionError")

    @pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
    def test_of_another_librarys_text_the_first_line_is_shown_without_objects(
        self, formatter: logging.Formatter
    ) -> None:
        line = formatter.format(
            record(f"Task exception was never retrieved\nfuture: {SECRET}", name="asyncio")
        )
        assert SECRET not in line
        line = formatter.format(
            record("odd: %s, %s", SECRET.encode(), ValueError(SECRET), name="aiohttp.server")
        )
        assert "odd: bytes, ValueError" in line
        assert len(formatter.format(record("x" * 10_000, name="asyncio"))) < FOREIGN_MESSAGE_MAX + 100

    def test_lines_that_were_left_out_are_counted(self) -> None:
        assert TextFormatter().format(record("down", repeated=37)).endswith(" repeated=37")
        assert json.loads(JsonFormatter().format(record("down", repeated=37)))["repeated"] == 37
