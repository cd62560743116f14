"""`redis_exporter man`: the manual page, in the language of man(7), from the tables of options."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from exporter import __version__
from exporter.build_facts import UNKNOWN, build_facts
from exporter.errors import UsageError
from exporter.options.commands import COMMANDS
from exporter.options.endpoints import ROUTES, TELEMETRY
from exporter.options.option import Option
from exporter.options.table import OPTIONS

#: bytes of a line of the source
COLUMNS = 78

DESCRIPTION = (
    "redis_exporter polls Redis servers in the background, each over one connection that stays open, and "
    "answers Prometheus from memory. Without a command it runs until a signal ends it, and serves the page "
    "of all targets.",
    "A scrape never waits for Redis, and Redis never waits for a scrape. The names of metrics, flags and "
    "paths are those of the Go exporter of the same name.",
)
FILES = {
    "--config.file=FILE": "Options and targets. The option has no default: without it no file is read.",
    "/etc/default/redis_exporter": "The variable ARGS with the flags of the service, and other variables.",
}
SIGNALS = {
    "SIGHUP": "Reload: read files again, and change what differs. Polls and answers go on.",
    "SIGTERM, SIGINT": "Stop: finish the answers under way, and exit with 0 within a second.",
}
STATUS = {
    "0": "Success.",
    "1": "A mistake in the configuration, or a start that failed; or a check that found something.",
    "2": "A mistake in the command line.",
}


def escaped(text: str) -> str:
    """A text as it is: man(7) reads backslashes, and dots and quotes that begin a line."""
    plain = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...")
    return re.sub(r"(?m)^(?=[.'])", r"\\&", plain)


def paragraph(text: str) -> Iterator[str]:
    """A text in lines that are short enough, a sentence on a line of its own."""
    for sentence in re.split(r"(?<=[.:!?]) (?=[A-Z])", text):
        yield from map(
            escaped, textwrap.wrap(sentence, COLUMNS - 8, break_long_words=False, break_on_hyphens=False)
        )


def _items(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Terms, each with a text."""
    for term, text in rows:
        yield ".TP"
        yield f"\\fB{escaped(term)}\\fR"
        yield from paragraph(text)


def _option(option: Option) -> Iterator[str]:
    value = f" \\fI{escaped(option.type.value_name)}\\fR" if option.type.value_name else ""
    yield ".TP"
    yield ", ".join(f"\\fB{escaped(flag)}\\fR" for flag in option.shown) + value
    yield from paragraph(option.help)
    if option.default:
        yield from paragraph(f"Default: {option.default}.")


def page() -> str:
    """The whole page."""
    date = build_facts().date
    day = "" if date == UNKNOWN else f"{date[:4]}-{date[4:6]}-{date[6:8]}"
    lines = [f'.TH REDIS_EXPORTER 1 "{day}" "redpoll {__version__}" "User Commands"']
    lines += [".SH NAME", "redis_exporter \\- Prometheus exporter for Redis"]
    lines += [".SH SYNOPSIS", ".B redis_exporter", "[\\fIcommand\\fR] [\\fIflags\\fR]", ".SH DESCRIPTION"]
    for number, text in enumerate(DESCRIPTION):
        lines += [".PP"] * bool(number)
        lines += paragraph(text)
    lines += [".SH COMMANDS", *_items((name, _sentence(row.help)) for name, row in COMMANDS.items())]
    lines += [".SH OPTIONS", *paragraph("Write a flag as -x, --x, --x=value or --x value.")]
    lines += paragraph("A boolean is --x or --x=false.")
    for title, options in groupby(OPTIONS, lambda option: option.title):
        lines.append(f'.SS "{escaped(title)}"')
        for option in options:
            lines += _option(option)
    lines += [
        ".SH PATHS",
        *_items((row.path or "/metrics", _plain(row.answer)) for row in (TELEMETRY, *ROUTES)),
    ]
    lines += [".SH ENVIRONMENT", *paragraph("A flag wins over its variable, that over the option in a file.")]
    lines += _items(
        (option.variable, f"The same as --{option.flag}.") for option in OPTIONS if option.variable
    )
    lines += [".SH FILES", *_items(FILES.items()), ".SH SIGNALS", *_items(SIGNALS.items())]
    lines += [".SH EXIT STATUS", *_items(STATUS.items())]
    lines += [".SH SEE ALSO", ".BR redis\\-cli (1),", ".BR systemd.service (5)"]
    return "\n".join(lines) + "\n"


def _plain(markdown: str) -> str:
    """A text of the docs without links and marks."""
    return _sentence(re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", markdown).replace("`", ""))


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}".removesuffix(".") + "."


def run(argv: Sequence[str]) -> int:
    if set(argv) & {"-h", "-help", "--help"}:
        print("usage: redis_exporter man\n\nPrint the manual page: redis_exporter man | man -l -")
        return 0
    if argv:
        raise UsageError("write redis_exporter man, without arguments")
    print(page(), end="")
    return 0
