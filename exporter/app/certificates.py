"""When the certificates end that this exporter shows or trusts."""

from __future__ import annotations

from exporter import masks
from exporter.app.build import Configuration
from exporter.telemetry.own_family import Value


def expiries(configuration: Configuration) -> dict[tuple[str, ...], Value]:
    """Unix time, by flag and file. Targets may have files of their own for one flag."""
    found = [context.expiries for context in configuration.dial_plan.contexts]
    tls = configuration.entrance.newest.tls
    if tls is not None:
        found.append(tls.expiries)
    return {(file.flag, masks.mask(file.name)): end for each in found for file, end in each.items()}
