"""Options as another program gives them: the names of flags and their values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

#: the value of one option; a sequence is for an option that may be repeated
Value = str | float | bool | Sequence[str]
#: by the name of the flag, without the dashes: `{"poll.interval": "10s"}`
Given = Mapping[str, Value]


def flags_of(given: Given) -> tuple[str, ...]:
    """The same as arguments of the command."""
    return tuple(f"--{name}={text}" for name, value in given.items() for text in _texts(value))


def _texts(value: Value) -> Iterator[str]:
    match value:
        case bool():
            yield str(value).lower()
        case str() | int() | float():
            yield str(value)
        case _:
            yield from value
