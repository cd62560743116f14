"""The engine in plain Python: the specification of `_fastparse`, its test oracle, and the fallback without a compiler.

Written to be read. `_fastparse.pyi` states the types; what happens to each kind of line stands here.
"""

from __future__ import annotations

import itertools
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from exporter._slowframes import BROKEN as BROKEN
from exporter._slowframes import DONE as DONE
from exporter._slowframes import HOPELESS as HOPELESS
from exporter._slowframes import MORE as MORE
from exporter._slowframes import SKIPPED as SKIPPED
from exporter._slowframes import TOO_LARGE as TOO_LARGE
from exporter._slowframes import Frames as Frames

ENGINE = "python"

FIELD, RECORD, OPEN = 0, 1, 2
NUM, USEC, MSEC, PERCENT, KIB, FLAG, UP, STATUS, ONE, AGO, NATURAL = range(11)
RAW, PERCENTILE, FRACTION, SIZE = range(4)

#: KeyDB numbers further masters from 1: at most so many are read
GROUPS_MAX = 64
#: a number of more characters is none: the server prints no such thing, and Prometheus could not hold it
NUMBER_MAX = 40
FILL_MAX = 65536
#: sub-fields of one line that an `OPEN` family looks at; more are dropped and counted
OPEN_MAX = 256
#: the same of all lines of one reading: a line after those is dropped and counted
OPENED_MAX = 16384
#: bytes of a wanted field that are given back
WANTED_MAX = 1000

_NUMBER = re.compile(rb"([+-]?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]{1,2}))?\Z")
_INF = re.compile(rb"([+-]?)inf\Z", re.IGNORECASE)
_GROUP = re.compile(rb"master_([1-9][0-9]{0,3})_(.+)\Z", re.DOTALL)
_SIZE = re.compile(rb"([0-9]{1,6})([KMGT]?)\Z")
_POSITIVE = re.compile(rb"[0-9]+(?:\.[0-9]+)?\Z")
_FLAGS = {b"ok": b"1", b"true": b"1", b"yes": b"1", b"err": b"0", b"fail": b"0", b"false": b"0", b"no": b"0"}
_BROKEN = re.compile("[\udc80-\udcff]")


class Labels:
    __slots__ = ("special", "text")

    def __init__(self, text: bytes, special: Mapping[int, bytes] | None = None) -> None:
        self.text = text
        self.special = dict(special or {})


class Block:
    __slots__ = ("bad", "fields", "offsets", "samples", "series")

    def __init__(self, samples: bytes, offsets: bytes, series: int, bad: int, fields: tuple[bytes | None, ...]) -> None:
        self.samples = samples
        self.offsets = offsets
        self.series = series
        self.bad = bad
        self.fields = fields


class LineOrder:
    __slots__ = ()


def escape(value: bytes, limit: int = 1024) -> bytes:
    """Cut first (never inside a character), then escape: the limit is on what the server said."""
    if len(value) > limit:
        end = limit
        while end > 0 and limit - end < 3 and value[end] & 0xC0 == 0x80:
            end -= 1
        value = value[:end]
    text = _BROKEN.sub("\ufffd", value.decode("utf-8", "surrogateescape"))
    return text.encode().replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")


class _Number(NamedTuple):
    sign: bytes
    whole: bytes
    fraction: bytes
    exponent: int | None


def _parse(text: bytes) -> _Number | None:
    if len(text) > NUMBER_MAX:
        return None
    match = _NUMBER.match(text)
    if match is None:
        return None
    sign, whole, fraction, exponent = match.groups()
    return _Number(b"-" if sign == b"-" else b"", whole, fraction or b"", None if exponent is None else int(exponent))


def _with_point(sign: bytes, digits: bytes, decimals: int) -> bytes:
    """`digits` with a point before the last `decimals`, without needless zeros."""
    digits = digits.rjust(decimals + 1, b"0")
    cut = len(digits) - decimals
    whole = digits[:cut].lstrip(b"0") or b"0"
    fraction = digits[cut:].rstrip(b"0")
    return sign + whole + (b"." + fraction if fraction else b"")


