"""The exporter's command, which counts its tasks and objects when a line on stdin asks for it.

python -P bench/soaked.py [flags of the exporter]
"""

from __future__ import annotations

import asyncio
import gc
import sys
import threading

from exporter import cli, signals


def count() -> tuple[int, int]:
    """Tasks that have not ended, and all objects of which the garbage collector knows."""
    objects = gc.get_objects()
    return sum(isinstance(each, asyncio.Task) and not each.done() for each in objects), len(objects)


def answer() -> None:
    """Answer until stdin ends."""
    for _ in sys.stdin:
        print(*count(), flush=True)


def main() -> int:
    threading.Thread(target=answer, daemon=True).start()
    signals.catch()
    return cli.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
