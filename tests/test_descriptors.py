"""Open files: the limit is raised, some are kept back, and whoever has one keeps it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from exporter.descriptors import Descriptors, reserve_of


@pytest.mark.parametrize(("limit", "reserve"), [(16, 8), (64, 32), (128, 32), (256, 64), (1024, 256), (4096, 1024), (1 << 20, 1024)])
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
    ended = subprocess.run([sys.executable, "-c", PROGRAM.format(soft=soft, hard=hard)], capture_output=True, text=True, check=True)
    assert ended.stdout == f"{hard} ({hard}, {hard})\n"
