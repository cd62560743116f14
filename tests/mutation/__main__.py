"""python -m tests.mutation: makes a sample of mutants of the plain engine's parsers, and says how many
of them the tests notice. It ends with 1 if these are too few."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from tests.mutation import mutants
from tests.mutation.mutants import Mutant


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutation", description="Count the mutants that tests notice."
    )
    parser.add_argument("--mutants", type=int, default=300, metavar="N", help="how many, chosen by chance")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="choose others")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="how many are tested at a time")
    parser.add_argument(
        "--least", type=float, default=90.0, metavar="PERCENT", help="exit with 1 if fewer are killed"
    )
    return parser


def share(found: Sequence[Mutant]) -> float:
    """The killed ones of 100."""
    return 100 * sum(mutant.is_killed for mutant in found) / len(found)


def table(found: Sequence[Mutant]) -> str:
    """How many of each module are killed, and of all."""
    by_module: dict[str, list[Mutant]] = {}
    for mutant in found:
        by_module.setdefault(mutant.module.stem, []).append(mutant)
    lines = [f"{'module':<12}{'mutants':>9}{'killed':>9}{'survived':>9}{'share':>9}"]
    for name, part in (*sorted(by_module.items()), ("all", list(found))):
        killed = sum(mutant.is_killed for mutant in part)
        lines.append(f"{name:<12}{len(part):>9}{killed:>9}{len(part) - killed:>9}{share(part):>7.1f} %")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """0 if enough are killed, 1 if not, 2 if there is nothing to judge by."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if min(arguments.mutants, arguments.jobs) < 1:
        parser.error("--mutants and --jobs are one at least")
    paths = mutants.modules()
    names = mutants.sample(
        [name for path in paths for name in mutants.names_of(path)], arguments.mutants, arguments.seed
    )
    print(f"testing {len(names)} mutants: tail -f {mutants.LOG}", file=sys.stderr)
    try:
        mutants.judge(names, arguments.jobs)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 2
    found = [mutant for path in paths for mutant in mutants.judged(path, names)]
    for mutant in found:
        if mutant.verdict != "killed":  # whoever reads this judges what took too long, too
            print(f"{mutant.name}: {mutant.verdict}\n{mutant.diff()}\n")
    print(table(found))
    return int(share(found) < arguments.least)


if __name__ == "__main__":
    sys.exit(main())
