"""Names of hosts that stand for what a test says, while the exporter runs. `tests.faults.program` looks them
up."""

from __future__ import annotations

import json
import os
from pathlib import Path

#: names that end so are looked up in the file that this variable names
FAULTY_NAMES = ".faulty"
NAMES_VARIABLE = "FAULTS_NAMES"
#: how many files the exporter may open
FILES_VARIABLE = "FAULTS_FILES"
#: set: connections are those of the event loop, as on systems without epoll
LOOP_VARIABLE = "FAULTS_LOOP"
#: in place of an address in that file
FAILS, HANGS = "fails", "hangs"


class Names:
    """What names stand for now."""

    def __init__(self, path: Path) -> None:
        self.environ = {NAMES_VARIABLE: str(path)}
        self._path = path
        self._known: dict[str, str] = {}
        self._write()

    def set(self, name: str, found: str) -> None:
        """An address, `FAILS` or `HANGS`."""
        self._known[name] = found
        self._write()

    def _write(self) -> None:
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps(self._known))
        os.replace(new, self._path)
