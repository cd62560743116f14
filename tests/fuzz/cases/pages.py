"""What is written: label values, samples with hostile names, blocks and pages made of them."""

from __future__ import annotations

import itertools
import re
import struct
from collections.abc import Iterable
from typing import Any

from tests.collectors.test_hostile_names import NAMES
from tests.engine.readings import seen
from tests.engine.test_engines import SAMPLES, parts_of
from tests.engine.test_segments import HEADERS, Page
from tests.fuzz.case import CUT, Case, Script
from tests.fuzz.cases.engines import BOTH, COMPILED, PLAIN, assert_exposition
from tests.store_fixture import page_of

LIMITS = (1024, 0, 1, 2, 3, 4, 7, 20)
SHORT_NAMES = [name for name in NAMES if len(name) < 1000]
ESCAPED = re.compile(r'(?:[^"\\\n]|\\["\\n])*')
ODD_BYTES = (
    b"\xff",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\xf0\x9f\x92\xa9",
    b"\xe2\x80\xa8",
    b"\xef\xbf\xbd",
    b"\\",
    b'"',
    b"\n",
    b"\r",
    b"\0",
)


class LabelTexts(Case):
    length_max = 300
    words = ODD_BYTES

    def seeds(self) -> Iterable[bytes]:
        return [bytes([number % len(LIMITS)]) + name for number, name in enumerate(SHORT_NAMES)]

    def check(self, data: bytes) -> None:
        script = Script(data)
        limit, value = script.one_of(LIMITS), script.rest()
        escaped = COMPILED.escape(value, limit)
        assert escaped == PLAIN.escape(value, limit)
        text = escaped.decode()
        assert ESCAPED.fullmatch(text)
        read = re.sub(r"\\(.)", lambda match: "\n" if match[1] == "n" else match[1], text).encode()
        assert len(read.replace("\ufffd".encode(), b"")) <= limit
        if len(value) <= limit and _is_text(value):
            assert read == value


