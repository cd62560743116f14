"""From store and catalog to drafts of pages.

A `Draft` gathers pointers to snapshots on the event loop; a worker thread assembles and compresses it, piece
by piece and without the GIL, into a `Page`.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Sequence
from operator import attrgetter
from typing import Protocol, TypeVar, cast

from exporter import engine
from exporter.metrics.catalog import Catalog, header
from exporter.metrics.family import gauge
from exporter.metrics.family_set import ABOUT_TARGET
from exporter.metrics.lane import Lane
from exporter.metrics.store import LaneTimes, Snapshot, Store
from exporter.pages.members import GROUPS_MAX, Members, members_of
from exporter.pages.page import Draft
from exporter.pages.selection import WHOLE, Selection
from exporter.targets.spread import spread

#: pages whose targets are remembered, unless they are released before
MEMBERS_MAX = 512

AGE = gauge(
    "exporter_snapshot_age_seconds",
    "How old the served values of a lane are, as of this scrape.",
    labels=("lane",),
)


class Origin(Protocol):
    """What a page needs to know of a target besides its snapshots."""

    #: the labels before `lane` in an age line
    lane_labels: bytes
    #: the value of the label `group`
    group: str

    def labels_of(self, family_set: str) -> engine.Labels:
        """The labels that a page without the target's labels leaves out."""
        ...


class Exposition:
    """From store and catalog to drafts. `origin` finds a target by its address, `self_series` renders the
    process-wide series."""

    def __init__(
        self,
        catalog: Catalog,
        store: Store,
        origin: Callable[[str], Origin],
        self_series: Callable[[], bytes],
        namespace: str = "redis",
    ) -> None:
        self.store = store
        self.catalog = catalog
        self._origin = origin
        self._self_series = self_series
        self._age_name = (f"{namespace}_{AGE.name}" if namespace else AGE.name).encode()
        self._age_header = header(self._age_name, AGE, Lane.FAST)
        self._age_heads: dict[tuple[Lane, bool], dict[str, bytes]] = {}
        #: the targets of pages, and the store's membership as of then
        self._members: OrderedDict[Selection, tuple[int, Members]] = OrderedDict()
        self._turns: dict[str, int] = {}

    def draft(self, selection: Selection = WHOLE) -> Draft:
        """Gather what a page shows now."""
        steps = self.gather(selection)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return cast(Draft, end.value)

    def gather(self, selection: Selection = WHOLE) -> Generator[None, None, Draft]:
        """The same in steps, between which the event loop may go on: each is one family set of all targets.
        What is stored in the meantime counts as newer than the page."""
        generation = self.store.generation
        catalog = self.catalog
        headers, cells = (
            (catalog.headers, catalog.cells) if selection.names is None else catalog.view(selection.names)
        )
        members = self._members_of(selection)
        with_ages = selection.names is None or self._age_name.decode() in selection.names
        needed = (
            range(len(catalog.family_set_names)) if with_ages else {family_set for family_set, _ in cells}
        )
        yield
        blocks: list[list[engine.Block | None]] = []
        times: dict[Lane, list[LaneTimes | None]] = {}
        for number, name in enumerate(catalog.family_set_names):
            snapshots = self.store.snapshots(name, members.addrs) if number in needed else []
            blocks.append(self._plain(name, snapshots) if selection.plain else _column(snapshots, _BLOCK))
            if with_ages and name != ABOUT_TARGET:
                _add_times(times, snapshots)
            yield
        heads: list[bytes] = []
        began: list[float] = []
        for lane, of_lane in times.items():
            for head, shown in zip(
                self._heads_of(members.addrs, lane, selection.plain), of_lane, strict=True
            ):
                if shown is not None and head:
                    heads.append(head)
                    began.append(shown.began_at)
            yield
        return Draft(
            headers,
            cells,
            blocks,
            self._extra(selection),
            self._age_header,
            tuple(heads),
            tuple(began),
            generation,
            time.monotonic(),
            members.group_ends,
        )

    def show(self, catalog: Catalog) -> None:
        """Show these families from now on."""
        self.catalog = catalog
        self.store.generation += 1  # every page is outdated

    def shows(self, selection: Selection, addr: str) -> bool:
        """Whether a target is on a page. One that is set apart is on its own only."""
        if selection.addr is None and self.store.is_apart(addr):
            return False
        return selection.takes(addr, lambda addr: self._origin(addr).group)

    def shows_targets(self, selection: Selection) -> bool:
        """Whether a page may show more than the exporter's own series."""
        names = selection.names
        if selection.own:
            return False
        return names is None or self._age_name.decode() in names or bool(self.catalog.view(names)[1])

    def sources(self, addr: str) -> tuple[Snapshot, ...]:
        """The snapshots that a page of one target would show."""
        found = (self.store.visible(addr, name) for name in self.catalog.family_set_names)
        return tuple(snapshot for snapshot in found if snapshot is not None)

    def forget(self, addr: str) -> None:
        """A target was removed, or its labels changed."""
        for heads in self._age_heads.values():
            heads.pop(addr, None)
        self._turns.pop(addr, None)
        self._members.clear()

    def release(self, selection: Selection) -> None:
        """Forget which targets are on a page that leaves the cache."""
        self._members.pop(selection, None)

    def _members_of(self, selection: Selection) -> Members:
        """The targets on a page. With many slices, to look at all targets for each would take longer than to
        gather it."""
        if selection.addr is not None:
            return Members((selection.addr,), (1,))
        if selection.takes_all:
            selection = WHOLE
        membership = self.store.membership
        known = self._members.get(selection)
        if known is None or known[0] != membership:
            addrs = self.store.addrs()
            if not selection.takes_all:
                addrs = [addr for addr in addrs if self.shows(selection, addr)]
            known = self._members[selection] = (membership, members_of(addrs, self._turn_of))
            if len(self._members) > MEMBERS_MAX:
                self._members.popitem(last=False)
        self._members.move_to_end(selection)
        return known[1]

    def _turn_of(self, addr: str) -> int:
        turn = self._turns.get(addr)
        if turn is None:
            turn = self._turns[addr] = spread(addr, "lane turn") % GROUPS_MAX
        return turn

    def _plain(self, family_set: str, snapshots: Sequence[Snapshot | None]) -> list[engine.Block | None]:
        """Their blocks without the labels of their targets."""
        return [
            None
            if snapshot is None
            else engine.strip_labels(snapshot.block, self._origin(snapshot.addr).labels_of(family_set))
            for snapshot in snapshots
        ]

    def _extra(self, selection: Selection) -> bytes:
        """Process-wide series are on pages of the telemetry path; of several slices, only on the first."""
        if (
            selection.addr is not None
            or selection.group is not None
            or (selection.slice and selection.slice[0])
        ):
            return b""
        text = self._self_series()
        return text if selection.names is None else _only(text, selection.names)

    def _heads_of(self, addrs: Sequence[str], lane: Lane, plain: bool) -> Sequence[bytes]:
        """What comes before the ages of a lane, by target; nothing for one that was removed in the
        meantime."""
        known = self._age_heads.setdefault((lane, plain), {})
        return [known.get(addr) or self._add_head(known, addr, lane, plain) for addr in addrs]

    def _add_head(self, known: dict[str, bytes], addr: str, lane: Lane, plain: bool) -> bytes:
        try:
            labels = b"" if plain else self._origin(addr).lane_labels
        except KeyError:
            return b""
        head = known[addr] = b'%s{%slane="%s"} ' % (
            self._age_name,
            labels + b"," if labels else b"",
            lane.value.encode(),
        )
        return head


