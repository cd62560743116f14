"""python -m tests.fuzz.worker CASE SECONDS FOLDER SEED: fuzzes one case with atheris, guided by what its
inputs reach. With `--repeat FILE` in place of the last three it checks one input."""

from __future__ import annotations

import gc
import logging
import sys
import time
from collections.abc import Iterable
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path

from tests.fuzz.table import ROWS, Row

#: seconds that one input may take, and MB that the process may have
INPUT_S, MEMORY_MB = 20, 6000
#: the least seconds of a run, however long its start takes
LEAST_S = 2


def fuzz(name: str, row: Row, seconds: float, folder: Path, seed: int) -> None:
    """With a seed of 0, each run changes inputs differently. Does not return: libFuzzer ends the process."""
    import atheris

    began_at = time.monotonic()
    with atheris.instrument_imports(["exporter"], unguided(row.guides)) if row.guides else nullcontext():
        case = row.make()
    from exporter.engine import ENGINE

    if ENGINE != "compiled":
        sys.exit("the engine that is fuzzed is not there: make fuzz")
    seeds, corpus, words = folder / "seeds" / name, folder / "corpus" / name, folder / f"{name}.words"
    corpus.mkdir(parents=True, exist_ok=True)
    _write_seeds(seeds, case.seeds(), case.length_max)
    words.write_text("".join(f'"{_quoted(word)}"\n' for word in case.words if 0 < len(word) <= 64))
    (folder / "found").mkdir(exist_ok=True)
    gc.freeze()
    rest_s = max(LEAST_S, round(seconds - (time.monotonic() - began_at)))
    flags: dict[str, object] = {
        "max_total_time": rest_s,
        "max_len": case.length_max,
        "artifact_prefix": f"{folder / 'found' / name}.",
        "timeout": INPUT_S,
        "report_slow_units": INPUT_S,
        "rss_limit_mb": MEMORY_MB,
        "detect_leaks": 0,
        "print_final_stats": 1,
        "reload": 0,
        "seed": seed,
    }
    if case.words:
        flags["dict"] = words
    atheris.Setup(
        [name, *(f"-{flag}={value}" for flag, value in flags.items()), str(corpus), str(seeds)], case.check
    )
    atheris.Fuzz()


def unguided(guides: tuple[str, ...]) -> list[str]:
    """The modules of the exporter that are not among the guides, nor in a package that is one."""
    spec = find_spec("exporter")
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent
    names = [".".join(path.relative_to(folder.parent).with_suffix("").parts) for path in folder.rglob("*.py")]
    modules = (name.removesuffix(".__init__") for name in names)
    return [name for name in modules if not any(f"{name}.".startswith(f"{guide}.") for guide in guides)]


def _write_seeds(folder: Path, seeds: Iterable[bytes], length_max: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for number, seed in enumerate(seeds):
        (folder / f"{number:04d}").write_bytes(seed[:length_max])


def _quoted(word: bytes) -> str:
    return "".join(f"\\x{byte:02X}" for byte in word)


def repeat(row: Row, file: Path) -> None:
    case = row.make()
    case.check(file.read_bytes())
    case.close()


def main() -> None:
    logging.disable(logging.CRITICAL)
    name, *rest = sys.argv[1:]
    if rest[0] == "--repeat":
        repeat(ROWS[name], Path(rest[1]))
    else:
        fuzz(name, ROWS[name], float(rest[0]), Path(rest[1]), int(rest[2]))


if __name__ == "__main__":
    main()
