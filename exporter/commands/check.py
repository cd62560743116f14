"""`redis_exporter check`: whether the exporter would start with these options. It connects to no server."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping

from exporter import safe_text
from exporter.app.build import Configuration, configure
from exporter.app.run import read_targets
from exporter.descriptors import Descriptors, raise_limit
from exporter.options.table import Options

log = logging.getLogger(__name__)


def run(options: Options, environ: Mapping[str, str]) -> int:
    """Print one line for each target. Mistakes raise what they raise at a start."""
    targets = read_targets(options, environ)
    configuration = configure(options, targets)
    scarce = Descriptors(raise_limit()).warning(configuration.connections)
    for warning in (*configuration.warnings, *([scarce] if scarce is not None else [])):
        log.warning(warning)
    for target in targets:
        state = "" if target.enabled else "(enabled: false)"
        owner = configuration.division.other_owner(target.addr)
        shard = "" if owner is None else f"(shard {owner})"
        print(safe_text.one_line("  ".join(filter(None, (target.addr, target.alias, state, shard)))))
    further = " and ".join(_further(configuration))
    others = f"; more come from {further} while it runs" if further else ""
    print(f"ok: {len(targets)} target{'' if len(targets) == 1 else 's'}{others}")
    return 0


def _further(configuration: Configuration) -> Iterator[str]:
    """What else names targets, beside the flags and the configuration file."""
    if configuration.options.targets.file_sd:
        yield "--targets.file-sd"
    if configuration.options.targets.http_sd:
        yield "--targets.http-sd"
    if any(target.discover for target in configuration.targets):
        yield "discovery"
    if configuration.access.allows_any:
        yield "/scrape"