def _is_text(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


class Names(Case):
    """Names of commands, clients, keys and whatever else becomes a label: Prometheus takes the page."""

    length_max = 400
    words = (*ODD_BYTES, CUT, *SHORT_NAMES[:-1])
    FAMILIES = ((b"redis_a", (b"x",)), (b"redis_b", (b"x", b"y")), (b"redis_c", (b"addr",)), (b"redis_d", ()))
    HEADERS = tuple(b"# HELP %b Help.\n# TYPE %b gauge\n" % (name, name) for name, _ in FAMILIES)
    LABEL_MAX = 64

    def seeds(self) -> Iterable[bytes]:
        yield from SHORT_NAMES
        for one, other in itertools.pairwise(SHORT_NAMES):
            yield CUT.join([one, other, one])

    def check(self, data: bytes) -> None:
        names = data.split(CUT)[:12]
        written = [self._write(engine, names) for engine in BOTH]
        assert seen(written[0][0]) == seen(written[1][0])
        changed = [_changes(engine, *each) for engine, each in zip(BOTH, written, strict=True)]
        assert changed[0] == changed[1]
        for block in (each for each, _ in written):
            assert_exposition(block.samples)
        for texts in changed[0]:
            assert_exposition(texts[0])
        pages = [self._page(engine, block) for engine, (block, _) in zip(BOTH, written, strict=True)]
        assert pages[0] == pages[1]
        assert_exposition(pages[0])

    def _write(self, engine: Any, names: list[bytes]) -> tuple[Any, Any]:
        """A block of samples with these names, and the labels of its target."""
        labels = engine.Labels(
            b'addr="%b",alias="a"' % engine.escape(names[0], self.LABEL_MAX), {2: b'alias="a"'}
        )
        writer = engine.Writer(self.FAMILIES, labels, self.LABEL_MAX)
        for number, name in enumerate(names):
            text = name.decode("utf-8", "surrogateescape")
            writer.add(0, number, (name,))
            writer.add(1, number / 3, (text, names[0]))
            writer.add(2, float(number), (text,))
        writer.add(3, len(names))
        return writer.block(), labels

    def _page(self, engine: Any, block: Any) -> bytes:
        cells = [(0, number) for number in range(len(self.FAMILIES))]
        return page_of(engine.Assembler(self.HEADERS, cells, [[block]]))


def _changes(engine: Any, block: Any, labels: Any) -> list[tuple[Any, ...]]:
    """What becomes of a block without its labels, with times, and within a limit."""
    plain = engine.strip_labels(block, labels)
    heads, counts = engine.heads_of(block)
    sifted = engine.sift(block, set(), [0] * len(counts), 7, 3)
    return [
        parts_of(block),
        parts_of(plain),
        parts_of(engine.add_timestamps(block, 1_700_000_000_123)),
        parts_of(sifted),
        (b"", heads, counts),
    ]


class Blocks(Case):
    """Blocks with any bytes for samples, and any offsets: both engines take and refuse the same, and make the
    same of it where each family ends with a line."""

    length_max = 300
    words = (*SAMPLES, b'{addr="h"', b'{addr="h",', b'addr="h"', b"} ", b"\n", b"{", b",", *ODD_BYTES)

    def seeds(self) -> Iterable[bytes]:
        for one, other in itertools.pairwise(SAMPLES):
            yield bytes([3, 0, len(one), len(one + other)]) + one + other
            yield bytes([2, 0, len(one) + 11]) + b'a{addr="h",' + one[2:] + other

    def check(self, data: bytes) -> None:
        script = Script(data)
        offsets = [script.below(256) - (script.is_over and 1) for _ in range(script.below(6))]
        samples = script.rest()
        if offsets and offsets[-1] > len(samples) - 20:
            offsets[-1] = len(samples)
        found = [self._take(engine, samples, struct.pack(f"={len(offsets)}i", *offsets)) for engine in BOTH]
        parts = [samples[begin:end] for begin, end in itertools.pairwise(offsets)]
        if isinstance(found[0], str) or all(not part or part.endswith(b"\n") for part in parts):
            assert found[0] == found[1]

    @staticmethod
    def _take(engine: Any, samples: bytes, offsets: bytes) -> Any:
        try:
            block = engine.Block(samples, offsets, samples.count(b"\n"), 0, ())
        except ValueError as error:
            return str(error)
        return _changes(engine, block, engine.Labels(b'addr="h"', {1: b""}))


class Segments(Case):
    """Pages of some targets, step by step: no change is overlooked, and the segments make the page."""

    length_max = 300
    GROUPS = 3
    TARGETS = 6
    STEPS_MAX = 8

    def seeds(self) -> Iterable[bytes]:
        for step in range(1, 7):
            yield bytes([2, 0, step, 1, 4, 97, 32, 49, 10, 0, 1, step, 2, 1, 98, 1, 99, 2, 4, 6, 0, step] * 4)

    def check(self, data: bytes) -> None:
        script = Script(data)
        pages = [Page(engine, self.GROUPS) for engine in BOTH]
        for _ in range(self.STEPS_MAX):
            if script.is_over:
                break
            self._put(script, pages)
            ends = sorted(script.below(self.TARGETS + 1) for _ in range(self.GROUPS))
            header, room = script.one_of(HEADERS), 1 + script.below(256)
            for page in pages:
                page.take(ends, [*HEADERS[:-1], header], room)
            assert pages[0].texts == pages[1].texts

    def _put(self, script: Script, pages: list[Page]) -> None:
        for _ in range(script.below(4)):
            part, target = script.below(2), script.below(self.TARGETS)
            texts = (
                [script.piece(9) * (1 + 40 * script.below(2)) for _ in range(3 - part)]
                if script.below(5)
                else None
            )
            for page in pages:
                page.put(part, target, texts)