def _shift(number: _Number, decimals: int) -> bytes:
    """The number divided by ten to the power of `decimals`, by moving the point: nothing is rounded."""
    if number.exponent is not None:
        fraction = b"." + number.fraction if number.fraction else b""
        return number.sign + number.whole + fraction + b"e%d" % (number.exponent - decimals)
    return _with_point(number.sign, number.whole + number.fraction, decimals + len(number.fraction))


def convert(text: bytes, how: int, now: float) -> bytes | None:
    """The sample's value, None where the text is none. A value to be left out without counting is b""."""
    if how == ONE:
        return b"1" if text else b""
    if how == UP:
        return b"1" if text == b"up" else b"0"
    if how == STATUS:
        return b"1" if text == b"ok" else b"0"
    if how == FLAG and text in _FLAGS:
        return _FLAGS[text]
    if how == PERCENT and text.endswith(b"%"):
        text = text[:-1]
    if how == NATURAL and text.startswith(b"-"):
        return b""
    number = _parse(text)
    if number is None:
        inf = _INF.match(text) if how in (NUM, FLAG, NATURAL) else None
        return None if inf is None else (b"-Inf" if inf[1] == b"-" else b"+Inf")
    if how == USEC:
        return _shift(number, 6)
    if how == MSEC:
        return _shift(number, 3)
    if how == PERCENT:
        return _shift(number, 2)
    if how == KIB:
        digits = number.whole + number.fraction
        if number.exponent is not None or len(digits) > 15:
            return None
        return _with_point(number.sign, b"%d" % (int(digits) * 1024), len(number.fraction))
    if how == AGO:
        if number.exponent is not None or number.fraction or number.sign or len(number.whole) > 15:
            return None
        return b"%d" % (int(now) - int(number.whole))
    return text[1:] if text[:1] == b"+" else text


def sub_label(name: bytes, kind: int, limit: int) -> bytes | None:
    """The label value that the name of a sub-field stands for; None where it is of another form."""
    if len(name) > NUMBER_MAX:
        return None
    if kind == RAW:
        return escape(name, limit)
    if kind == SIZE:
        match = _SIZE.match(name)
        return match and b"%d" % (int(match[1]) << (10 * b"KMGT".find(match[2]) + 10 if match[2] else 0))
    if name[:1] != b"p" or not _POSITIVE.match(name[1:]):
        return None
    if kind == PERCENTILE:
        return name[1:]
    number = _parse(name[1:])
    return number and _shift(number, 2)


def _sub_fields(value: bytes) -> Iterator[tuple[bytes, bytes]]:
    for part in value.split(b","):
        name, equals, text = part.partition(b"=")
        if equals:
            yield name, text


class _Line(NamedTuple):
    """One line of a pattern: its escaped name, its value, and the value's sub-fields (the first of a name counts)."""

    number: int
    name: bytes
    value: bytes
    subs: dict[bytes, bytes]


