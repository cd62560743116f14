"""How a bench measures: the limits of the machine as compiled loops, and the least of many short rounds."""

from __future__ import annotations

import ctypes
import functools
import pathlib
import tempfile
import time
from collections.abc import Callable

from bench.compiled import compile_library

#: microseconds of one newline scan or one copy, the best of `rounds` of `times` each
_LIMITS = r"""
#include <string.h>
#include <stdlib.h>
#include <time.h>
static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}
double newline_scan(const char *text, size_t n, int times, int rounds, size_t *lines) {
    double best = 1e18;
    for (int r = 0; r < rounds; r++) {
        double began = now();
        size_t found = 0;
        for (int i = 0; i < times; i++) {
            const char *p = text, *end = text + n;
            found = 0;
            while (p < end && (p = memchr(p, '\n', end - p))) { found++; p++; }
            __asm__ volatile("" : : "r"(found) : "memory");
        }
        double took = (now() - began) / times;
        if (took < best) best = took;
        *lines = found;
    }
    return best;
}
double copy(const char *from, size_t n, int rounds) {
    double best = 1e18;
    for (int r = 0; r < rounds; r++) {
        char *to = malloc(n);           /* a fresh page each time, as a page of ours is */
        double began = now();
        memcpy(to, from, n);
        __asm__ volatile("" : : "r"(to) : "memory");
        double took = now() - began;
        if (took < best) best = took;
        free(to);
    }
    return best;
}
"""


@functools.cache
def _limits() -> ctypes.CDLL:
    with tempfile.TemporaryDirectory() as folder:
        loaded = ctypes.CDLL(str(compile_library(_LIMITS, pathlib.Path(folder), "limits")))
    loaded.newline_scan.restype = loaded.copy.restype = ctypes.c_double
    return loaded


def newline_scan_us(text: bytes, times: int, rounds: int) -> tuple[float, int]:
    """Microseconds to find every line break with memchr, and how many there are."""
    lines = ctypes.c_size_t()
    took = _limits().newline_scan(text, ctypes.c_size_t(len(text)), times, rounds, ctypes.byref(lines))
    return float(took), lines.value


def copy_us(data: bytes, rounds: int) -> float:
    """Microseconds to copy the bytes once into fresh memory."""
    return float(_limits().copy(data, ctypes.c_size_t(len(data)), rounds))


def least_us(work: Callable[[], object], times: int, rounds: int) -> float:
    """Microseconds of one call: the least mean of `rounds` rounds of `times` calls."""
    best = float("inf")
    for _ in range(rounds):
        began = time.perf_counter()
        for _ in range(times):
            work()
        best = min(best, (time.perf_counter() - began) / times)
    return best * 1e6


def percentile(values: list[float], part: float) -> float:
    """The value below which `part` (0 to 1) of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]
