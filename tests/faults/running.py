"""An exporter with the servers of a group of faults, all of which are well."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from tests.faults.subjects import Place, Subject
from tests.faults.table import FAULTS, GROUPS, Fault
from tests.faults.watched import Watched
from tests.faults.world import World
from tests.servers import HOST


@dataclass(frozen=True)
class Running:
    watched: Watched
    pairs: Sequence[tuple[Fault, Subject]]


def targets(ports: Sequence[int], databases: int) -> list[str]:
    """Addresses of so many databases of each server."""
    return [
        f"redis://{HOST}:{port}" + (f"/{number}" if number else "")
        for number in range(databases)
        for port in ports
    ]


@contextlib.contextmanager
def running(
    name: str, ports: Sequence[int], folder: Path, variables: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Running]:
    """With all faults of a group, beside servers that are well at these ports. `variables` are for its
    environment."""
    group = GROUPS[name]
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as cleanup:
        world = None
        if group.world:
            world = World(folder)
            cleanup.callback(world.close)
        place = Place(folder, world)
        pairs = []
        for fault in FAULTS:
            if fault.group == name and fault.start is not None:
                subject = fault.start(place)
                cleanup.callback(subject.close)
                pairs.append((fault, subject))
        environ = {**variables, **place.names.environ, **(world.environ if world is not None else {})}
        subjects = [subject for _, subject in pairs]
        watched = Watched(folder / "exporter", targets(ports, group.databases), subjects, environ=environ)
        cleanup.callback(watched.close)
        yield Running(watched, pairs)
