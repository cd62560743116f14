"""The options in force for one target: those of all targets, and its own values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from exporter import masks
from exporter.node_allowance import Allowance
from exporter.options.commandline import ShownSetting, shown_settings
from exporter.options.option import Option
from exporter.options.overrides import Overrides
from exporter.options.patterns import NamePattern
from exporter.options.table import Options
from exporter.options.values import KeyName, ScriptFile


def settings_of_target(
    options: Options, overrides: Overrides, places: Mapping[str, str], where: str
) -> Iterator[ShownSetting]:
    """The options that a target may have a value of its own for. `options` are those of all targets; `places`
    has the file and line of the target's own values, by flag, and `where` says it of those without one."""
    own = dict(overrides)
    for each in shown_settings(options):
        if each.option.flag in own:
            text = masks.mask(_written(own[each.option.flag], each.option))
            place = places.get(each.option.flag)
            yield ShownSetting(each.option, text, f"file: {place}" if place else where, True)
        elif each.option.per_target:
            yield each


def _written(value: Any, option: Option) -> str:
    """A value as an operator writes it."""
    match value:
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:g}s" if "DURATION" in option.type.value_name else f"{value:g}"
        case KeyName():
            name = value.name.decode("utf-8", "backslashreplace")
            return f"{value.db}={name}" if value.db else name
        case ScriptFile():
            return value.name
        case Allowance():
            return ",".join([*map(str, value.networks), *value.globs])
        case NamePattern():
            return value.text
        case (str() as name, float() as interval_s):
            return f"{name}={interval_s:g}s"
        case tuple():
            return ",".join([_written(each, option) for each in value])
        case _:
            return "" if value is None else str(value)
