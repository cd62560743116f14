"""How one log record is written: as text, or as one JSON object a line.

A record's `extra` fields (`addr`, `duration_ms`, …) become keys in JSON and `key=value` in text. Every line
is valid UTF-8 and bounded. Of an exception, the line shows place and type, but no text that may hold values
of a request or a reply.
"""

from __future__ import annotations

import json
import logging
import traceback
from datetime import datetime, timezone
from typing import Any

from exporter import safe_text

FIELDS = ("addr", "client", "reason", "duration_ms")
MESSAGE_MAX = 4096
FIELD_MAX = 1024
#: length of the message of another library's record
FOREIGN_MESSAGE_MAX = 300
#: the innermost calls that are shown of an exception
FRAMES_MAX = 12
#: exceptions whose texts the interpreter makes, of names and types of the program
_PLAIN = (
    AttributeError,
    IndexError,
    MemoryError,
    NameError,
    RecursionError,
    TypeError,
    UnboundLocalError,
    ZeroDivisionError,
)


def is_ours(record: logging.LogRecord) -> bool:
    return record.name.partition(".")[0] in ("exporter", "__main__")


def message_of(record: logging.LogRecord) -> str:
    """The record's text; of another library's record, the first line without the values of objects."""
    if is_ours(record):
        return safe_text.shorten(record.getMessage(), MESSAGE_MAX)
    template = str(record.msg)
    args = record.args if isinstance(record.args, tuple) else ()
    plain = tuple(each if isinstance(each, str | int | float) else type(each).__name__ for each in args)
    text = template % plain if plain else template
    return safe_text.shorten(text.lstrip().partition("\n")[0], FOREIGN_MESSAGE_MAX)


def failure_of(record: logging.LogRecord) -> str:
    """The exception's innermost calls and its type; "" if there is none to show."""
    error = record.exc_info[1] if record.exc_info else None
    if error is None:
        return ""
    frames = traceback.extract_tb(error.__traceback__, limit=-FRAMES_MAX)
    places = [
        f'  File "{safe_text.one_line(frame.filename, 200)}", line {frame.lineno}, in {frame.name}'
        for frame in frames
    ]
    return "\n".join(["Traceback (most recent call last):", *places, describe(error)])


def describe(error: BaseException) -> str:
    """The type of an exception, and its text if the system or the interpreter made it."""
    name = type(error).__name__
    if isinstance(error, OSError):
        return (
            f"{name}: {safe_text.one_line(error.strerror, 200)}" if isinstance(error.strerror, str) else name
        )
    return f"{name}: {safe_text.one_line(str(error), 200)}" if type(error) in _PLAIN else name


def _extras(record: logging.LogRecord) -> dict[str, Any]:
    found = {name: value for name in FIELDS if (value := getattr(record, name, None)) is not None}
    return {
        name: value if isinstance(value, int | float) else safe_text.shorten(str(value), FIELD_MAX)
        for name, value in found.items()
    }


def _time(record: logging.LogRecord) -> str:
    return (
        datetime.fromtimestamp(record.created, timezone.utc)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )


class TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        extras = "".join(f" {name}={value}" for name, value in _extras(record).items())
        message = f"{message_of(record)}{_repeated(record)}{extras}"
        line = f"{_time(record)} {record.levelname.lower():<7} {safe_text.one_line(message, 2 * MESSAGE_MAX)}"
        failure = failure_of(record)
        return f"{line}\n{failure}" if failure else line


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        message = f"{message_of(record)}{_repeated(record)}"
        line = {"time": _time(record), "level": record.levelname.lower(), "msg": message, **_extras(record)}
        failure = failure_of(record)
        if failure:
            line["exception"] = failure
        return json.dumps(_valid(line), ensure_ascii=False).translate(_JSON_ESCAPES)


#: JSON allows these, but some readers end a line at them
_JSON_ESCAPES = {code: f"\\u{code:04x}" for code in (*range(127, 160), 0x2028, 0x2029)}


def _valid(line: dict[str, Any]) -> dict[str, Any]:
    return {name: safe_text.valid(value) if isinstance(value, str) else value for name, value in line.items()}


def _repeated(record: logging.LogRecord) -> str:
    count = getattr(record, "repeated", 0)
    return f" … and {count} more in the last minute" if count else ""
