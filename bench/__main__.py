"""python -m bench [case …]: figures with their goals, and pictures and a report of them with --out."""

from __future__ import annotations

import argparse
import dataclasses
import pathlib
import sys

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench.builds import build_before
from bench.cases import (
    api,
    busy,
    clients,
    crowd,
    faults,
    fleet,
    freshness,
    instructions,
    memory,
    parse,
    poll,
    redis_cost,
    scrape,
    serve,
    shards,
    sidecar,
    staleness,
    startup,
    status,
)
from bench.figures import as_json, as_table, missed
from bench.machine import machine, revisions
from bench.report import write_report
from bench.rivals import GO_EXPORTER, find_rivals
from bench.setup import Result, Setup

CASES = {
    "instructions": instructions.run,
    "parse": parse.run,
    "clients": clients.run,
    "serve": serve.run,
    "scrape": scrape.run,
    "crowd": crowd.run,
    "busy": busy.run,
    "poll": poll.run,
    "fleet": fleet.run,
    "shards": shards.run,
    "memory": memory.run,
    "staleness": staleness.run,
    "startup": startup.run,
    "redis-cost": redis_cost.run,
    "freshness": freshness.run,
    "sidecar": sidecar.run,
    "faults": faults.run,
    "status": status.run,
    "api": api.run,
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Measure redpoll against its goals, and against others."
    )
    parser.add_argument(
        "cases", nargs="*", metavar="case", help=f"any of {', '.join(CASES)}; all if none is named"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a smoke run: the figures mean little, and only instructions are judged",
    )
    parser.add_argument("--json", action="store_true", help="a list of objects with figure, value, goal, ok")
    parser.add_argument(
        "--out", type=pathlib.Path, metavar="DIR", help="write report.md and the pictures into this folder"
    )
    parser.add_argument(
        "--real", type=int, metavar="N", help="so many real redis-servers in place of the simulator"
    )
    parser.add_argument(
        "--before",
        type=pathlib.Path,
        metavar="PATH",
        help="the folder of another build of redpoll, to stand beside this one",
    )
    parser.add_argument(
        "--rival",
        action="append",
        default=[],
        metavar="PATH",
        help=f"a Go exporter's binary (default: {GO_EXPORTER}, where it is installed); may be given again, "
        f"for a newer one",
    )
    return parser


def _setup(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> Setup:
    if unknown := [case for case in arguments.cases if case not in CASES]:
        parser.error(f"there is no case {unknown[0]!r}: take {', '.join(CASES)}")
    if arguments.real is not None and arguments.real < 1:
        parser.error(f"--real={arguments.real}: at least one server")
    try:
        rivals = find_rivals(arguments.rival)
    except ValueError as error:
        parser.error(f"--rival={error}")
    before = None
    if arguments.before is not None:
        try:
            before = build_before(arguments.before)
        except ValueError as error:
            parser.error(f"--before={arguments.before}: {error}")
    return Setup(arguments.quick, arguments.real, rivals, before, arguments.out)


def _measure(cases: list[str], setup: Setup, silent: bool) -> tuple[dict[str, Result], dict[str, str]]:
    """By case, its result, or why there is none: one that fails costs the others nothing."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    results = {}
    failures = {}
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=silent) as progress:
        task = progress.add_task("", total=len(cases))
        for case in cases:

            def note(text: str, case: str = case) -> None:
                progress.update(task, description=f"{case}: {text}" if text else case)

            note("")
            try:
                results[case] = CASES[case](dataclasses.replace(setup, note=note))
            except SystemExit as error:  # in the case's own words
                failures[case] = str(error).removeprefix("bench: ")
            except Exception as error:
                failures[case] = f"{type(error).__name__}: {error}"
            progress.advance(task)
    return results, failures


def main() -> int:
    """0 if every goal was met, 1 if one was missed (in a quick run, which measures too little to tell, one of
    a steady figure) or a case failed."""
    parser = _parser()
    arguments = parser.parse_args()
    setup = _setup(parser, arguments)
    results, failures = _measure(list(dict.fromkeys(arguments.cases)) or list(CASES), setup, arguments.json)
    figures = [figure for result in results.values() for figure in result.figures]
    if arguments.json:
        print(as_json(figures))
    else:
        print(f"{machine()}\n{revisions(setup)}\n\n{as_table(figures, not arguments.quick)}")
    if arguments.out is not None:
        print(f"\nreport: {write_report(arguments.out, results, setup)}", file=sys.stderr)
    for case, why in failures.items():
        print(f"{case} could not be measured: {why}", file=sys.stderr)
    return int(bool(failures) or missed(figures, not arguments.quick))


if __name__ == "__main__":
    sys.exit(main())
