"""Pages from blocks: assembling them, removing labels, keeping some of the samples, adding timestamps and
ages."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator, Sequence

from exporter.engine.plain.labels import Block, Labels


class Assembler:
    def __init__(
        self,
        headers: Sequence[bytes],
        cells: Sequence[tuple[int, int]],
        blocks: Sequence[Sequence[Block | None]],
    ) -> None:
        columns = [
            [(block.samples, offsets_of(block)) for block in part if block is not None] for part in blocks
        ]
        pieces = []
        awaited = b""  # the header that no sample has followed yet
        for header, (part, family) in zip(headers, cells, strict=True):
            awaited = header or awaited
            body = []
            for samples, offsets in columns[part]:
                if family + 1 >= len(offsets):
                    raise ValueError(f"a block has no family {family}")
                body.append(samples[offsets[family] : offsets[family + 1]])
            text = b"".join(body)
            if text:
                pieces.append(awaited + text)
                awaited = b""
        self._page = b"".join(pieces)
        self._at = 0
        self.size = len(self._page)

    def fill(self, room: bytearray | memoryview) -> int:
        if not room:
            raise ValueError("a piece needs room for at least one byte")
        piece = self._page[self._at : self._at + len(room)]
        room[: len(piece)] = piece
        self._at += len(piece)
        self.size -= len(piece)
        return len(piece)


def offsets_of(block: Block) -> tuple[int, ...]:
    return struct.unpack(f"={len(block.offsets) // 4}i", block.offsets)


def _joined(texts: Sequence[bytes], series: int, block: Block) -> Block:
    """A block of the texts of its families, instead of another one."""
    ends = [0, *itertools.accumulate(map(len, texts))]
    return Block(b"".join(texts), struct.pack(f"={len(ends)}i", *ends), series, block.invalid, block.fields)


def strip_labels(block: Block, labels: Labels) -> Block:
    samples, texts = block.samples, []
    for family, (begin, end) in enumerate(itertools.pairwise(offsets_of(block))):
        head = b"{" + labels.special.get(family, labels.text)
        lines = []
        if head == b"{":  # no labels
            texts.append(samples[begin:end])
            continue
        for line in _lines(samples[begin:end]):
            name, brace, rest = line.partition(head)
            if not brace or b"{" in name:
                lines.append(line)
            elif rest.startswith(b","):
                lines.append(name + b"{" + rest[1:])
            else:
                lines.append(name + rest[1:])
        texts.append(b"".join(lines))
    return _joined(texts, block.series, block)


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


def heads_of(block: Block) -> tuple[set[bytes], list[int]]:
    families = [
        [_head(line) for line in _lines(block.samples[begin:end])]
        for begin, end in itertools.pairwise(offsets_of(block))
    ]
    return set(itertools.chain.from_iterable(families)), [len(heads) for heads in families]


def sift(block: Block, heads: set[bytes], counts: list[int], room: int, per_family: int) -> Block:
    texts = []
    series = 0
    for number, (begin, end) in enumerate(itertools.pairwise(offsets_of(block))):
        kept = []
        for line in _lines(block.samples[begin:end]):
            head = _head(line)
            if head not in heads:
                if len(heads) >= room or counts[number] >= per_family:
                    continue
                heads.add(head)
                counts[number] += 1
            kept.append(line)
        series += len(kept)
        texts.append(b"".join(kept))
    return _joined(texts, series, block)


def add_timestamps(block: Block, at_ms: int) -> Block:
    end = b" %d\n" % at_ms
    pairs = itertools.pairwise(offsets_of(block))
    return _joined(
        [block.samples[begin:stop].replace(b"\n", end) for begin, stop in pairs], block.series, block
    )


def ages(heads: Sequence[bytes], times: Sequence[float], now: float) -> bytes:
    lines = []
    for head, time in zip(heads, times, strict=True):
        age_ms = round((now - time) * 1000)
        lines.append(
            b"%s%s%d.%03d\n" % (head, b"-" if age_ms < 0 else b"", abs(age_ms) // 1000, abs(age_ms) % 1000)
        )
    return b"".join(lines)
