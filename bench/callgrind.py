"""User instructions of an exporter, as valgrind counts them: they are the same on a busy machine."""

from __future__ import annotations

import contextlib
import pathlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from bench.builds import Build
from bench.compiled import compile_library
from bench.listening import wait_listening
from bench.virtual_time import VirtualTime

PROGRAM = "valgrind"
READY_S = 180.0
STOP_S = 60.0
LAST_LINES = 20
_REQUESTS = """\
#include <valgrind/callgrind.h>
void begin(void) { CALLGRIND_START_INSTRUMENTATION; CALLGRIND_ZERO_STATS; }
void end(void) { CALLGRIND_DUMP_STATS; CALLGRIND_STOP_INSTRUMENTATION; }
"""
_COUNTED = pathlib.Path(__file__).with_name("counted.py")
#: the sum over all functions. The summary of a second count is not that: it lacks what the first one had.
_TOTALS = re.compile(r"(?m)^totals: (\d+)")
_SUMMARY = re.compile(r"(?m)^summary: \d+")


def installed() -> bool:
    return shutil.which(PROGRAM) is not None


class Counter:
    """One exporter under valgrind. Outside `begin` and `end` nothing is counted, and it runs faster."""

    def __init__(self, process: subprocess.Popen[bytes], files: pathlib.Path) -> None:
        self.pid = process.pid
        self._process = process
        self._files = files
        self._counts = 0

    def begin(self) -> None:
        self._order("begin")

    def end(self, keep: pathlib.Path | None = None) -> int:
        """User instructions of all threads since `begin`. `keep`: a file that gets what
        `callgrind_annotate` reads."""
        self._order("end")
        self._counts += 1
        written = self._files.with_name(f"{self._files.name}.{self._counts}")
        text = written.read_text(errors="replace")
        found = _TOTALS.search(text)
        if found is None:
            raise SystemExit("bench: callgrind wrote no totals")
        if keep is not None:
            keep.write_text(_SUMMARY.sub(f"summary: {found[1]}", text))
        return int(found[1])

    def _order(self, order: str) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(f"{order}\n".encode())
            self._process.stdin.flush()
        if self._process.stdout.readline() != b"done\n":
            raise SystemExit(f"bench: the exporter under {PROGRAM} has ended")


@contextlib.contextmanager
def counting(build: Build, port: int, flags: Sequence[str], clock: VirtualTime) -> Iterator[Counter]:
    """`redis_exporter` of a build on loopback under valgrind, until the block ends. It has the time of
    `clock`."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(
            tempfile.TemporaryDirectory(prefix="bench-callgrind-", ignore_cleanup_errors=True)
        )
        library = compile_library(_REQUESTS, pathlib.Path(folder), "requests")
        files = pathlib.Path(folder, "counts")
        said = stack.enter_context(pathlib.Path(folder, "stderr").open("w+b"))
        command = [
            *(PROGRAM, "-q", "--tool=callgrind", "--instr-atstart=no", "--fair-sched=yes"),
            f"--callgrind-out-file={files}",
            *(build.python, "-P", str(_COUNTED), str(library)),
            *(f"--web.listen-address=127.0.0.1:{port}", "--log-level=ERROR", *flags),
        ]
        process = subprocess.Popen(
            command,
            env={**build.environment, **clock.environ},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
        )
        try:
            wait_listening(port, process, f"the exporter under {PROGRAM}", READY_S)
            yield Counter(process, files)
        except SystemExit as error:
            if process.poll() is None:
                raise
            raise SystemExit(f"{error}; {_last_words(process.returncode, said)}") from None
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_S)
            process.kill()
            process.communicate()


def _last_words(code: int, said: BinaryIO) -> str:
    said.seek(0)
    lines = said.read().decode(errors="replace").splitlines()
    return "\n".join([f"the exporter under {PROGRAM} ended with code {code}", *lines[-LAST_LINES:]])
