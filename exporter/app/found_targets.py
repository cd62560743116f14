"""Targets that sources find while the exporter runs: which sources there are, and the settings of what they
find."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from exporter import masks
from exporter.fleet.discovery import NAME as DISCOVERY
from exporter.options.table import Options
from exporter.targets.configured import ConfiguredTargets, settings_of
from exporter.targets.file_sd import FileSd
from exporter.targets.http_sd import HttpSd
from exporter.targets.instances_file import found_with
from exporter.targets.shared_keys import SharedSettings
from exporter.targets.source import TargetSource, merge
from exporter.targets.target import Target

log = logging.getLogger(__name__)


def sources_of(options: Options) -> Iterator[TargetSource]:
    """The sources that the options name."""
    targets = options.targets
    for pattern in targets.file_sd:
        yield FileSd(pattern, targets.refresh_interval_s, options.files)
    numbers: Counter[str] = Counter()
    for url in targets.http_sd:
        shown = masks.mask(url)
        numbers[shown] += 1
        yield HttpSd(url, targets.refresh_interval_s, options.files, numbers[shown])


def with_found(configured: Sequence[Target], found: Mapping[str, Iterable[Target]]) -> Sequence[Target]:
    """The configured targets, with their groups, and those that sources found, by the name of the source.

    Where several have found one address, a discovered target comes last: it has the settings of another one.
    """
    names = sorted(found, key=lambda name: (name == DISCOVERY, name))
    every = merge((configured, *(settle(found[name], configured) for name in names)))
    return ConfiguredTargets(every, settings_of(configured))


def settle(found: Iterable[Target], configured: Sequence[Target]) -> list[Target]:
    """Give targets of file_sd and http_sd the settings of their group in the configuration file, or of its
    defaults. One whose group is not there is left out: it may need another password."""
    settings = settings_of(configured)
    return [
        target
        for each in found
        if (target := _settled(each, settings) if each.source in ("file_sd", "http_sd") else each) is not None
    ]


def _settled(target: Target, settings: Mapping[str, SharedSettings]) -> Target | None:
    group = settings.get(target.settings_group)
    if group is None and target.settings_group:
        log.warning(
            "the target is left out: no configuration file has the group that its label __group__ names",
            extra={"addr": target.addr},
        )
        return None
    return target if group is None else found_with(target, group)
