"""`python -m tests.faults.program REPORT FLAGS…` runs the exporter with a meter in its event loop, see
`tests.metered`, and with a resolver that a test can change.

Names that end with `.faulty` are what the file says that the variable FAULTS_NAMES names. Of FAULTS_FILES, if
it is set, the process may open no more files. With FAULTS_LOOP its connections are those of the event loop.
"""

from __future__ import annotations

import json
import os
import resource
import socket
import sys
import time
from pathlib import Path
from typing import Any

from exporter.connection import dialer
from tests import metered
from tests.faults.names import (
    FAILS,
    FAULTY_NAMES,
    FILES_VARIABLE,
    HANGS,
    LOOP_VARIABLE,
    NAMES_VARIABLE,
)

LOOK_S = 0.05
_ask = socket.getaddrinfo


def _found(host: str) -> str:
    """What stands for a name now: it hangs as long as the file says so."""
    while (found := str(json.loads(Path(os.environ[NAMES_VARIABLE]).read_text())[host])) == HANGS:
        time.sleep(LOOK_S)
    if found == FAILS:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return found


def _look_up(host: Any, *args: Any, **more: Any) -> Any:
    return _ask(_found(host) if str(host).endswith(FAULTY_NAMES) else host, *args, **more)


def main() -> int:
    if files := int(os.environ.get(FILES_VARIABLE, "0")):
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    if LOOP_VARIABLE in os.environ:
        dialer.CORE = False
    socket.getaddrinfo = _look_up
    return metered.main()


if __name__ == "__main__":
    sys.exit(main())
