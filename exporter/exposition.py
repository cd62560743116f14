"""From snapshots to a page.

A `Draft` gathers pointers to snapshots on the event loop; a worker thread assembles and compresses it, piece by piece and
without the GIL, into a `Page`. A page is one gzip member without its end: who serves it writes the page and then its
tail, the ages of the page's own snapshots as of this moment, as further deflate blocks of the same member. (Of several
members curl shows the first only.)
"""

from __future__ import annotations

import logging
import struct
import time
import zlib
from collections import OrderedDict
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Protocol, cast

from isal import isal_zlib

from exporter import fastparse
from exporter.catalog import Catalog, header
from exporter.model import Lane, Snapshot, gauge
from exporter.pieces import PlainPieces
from exporter.store import Store

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PIECE_BYTES = 256 * 1024
LEVEL = 1
#: pages whose targets are remembered, if nobody releases them
MEMBERS_MAX = 512

AGE = gauge("exporter_snapshot_age_seconds", "How old the served values of a lane are, as of this scrape.", labels=("lane",))

_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
VITALS_PART = "target"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which part of everything a page shows. All None: the whole.

    `shard` is (I, N): the targets whose address hashes to I of N; `group` those whose label `group` says so; `names`
    some families; `addr` one target, with `plain` without its labels.
    """

    shard: tuple[int, int] | None = None
    group: str | None = None
    names: frozenset[str] | None = None
    addr: str | None = None
    plain: bool = False

    def takes(self, addr: str, groups: Callable[[str], str]) -> bool:
        if self.addr is not None:
            return addr == self.addr
        if self.shard is not None and zlib.crc32(addr.encode()) % self.shard[1] != self.shard[0]:
            return False
        return self.group is None or groups(addr) == self.group

    @property
    def takes_all(self) -> bool:
        return self.addr is None and self.shard is None and self.group is None


WHOLE = Selection()


class PackedText:
    """A text of `length` bytes that is kept compressed until it is wanted: the ages of 1,000 targets take 300 kB as they stand."""

    __slots__ = ("_packed", "length")

    def __init__(self, text: bytes) -> None:
        self.length = len(text)
        self._packed = isal_zlib.compress(text, LEVEL)

    @property
    def size(self) -> int:
        """Bytes that it takes while it is kept."""
        return len(self._packed)

    def unpack(self) -> bytes:
        return isal_zlib.decompress(self._packed)


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """A finished page. `body` is a gzip member as far as the end of its static part; `crc` and `length` are of the plain
    static part, `plain` gives its text; `heads` and `times` are the age lines of its snapshots, `age_header` what stands
    before them."""

    body: bytearray
    plain: PlainPieces
    crc: int
    length: int
    age_header: bytes
    heads: tuple[bytes, ...]
    times: tuple[float, ...]
    series: int
    generation: int
    gathered_at: float  # monotonic

    def plain_tail(self, now: float) -> bytes:
        """The age lines as of `now` (monotonic)."""
        return self.age_header + fastparse.ages(self.heads, self.times, now) if self.heads else b""

    def packed_tail(self, now: float) -> PackedText:
        """The same, to be kept for a reader who is slow to take what stands before it."""
        return PackedText(self.plain_tail(now))

    def tail(self, now: float) -> bytes:
        """What completes `body`: the age lines, checksum and length."""
        text = self.plain_tail(now)
        deflate = isal_zlib.compressobj(LEVEL, isal_zlib.DEFLATED, -15)
        end = struct.pack("<II", isal_zlib.crc32(text, self.crc), (self.length + len(text)) & 0xFFFFFFFF)
        return b"".join((deflate.compress(text), deflate.flush(isal_zlib.Z_FINISH), end))


@dataclass(frozen=True, slots=True, eq=False)
class Draft:
    """Everything a page is made of, gathered on the loop; `build` touches nothing else, so a thread may run it."""

    headers: Sequence[bytes]
    cells: Sequence[tuple[int, int]]
    blocks: Sequence[Sequence[tuple[bytes, bytes]]]
    extra: bytes
    age_header: bytes
    heads: tuple[bytes, ...]
    times: tuple[float, ...]
    series: int
    generation: int
    gathered_at: float

    def is_larger_than(self, size: int) -> bool:
        """Whether the page will have more than so many bytes, about."""
        for samples, _ in chain.from_iterable(self.blocks):
            size -= len(samples)
            if size < 0:
                return True
        return len(self.extra) > size

    def build(self, before: Page | None = None) -> Page:
        """The page. With the one `before`, which was of about the same size, it takes no more memory than it needs in the end."""
        assembler = fastparse.Assembler(self.headers, self.cells, self.blocks)
        deflate = isal_zlib.compressobj(LEVEL, isal_zlib.DEFLATED, -15)
        body = bytearray(len(before.body) * 33 // 32 if before is not None else 0)
        body[: len(_GZIP_HEADER)] = _GZIP_HEADER
        end = len(_GZIP_HEADER)
        crc = length = 0
        ends = [end]
        for piece in _pieces(assembler, self.extra):
            crc = isal_zlib.crc32(piece, crc)
            length += len(piece)
            end = _put(body, end, deflate.compress(piece))
            # what follows refers to nothing before: so each piece can be inflated by itself
            end = _put(body, end, deflate.flush(isal_zlib.Z_FULL_FLUSH))
            ends.append(end)
        del body[end:]
        return Page(
            body,
            PlainPieces(body, tuple(ends)),
            crc,
            length,
            self.age_header,
            self.heads,
            self.times,
            self.series,
            self.generation,
            self.gathered_at,
        )


def _put(body: bytearray, at: int, text: bytes) -> int:
    """Where it ends."""
    end = at + len(text)
    body[at:end] = text
    return end


def _pieces(assembler: fastparse.Assembler, extra: bytes) -> Iterator[bytes | memoryview]:
    """Each is good until the next: all but the last are in the same memory. (In a piece's own, what the compressor puts out between
    two of them would settle in the gap that the first one left.)"""
    room = bytearray(min(PIECE_BYTES, assembler.size or 1))
    seen = memoryview(room)
    while length := assembler.fill(room):
        yield seen[:length]
    for start in range(0, len(extra), PIECE_BYTES):
        yield extra[start : start + PIECE_BYTES]


class Origin(Protocol):
    """What a page needs to know of a target besides its snapshots."""

    #: what stands before the label `lane` of an age
    lane_labels: bytes
    #: the value of the label `group`
    group: str

    def labels_of(self, part: str) -> fastparse.Labels:
        """What a page without the target's labels leaves off."""
        ...


