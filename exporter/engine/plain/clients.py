"""CLIENT LIST: rows, and counts by some of their fields."""

from __future__ import annotations

from collections.abc import Sequence

_COUNTED = (b"omem", b"tot-mem", b"idle", b"age")


#: an address may hold blanks (the path of a socket), and ends before one of these; on a line without them it
#: ends at a blank: Garnet names no descriptor
_ENDS = {b"addr": (b"laddr=", b"fd="), b"laddr": (b"fd=",)}


def client_rows(text: bytes) -> list[dict[bytes, bytes]]:
    """A client is a line with an `addr`."""
    rows = []
    for line in text.split(b"\n"):
        row: dict[bytes, bytes] = {}
        tokens = line.removesuffix(b"\r").split(b" ")
        while tokens:
            name, equals, value = tokens.pop(0).partition(b"=")
            if not equals or name in row:
                continue
            ends = _ENDS.get(name)
            length = next((at for at, token in enumerate(tokens) if token.startswith(ends)), 0) if ends else 0
            row[name] = b" ".join([value, *tokens[:length]])
            del tokens[:length]
        if b"addr" in row:
            rows.append(row)
    return rows


def tally_clients(
    text: bytes, by: Sequence[str]
) -> list[tuple[tuple[bytes, ...], int, int, int, int, int, int, int]]:
    names = [name.encode() for name in by]
    tallies: dict[tuple[bytes, ...], list[int]] = {}
    for row in client_rows(text):
        tally = tallies.setdefault(tuple(row.get(name, b"") for name in names), [0] * 7)
        omem, memory, idle, age = (_count(row.get(name, b"")) for name in _COUNTED)
        tally[0] += 1
        tally[1] += omem
        tally[2] = max(tally[2], omem)
        tally[3] += memory
        tally[4] = max(tally[4], memory)
        tally[5] = max(tally[5], idle)
        tally[6] = max(tally[6], age)
    return [(key, t[0], t[1], t[2], t[3], t[4], t[5], t[6]) for key, t in tallies.items()]


def _count(text: bytes) -> int:
    return int(text) if 0 < len(text) <= 15 and all(48 <= c <= 57 for c in text) else 0
