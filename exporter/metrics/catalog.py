"""The one table of families, as the enabled collectors make it: checked, named, ordered.

A `Catalog` is a view over family sets: which families a page shows, in which order, with their HELP and TYPE.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from functools import partial

from exporter.errors import InternalError
from exporter.metrics.family import Family, MetricType
from exporter.metrics.family_set import FamilySet
from exporter.metrics.lane import Lane
from exporter.metrics.runtime_families import FAMILIES_MAX, RuntimeFamilies


def header(name: bytes, family: Family, *lanes: Lane) -> bytes:
    """HELP and TYPE of the text format. Families that are not on the fast lane, or not on it alone, say
    so."""
    words = ", ".join(dict.fromkeys(lane.value for lane in lanes))
    text = (
        family.help
        if words == Lane.FAST.value
        else f"{family.help} Lane{'s' if ',' in words else ''}: {words}."
    )
    escaped = text.replace("\\", "\\\\").replace("\n", "\\n").encode()
    return b"# HELP %s %s\n# TYPE %s %s\n" % (name, escaped, name, family.type.value.encode())


class Catalog:
    """What pages show: `headers[i]` and `cells[i]` = (set number, family number) of the i-th family, set
    after set.

    A family that sets share (see `FamilySet.shared_name`) has one cell for each of them, one behind the
    other; all but the first have an empty header.

    Places of run-time families have an empty header until they are given; `admits` says by the full name
    whether one may be given, and `taken` are names that others write. Those that were given before and may
    not be shown have no cell from `open` on.
    """

    def __init__(
        self,
        family_sets: Sequence[FamilySet],
        hidden: frozenset[str] = frozenset(),
        admits: Callable[[str], bool] = lambda name: True,
        taken: Container[str] = frozenset(),
    ) -> None:
        self.family_sets = tuple(family_sets)
        self.family_set_names = tuple(family_set.name for family_set in family_sets)
        self.hidden = hidden
        self._admits = admits
        places: dict[bytes, list[tuple[int, int]]] = {}  # cells by name
        for family_set_number, family_set in enumerate(self.family_sets):
            for number, (family, name) in enumerate(zip(family_set.families, family_set.names, strict=True)):
                places.setdefault(name, []).append((family_set_number, number))
                first = self.family_sets[places[name][0][0]]
                if first is not family_set and not _share(first, family_set, family):
                    raise InternalError(
                        f"{name.decode()} is a family of {first.name} and of {family_set.name}"
                    )
        headers: list[bytes] = []
        cells: list[tuple[int, int]] = []
        names: list[str] = []
        dynamics: list[tuple[int, RuntimeFamilies]] = []
        for family_set_number, family_set in enumerate(self.family_sets):
            for number, (family, name) in enumerate(zip(family_set.families, family_set.names, strict=True)):
                at = places[name]
                if family.name not in hidden and at[0] == (family_set_number, number):
                    headers.append(header(name, family, *(self.family_sets[each].lane for each, _ in at)))
                    headers += [b""] * (len(at) - 1)
                    cells += at
                    names += [name.decode()] * len(at)
            if family_set.runtime_families is not None:
                dynamics.append((family_set_number, family_set.runtime_families))
                headers += [b""] * FAMILIES_MAX
                names += [""] * FAMILIES_MAX
                cells += [
                    (family_set_number, len(family_set.families) + place) for place in range(FAMILIES_MAX)
                ]
        self._own_names = {name.decode() for name in places}
        self._taken = set(self._own_names)  # those and the names of run-time families
        self._taken_elsewhere = taken
        self.headers = headers
        self.cells = tuple(cells)
        self.names = names
        self._places = {cell: place for place, cell in enumerate(cells)}
        self._dynamics = dynamics

    def open(self) -> None:
        """Become the catalog in use: run-time families get their names here from now on."""
        self._taken = set(self._own_names)
        for family_set_number, dynamic in self._dynamics:
            dynamic.open(self._refuses, partial(self._add, family_set_number))
        refused = {(number, each) for number, dynamic in self._dynamics for each in dynamic.refused}
        if not refused.isdisjoint(self._places):
            kept = [place for cell, place in self._places.items() if cell not in refused]
            self.headers, self.names = [self.headers[i] for i in kept], [self.names[i] for i in kept]
            self.cells = tuple(self.cells[i] for i in kept)
            self._places = {cell: place for place, cell in enumerate(self.cells)}

    def _add(self, family_set_number: int, place: int, name: str, type: str, help: str) -> None:
        """Show a run-time family of a set."""
        family_set = self.family_sets[family_set_number]
        at = self._places[family_set_number, len(family_set.families) + place]
        self._taken.add(name)
        self.headers[at] = header(name.encode(), Family(name, MetricType(type), help), family_set.lane)
        self.names[at] = name

    def _refuses(self, name: str) -> str | None:
        """Why a full name may be no new family; None where it may, "" where the options leave it out."""
        if name in self._taken or name in self._taken_elsewhere:
            return "the name is taken, write another one"
        return None if self._admits(name) else ""

    def family_set(self, name: str) -> FamilySet:
        return self.family_sets[self.family_set_names.index(name)]

    def view(self, names: Iterable[str]) -> tuple[tuple[bytes, ...], tuple[tuple[int, int], ...]]:
        """Headers and cells of some families only, in the page's order."""
        wanted = set(names)
        chosen = [i for i, name in enumerate(self.names) if name in wanted]
        return tuple(self.headers[i] for i in chosen), tuple(self.cells[i] for i in chosen)


def _share(one: FamilySet, other: FamilySet, family: Family) -> bool:
    """Whether two sets write the same family on purpose."""
    return one.shared_name == other.shared_name != "" and any(family is each for each in one.families)
