"""Hashes of addresses: even for each purpose, and without a relation between two purposes."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Sequence
from typing import get_args

import pytest

from exporter.targets.spread import Purpose, spread

#: addresses as fleets have them: much alike, one number apart
FLEETS: dict[str, Sequence[str]] = {
    "one port each": [f"redis://10.0.0.1:{port}" for port in range(10_000, 20_000)],
    "one host each": [f"redis://cache-{number:05}.example.internal:6379" for number in range(10_000)],
    "sockets": [f"unix:///run/redis/{number}.sock" for number in range(10_000)],
}
SLOTS = 10


def chi_square(counts: Counter[int], places: int) -> float:
    """Squared distance from even, per place: about 1 for numbers drawn at random."""
    mean = counts.total() / places
    return sum((counts[place] - mean) ** 2 / mean for place in range(places)) / places


@pytest.fixture(params=FLEETS)
def addrs(request: pytest.FixtureRequest) -> Sequence[str]:
    return FLEETS[request.param]


@pytest.mark.parametrize("purpose", get_args(Purpose))
@pytest.mark.parametrize("places", [2, 3, 4, 10, 12, 20, 1000])
def test_every_purpose_is_even(addrs: Sequence[str], purpose: Purpose, places: int) -> None:
    counts = Counter(spread(addr, purpose) % places for addr in addrs)
    assert chi_square(counts, places) < (10 if places == 2 else 4)


@pytest.mark.parametrize("slices", [2, 5, 10, 20])
class TestASliceOfAPage:
    def test_has_targets_in_all_time_slots_evenly(self, addrs: Sequence[str], slices: int) -> None:
        for number in range(slices):
            of_slice = [addr for addr in addrs if spread(addr, "page slice") % slices == number]
            counts = Counter(spread(addr, "time slot") % SLOTS for addr in of_slice)
            assert len(counts) == SLOTS
            assert chi_square(counts, SLOTS) < 4
            share = len(of_slice) / SLOTS
            assert all(0.5 * share < count < 1.5 * share for count in counts.values())

    @pytest.mark.parametrize("every", [3, 12])
    def test_has_targets_at_all_turns_of_a_lane(self, addrs: Sequence[str], slices: int, every: int) -> None:
        for number in range(slices):
            of_slice = [addr for addr in addrs if spread(addr, "page slice") % slices == number]
            counts = Counter(spread(addr, "lane turn") % every for addr in of_slice)
            assert len(counts) == every
            assert chi_square(counts, every) < 5


@pytest.mark.parametrize(("other", "places"), [("lane turn", 12), ("scan turn", 60), ("connection age", 10)])
def test_a_time_slot_has_targets_of_every_kind(addrs: Sequence[str], other: Purpose, places: int) -> None:
    for slot in range(SLOTS):
        of_slot = [addr for addr in addrs if spread(addr, "time slot") % SLOTS == slot]
        counts = Counter(spread(addr, other) % places for addr in of_slot)
        assert len(counts) == places
        assert chi_square(counts, places) < 5


def test_two_purposes_differ_by_other_bits_for_each_address() -> None:
    """As salted CRCs do not: for addresses of one length they differ by one constant."""
    addrs = FLEETS["one port each"]
    crcs = {zlib.crc32(b"slot" + addr.encode()) ^ zlib.crc32(b"turn" + addr.encode()) for addr in addrs}
    assert len(crcs) == 1
    ours = {spread(addr, "time slot") ^ spread(addr, "lane turn") for addr in addrs}
    assert len(ours) == len(addrs)


def test_it_is_the_same_for_ever() -> None:
    """A changed number moves targets to other slices, which is a change for the user."""
    assert spread("redis://localhost:6379", "page slice") % 1000 == 758
