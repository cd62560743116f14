"""From store and catalog to drafts of pages.

A `Draft` gathers pointers to snapshots on the event loop; a worker thread assembles and compresses it, piece
by piece and without the GIL, into a `Page`.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Generator, Iterable, Sequence
from typing import Protocol, cast

from exporter import engine
from exporter.metrics.catalog import Catalog, header
from exporter.metrics.family import gauge
from exporter.metrics.family_set import ABOUT_TARGET
from exporter.metrics.lane import Lane
from exporter.metrics.store import Snapshot, Store
from exporter.pages.page import Draft
from exporter.pages.selection import WHOLE, Selection

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
        """The same in steps, between which the event loop may go on: each is one family set of all targets.
        What is stored in the meantime counts as newer than the page."""
        generation = self.store.generation
        catalog = self.catalog
        headers, cells = (
            (catalog.headers, catalog.cells) if selection.names is None else catalog.view(selection.names)
        )
        addrs = None if selection.takes_all else self._members_of(selection)
        with_ages = selection.names is None or self._age_name.decode() in selection.names
        needed = (
            range(len(catalog.family_set_names)) if with_ages else {family_set for family_set, _ in cells}
        )
        yield
        blocks: list[list[tuple[bytes, bytes]]] = []
        ages: dict[Lane, dict[str, float]] = {}
        series = 0
        for number, name in enumerate(catalog.family_set_names):
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
        self._members.clear()

    def release(self, selection: Selection) -> None:
        """Forget which targets are on a page that leaves the cache."""
        self._members.pop(selection, None)

    def _members_of(self, selection: Selection) -> Sequence[str]:
        """The targets on a page. With many slices, to look at all targets for each would take longer than to
        gather it."""
        if selection.addr is not None:
            return (selection.addr,)
        membership = self.store.membership
        known = self._members.get(selection)
        if known is None or known[0] != membership:
            known = self._members[selection] = (
                membership,
                [addr for addr in self.store.addrs() if self.shows(selection, addr)],
            )
            if len(self._members) > MEMBERS_MAX:
                self._members.popitem(last=False)
        self._members.move_to_end(selection)
        return known[1]

    def _blocks(
        self, family_set: str, snapshots: Iterable[Snapshot], selection: Selection
    ) -> list[tuple[bytes, bytes]]:
        if not selection.plain:
            return [(snapshot.samples, snapshot.offsets) for snapshot in snapshots]
        origin = self._origin
        return [
            engine.strip_labels(
                snapshot.samples, snapshot.offsets, origin(snapshot.addr).labels_of(family_set)
            )
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

    def _heads_of(self, addrs: Collection[str], lane: Lane, plain: bool) -> dict[str, bytes]:
        """What comes before the ages of a lane, by target. A target that was removed in the meantime is left
        out."""
        known = self._age_heads.setdefault((lane, plain), {})
        found = {}
        for addr in addrs:
            head = known.get(addr)
            if head is None:
                try:
                    labels = b"" if plain else self._origin(addr).lane_labels
                except KeyError:
                    continue
                head = known[addr] = b'%s{%slane="%s"} ' % (
                    self._age_name,
                    labels + b"," if labels else b"",
                    lane.value.encode(),
                )
            found[addr] = head
        return found


def _add_ages(ages: dict[Lane, dict[str, float]], snapshots: Sequence[Snapshot]) -> None:
    """By lane and target, when the oldest shown values were polled (monotonic). The series about a target
    itself have no age."""
    if not snapshots or snapshots[0].family_set == ABOUT_TARGET:
        return
    times = {snapshot.addr: snapshot.began_at for snapshot in snapshots}
    known = ages.setdefault(snapshots[0].lane, times)
    if known is not times and known != times:
        known.update({addr: min(began_at, known.get(addr, began_at)) for addr, began_at in times.items()})


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