class _Reading:
    """What one text holds, found in one pass over its lines."""

    def __init__(self, plan: Plan, text: bytes) -> None:
        self.fields: dict[tuple[int, bytes], bytes] = {}
        self.groups: list[int] = [0]
        self.lines: list[list[_Line]] = [[] for _ in plan.patterns]
        self._names: list[dict[bytes, _Line]] = [{} for _ in plan.patterns]
        self._group = 0
        for raw in text.split(b"\n"):
            line = raw[:-1] if raw.endswith(b"\r") else raw
            if line and not line.startswith(b"#"):
                self._take(plan, line)

    def find(self, pattern: int, name: bytes) -> _Line | None:
        return self._names[pattern].get(name)

    def wanted(self, key: bytes) -> bytes | None:
        value = self.fields.get((0, key))
        return None if value is None else value[:WANTED_MAX]

    def _take(self, plan: Plan, line: bytes) -> None:
        key, colon, value = line.partition(b":")
        if not colon:
            return
        if key in plan.keys:
            if key in plan.grouped and key.startswith(b"master_"):
                self._group = 0
            group = self._group if key in plan.grouped else 0
            self.fields.setdefault((group, key), value)
            return
        match = _GROUP.match(key)
        if match and b"master_" + match[2] in plan.grouped:
            group = int(match[1])
            if group not in self.groups:
                if len(self.groups) >= GROUPS_MAX:
                    return
                self.groups.append(group)
            self._group = group
            self.fields.setdefault((group, b"master_" + match[2]), value)
            return
        for number, row in enumerate(plan.patterns):
            if row.fits(key):
                self._take_record(plan, number, key, value, line)
                return

    def _take_record(self, plan: Plan, pattern: int, key: bytes, value: bytes, line: bytes) -> None:
        row = plan.patterns[pattern]
        if row.first and not value.startswith(row.first):
            at = line.find(b":" + row.first)
            if at < 0 or row.digits:
                return
            key, value = line[:at], line[at + 1 :]
        middle = key[len(row.prefix) : len(key) - len(row.suffix)]
        name = escape(key if row.whole else middle, plan.label_max)
        if row.name_label and name in self._names[pattern]:
            return
        subs: dict[bytes, bytes] = {}
        for sub, text in _sub_fields(value):
            subs.setdefault(sub, text)
        found = _Line(int(middle) if row.digits and len(middle) < 8 and middle == b"%d" % int(middle) else -1, name, value, subs)
        self._names[pattern].setdefault(name, found)
        self.lines[pattern].append(found)


class _Pattern(NamedTuple):
    prefix: bytes
    suffix: bytes
    digits: bool
    name_label: bytes
    whole: bool
    constant: bytes
    first: bytes

    def fits(self, key: bytes) -> bool:
        if not (key.startswith(self.prefix) and key.endswith(self.suffix)) or len(key) <= len(self.prefix) + len(self.suffix):
            return False
        middle = key[len(self.prefix) : len(key) - len(self.suffix)]
        return not self.digits or (len(middle) <= 18 and all(48 <= c <= 57 for c in middle))

    def labels(self, name: bytes) -> list[bytes]:
        named = [b'%s="%s"' % (self.name_label, name)] if self.name_label else []
        return named + ([self.constant] if self.constant else [])


