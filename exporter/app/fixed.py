"""Options that keep their values while the exporter runs."""

from __future__ import annotations

from exporter.errors import ConfigError
from exporter.options.table import OPTIONS, Options


def refuse_fixed(options: Options, before: Options) -> None:
    """ConfigError if options differ from those in use that only a start can change; it names them all."""
    differing = [
        f"--{option.flag}"
        for option in OPTIONS
        if not option.reloadable
        if getattr(getattr(options, option.group), option.attribute)
        != getattr(getattr(before, option.group), option.attribute)
    ]
    if differing:
        names = ", ".join(differing)
        raise ConfigError(
            f"a running exporter cannot change {names}: start it again, or write the value in use"
        )
