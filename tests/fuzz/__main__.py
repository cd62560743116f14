"""python -m tests.fuzz [case …]: fuzzes everything that reads what others wrote, side by side, and says how
often and what failed. The compiled engine is that of `make fuzz`, with sanitizers."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from exporter.options.values import parse_duration
from tests.fuzz.runs import FOLDER, Run, repeat, run_all
from tests.fuzz.table import ROWS


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description="Fuzz what reads texts of others."
    )
    parser.add_argument(
        "cases", nargs="*", metavar="case", help=f"any of {', '.join(ROWS)}; all if none is named"
    )
    parser.add_argument(
        "--for", dest="seconds", type=parse_duration, default=60.0, metavar="DURATION", help="how long in all"
    )
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="how many cases run at a time")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="change inputs alike in each run; 0: differently"
    )
    parser.add_argument("--folder", type=Path, default=FOLDER, metavar="DIR", help="where inputs are kept")
    parser.add_argument("--repeat", type=Path, metavar="FILE", help="check this input of one case")
    return parser


def table(runs: list[Run]) -> str:
    """How each case went, and all together."""
    rows = [
        ("case", "executions", "a second", "crashes"),
        *((run.case, f"{run.executions:,}", f"{run.rate:,.0f}", str(run.crashes)) for run in runs),
    ]
    rows.append(
        ("all", f"{sum(run.executions for run in runs):,}", "", str(sum(run.crashes for run in runs)))
    )
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        f"{row[0]:<{widths[0]}}  "
        + "  ".join(f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
        for row in rows
    )


def main(argv: list[str] | None = None) -> int:
    """0 if nothing failed, 1 if an input showed a fault or a case could not run."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if unknown := [case for case in arguments.cases if case not in ROWS]:
        parser.error(f"there is no case {unknown[0]!r}: take {', '.join(ROWS)}")
    if arguments.jobs < 1:
        parser.error(f"--jobs={arguments.jobs}: at least one")
    cases = list(dict.fromkeys(arguments.cases)) or list(ROWS)
    if arguments.repeat is not None:
        if len(cases) != 1:
            parser.error("--repeat: name the one case that the input is of")
        return repeat(cases[0], arguments.repeat)
    runs = run_all(cases, arguments.seconds, arguments.jobs, arguments.folder, arguments.seed)
    print(table(runs))
    for run in runs:
        if run.failed:
            print(f"\n{run.case}: {run.report}", file=sys.stderr)
    return int(any(run.failed for run in runs))


if __name__ == "__main__":
    sys.exit(main())
