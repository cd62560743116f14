"""The options about targets that come, change and go while the exporter runs."""

from __future__ import annotations

from dataclasses import dataclass

from exporter.options.option import flag
from exporter.options.values import BOOL


# fmt: off
@dataclass(frozen=True, slots=True)
class TargetOptions:
    """Where targets come from besides the flags, and what becomes of them."""

    watch: bool = flag("watch", BOOL, "false",
        "Reload when a file changes that the options name.", reloadable=False)
