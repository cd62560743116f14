"""The exporter's command under callgrind, which counts when it is told to.

    valgrind --tool=callgrind --instr-atstart=no … python -P bench/counted.py LIBRARY [flags of the exporter]

Lines on stdin are the orders: `begin` counts from here, `end` writes what was counted to callgrind's next
file. Each is answered by a line on stdout. It imports nothing of the benches, so that it can run the exporter
of another folder.
"""

from __future__ import annotations

import ctypes
import sys
import threading


def obey(library: ctypes.CDLL) -> None:
    """Take orders until stdin ends."""
    for line in sys.stdin:
        {"begin": library.begin, "end": library.end}[line.strip()]()
        print("done", flush=True)


def main() -> int:
    path, *flags = sys.argv[1:]
    threading.Thread(target=obey, args=(ctypes.CDLL(path),), daemon=True).start()
    from exporter import cli, signals

    signals.catch()
    return cli.main(flags)


if __name__ == "__main__":
    sys.exit(main())
