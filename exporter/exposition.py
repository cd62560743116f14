"""Pages: what is served, put together ahead of the scrapes that fetch it.

A `Draft` gathers pointers to snapshots on the event loop; a worker thread assembles and compresses it, piece by piece and
without the GIL, into a `Page`. A page is one gzip member without its end: who serves it writes the page and then its
tail, the ages of the page's own snapshots as of this moment, as further deflate blocks of the same member. (Of several
members curl shows the first only.) `Pages` keeps the pages that somebody asks for.
"""

from __future__ import annotations

import asyncio
import logging
import struct
import time
import zlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from isal import isal_zlib

from exporter import fastparse
from exporter.catalog import Catalog, header
from exporter.model import Lane, Snapshot, gauge
from exporter.store import Store

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PIECE_BYTES = 512 * 1024
#: a page of less is made at once: handing it to the thread would take longer
INLINE_BYTES = 128 * 1024
LEVEL = 1
#: how many different selections are kept besides the whole, pages of one target, and readers of a page
PAGES_MAX, TARGET_PAGES_MAX, READERS_MAX = 64, 64, 16
GAP_MIN_S, GAP_MAX_S, GAP_DEFAULT_S = 1.0, 300.0, 60.0
#: a page is kept up for so many of its readers' intervals
ASKED_GAPS = 3
#: a page is begun so long before it is expected to be asked for, and three times what the last one took
LEAD_S = 0.05

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


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """A finished page. `body` is a gzip member as far as the end of its static part; `crc` and `length` are of the plain
    static part; `heads` and `times` are the age lines of its snapshots, `age_header` what stands before them."""

    body: bytes
    crc: int
    length: int
    age_header: bytes
    heads: tuple[bytes, ...]
    times: tuple[float, ...]
    series: int
    generation: int
    gathered_at: float  # monotonic

    def plain_tail(self, now: float) -> bytes:
        """The age lines as of `now` (wall-clock seconds)."""
        return self.age_header + fastparse.ages(self.heads, self.times, now) if self.heads else b""

    def tail(self, now: float) -> bytes:
        """What completes `body`: the age lines, checksum and length."""
        text = self.plain_tail(now)
        deflate = isal_zlib.compressobj(LEVEL, isal_zlib.DEFLATED, -15)
        end = struct.pack("<II", isal_zlib.crc32(text, self.crc), (self.length + len(text)) & 0xFFFFFFFF)
        return b"".join((deflate.compress(text), deflate.flush(isal_zlib.Z_FINISH), end))

    def plain_pieces(self) -> Iterator[bytes]:
        """The static part as plain text. No plain page is kept: who wants one pays for it."""
        inflate = isal_zlib.decompressobj(-15)
        piece = inflate.decompress(self.body[len(_GZIP_HEADER) :], PIECE_BYTES)
        left = self.length - len(piece)
        yield piece
        while left:  # the length tells the end: output may be pending when all input is taken
            piece = inflate.decompress(inflate.unconsumed_tail, PIECE_BYTES)
            left -= len(piece)
            yield piece


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

    @property
    def size(self) -> int:
        """About how many bytes the page will have."""
        return sum(len(samples) for part in self.blocks for samples, _ in part) + len(self.extra)

    def build(self) -> Page:
        assembler = fastparse.Assembler(self.headers, self.cells, self.blocks)
        deflate = isal_zlib.compressobj(LEVEL, isal_zlib.DEFLATED, -15)
        body = [_GZIP_HEADER]
        crc = length = 0
        for piece in _pieces(assembler, self.extra):
            crc = isal_zlib.crc32(piece, crc)
            length += len(piece)
            body.append(deflate.compress(piece))
        body.append(deflate.flush(isal_zlib.Z_FULL_FLUSH))
        return Page(
            b"".join(body),
            crc,
            length,
            self.age_header,
            self.heads,
            self.times,
            self.series,
            self.generation,
            self.gathered_at,
        )


def _pieces(assembler: fastparse.Assembler, extra: bytes) -> Iterator[bytes]:
    while piece := assembler.piece(PIECE_BYTES):
        yield piece
    if extra:
        yield extra


