"""Open files: the limit is raised, some are kept back, and whoever has one keeps it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from exporter.descriptors import Descriptors, reserve_of


@pytest.mark.parametrize(
    ("limit", "reserve"),
    [(16, 8), (64, 32), (128, 32), (256, 64), (1024, 256), (4096, 1024), (1 << 20, 1024)],
)
def test_a_quarter_is_kept_back_but_never_more_than_half(limit: int, reserve: int) -> None:
    assert reserve_of(limit) == reserve


def test_an_owner_keeps_his_file_while_others_get_none() -> None:
    files = Descriptors(64)
    owners = [f"t{number}" for number in range(40)]
    assert [files.take(owner) for owner in owners] == [True] * 32 + [False] * 8
    assert files.take("t0")  # he connects again
    assert not files.take("t39")
    assert files.in_use == 32
    files.give_back("t0")
    files.give_back("t0")
    files.give_back("never had one")
    assert files.take("t39")
    assert not files.take("t0")


class TestNodes:
    def test_have_half_of_what_targets_leave_whether_these_are_open_or_not(self) -> None:
        files = Descriptors(1024)
        files.set_aside = 20
        assert files.nodes_max == (768 - 20) // 2
        assert sum([files.take_node("hostile", str(number)) for number in range(1000)]) == 187
        assert sum([files.take(number) for number in range(1000)]) == 768 - 187
        assert files.nodes_max == 93

    def test_each_holder_finds_room_however_much_the_others_want(self) -> None:
        files = Descriptors(1024)
        holders, nodes = range(5), [str(number) for number in range(1000)]
        assert [sum([files.take_node(holder, node) for node in nodes]) for holder in holders] == [
            192,
            96,
            48,
            24,
            12,
        ]
        for _ in range(20):  # batches
            for holder in holders:
                for node in nodes:
                    if files.nodes_held(holder) > files.nodes_share(holder):
                        files.give_back_node(holder, node)
                for node in nodes:
                    files.take_node(holder, node)
        assert all(abs(files.nodes_held(holder) - 384 // 6) <= 2 for holder in holders)

    def test_one_file_a_node_and_what_is_given_back_is_free(self) -> None:
        files = Descriptors(16)
        assert [files.take_node("a", node) for node in ("n1", "n1", "n2", "n3")] == [True, True, True, False]
        assert files.in_use == 2
        for _ in range(2):
            files.give_back_node("a", "n1")
        files.give_back_node("b", "n1")
        assert (files.in_use, files.take_node("a", "n3")) == (1, True)

    def test_have_none_where_targets_need_all(self) -> None:
        files = Descriptors(16)
        files.set_aside = 100
        assert not files.take_node("a", "n")


def test_the_start_warns_of_targets_that_will_have_no_connection() -> None:
    assert Descriptors(64).warning(32) is None
    warning = Descriptors(64).warning(100) or ""
    assert "room for 32 of 100 connections" in warning
    assert "open_files" in warning
    assert "LimitNOFILE=" in warning
    assert "raise the limit to 133 or more" in warning
    assert Descriptors(133).warning(100) is None


PROGRAM = """
import resource
from exporter.descriptors import raise_limit
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
print(raise_limit(), resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(("soft", "hard"), [(64, 512), (64, 64)])
def test_the_soft_limit_is_raised_to_the_hard_one(soft: int, hard: int) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(soft=soft, hard=hard)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout == f"{hard} ({hard}, {hard})\n"
