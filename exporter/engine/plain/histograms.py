"""LATENCY HISTOGRAM: its rows, and those of a reply as it came over the wire."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection

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


# A reply as it came. What is out of the ordinary in it is left to those who read its values.

#: a number fits 64 bits, and so does the sum of some
_NUMBER = rb"(?:0|-?[1-9][0-9]{0,17})"
#: names that INFO and samples write as they are
_NAME = rb"[!$-9;-\[\]-~]+"
_COUNT = re.compile(rb"\*(%b)\r\n" % _NUMBER)
_ROW = re.compile(
    rb"\$(%b)\r\n(%b)\r\n\*4\r\n\$5\r\ncalls\r\n:(%b)\r\n"
    rb"\$14\r\nhistogram_usec\r\n\*(%b)\r\n((?::%b\r\n)*)" % (_NUMBER, _NAME, _NUMBER, _NUMBER, _NUMBER)
)
_LINE = re.compile(rb"^cmdstat_", re.M)
_SUM = re.compile(rb"^cmdstat_(.[^:\n]*):calls=[0-9]+,usec=([0-9]{1,18})(?=[,\r\n]|\Z)", re.M)
#: of the sub-commands of one container
SUM_MAX = 10**18


def raw_histogram_rows(reply: bytes, bounds_max: int, name_max: int) -> list[Histogram] | None:
    """The rows of a reply as it came. None: not all of it is in the ordinary."""
    items: list[object] = []
    head = _COUNT.match(reply)
    at = head.end() if head else len(reply)
    while at < len(reply):
        row = _ROW.match(reply, at)
        if row is None:
            return None
        numbers = list(map(int, row[5].replace(b":", b"").split()))
        if not (len(row[2]) == int(row[1]) <= name_max and len(numbers) == int(row[4])):
            return None
        items += row[2], [b"calls", int(row[3]), b"histogram_usec", numbers]
        at = row.end()
    rows = histogram_rows(items, bounds_max)
    is_whole = head is not None and int(head[1]) == len(items) == 2 * len(rows)
    return rows if is_whole and len({name for name, *_ in rows}) == len(rows) else None


def sums_of(commands: Collection[bytes], statistics: bytes) -> dict[bytes, int] | None:
    """Microseconds of these commands by INFO commandstats, as far as it has them. None: a line is out of the
    ordinary.

    A container stands for its sub-commands too, if they are not among the commands themselves.
    """
    found = _SUM.findall(statistics)
    if len(found) != len(_LINE.findall(statistics)):
        return None
    own = set(commands)
    summed: set[bytes] = set()
    sums: dict[bytes, int] = {}
    within: dict[bytes, int] = {}
    for name, usec in found:
        container, bar, _ = name.partition(b"|")
        if name not in own and not (bar and container in own):
            continue
        if name in summed:
            return None
        summed.add(name)
        if name in own:
            sums[name] = int(usec)
        else:
            within[container] = within.get(container, 0) + int(usec)
    if any(usec > SUM_MAX for usec in within.values()):
        return None
    return {name: sums.get(name, 0) + within.get(name, 0) for name in sums.keys() | within.keys()}