class Plan:
    def __init__(
        self,
        patterns: Sequence[tuple[bytes, bytes, bool, bytes, bool, bytes, bytes]],
        families: Sequence[tuple],  # type: ignore[type-arg]
        fields: Sequence[bytes] = (),
        *,
        interned_max: int = 16384,
        label_max: int = 1024,
    ) -> None:
        self.patterns = [_Pattern(*row) for row in patterns]
        self.rows = list(families)
        self.families = len(self.rows)
        self.interned = 0
        self.label_max = label_max
        self.wanted = tuple(fields)
        self.keys = set(fields)
        self.grouped: set[bytes] = set()
        for row in self.rows:
            if len(row) > 2 and row[1] == FIELD:
                self._add_field(row)

    def _add_field(self, row: tuple) -> None:  # type: ignore[type-arg]
        self.keys.update(row[2])
        label_keys = {key for _, keys, _ in row[4] for key in keys.split(b"|")}
        self.keys |= label_keys
        if b"master_host" in label_keys:
            self.grouped.update(row[2])
            self.grouped |= {key for key in label_keys if key.startswith(b"master_")}

    def read(self, text: bytes, labels: Labels, order: LineOrder | None = None, now: float = 0.0, fill: int = 0) -> Block:
        reading = _Reading(self, text)
        page = _Page(labels, self.families)
        for number, row in enumerate(self.rows):
            page.begin(number, row[0])
            if len(row) == 2:
                continue
            if row[1] == FIELD:
                self._write_field(page, reading, row, now)
            elif row[1] == RECORD:
                self._write_record(page, reading, row, now, min(fill, FILL_MAX))
            else:
                self._write_open(page, reading, row, now)
        return page.block(tuple(reading.wanted(key) for key in self.wanted))

    def _write_field(self, page: _Page, reading: _Reading, row: tuple, now: float) -> None:  # type: ignore[type-arg]
        _, _, keys, how, labels = row
        groups = reading.groups if any(key in self.grouped for key in keys) else [0]
        for group in groups:
            for key in keys:
                if (group, key) in reading.fields:
                    own = []
                    for label, label_keys, optional in labels:
                        value = self._label(reading, group, label_keys)
                        if value is not None or not optional:
                            own.append(b'%s="%s"' % (label, escape(value or b"", self.label_max)))
                    page.add(convert(reading.fields[group, key], how, now), own)
                    break

    def _label(self, reading: _Reading, group: int, keys: bytes) -> bytes | None:
        for key in keys.split(b"|"):
            value = reading.fields.get((group if key in self.grouped else 0, key))
            if value is not None:
                return value
        return None

    def _write_record(self, page: _Page, reading: _Reading, row: tuple, now: float, fill: int) -> None:  # type: ignore[type-arg]
        _, _, number, sub, how, labels, filled = row
        pattern = self.patterns[number]
        seen = set()
        for line in reading.lines[number]:
            seen.add(line.number)
            text = line.subs.get(sub) if sub else line.value
            if text is None:
                continue
            own = pattern.labels(line.name)
            own += [b'%s="%s"' % (label, escape(line.subs.get(key, b""), self.label_max)) for label, key in labels]
            page.add(convert(text, how, now), own)
        if filled:
            for index in range(fill):
                if index not in seen:
                    key = b"%d" % index
                    page.add(b"0", pattern.labels(pattern.prefix + key + pattern.suffix if pattern.whole else key))

    def _write_open(self, page: _Page, reading: _Reading, row: tuple, now: float) -> None:  # type: ignore[type-arg]
        _, _, number, label, sub_kind, how, total, count = row
        pattern = self.patterns[number]
        looked_at = 0
        for line in reading.lines[number]:
            if looked_at >= OPENED_MAX:
                page.bad += 1
                continue
            own = pattern.labels(line.name)
            seen = set()
            for index, (sub, text) in enumerate(_sub_fields(line.value)):
                looked_at += 1
                value = sub_label(sub, sub_kind, self.label_max) if index < OPEN_MAX else None
                if value is None:
                    page.bad += 1
                elif value not in seen:
                    seen.add(value)
                    page.add(convert(text, how, now), [*own, b'%s="%s"' % (label, value)])
            for suffix, join in ((b"_sum", total), (b"_count", count)):
                joined = join and reading.find(join[0], line.name)
                if joined and join[1] in joined.subs:
                    page.add(convert(joined.subs[join[1]], join[2], now), own, suffix)


class _Page:
    """Collects the samples of one block, family by family; the same labels twice in one family are written once."""

    def __init__(self, labels: Labels, families: int) -> None:
        self.labels = labels
        self.parts: list[list[bytes]] = [[] for _ in range(families)]
        self.bad = 0
        self.series = 0
        self._seen: set[tuple[int, bytes]] = set()

    def begin(self, family: int, name: bytes) -> None:
        self.family = family
        self.name = name

    def add(self, value: bytes | None, own: Sequence[bytes], suffix: bytes = b"") -> None:
        if value is None:
            self.bad += 1
        elif value:
            target = self.labels.special.get(self.family, self.labels.text)
            inner = b",".join([target, *own] if target else own)
            head = self.name + suffix + (b"{%s} " % inner if inner else b" ")
            if (self.family, head) not in self._seen:
                self._seen.add((self.family, head))
                self.parts[self.family].append(head + value + b"\n")
                self.series += 1

    def block(self, fields: tuple[bytes | None, ...]) -> Block:
        texts = [b"".join(part) for part in self.parts]
        offsets = [0]
        for text in texts:
            offsets.append(offsets[-1] + len(text))
        return Block(b"".join(texts), struct.pack(f"={len(offsets)}i", *offsets), self.series, self.bad, fields)


