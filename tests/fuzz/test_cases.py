"""Every case takes the inputs that it begins with, changes of them, and those that showed a fault once."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from exporter.collectors.slowlog import SlowlogCollector
from exporter.web.request_head import HeadReader
from tests.fuzz.case import Case
from tests.fuzz.cases import pages, settings, texts
from tests.fuzz.table import ROWS

DATA = Path(__file__).parents[1] / "data" / "fuzz"
#: inputs that showed a fault: in a folder for each case
FOUND = sorted(DATA.glob("*/*"))
SEEDS, CHANGED = 25, 40


@pytest.fixture(params=ROWS)
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    made = ROWS[request.param].make()
    yield made
    made.close()


def changes(seeds: list[bytes], words: list[bytes], chance: random.Random) -> Iterator[bytes]:
    """The seeds with some bytes more, less or others."""
    while True:
        data = bytearray(chance.choice(seeds))
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(data) + 1)
            data[at : at + chance.choice([0, 0, 1, 2, 30])] = chance.choice(
                [*words, b"", b"\n", b"\xff", chance.randbytes(2)]
            )
        yield bytes(data)


def test_what_it_begins_with_and_changes_of_that_show_no_fault(case: Case) -> None:
    chance = random.Random(type(case).__name__)
    seeds = list(case.seeds())
    assert len(seeds) >= 3
    assert all(len(seed) <= case.length_max for seed in seeds)
    some = chance.sample(seeds, min(SEEDS, len(seeds)))
    for data in (b"", *some, *islice(changes(seeds, list(case.words), chance), CHANGED)):
        case.check(data[: case.length_max])


@pytest.mark.parametrize("file", FOUND, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_an_input_that_showed_a_fault_once_shows_none_now(file: Path) -> None:
    case = ROWS[file.parent.name].make()
    case.check(file.read_bytes())
    case.close()


def fail(*args: object) -> Any:
    raise ZeroDivisionError


@pytest.mark.parametrize(
    ("name", "owner", "attribute", "fault"),
    [
        (
            "clients",
            texts,
            "PLAIN",
            SimpleNamespace(client_rows=lambda text: [], tally_clients=lambda text, by: []),
        ),
        ("label-texts", pages, "PLAIN", SimpleNamespace(escape=lambda value, limit: b"x")),
        ("yaml", settings, "read_yaml", lambda text: None),
        ("yaml", settings, "read_yaml", fail),
        ("addresses", settings, "parse_address", fail),
        ("polls", SlowlogCollector, "collect", fail),
        ("request-head", HeadReader, "_found", fail),
    ],
)
def test_a_fault_is_seen(
    monkeypatch: pytest.MonkeyPatch, name: str, owner: Any, attribute: str, fault: Callable[..., Any]
) -> None:
    case = ROWS[name].make()
    monkeypatch.setattr(owner, attribute, fault)
    with pytest.raises((AssertionError, ZeroDivisionError)):
        check_all(case)
    case.close()


def check_all(case: Case) -> None:
    for seed in case.seeds():
        case.check(seed)
