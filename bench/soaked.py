"""The exporter's command, which counts its tasks and allocations when a line on stdin asks for it.

python -P bench/soaked.py [flags of the exporter]

It does not look at the objects themselves: while `gc.get_objects` holds them, a tuple that another thread is
making cannot grow, and memory that it fills cannot be given back.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import Any

from exporter import cli, signals
from exporter.app import run as app_run

_loops: list[asyncio.AbstractEventLoop] = []


def count() -> tuple[int, int]:
    """Tasks that have not ended, and blocks of memory that the interpreter has handed out."""
    return sum(len(asyncio.all_tasks(loop)) for loop in _loops), sys.getallocatedblocks()


def answer() -> None:
    """Answer until stdin ends."""
    for _ in sys.stdin:
        print(*count(), flush=True)


def note_loop() -> None:
    """Remember the event loop of the exporter as soon as it runs."""
    serve = app_run.serve

    async def noted(*arguments: Any) -> None:
        _loops.append(asyncio.get_running_loop())
        await serve(*arguments)

    app_run.serve = noted  # type: ignore[assignment]


def main() -> int:
    note_loop()
    threading.Thread(target=answer, daemon=True).start()
    signals.catch()
    return cli.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