def format_value(value: float | int | bytes) -> bytes:
    """The shortest text that reads back as the same number."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, int):
        return b"%d" % value
    if value != value:
        return b"NaN"
    if value in (float("inf"), float("-inf")):
        return b"+Inf" if value > 0 else b"-Inf"
    if value == int(value) and abs(value) < 1e15:
        return b"%d" % int(value)
    return repr(value).encode()


class Writer:
    def __init__(self, families: Sequence[tuple[bytes, tuple[bytes, ...]]], labels: Labels, label_max: int = 1024) -> None:
        self._families = families
        self._label_max = label_max
        self._page = _Page(labels, len(families))
        self._bad = 0

    def add(
        self,
        family: int,
        value: float | int | bytes,
        values: Sequence[str | bytes] = (),
        suffix: bytes = b"",
        extra: tuple[bytes, str | bytes] | None = None,
    ) -> None:
        name, labels = self._families[family]
        if len(values) != len(labels):
            raise ValueError(f"{name.decode()} has {len(labels)} labels, not {len(values)}")
        pairs = list(zip(labels, values, strict=True)) + ([extra] if extra else [])
        self._page.begin(family, name)
        own = [
            b'%s="%s"' % (label, escape(v if isinstance(v, bytes) else v.encode("utf-8", "replace"), self._label_max)) for label, v in pairs
        ]
        self._page.add(format_value(value), own, suffix)

    def add_histogram(
        self,
        family: int,
        bounds: Sequence[int | float],
        below: Sequence[int],
        count: int,
        total: float | int,
        values: Sequence[str | bytes] = (),
    ) -> None:
        if len(bounds) != len(below):
            raise ValueError("as many counts as bounds")
        if not all(one < other for one, other in itertools.pairwise(bounds)):
            raise ValueError("the bounds of a histogram rise")
        for bound, number in (*zip(map(format_value, bounds), below, strict=True), (b"+Inf", count)):
            self.add(family, number, values, b"_bucket", (b"le", bound))
        self.add(family, total, values, b"_sum")
        self.add(family, count, values, b"_count")

    def merge(self, block: Block) -> None:
        if len(block.offsets) != 4 * (len(self._families) + 1):
            raise ValueError("the block is of another part")
        offsets = struct.unpack(f"={len(self._families) + 1}i", block.offsets)
        for family, part in enumerate(self._page.parts):
            part.insert(0, block.samples[offsets[family] : offsets[family + 1]])
        self._page.series += block.series
        self._bad += block.bad

    def block(self) -> Block:
        block = self._page.block(())
        block.bad += self._bad
        return block


class Heads:
    def __init__(self, families: Sequence[tuple[bytes, tuple[bytes, ...]]], labels: Labels, label_max: int = 1024) -> None:
        self._families = families
        self._labels = labels
        self._label_max = label_max

    def block(self, samples: list[tuple[tuple[int, tuple[str, ...]], float | int]], following: Block | None = None) -> Block:
        writer = Writer(self._families, self._labels, self._label_max)
        if following is not None:
            writer.merge(following)
            offsets = struct.unpack(f"={len(self._families) + 1}i", following.offsets)
            if any(offsets[family + 1] for (family, _), _ in samples[-1:]):
                raise ValueError("the block is of families that do not follow")
        before = 0
        for (family, values), value in samples:
            if family < before:
                raise ValueError("samples come in the order of their families")
            before = family
            writer.add(family, value, values)
        return writer.block()


class Assembler:
    def __init__(self, headers: Sequence[bytes], cells: Sequence[tuple[int, int]], blocks: Sequence[Sequence[tuple[bytes, bytes]]]) -> None:
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
            raise ValueError("a piece has at least one byte")
        piece = self._page[self._at : self._at + len(room)]
        room[: len(piece)] = piece
        self._at += len(piece)
        self.size -= len(piece)
        return len(piece)


def _offsets(samples: bytes, offsets: bytes) -> tuple[int, ...]:
    """The offsets as numbers. They are trusted by nobody: one that lies would show one target's bytes as another's."""
    if len(offsets) % 4 or not offsets:
        raise ValueError("offsets are 4 bytes each, and one at least")
    numbers = struct.unpack(f"={len(offsets) // 4}i", offsets)
    if numbers[0] != 0 or numbers[-1] != len(samples) or any(a > b for a, b in itertools.pairwise(numbers)):
        raise ValueError("offsets do not fit their samples")
    return numbers


def unlabel(samples: bytes, offsets: bytes, labels: Labels) -> tuple[bytes, bytes]:
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
    """With their ends. A line ends at LF alone: a label's value may hold whatever else breaks lines elsewhere."""
    begin = 0
    while begin < len(text):
        end = text.find(b"\n", begin) + 1 or len(text)
        yield text[begin:end]
        begin = end


