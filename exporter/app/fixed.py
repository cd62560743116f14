"""Options that keep their values while the exporter runs."""

from __future__ import annotations

from dataclasses import replace

from exporter.options.option import Option
from exporter.options.table import OPTIONS, Options

#: Reloadable options that keep their values all the same: what uses them cannot take up another value yet. By
#: group, "*" are all of it.
NOT_YET = {
    "redis": ("dns_max_lookups", "is_cluster"),
    "poll": ("max_in_flight", "max_dials"),
    "web": ("*",),
    "metrics": ("target_labels",),
    "log": ("*",),
}


def is_fixed(option: Option) -> bool:
    """Whether a running exporter keeps the value of an option."""
    not_yet = NOT_YET.get(option.group, ())
    return not option.reloadable or "*" in not_yet or option.attribute in not_yet


def keep_fixed(options: Options, before: Options) -> tuple[Options, list[str]]:
    """The new options with the fixed ones as they were `before`, and a line for the log that names those that
    differ."""
    differing = []
    groups = {option.group: getattr(options, option.group) for option in OPTIONS}
    for option in filter(is_fixed, OPTIONS):
        value = getattr(getattr(before, option.group), option.attribute)
        if getattr(groups[option.group], option.attribute) != value:
            differing.append(f"--{option.flag}")
            groups[option.group] = replace(groups[option.group], **{option.attribute: value})
    if not differing:
        return options, []
    verb = "keeps its value" if len(differing) == 1 else "keep their values"
    return replace(options, **groups), [f"{', '.join(differing)} {verb} until the exporter is started again"]
