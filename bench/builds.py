"""Builds of redpoll that are measured: this one, and one before it in a folder of its own."""

from __future__ import annotations

import os
import pathlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass

BEFORE = "the build before"


@dataclass(frozen=True)
class Build:
    """`python` runs the exporter of `folder`."""

    name: str
    folder: pathlib.Path
    python: str

    @property
    def command(self) -> Sequence[str]:
        """What starts its exporter, before the flags."""
        return [self.python, "-P", "-m", "exporter"]

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(self.folder)}


THIS = Build("redpoll", pathlib.Path(__file__).parent.parent, sys.executable)


def build_before(folder: pathlib.Path) -> Build:
    """The build of another checkout: by its own .venv, if it has one. ValueError if it holds no exporter."""
    if not (folder / "exporter" / "__main__.py").is_file():
        raise ValueError("that is no folder of redpoll")
    own = folder / ".venv" / "bin" / "python"
    return Build(BEFORE, folder.resolve(), str(own) if own.exists() else sys.executable)