def _head(line: bytes) -> bytes:
    """Name and labels of a sample: a brace and a blank stand before its value, or the first blank."""
    brace = line.rfind(b"} ")
    return line[: brace + 1] if brace >= 0 else line.removesuffix(b"\n").partition(b" ")[0]


def heads_of(samples: bytes, offsets: bytes) -> tuple[set[bytes], list[int]]:
    families = [[_head(line) for line in _lines(samples[begin:end])] for begin, end in itertools.pairwise(_offsets(samples, offsets))]
    return set(itertools.chain.from_iterable(families)), [len(heads) for heads in families]


def sift(samples: bytes, offsets: bytes, heads: set[bytes], counts: list[int], room: int, per_family: int) -> tuple[bytes, bytes, int]:
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


def stamp(samples: bytes, offsets: bytes, at_ms: int) -> tuple[bytes, bytes]:
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
        lines.append(b"%s%s%d.%03d\n" % (head, b"-" if age_ms < 0 else b"", abs(age_ms) // 1000, abs(age_ms) % 1000))
    return b"".join(lines)


_COUNTED = (b"omem", b"tot-mem", b"idle", b"age")


def client_rows(text: bytes) -> list[dict[bytes, bytes]]:
    """A client is a line with an `addr`. Inside an address (a socket's path) only `laddr=` and `fd=` end it."""
    rows = []
    for line in text.split(b"\n"):
        row: dict[bytes, bytes] = {}
        last = b""
        for token in line.removesuffix(b"\r").split(b" "):
            name, equals, value = token.partition(b"=")
            if last in (b"addr", b"laddr") and not (equals and name in (b"laddr", b"fd") and name != last):
                row[last] += b" " + token
            elif equals and name not in row:
                row[name] = value
                last = name
            else:
                last = b""
        if b"addr" in row:
            rows.append(row)
    return rows


def tally_clients(text: bytes, by: Sequence[str]) -> list[tuple[tuple[bytes, ...], int, int, int, int, int, int, int]]:
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


#: of one command: its name, how many calls, the upper bounds in rising order, and how many calls took at most that
Histogram = tuple[bytes, int, tuple[int, ...], list[int]]


def histogram_rows(reply: object, bounds_max: int) -> list[Histogram]:
    rows: list[Histogram] = []
    if not isinstance(reply, list):
        return rows
    for name, row in zip(reply[::2], reply[1::2], strict=False):
        if type(name) is bytes and type(row) is list and len(row) == 4 and type(row[1]) is int and type(row[3]) is list:
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
