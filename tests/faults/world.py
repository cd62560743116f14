"""The clocks and the disk of an exporter, as a test wants them: `world.c`, preloaded into it, shifts its wall
clock and lets its files take no more bytes."""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

from bench.compiled import compile_library

SOURCE = Path(__file__).with_suffix(".c")
#: as `struct world` of the source has them: nanoseconds to shift the clock by, whether the disk is full
_WORLD = struct.Struct("=2q")


class World:
    """Of the processes that run in `environ`."""

    def __init__(self, folder: Path) -> None:
        path = folder / "world"
        path.write_bytes(bytes(_WORLD.size))
        library = compile_library(SOURCE.read_text(), folder, "preloaded")
        self.environ = {"FAULTS_WORLD": str(path), "LD_PRELOAD": str(library)}
        with path.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), _WORLD.size)

    def jump(self, by_s: float) -> None:
        """Shift the wall clock, from the true time."""
        self._shared[:8] = struct.pack("=q", round(by_s * 1e9))

    def fill_disk(self, *, is_full: bool) -> None:
        """Let writing to files fail, or no longer."""
        self._shared[8:16] = struct.pack("=q", is_full)

    def close(self) -> None:
        self._shared.close()
