"""Which targets a page shows."""

from __future__ import annotations

import pytest

from exporter.pages.selection import WHOLE, Selection

ADDRS = [f"redis://10.0.0.1:{port}" for port in range(7000, 7400)]


def group_of(addr: str) -> str:
    return "even" if int(addr[-1]) % 2 == 0 else "odd"


def taken(selection: Selection) -> list[str]:
    return [addr for addr in ADDRS if selection.takes(addr, group_of)]


def test_the_whole_page_shows_all() -> None:
    assert taken(WHOLE) == ADDRS
    assert WHOLE.takes_all


@pytest.mark.parametrize("slices", [1, 2, 3, 20, 1000])
def test_slices_show_each_target_once(slices: int) -> None:
    shown = [addr for number in range(slices) for addr in taken(Selection(slice=(number, slices)))]
    assert sorted(shown) == ADDRS


@pytest.mark.parametrize("slices", [2, 4, 10])
def test_slices_are_about_equal(slices: int) -> None:
    for number in range(slices):
        assert 0.6 < len(taken(Selection(slice=(number, slices)))) * slices / len(ADDRS) < 1.4


def test_a_group_shows_the_targets_of_its_label() -> None:
    assert taken(Selection(group="even")) == ADDRS[::2]
    assert taken(Selection(group="other")) == []


def test_a_slice_of_a_group_is_both() -> None:
    both = [addr for number in range(3) for addr in taken(Selection(group="odd", slice=(number, 3)))]
    assert sorted(both) == ADDRS[1::2]


def test_one_target_is_itself_alone() -> None:
    assert taken(Selection(addr=ADDRS[5])) == [ADDRS[5]]
    assert taken(Selection(addr=ADDRS[5], plain=True, group="even")) == [ADDRS[5]]
    assert taken(Selection(addr="redis://elsewhere:6379")) == []


def test_families_leave_the_targets_as_they_are() -> None:
    assert taken(Selection(names=frozenset({"redis_up"}))) == ADDRS


@pytest.mark.parametrize(
    ("selection", "takes_all"),
    [
        (Selection(names=frozenset({"redis_up"})), True),
        (Selection(slice=(0, 1)), False),
        (Selection(group="even"), False),
        (Selection(addr=ADDRS[0]), False),
    ],
)
def test_only_targets_make_it_less_than_all(selection: Selection, takes_all: bool) -> None:
    assert selection.takes_all is takes_all


def test_equal_selections_share_a_page() -> None:
    assert (
        len({Selection(slice=(1, 2)), Selection(slice=(1, 2)), Selection(slice=(0, 2)), WHOLE, Selection()})
        == 3
    )
