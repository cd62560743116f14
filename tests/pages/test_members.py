"""The targets on a page, in groups."""

from __future__ import annotations

import itertools

import pytest

from exporter.pages.members import GROUPS, GROUPS_MAX, members_of


@pytest.mark.parametrize(("count", "groups"), [(0, 1), (35, 1), (36, 3), (96, 6), (240, 12), (5000, 12)])
def test_targets_of_one_turn_are_in_one_group(count: int, groups: int) -> None:
    turns = {f"redis://h:{number}": number * 7 % GROUPS_MAX for number in range(count)}
    members = members_of(turns, turns.__getitem__)
    assert len(members.group_ends) == groups
    assert members.group_ends[-1] == len(members.addrs) == count
    begin = 0
    for group, end in enumerate(members.group_ends):
        assert {turns[addr] % groups for addr in members.addrs[begin:end]} <= {group}
        begin = end


def test_within_a_group_targets_keep_their_order() -> None:
    addrs = [f"redis://h:{number}" for number in range(300)]
    members = members_of(addrs, lambda addr: 5)
    assert list(members.addrs) == addrs
    assert list(members_of(addrs[:30], lambda addr: int(addr[-1])).addrs) == addrs[:30]


def test_the_turn_of_each_lane_stays_within_one_group() -> None:
    """A lane that is due at each n-th turn has n phases; targets of one group have the same, if n is a
    multiple of the number of groups, and else few."""
    counts = sorted({groups for _, groups in GROUPS})
    assert all(GROUPS_MAX % count == 0 for count in counts)
    assert all(large % small == 0 for small, large in itertools.pairwise(counts))
