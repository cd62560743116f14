"""The one table of families, as the enabled collectors make it: checked, named, ordered.

A `Catalog` is a view over parts: which families a page shows, in which order, with their HELP and TYPE.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence

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
    """What pages show: `headers[i]` and `cells[i]` = (part number, family number) of the i-th family, part
    after part.

    A family that sets share (see `FamilySet.shared_name`) has one cell for each of them, one behind the
    other; all but the first have an empty header.

    Slots of dynamic families have an empty header until they are given; `admits` says by the full name
    whether one may be given, and `taken` are names that others write.
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
        dynamics: list[tuple[FamilySet, RuntimeFamilies, int]] = []
        for family_set_number, family_set in enumerate(self.family_sets):
            for number, (family, name) in enumerate(zip(family_set.families, family_set.names, strict=True)):
                at = places[name]
                if family.name not in hidden and at[0] == (family_set_number, number):
                    headers.append(header(name, family, *(self.family_sets[each].lane for each, _ in at)))
                    headers += [b""] * (len(at) - 1)
                    cells += at
                    names += [name.decode()] * len(at)
            if family_set.runtime_families is not None:
                dynamics.append((family_set, family_set.runtime_families, len(headers)))
                headers += [b""] * FAMILIES_MAX
                names += [""] * FAMILIES_MAX
                cells += [
                    (family_set_number, len(family_set.families) + place) for place in range(FAMILIES_MAX)
                ]
        self._taken = {name.decode() for name in places}
        self._taken_elsewhere = taken
        self.headers = headers
        self.cells = tuple(cells)
        self.names = names
        self._dynamics = dynamics

    def open(self) -> None:
        """Become the catalog in use: run-time families get their names here from now on."""
        for dynamic in self._dynamics:
            self._open(*dynamic)

    def _open(self, family_set: FamilySet, dynamic: RuntimeFamilies, at: int) -> None:
        """Let the slots of a part, whose headers begin at `at`, be given."""

        def add(place: int, name: str, type: str, help: str) -> None:
            self._taken.add(name)
            if not self._admits(name):  # another configuration did
                return
            self.headers[at + place] = header(
                name.encode(), Family(name, MetricType(type), help), family_set.lane
            )
            self.names[at + place] = name

        dynamic.open(self._refuses, add)

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
    """Whether two parts write the same family on purpose."""
    return one.shared_name == other.shared_name != "" and any(family is each for each in one.families)
