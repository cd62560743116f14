"""The program with a resolver that never answers for names that end with `.hanging`: `python -m
tests.deaf_resolver [flags]`."""

from __future__ import annotations

import socket
import sys
import threading
from typing import Any

from exporter.cli import main

_ask = socket.getaddrinfo


def _ask_or_hang(host: Any, *args: Any, **more: Any) -> Any:
    if str(host).endswith(".hanging"):
        threading.Event().wait()
    return _ask(host, *args, **more)


if __name__ == "__main__":
    socket.getaddrinfo = _ask_or_hang
    sys.exit(main())
