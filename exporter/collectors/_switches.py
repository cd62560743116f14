"""Which collectors can be switched on and off by name, and what switches each of them on."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache

from exporter import masks
from exporter.collectors._contract import AnyCollector
from exporter.collectors._registry import REGISTRY
from exporter.options.overrides import override
from exporter.options.table import OPTIONS, Options
from exporter.options.values import BOOL


@cache
def switches() -> Mapping[str, str | None]:
    """By the name of a collector, the flag that switches it on: "" if it is on by itself; None if it runs for
    the data that options name."""
    return {each.name: _switch_of(each) for each in REGISTRY if not each.identifies}


def _switch_of(collector: AnyCollector) -> str | None:
    options = Options()
    if collector.enabled(options):
        return ""
    flags = [option.flag for option in OPTIONS if option.per_target and option.type is BOOL]
    return next((flag for flag in flags if collector.enabled(override(options, ((flag, True),)))), None)


def faults_of(names: Iterable[str]) -> Iterator[str]:
    """What is wrong with names of collectors that are to be off."""
    known = switches()
    for name in names:
        if name not in known:
            yield switch_fault("collectors.off", name)


def switch_fault(flag: str, name: str) -> str:
    """That a flag has a name which is not one of `switches`, and which one may be meant."""
    known = switches()
    near = difflib.get_close_matches(name[:100], known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"write one of {', '.join(known)}"
    return f"--{flag}: no collector that can be off is called {masks.mask(name)[:100]}: {hint}"
