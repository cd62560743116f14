"""`python -m tests.watched_network DIALS FLAGS…` runs the exporter, and writes each address that it begins to
connect to as a line of the file DIALS. One that is not loopback is refused there: no packet leaves the
machine.

The variable `NAMES_VARIABLE` may name a file of host names, each with the addresses that it has one after
the other; the last one stays.
"""

from __future__ import annotations

import errno
import ipaddress
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

from exporter.cli import main

NAMES_VARIABLE = "WATCHED_NAMES"

_ask = socket.getaddrinfo


class Watch:
    """Sees what sockets are connected to, however that is done."""

    def __init__(self, dials: Path, names: dict[str, list[str]]) -> None:
        self._dials = dials.open("a")
        self._names = names

    def see(self, event: str, args: tuple[Any, ...]) -> None:
        if event != "socket.connect" or isinstance(args[1], str | bytes):
            return
        host, port, *_ = args[1]
        print(host, port, file=self._dials, flush=True)
        if not ipaddress.ip_address(host.partition("%")[0]).is_loopback:
            raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))

    def look_up(self, host: Any, *args: Any, **more: Any) -> Any:
        answers = self._names.get(str(host))
        if answers is None:
            return _ask(host, *args, **more)
        return _ask(answers.pop(0) if len(answers) > 1 else answers[0], *args, **more)


if __name__ == "__main__":
    names = os.environ.get(NAMES_VARIABLE)
    watch = Watch(Path(sys.argv.pop(1)), json.loads(Path(names).read_text()) if names else {})
    sys.addaudithook(watch.see)
    socket.getaddrinfo = watch.look_up
    sys.exit(main())
