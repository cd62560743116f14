"""python -m bench [case …] [--quick] [--json]: figures with their goals."""

from __future__ import annotations

import argparse
import sys

from bench.cases import parse, poll, serve, startup
from bench.figures import as_json, as_table, machine

CASES = {"parse": parse.run, "serve": serve.run, "poll": poll.run, "startup": startup.run}


def main() -> int:
    """0 if every goal was met, 1 if one was missed (never in a quick run, which measures too little to tell)."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure redpoll against its goals.")
    parser.add_argument("cases", nargs="*", metavar="case", help=f"any of {', '.join(CASES)}; all if none is named")
    parser.add_argument("--quick", action="store_true", help="a smoke run: the figures mean little")
    parser.add_argument("--json", action="store_true", help="a list of objects with figure, value, goal, ok")
    arguments = parser.parse_args()
    unknown = [case for case in arguments.cases if case not in CASES]
    if unknown:
        parser.error(f"there is no case {unknown[0]!r}: take {', '.join(CASES)}")
    figures = []
    for case in arguments.cases or CASES:
        if not arguments.json:
            print(f"{case} …", file=sys.stderr, flush=True)
        figures += CASES[case](arguments.quick)
    if arguments.json:
        print(as_json(figures))
    else:
        print(f"{machine()}\n\n{as_table(figures, not arguments.quick)}")
    return int(not arguments.quick and any(figure.ok is False for figure in figures))


if __name__ == "__main__":
    sys.exit(main())