_T = TypeVar("_T")
_BLOCK: Callable[[Snapshot], engine.Block] = attrgetter("block")
_TIMES: Callable[[Snapshot], LaneTimes] = attrgetter("times")


def _column(snapshots: Sequence[Snapshot | None], read: Callable[[Snapshot], _T]) -> list[_T | None]:
    """One value of each snapshot. There are tens of thousands, and most often one of every target: so no step
    of this is Python then."""
    if all(snapshots):
        return list(map(read, cast(Sequence[Snapshot], snapshots)))
    return [None if snapshot is None else read(snapshot) for snapshot in snapshots]


def _add_times(times: dict[Lane, list[LaneTimes | None]], snapshots: Sequence[Snapshot | None]) -> None:
    """By lane and target, when the oldest shown values were polled. Family sets of one lane most often share
    their times."""
    lane = next((snapshot.lane for snapshot in snapshots if snapshot is not None), None)
    if lane is None:
        return
    found = _column(snapshots, _TIMES)
    known = times.setdefault(lane, found)
    if known is not found and known != found:
        times[lane] = [_older(one, other) for one, other in zip(known, found, strict=True)]


def _older(one: LaneTimes | None, other: LaneTimes | None) -> LaneTimes | None:
    if one is None or other is None:
        return one or other
    return one if one.began_at <= other.began_at else other


def _only(text: bytes, names: frozenset[str]) -> bytes:
    """The families of `names` from a small page."""
    kept: list[bytes] = []
    showing = False
    for line in text.removesuffix(b"\n").split(b"\n"):  # a label's value may hold other line breaks
        if line.startswith(b"# HELP "):
            showing = line.split(b" ", 3)[2].decode() in names
        if showing:
            kept.append(line + b"\n")
    return b"".join(kept)
