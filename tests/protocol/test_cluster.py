"""Slots of a cluster: which key is where."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import pytest
import redis.crc

from exporter.errors import ReplyError
from exporter.protocol.cluster import SLOTS, Slots, key_slot, parse_slots
from exporter.protocol.command import PIECE
from tests.pieces import pieces_of, value_of

DATA = pathlib.Path(__file__).parent.parent / "data"


class TestSlots:
    @pytest.mark.parametrize(
        "version", ["redis-4.0.14", "redis-6.2.16", "redis-7.0.15", "valkey-8.1.1", "keydb-6.3.4"]
    )
    def test_recorded_slots_are_all_served(self, version: str) -> None:
        rows = json.loads((DATA / version / "cluster_slots.json").read_text())
        slots = value_of(
            parse_slots(
                [[first, last, [node[0].encode(), *node[1:]]] for first, last, node, *_ in rows], None
            )
        )
        assert slots is not None
        assert len(slots.primaries) == 3
        assert {slots.node(b"key%d" % number) for number in range(100)} == set(slots.primaries)

    def test_the_target_itself_is_known_by_its_id(self) -> None:
        rows = [[8192, 16383, [b"h", 1, b"one"], [b"h", 3, b"three"]], [0, 100, [b"h", 2, b"two"]]]
        assert value_of(parse_slots(rows, b"one")) == Slots((0, 8192), (100, 16383), ("h:2", ""))

    def test_a_slot_that_nobody_serves_has_no_node(self) -> None:
        slots = Slots((0, 12183), (12181, 16383), ("h:1", "h:2"))
        assert slots.node(b"foo") is None, "foo is in slot 12182"
        assert slots.node(b"{foo}x") is None, "a hash tag stands for the key"
        assert slots.node(b"bar") == "h:1"

    @pytest.mark.parametrize(
        "key",
        [b"", b"foo", b"{foo}x", b"x{foo}y{z}", b"{}x", b"{", b"}{a}", b"{a", b"a}", b"{{a}}", b"\xff{\x00}"],
    )
    def test_slots_are_those_that_redis_py_knows(self, key: bytes) -> None:
        assert key_slot(key) == redis.crc.key_slot(key)

    @pytest.mark.parametrize("host", [None, b"?"])
    def test_a_node_that_does_not_say_where_it_is_cannot_be_asked(self, host: Any) -> None:
        assert value_of(parse_slots([[0, 16383, [host, 7000, b"two"]]], b"one")) is None

    def test_a_node_without_an_address_is_the_one_that_says_so(self) -> None:
        assert value_of(parse_slots([[0, 16383, [b"", 7000]]], None)) == Slots((0,), (16383,), ("",))

    def test_very_many_rows_are_read_in_pieces_and_no_more_than_there_are_slots(self) -> None:
        rows = [
            [slot % SLOTS, slot % SLOTS, [b"h%d" % (slot % 1000), 7000]] for slot in reversed(range(SLOTS))
        ] * 2
        pieces, slots = pieces_of(parse_slots(rows, None))
        assert pieces >= SLOTS // PIECE
        assert slots.starts == slots.ends == tuple(range(SLOTS))
        assert slots.node(b"foo") == f"h{key_slot(b'foo') % 1000}:7000"

    @pytest.mark.parametrize("row", [[-1, 5], [5, 4], [0, SLOTS], [SLOTS, SLOTS]])
    def test_a_range_that_is_none_has_no_node(self, row: list[int]) -> None:
        assert value_of(parse_slots([[*row, [b"h", 7000]]], None)) is None

    @pytest.mark.parametrize(
        "odd", [None, 5, b"x", [], [None], [[1]], [[1, 2, 3]], [["a", "b", [b"h", 1]]], ReplyError("ERR no")]
    )
    def test_odd_replies_tell_nothing(self, odd: Any) -> None:
        assert value_of(parse_slots(odd, odd)) is None
