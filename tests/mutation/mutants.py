"""A sample of mutants, and what the tests say of each. mutmut makes and judges them: `[tool.mutmut]` in
pyproject.toml names the modules and the tests."""

from __future__ import annotations

import random
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from mutmut.configuration import config
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.mutation.file_mutation import mutate_file_contents
from mutmut.stats import status_by_exit_code
from mutmut.utils.format_utils import get_mutant_name

#: a mutant that never ends, or takes all memory, does not pass for a right program
NOTICED = {"killed", "timeout", "segfault"}
#: bytes of memory that the tests of one mutant may take: some mutants would take all
MEMORY_MAX = 6 << 30
#: mutmut copies everything to there
COPY = Path("mutants")
LOG = Path("build/mutants.log")


class Mutant(NamedTuple):
    name: str
    module: Path
    verdict: str

    @property
    def is_killed(self) -> bool:
        return self.verdict in NOTICED

    def diff(self) -> str:
        return get_diff_for_mutant(self.name, path=self.module)


def modules() -> list[Path]:
    return list(config().source_paths)


def names_of(module: Path) -> list[str]:
    """All mutants of one module, as mutmut names them."""
    made = mutate_file_contents(str(module), module.read_text())
    return [get_mutant_name(module, name) for name in made.mutant_names]


def sample(names: Sequence[str], count: int, seed: int) -> list[str]:
    return random.Random(seed).sample(names, min(count, len(names)))


def judge(names: Iterable[str], workers: int) -> None:
    """Run the tests of each mutant in a fresh copy of the sources. RuntimeError if mutmut cannot."""
    shutil.rmtree(COPY, ignore_errors=True)
    LOG.parent.mkdir(exist_ok=True)
    command = [str(Path(sys.executable).with_name("mutmut")), "run", f"--max-children={workers}", *names]
    with LOG.open("wb") as log:
        done = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, preexec_fn=_limit_memory)
    if done.returncode:
        raise RuntimeError(f"mutmut ended with {done.returncode}: {LOG} says why")


def _limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX, MEMORY_MAX))


def judged(module: Path, names: Iterable[str]) -> list[Mutant]:
    """These mutants of one module after `judge`."""
    data = SourceFileMutationData(path=module)
    data.load()
    wanted = set(names)
    return [
        Mutant(name, module, status_by_exit_code[code])
        for name, code in data.exit_code_by_key.items()
        if name in wanted
    ]
