"""Replies to LATENCY HISTOGRAM and INFO commandstats, and damage to them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any

from hypothesis import strategies as st


def row(name: bytes, calls: int, *numbers: int) -> list[object]:
    """`numbers` are bounds and counts in turn."""
    return [name, [b"calls", calls, b"histogram_usec", list(numbers)]]


def stats(**usec: int) -> bytes:
    return b"".join(
        f"cmdstat_{name}:calls=9,usec={number},usec_per_call=1.00\r\n".encode()
        for name, number in usec.items()
    )


NAMES = st.sampled_from(
    [b"get", b"set", b"config", b"config|get", b"config|set", b"ft.search", b"a|b|c"] * 16
    + [b"a:b", b"a_b", "é".encode(), b'q"', b"\xff", b"x" * 60, b"", b"|", b"get "]
)


@st.composite
def _row(draw: st.DrawFn) -> list[object]:
    bounds = sorted(draw(st.sets(st.sampled_from([-3, 0, 1, 2, 4, 8, 1056, 10**17]), max_size=5)))
    counts = sorted(draw(st.lists(st.integers(0, 40), min_size=len(bounds), max_size=len(bounds))))
    calls = max(counts, default=0) + draw(st.integers(0, 3))
    return row(draw(NAMES), calls, *(number for pair in zip(bounds, counts, strict=True) for number in pair))


def _mostly_once(what: st.SearchStrategy[Any], name: Callable[[Any], bytes]) -> st.SearchStrategy[list[Any]]:
    once = st.lists(what, max_size=6, unique_by=name)
    return st.one_of(once, once, once, st.lists(what, max_size=6))


HISTOGRAMS: st.SearchStrategy[list[object]] = _mostly_once(_row(), lambda row: row[0]).map(
    lambda rows: list(chain(*rows))
)
_USEC = st.sampled_from([*range(12), 10**18 - 1] * 8 + [10**18, 10**20, 10**21])
_LINE = st.tuples(
    NAMES,
    _USEC,
    st.sampled_from([b",usec_per_call=1.0"] * 32 + [b"", b"_", b" ", b":calls=1,usec=3"]),
)
STATISTICS: st.SearchStrategy[bytes] = _mostly_once(_LINE, lambda line: line[0]).map(
    lambda lines: (
        b"# Commandstats\r\n" + b"".join(b"cmdstat_%b:calls=2,usec=%d%b\r\n" % line for line in lines)
    )
)

#: what may come into a reply
_SPLINTERS = st.sampled_from([b"", b":", b"-", b"0", b"9" * 19, b"\r\n", b"\n", b"*2\r\n", b"$-1\r\n", b"\0"])


def torn(what: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, Callable[[bytes], bytes]]]:
    """A value of `what`, and a change of some bytes of a text."""

    def change(place: float, length: int, splinter: bytes) -> Callable[[bytes], bytes]:
        def of(text: bytes) -> bytes:
            at = int(place * len(text))
            return text[:at] + splinter + text[at + length :]

        return of

    changes = st.builds(change, st.floats(0, 1), st.integers(0, 4), _SPLINTERS | st.binary(max_size=2))
    return st.tuples(what, changes)
