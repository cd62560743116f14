"""What large replies took is given back to the system."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable

import pytest

from exporter.polling import heap_trimmer
from exporter.polling.heap_trimmer import LARGE_BYTES, HeapTrimmer
from tests.store_fixture import until

#: blocks that the C library keeps: a small one stands behind each large one
KEPT = """
import pathlib, sys
from exporter.polling.heap_trimmer import HEAP_TRIMMER
def rss_mb():
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * 4096 // 1_000_000
for _ in range(3):
    bytes(30_000_000)
held = [(bytearray(b"x") * 100_000, bytearray(b"y") * 2_000) for _ in range(1000)]
small = [pair[1] for pair in held]
del held
before = rss_mb()
HEAP_TRIMMER._trim(0)
print(before - rss_mb())
"""


@pytest.mark.skipif(heap_trimmer.HEAP_TRIMMER._trim is None, reason="not glibc")
def test_what_is_free_within_the_heap_goes_back() -> None:
    done = subprocess.run([sys.executable, "-c", KEPT], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 50


def noting(trims: list[int]) -> Callable[[int], int]:
    """A trim that notes its padding and gives memory back."""

    def trim(pad: int) -> int:
        trims.append(pad)
        return 1

    return trim


async def test_once_for_all_large_replies_of_a_moment_and_for_small_ones_never(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(heap_trimmer, "DELAY_S", 0.05)
    trims: list[int] = []
    made = HeapTrimmer(noting(trims))
    made.note(LARGE_BYTES - 1)
    for _ in range(3):
        made.note(LARGE_BYTES)
    assert trims == []
    await until(lambda: trims)

    def trimmed_again() -> bool:
        made.note(LARGE_BYTES)  # the timer may be a moment early
        return len(trims) == 2

    await until(trimmed_again)
    assert trims == [0, 0]


async def test_at_the_end_of_the_program_it_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heap_trimmer, "DELAY_S", 0.0)
    loop = asyncio.get_running_loop()
    wrong: list[object] = []
    loop.set_exception_handler(lambda _, context: wrong.append(context))
    await loop.shutdown_default_executor()
    trims: list[int] = []
    HeapTrimmer(noting(trims)).note(LARGE_BYTES)
    await until(lambda: trims or wrong)
    assert wrong == []


async def test_without_such_a_function_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heap_trimmer, "DELAY_S", 0.0)
    loop = asyncio.get_running_loop()
    wrong: list[object] = []
    loop.set_exception_handler(lambda _, context: wrong.append(context))
    HeapTrimmer(None).note(LARGE_BYTES)
    trims: list[int] = []
    HeapTrimmer(noting(trims)).note(LARGE_BYTES)  # its turn comes after that of the first one
    await until(lambda: trims)
    assert wrong == []