@dataclass(frozen=True, slots=True)
class Origin:
    """What a page needs to know of a target besides its snapshots."""

    lane_labels: bytes  # what stands before the label `lane` of an age
    labels_of: Callable[[str], fastparse.Labels]
    group: str = ""


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
        self._age_heads: dict[tuple[str, Lane, bool], bytes] = {}

    def draft(self, selection: Selection = WHOLE) -> Draft:
        """Gather what a page shows now."""
        catalog = self._catalog
        headers, cells = (catalog.headers, catalog.cells) if selection.names is None else catalog.view(selection.names)
        chosen = [self._chosen(name, selection) for name in catalog.part_names]
        ages: dict[tuple[str, Lane], float] = {}
        for name, snapshots in zip(catalog.part_names, chosen, strict=True):
            if name != VITALS_PART:
                for snapshot in snapshots:
                    key = (snapshot.addr, snapshot.lane)
                    ages[key] = min(snapshot.polled_at, ages.get(key, snapshot.polled_at))
        show_ages = selection.names is None or self._age_name.decode() in selection.names
        heads = tuple(self._age_head(addr, lane, selection.plain) for addr, lane in ages) if show_ages else ()
        return Draft(
            headers,
            cells,
            [self._blocks(name, snapshots, selection) for name, snapshots in zip(catalog.part_names, chosen, strict=True)],
            self._extra(selection),
            self._age_header,
            heads,
            tuple(ages.values()) if show_ages else (),
            sum(snapshot.series for snapshots in chosen for snapshot in snapshots),
            self.store.generation,
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
        for key in [key for key in self._age_heads if key[0] == addr]:
            del self._age_heads[key]

    def _chosen(self, part: str, selection: Selection) -> list[Snapshot]:
        if selection.addr is not None:
            snapshot = self.store.visible(selection.addr, part)
            return [] if snapshot is None else [snapshot]
        snapshots: Iterable[Snapshot] = self.store.snapshots(part)
        if selection.takes_all:
            return list(snapshots)
        return [snapshot for snapshot in snapshots if self.shows(selection, snapshot.addr)]

    def _blocks(self, part: str, snapshots: Sequence[Snapshot], selection: Selection) -> list[tuple[bytes, bytes]]:
        if not selection.plain:
            return [(snapshot.samples, snapshot.offsets) for snapshot in snapshots]
        return [
            fastparse.unlabel(snapshot.samples, snapshot.offsets, self._origin(snapshot.addr).labels_of(part)) for snapshot in snapshots
        ]

    def _extra(self, selection: Selection) -> bytes:
        """Process-wide series stand on pages of the telemetry path, in shards on the first one only."""
        if selection.addr is not None or selection.group is not None or (selection.shard and selection.shard[0]):
            return b""
        text = self._self_series()
        return text if selection.names is None else _only(text, selection.names)

    def _age_head(self, addr: str, lane: Lane, plain: bool) -> bytes:
        key = (addr, lane, plain)
        head = self._age_heads.get(key)
        if head is None:
            labels = b"" if plain else self._origin(addr).lane_labels
            head = b'%s{%slane="%s"} ' % (self._age_name, labels + b"," if labels else b"", lane.value.encode())
            self._age_heads[key] = head
        return head


def _only(text: bytes, names: frozenset[str]) -> bytes:
    """The families of `names` from a small page."""
    kept: list[bytes] = []
    showing = False
    for line in text.splitlines(keepends=True):
        if line.startswith(b"# HELP "):
            showing = line.split(b" ", 3)[2].decode() in names
        if showing:
            kept.append(line)
    return b"".join(kept)


@dataclass(slots=True, eq=False)
class _Reader:
    """One who asks for a page, and how often. Two gaps are kept, and expected in turn: so one who comes in pairs (or two
    who look like one) is expected as he comes, and not at the shorter gap all the time."""

    asked_at: float
    gap_s: float = GAP_DEFAULT_S
    gap_before_s: float = GAP_DEFAULT_S

    def ask(self, now: float) -> None:
        self.gap_before_s = self.gap_s
        self.gap_s = min(max(now - self.asked_at, GAP_MIN_S), GAP_MAX_S)
        self.asked_at = now

    def has_gone(self, now: float) -> bool:
        return now - self.asked_at > ASKED_GAPS * max(self.gap_s, self.gap_before_s)

    def expected_after(self, moment: float) -> float:
        """When he comes next, after `moment`."""
        both_s = self.gap_before_s + self.gap_s
        begun = self.asked_at + int((moment - self.asked_at) / both_s) * both_s
        first = begun + self.gap_before_s
        return first if first > moment else begun + both_s


@dataclass(slots=True, eq=False)
class _Kept:
    """One selection's newest page, and who asks for it. Of one target's page, the snapshots that it shows."""

    page: Page | None = None
    building: asyncio.Task[Page] | None = None
    again: bool = False  # a `redis_up` changed while it was built
    readers: OrderedDict[Hashable, _Reader] = field(default_factory=OrderedDict)
    timer: asyncio.TimerHandle | None = None
    sources: tuple[Snapshot, ...] = ()

    def note(self, reader: Hashable, now: float) -> None:
        known = self.readers.get(reader)
        if known is None:
            self.readers[reader] = _Reader(now)
            if len(self.readers) > READERS_MAX:
                self.readers.popitem(last=False)
        else:
            known.ask(now)
            self.readers.move_to_end(reader)

    def rest(self) -> None:
        """Keep it up no longer."""
        self.readers.clear()
        self.again = False
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class Pages:
    """Keeps pages for those who ask. A page is built just before its next expected scrape, on a scrape when it is older
    than `min_interval_s` (before it, if older than `max_age_s`), and when a `redis_up` changed, no sooner than
    `min_interval_s` after the one before; never twice at once, and only if the store has changed. `on_built` is told the
    page and the seconds it took."""

    def __init__(
        self,
        exposition: Exposition,
        min_interval_s: float = 1.0,
        max_age_s: float = 5.0,
        on_built: Callable[[Page, float], None] = lambda page, seconds: None,
    ) -> None:
        self._exposition = exposition
        self._min_interval_s = min_interval_s
        self._max_age_s = max(min_interval_s, max_age_s)
        self._on_built = on_built
        self._whole = _Kept()
        self._others: OrderedDict[Selection, _Kept] = OrderedDict()
        self._targets: OrderedDict[Selection, _Kept] = OrderedDict()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="page")
        self._build_s = 0.0

    @property
    def whole(self) -> Page | None:
        """The newest page of everything, for figures about it."""
        return self._whole.page

    async def page(self, selection: Selection = WHOLE, *, at_least: int = 0, reader: Hashable = None) -> Page:
        """The newest finished page. Waits for a build only if there is none that was kept up, or none that shows the
        store's generation `at_least`. `reader` is whatever tells those who ask apart."""
        now = time.monotonic()
        kept = self._whole if selection == WHOLE else _of(self._others, selection, PAGES_MAX)
        kept.note(reader, now)
        self._arm(selection, kept, now)
        page = kept.page
        if page is not None and now - page.gathered_at > self._max_age_s and self._is_outdated(page):
            page = None  # nobody was expected now: a build takes milliseconds, and needs no server
        while page is None or page.generation < at_least:
            # the second round at the latest begins after that generation
            page = await asyncio.shield(kept.building or self._start(selection, kept))
        if now - page.gathered_at > self._min_interval_s:
            self._refresh(selection, kept)
        return page

    async def of_target(self, addr: str, *, plain: bool) -> Page:
        """The page of one target, made when it is asked for and kept until one of its snapshots is replaced."""
        selection = Selection(addr=addr, plain=plain)
        sources = self._exposition.sources(addr)
        kept = _of(self._targets, selection, TARGET_PAGES_MAX)
        if kept.sources != sources:
            kept.sources = sources
            kept.page = kept.building = None
        page = kept.page
        return page if page is not None else await asyncio.shield(kept.building or self._start(selection, kept))

    def shows(self, selection: Selection, addr: str) -> bool:
        """Whether a target is on a page."""
        return self._exposition.shows(selection, addr)

    def up_changed(self) -> None:
        """A target came up or went down: whoever asks should see it soon."""
        for selection, kept in [(WHOLE, self._whole), *self._others.items()]:
            if kept.building is not None:
                kept.again = True
            elif kept.timer is not None:
                self._hasten(selection, kept)

    def forget(self, addr: str) -> None:
        """A target was removed."""
        for selection in [selection for selection in self._targets if selection.addr == addr]:
            del self._targets[selection]
        self._exposition.forget(addr)

    async def close(self) -> None:
        """Build no more."""
        everything = [self._whole, *self._others.values(), *self._targets.values()]
        for kept in everything:
            kept.rest()
        building = [kept.building for kept in everything if kept.building is not None]
        for task in building:
            task.cancel()
        await asyncio.gather(*building, return_exceptions=True)
        self._thread.shutdown()

    # -- when to build

    def _arm(self, selection: Selection, kept: _Kept, now: float) -> None:
        """Be ready for the next who is expected."""
        lead_s = LEAD_S + 3 * self._build_s
        moment = min(reader.expected_after(now + lead_s) for reader in kept.readers.values())
        self._arm_at(selection, kept, moment - lead_s)

    def _arm_at(self, selection: Selection, kept: _Kept, moment: float) -> None:
        if kept.timer is not None:
            kept.timer.cancel()
        delay_s = max(0.0, moment - time.monotonic())
        kept.timer = asyncio.get_running_loop().call_later(delay_s, self._expect, selection, kept)

    def _hasten(self, selection: Selection, kept: _Kept) -> None:
        """Build as soon as the page is old enough, whoever is expected."""
        gathered_at = kept.page.gathered_at if kept.page is not None else 0.0
        self._arm_at(selection, kept, gathered_at + self._min_interval_s)

    def _expect(self, selection: Selection, kept: _Kept) -> None:
        now = time.monotonic()
        for reader in [reader for reader, habit in kept.readers.items() if habit.has_gone(now)]:
            del kept.readers[reader]
        if not kept.readers:
            kept.rest()
            kept.page = None  # nobody comes any more; whoever does again gets a new one
            return
        self._refresh(selection, kept)
        self._arm(selection, kept, now)

    def _refresh(self, selection: Selection, kept: _Kept) -> None:
        """Start a build, unless one runs or nothing has changed."""
        if kept.building is None and kept.page is not None and self._is_outdated(kept.page):
            self._start(selection, kept)

    def _is_outdated(self, page: Page) -> bool:
        return page.generation != self._exposition.store.generation

    # -- building

    def _start(self, selection: Selection, kept: _Kept) -> asyncio.Task[Page]:
        task = kept.building = asyncio.get_running_loop().create_task(self._made(self._exposition.draft(selection)))
        task.add_done_callback(lambda task: self._finish(selection, kept, task))
        return task

    async def _made(self, draft: Draft) -> Page:
        began = time.perf_counter()
        if draft.size <= INLINE_BYTES:
            page = draft.build()
        else:
            page = await asyncio.get_running_loop().run_in_executor(self._thread, draft.build)
        self._build_s = time.perf_counter() - began
        return page

    def _finish(self, selection: Selection, kept: _Kept, task: asyncio.Task[Page]) -> None:
        """Keep what was built, unless a newer build has taken its place."""
        current = kept.building is task
        if current:
            kept.building = None
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            log.error("a page could not be built: %s: %s", type(error).__name__, error)
            return
        if current:
            kept.page = task.result()
        self._on_built(task.result(), self._build_s)
        if kept.again and kept.timer is not None:
            kept.again = False
            self._hasten(selection, kept)


def _of(pages: OrderedDict[Selection, _Kept], selection: Selection, limit: int) -> _Kept:
    """The one of a selection, new if need be; the one that was longest unused makes room."""
    kept = pages.get(selection)
    if kept is None:
        kept = pages[selection] = _Kept()
        while len(pages) > limit:
            pages.popitem(last=False)[1].rest()
    pages.move_to_end(selection)
    return kept
