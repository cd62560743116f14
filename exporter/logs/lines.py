"""How one log record is written: as logfmt text, or as one JSON object a line.

Both have the same keys, those of Prometheus' programs: time, level, msg, component, err. A record's `extra`
fields (`addr`, `duration_ms`, …) are further keys. Every record is one line of valid UTF-8, and bounded. Of
an exception, the line shows type and place, but no text that may hold values of a request or a reply.

logfmt as Go's log/slog writes it: https://pkg.go.dev/log/slog#TextHandler
"""

from __future__ import annotations

import json
import logging
import re
import traceback
from collections.abc import Iterator
from datetime import datetime, timezone

from exporter import safe_text

#: `extra` fields that are written, in this order
FIELDS = (
    *("err", "addr", "client", "reason", "login"),
    *("lane", "duration_ms", "bytes", "commands", "repeated"),
)
#: the names that Prometheus' programs write
LEVEL_NAMES = {
    logging.DEBUG: "DEBUG",
    logging.INFO: "INFO",
    logging.WARNING: "WARN",
    logging.ERROR: "ERROR",
    logging.CRITICAL: "ERROR",
}
MESSAGE_MAX = 4096
FIELD_MAX = 1024
#: length of the message of another library's record
FOREIGN_MESSAGE_MAX = 300
#: the innermost calls that are shown of an exception
FRAMES_MAX = 12
#: parts of a path that are shown: what comes before them depends on the machine
PATH_PARTS = 3
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


def component_of(record: logging.LogRecord) -> str:
    """The part of the program that logs: a wing, such as `web`; of other libraries, their name."""
    library, _, rest = record.name.partition(".")
    if library == "py":  # Python's warnings
        return "python"
    return (rest.partition(".")[0] or "exporter") if is_ours(record) else library


def failure_of(record: logging.LogRecord) -> dict[str, str]:
    """The exception and its innermost calls, as fields; empty if there is none to show."""
    error = record.exc_info[1] if record.exc_info else None
    if error is None:
        return {}
    calls = reversed(traceback.extract_tb(error.__traceback__, limit=-FRAMES_MAX))
    stack = " < ".join(
        f"{'/'.join(call.filename.split('/')[-PATH_PARTS:])[-200:]}:{call.lineno} {call.name}"
        for call in calls
    )
    return {"err": describe(error), **({"stack": stack} if stack else {})}


def describe(error: BaseException) -> str:
    """The type of an exception, and its text if the system or the interpreter made it."""
    name = type(error).__name__
    if isinstance(error, OSError):
        text = error.strerror if isinstance(error.strerror, str) else ""
    else:
        text = str(error) if type(error) in _PLAIN else ""
    return f"{name}: {safe_text.shorten(text, 200)}" if text else name


def fields_of(record: logging.LogRecord) -> Iterator[tuple[str, str | int | float]]:
    """The keys of a line and their values, in order. A text is valid and bounded, but may hold any
    character."""
    yield "time", _time(record)
    yield "level", LEVEL_NAMES.get(record.levelno, "DEBUG" if record.levelno < logging.DEBUG else "INFO")
    yield "msg", safe_text.valid(message_of(record))
    yield "component", safe_text.shorten(component_of(record), FIELD_MAX)
    failure = failure_of(record)
    for name in FIELDS:
        value = getattr(record, name, None)
        if value is None:
            value = failure.get(name)
        if value is not None:
            yield name, value if isinstance(value, int | float) else _text(value)
    if "stack" in failure:
        yield "stack", safe_text.valid(failure["stack"])


def _text(value: object) -> str:
    return safe_text.valid(safe_text.shorten(str(value), FIELD_MAX))


def _time(record: logging.LogRecord) -> str:
    return (
        datetime.fromtimestamp(record.created, timezone.utc)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )


class TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return " ".join(
            f"{name}={quoted(value) if isinstance(value, str) else value}"
            for name, value in fields_of(record)
        )


def quoted(text: str) -> str:
    """The text as the value of a key, in quotes if it needs them."""
    if text and text.isprintable() and not _QUOTED.search(text):
        return text
    return f'"{text.translate(_ESCAPES)}"'


_QUOTED = re.compile(r'[\s"=]')
#: those of JSON: every reader of logfmt knows them, and many know no others
_ESCAPES = {code: f"\\u{code:04x}" for code in safe_text.UNPRINTED} | {
    ord(sign): f"\\{escape}" for sign, escape in zip('\\"\n\r\t', '\\"nrt', strict=True)
}


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(dict(fields_of(record)), ensure_ascii=False).translate(_JSON_ESCAPES)


#: JSON allows these, but some readers end a line at them
_JSON_ESCAPES = {code: f"\\u{code:04x}" for code in (*range(127, 160), 0x2028, 0x2029)}
