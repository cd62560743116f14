"""Options as another program gives them: the names of flags and their values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from exporter.errors import UsageError
from exporter.options.table import OPTIONS

#: the value of one option; a sequence is for an option that may be repeated
Value = str | float | bool | Sequence[str]
#: by the name of the flag, without the dashes: `{"poll.interval": "10s"}`
Given = Mapping[str, Value]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]*")
_REPEATABLE = {name: option.repeatable for option in OPTIONS for name in option.names}


def flags_of(given: Given) -> tuple[str, ...]:
    """The same as arguments of the command. An empty sequence is an empty value. UsageError names the option
    whose name or value cannot be used; it does not show the value, which may be a secret."""
    if not isinstance(given, Mapping):
        raise UsageError(
            f'the options are {_type_of(given)}: write a dictionary, as {{"poll.interval": "10s"}}'
        )
    return tuple(
        f"--{_checked(name)}={text}" for name, value in given.items() for text in _texts(name, value)
    )


def _checked(name: object) -> str:
    if not isinstance(name, str):
        raise UsageError(f"the name of an option is {_type_of(name)}: write the flag's name as a text")
    if name.startswith("-") and _NAME.fullmatch(bare := name.lstrip("-")):
        raise UsageError(f"the option {name!r} has dashes in front: write {bare!r}")
    if not _NAME.fullmatch(name):
        shown = name.partition("=")[0]
        raise UsageError(
            f'the option {shown!r} has no valid name: write the name of a flag, as "poll.interval"'
        )
    return name


def _texts(name: str, value: object) -> Sequence[str]:
    match value:
        case bool():
            return (str(value).lower(),)
        case str() | int() | float():
            return (str(value),)
        case list() | tuple():
            if not _REPEATABLE.get(name, True):
                raise UsageError(
                    f"the option {name!r} takes one value, and this one is {_type_of(value)}: write one "
                    f"text, with commas between where it is a list"
                )
            for each in value:
                if not isinstance(each, str):
                    raise UsageError(
                        f"the option {name!r} holds a value {_type_of(each)}: write a list of texts"
                    )
            return tuple(value) or ("",)
    hint = "leave the option out for its default" if value is None else "write a text, a number or a boolean"
    raise UsageError(f"the option {name!r} is {_type_of(value)}: {hint}")


def _type_of(value: object) -> str:
    return "None" if value is None else f"of the type {type(value).__name__}"
