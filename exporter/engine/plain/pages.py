"""Pages from blocks: assembling them, removing labels, keeping some of the samples, adding timestamps and
ages."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator, Sequence

from exporter.engine.plain.labels import Labels


class Assembler:
    def __init__(
        self,
        headers: Sequence[bytes],
        cells: Sequence[tuple[int, int]],
        blocks: Sequence[Sequence[tuple[bytes, bytes]]],
    ) -> None:
        columns = [[(samples, _offsets(samples, offsets)) for samples, offsets in part] for part in blocks]
        pieces = []
        awaited = b""  # the header that no sample has followed yet
        for header, (part, family) in zip(headers, cells, strict=True):
            awaited = header or awaited
            body = []
            for samples, offsets in columns[part]:
                if family + 1 >= len(offsets):
                    raise ValueError(f"a block of part {part} has no family {family}")
                body.append(samples[offsets[family] : offsets[family + 1]])
            text = b"".join(body)
            if text:
                pieces.append(awaited + text)
                awaited = b""
        self._page = b"".join(pieces)
        self._at = 0
        self.size = len(self._page)

    def fill(self, room: bytearray) -> int:
        if not room:
            raise ValueError("a piece needs room for at least one byte")
        piece = self._page[self._at : self._at + len(room)]
        room[: len(piece)] = piece
        self._at += len(piece)
        self.size -= len(piece)
        return len(piece)


def _offsets(samples: bytes, offsets: bytes) -> tuple[int, ...]:
    """The offsets as numbers. ValueError for wrong ones: they would show one target's bytes as another's."""
    if len(offsets) % 4 or not offsets:
        raise ValueError("offsets are 4 bytes each, and one at least")
    numbers = struct.unpack(f"={len(offsets) // 4}i", offsets)
    if numbers[0] != 0 or numbers[-1] != len(samples) or any(a > b for a, b in itertools.pairwise(numbers)):
        raise ValueError("offsets do not fit their samples")
    return numbers


def strip_labels(samples: bytes, offsets: bytes, labels: Labels) -> tuple[bytes, bytes]:
    numbers = _offsets(samples, offsets)
    texts = []
    for family, (begin, end) in enumerate(itertools.pairwise(numbers)):
        head = b"{" + labels.special.get(family, labels.text)
        lines = []
        for line in _lines(samples[begin:end]) if len(head) > 1 else [samples[begin:end]]:
            name, brace, rest = line.partition(head)
            if not brace or b"{" in name:
                lines.append(line)
            elif rest.startswith(b","):
                lines.append(name + b"{" + rest[1:])
            else:
                lines.append(name + rest[1:])
        texts.append(b"".join(lines))
    ends = [0]
    for text in texts:
        ends.append(ends[-1] + len(text))
    return b"".join(texts), struct.pack(f"={len(ends)}i", *ends)


def _lines(text: bytes) -> Iterator[bytes]:
    """Lines with their ends. Only LF ends a line: a label value may hold other line breaks."""
    begin = 0
    while begin < len(text):
        end = text.find(b"\n", begin) + 1 or len(text)
        yield text[begin:end]
        begin = end


def _head(line: bytes) -> bytes:
    """Name and labels of a sample: up to the last brace that a blank follows, or the first blank."""
    brace = line.rfind(b"} ")
    return line[: brace + 1] if brace >= 0 else line.removesuffix(b"\n").partition(b" ")[0]


def heads_of(samples: bytes, offsets: bytes) -> tuple[set[bytes], list[int]]:
    families = [
        [_head(line) for line in _lines(samples[begin:end])]
        for begin, end in itertools.pairwise(_offsets(samples, offsets))
    ]
    return set(itertools.chain.from_iterable(families)), [len(heads) for heads in families]


def sift(
    samples: bytes, offsets: bytes, heads: set[bytes], counts: list[int], room: int, per_family: int
) -> tuple[bytes, bytes, int]:
    texts = []
    series = 0
    for number, (begin, end) in enumerate(itertools.pairwise(_offsets(samples, offsets))):
        kept = []
        for line in _lines(samples[begin:end]):
            head = _head(line)
            if head not in heads:
                if len(heads) >= room or counts[number] >= per_family:
                    continue
                heads.add(head)
                counts[number] += 1
            kept.append(line)
        series += len(kept)
        texts.append(b"".join(kept))
    ends = [0]
    for text in texts:
        ends.append(ends[-1] + len(text))
    return b"".join(texts), struct.pack(f"={len(ends)}i", *ends), series


def add_timestamps(samples: bytes, offsets: bytes, at_ms: int) -> tuple[bytes, bytes]:
    numbers = _offsets(samples, offsets)
    end = b" %d\n" % at_ms
    texts = [samples[begin:stop].replace(b"\n", end) for begin, stop in itertools.pairwise(numbers)]
    ends = [0]
    for text in texts:
        ends.append(ends[-1] + len(text))
    return b"".join(texts), struct.pack(f"={len(ends)}i", *ends)


def ages(heads: Sequence[bytes], times: Sequence[float], now: float) -> bytes:
    lines = []
    for head, time in zip(heads, times, strict=True):
        age_ms = round((now - time) * 1000)
        lines.append(
            b"%s%s%d.%03d\n" % (head, b"-" if age_ms < 0 else b"", abs(age_ms) // 1000, abs(age_ms) % 1000)
        )
    return b"".join(lines)