class Exposition:
    """From store and catalog to drafts. `origin` tells of a target by its address, `self_series` gives the process-wide series."""

    def __init__(
        self,
        catalog: Catalog,
        store: Store,
        origin: Callable[[str], Origin],
        self_series: Callable[[], bytes],
        namespace: str = "redis",
    ) -> None:
        self.store = store
        self._catalog = catalog
        self._origin = origin
        self._self_series = self_series
        self._age_name = (f"{namespace}_{AGE.name}" if namespace else AGE.name).encode()
        self._age_header = header(self._age_name, AGE, Lane.FAST)
        self._age_heads: dict[tuple[Lane, bool], dict[str, bytes]] = {}
        #: the targets of pages that do not show all, and the store's membership as of then
        self._members: OrderedDict[Selection, tuple[int, Sequence[str]]] = OrderedDict()

    def draft(self, selection: Selection = WHOLE) -> Draft:
        """Gather what a page shows now."""
        steps = self.gather(selection)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return cast(Draft, end.value)

    def gather(self, selection: Selection = WHOLE) -> Generator[None, None, Draft]:
        """The same in steps of one part of all targets each: the event loop may go round between them. What is stored meanwhile counts as
        newer than the page."""
        generation = self.store.generation
        catalog = self._catalog
        headers, cells = (catalog.headers, catalog.cells) if selection.names is None else catalog.view(selection.names)
        addrs = None if selection.takes_all else self._members_of(selection)
        with_ages = selection.names is None or self._age_name.decode() in selection.names
        needed = range(len(catalog.part_names)) if with_ages else {part for part, _ in cells}
        yield
        blocks: list[list[tuple[bytes, bytes]]] = []
        ages: dict[Lane, dict[str, float]] = {}
        series = 0
        for number, name in enumerate(catalog.part_names):
            snapshots = self.store.snapshots(name, addrs) if number in needed else []
            blocks.append(self._blocks(name, snapshots, selection))
            series += sum([snapshot.series for snapshot in snapshots])
            if with_ages:
                _add_ages(ages, snapshots)
            yield
        heads: list[bytes] = []
        times: list[float] = []
        for lane, began_at in ages.items():
            known = self._heads_of(began_at, lane, selection.plain)
            heads += known.values()
            times += began_at.values() if len(known) == len(began_at) else [began_at[addr] for addr in known]
            yield
        return Draft(
            headers,
            cells,
            blocks,
            self._extra(selection),
            self._age_header,
            tuple(heads),
            tuple(times),
            series,
            generation,
            time.monotonic(),
        )

    def shows(self, selection: Selection, addr: str) -> bool:
        """Whether a target is on a page."""
        return selection.takes(addr, lambda addr: self._origin(addr).group)

    def sources(self, addr: str) -> tuple[Snapshot, ...]:
        """The snapshots that a page of one target would show."""
        found = (self.store.visible(addr, name) for name in self._catalog.part_names)
        return tuple(snapshot for snapshot in found if snapshot is not None)

    def forget(self, addr: str) -> None:
        """A target was removed."""
        for heads in self._age_heads.values():
            heads.pop(addr, None)

    def release(self, selection: Selection) -> None:
        """A page is kept no longer: forget which targets are on it."""
        self._members.pop(selection, None)

    def _members_of(self, selection: Selection) -> Sequence[str]:
        """The targets on a page: of many parts each, to look at all targets would take longer than to gather the page."""
        if selection.addr is not None:
            return (selection.addr,)
        membership = self.store.membership
        known = self._members.get(selection)
        if known is None or known[0] != membership:
            known = self._members[selection] = (membership, [addr for addr in self.store.addrs() if self.shows(selection, addr)])
            if len(self._members) > MEMBERS_MAX:
                self._members.popitem(last=False)
        self._members.move_to_end(selection)
        return known[1]

    def _blocks(self, part: str, snapshots: Iterable[Snapshot], selection: Selection) -> list[tuple[bytes, bytes]]:
        if not selection.plain:
            return [(snapshot.samples, snapshot.offsets) for snapshot in snapshots]
        origin = self._origin
        return [fastparse.unlabel(snapshot.samples, snapshot.offsets, origin(snapshot.addr).labels_of(part)) for snapshot in snapshots]

    def _extra(self, selection: Selection) -> bytes:
        """Process-wide series stand on pages of the telemetry path, in shards on the first one only."""
        if selection.addr is not None or selection.group is not None or (selection.shard and selection.shard[0]):
            return b""
        text = self._self_series()
        return text if selection.names is None else _only(text, selection.names)

    def _heads_of(self, addrs: Collection[str], lane: Lane, plain: bool) -> dict[str, bytes]:
        """What stands before the ages of a lane, by target. A target that was removed meanwhile is left out."""
        known = self._age_heads.setdefault((lane, plain), {})
        found = {}
        for addr in addrs:
            head = known.get(addr)
            if head is None:
                try:
                    labels = b"" if plain else self._origin(addr).lane_labels
                except KeyError:
                    continue
                head = known[addr] = b'%s{%slane="%s"} ' % (self._age_name, labels + b"," if labels else b"", lane.value.encode())
            found[addr] = head
        return found


def _add_ages(ages: dict[Lane, dict[str, float]], snapshots: Sequence[Snapshot]) -> None:
    """By lane and target, when the oldest shown values were polled (monotonic). What is told about the target itself has no age."""
    if not snapshots or snapshots[0].part == VITALS_PART:
        return
    times = {snapshot.addr: snapshot.began_at for snapshot in snapshots}
    known = ages.setdefault(snapshots[0].lane, times)
    if known is not times and known != times:
        known.update({addr: min(began_at, known.get(addr, began_at)) for addr, began_at in times.items()})


def _only(text: bytes, names: frozenset[str]) -> bytes:
    """The families of `names` from a small page."""
    kept: list[bytes] = []
    showing = False
    for line in text.removesuffix(b"\n").split(b"\n"):  # other line breaks may be part of a label's value
        if line.startswith(b"# HELP "):
            showing = line.split(b" ", 3)[2].decode() in names
        if showing:
            kept.append(line + b"\n")
    return b"".join(kept)
