"""Values that one target has in place of those of all targets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from exporter.errors import InternalError
from exporter.options.table import OPTIONS, Options

#: parsed values by flag, each flag once, in the order of the flags' names
Overrides = tuple[tuple[str, Any], ...]

_PER_TARGET = {option.flag: option for option in OPTIONS if option.per_target}


def overrides_of(pairs: Iterable[tuple[str, Any]]) -> Overrides:
    """Of several values for one flag the last one counts. Equal values are equal, whatever their order was.
    InternalError for a flag that no target may have a value of."""
    values = dict(pairs)
    wrong = values.keys() - _PER_TARGET.keys()
    if wrong:
        raise InternalError(f"a target cannot have values of its own for {', '.join(sorted(wrong))}")
    return tuple(sorted(values.items()))


def override(options: Options, overrides: Overrides) -> Options:
    """The options of a target: these, with its overrides."""
    groups: dict[str, dict[str, Any]] = {}
    for flag, value in overrides:
        option = _PER_TARGET[flag]
        groups.setdefault(option.group, {})[option.attribute] = value
    return replace(
        options, **{group: replace(getattr(options, group), **values) for group, values in groups.items()}
    )
