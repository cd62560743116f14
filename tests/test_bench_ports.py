"""Free ports for servers of tests and benches."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from bench import ports
from bench.ports import BLOCK, FIRST, HOST, PortBlocks, free_ports

KERNEL_FIRST = 32768  # where Linux' own range begins unless somebody has changed it
#: two blocks below all others, which no other worker takes
APART = 2000 + 2 * BLOCK * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 8)

Make = Callable[[int], PortBlocks]


@pytest.fixture
def make_blocks() -> Iterator[Make]:
    made = []

    def make(count: int) -> PortBlocks:
        made.append(PortBlocks(APART, APART + count * BLOCK))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_they_are_below_those_of_outgoing_connections() -> None:
    assert all(FIRST <= port < KERNEL_FIRST for port in free_ports(2 * BLOCK))


def test_none_is_handed_out_twice_before_all_were() -> None:
    assert len(set(free_ports(2 * BLOCK))) == 2 * BLOCK


def test_one_that_somebody_listens_on_is_left_out(make_blocks: Make) -> None:
    blocks = make_blocks(1)
    first = blocks.take()
    with socket.create_server((HOST, first + 1)):
        assert first + 1 not in [blocks.take() for _ in range(BLOCK // 2)]


def test_where_browsers_open_no_page_no_server_listens(
    make_blocks: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ports, "BROWSERS_REFUSE", APART + 1)
    blocks = make_blocks(1)
    assert APART + 1 not in [blocks.take() for _ in range(BLOCK // 2)]


def test_another_process_gets_others() -> None:
    own = set(free_ports(2 * BLOCK))
    order = "from bench.ports import free_ports; print(*free_ports(500))"
    said = subprocess.run([sys.executable, "-c", order], check=True, capture_output=True, text=True)
    assert own.isdisjoint(map(int, said.stdout.split()))


def test_it_begins_again_where_others_have_the_rest(make_blocks: Make) -> None:
    one, other = make_blocks(2), make_blocks(2)
    assert {port // BLOCK for port in (one.take(), other.take())} == {APART // BLOCK, APART // BLOCK + 1}
    assert len({one.take() for _ in range(2 * BLOCK)}) <= BLOCK


def test_where_others_have_all_it_says_so(make_blocks: Make) -> None:
    make_blocks(1).take()
    with pytest.raises(SystemExit, match="have all blocks"):
        make_blocks(1).take()


def test_a_block_is_free_again_when_its_process_has_ended(make_blocks: Make) -> None:
    order = f"from bench.ports import PortBlocks; print(PortBlocks({APART}, {APART + BLOCK}).take())"
    said = subprocess.run([sys.executable, "-c", order], check=True, capture_output=True, text=True)
    assert make_blocks(1).take() == int(said.stdout)
