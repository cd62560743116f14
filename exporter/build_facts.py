"""What a build knows of itself: from which commit it is, and when it was made.

`setup.py` writes these to `build.json` beside this module. Nothing is asked of git while the program runs.
"""

from __future__ import annotations

import json
import platform
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from exporter import __version__

UNKNOWN = "unknown"
FILE = Path(__file__).with_name("build.json")


@dataclass(frozen=True, slots=True)
class BuildFacts:
    """Each is `UNKNOWN` if the build did not know it. `date` has the form of Prometheus' programs."""

    commit: str = UNKNOWN
    branch: str = UNKNOWN
    date: str = UNKNOWN


def read_facts(file: Path = FILE) -> BuildFacts:
    """A source tree that was never built has no file; one that cannot be read counts as none."""
    try:
        found = json.loads(file.read_bytes())
        return BuildFacts(*(str(found.get(name) or UNKNOWN) for name in ("commit", "branch", "date")))
    except (OSError, ValueError, AttributeError):
        return BuildFacts()


@cache
def build_facts() -> BuildFacts:
    """Of this program."""
    return read_facts()


def version_text(engine: str) -> str:
    """What `--version` prints: the form of Prometheus' programs, without the names of people and machines."""
    facts = build_facts()
    rows = {
        "build date": facts.date,
        "python version": platform.python_version(),
        "platform": f"{sys.platform}/{platform.machine()}",
        "engine": engine,
    }
    head = f"redis_exporter, version {__version__} (branch: {facts.branch}, revision: {facts.commit})"
    return "\n".join([head, *(f"  {name + ':':<17} {value}" for name, value in rows.items())])
