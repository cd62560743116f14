"""LATENCY HISTOGRAM: its rows."""

from __future__ import annotations

import itertools

#: of one command: its name, how many calls, the upper bounds in rising order, how many calls took at most
#: that
Histogram = tuple[bytes, int, tuple[int, ...], list[int]]


def histogram_rows(reply: object, bounds_max: int) -> list[Histogram]:
    rows: list[Histogram] = []
    if not isinstance(reply, list):
        return rows
    for name, row in zip(reply[::2], reply[1::2], strict=False):
        if (
            type(name) is bytes
            and type(row) is list
            and len(row) == 4
            and type(row[1]) is int
            and type(row[3]) is list
        ):
            calls, pairs = row[1], row[3]
            bounds, below = tuple(pairs[::2]), pairs[1::2]
            if (
                all(type(number) is int and -(1 << 63) <= number < 1 << 63 for number in (calls, *pairs))
                and len(bounds) == len(below) <= bounds_max
                and all(one < other for one, other in itertools.pairwise(bounds))
                and all(one <= other for one, other in itertools.pairwise([0, *below, calls]))
            ):
                rows.append((name, calls, bounds, below))
    return rows
