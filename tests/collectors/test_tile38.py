"""Tile38. Its reply is played, with the names that its clients' sources have: there is no Tile38 here."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from exporter.collectors.info import InfoCollector
from exporter.collectors.tile38 import Tile38Collector
from exporter.errors import AuthError, ProtocolError, ReplyError
from exporter.options.commandline import parse
from exporter.protocol.facts import Facts
from tests.collectors.conftest import OPTIONS, Drive
from tests.collectors.go_rows import assert_same_families, go_rows
from tests.watch_harness import RedisFactory, ScriptFactory, WatchHarnessFactory, info, redis_like

FACTS = Facts((0, 0, 0), "redis", "master", "standalone", "", False, False, 16)
ROWS = go_rows("SERVER EXT")
FLAGS = {"tile38_http_transport", "tile38_read_only"}


def told(drive: Drive, reply: object) -> dict[str, str]:
    played = drive(Tile38Collector(), [reply], facts=FACTS)
    assert played.asked == [[("SERVER", "EXT")]]
    return played.samples()


def pairs(fields: dict[str, bytes]) -> list[bytes]:
    return [item for name, value in fields.items() for item in (name.encode(), value)]


def test_the_families_of_the_go_exporter() -> None:
    assert len(ROWS) == 19
    assert_same_families(Tile38Collector(), ROWS)


@pytest.mark.parametrize("prefix", ["tile38_", ""])
def test_every_field_is_the_family_it_should_be(drive: Drive, prefix: str) -> None:
    names = {name: row["field"].replace("tile38_", prefix) for name, row in ROWS.items()}
    fields = {
        field: b"true" if name in FLAGS else str(number).encode()
        for number, (name, field) in enumerate(names.items(), 1)
    }
    assert told(drive, pairs(fields)) == {
        f"redis_{name}": "1" if name in FLAGS else str(number) for number, name in enumerate(names, 1)
    }


def test_other_fields_and_bad_values_are_left_out(drive: Drive) -> None:
    fields = {
        "tile38_id": b"abc",
        "mallocs_total": b"5",
        "tile38_read_only": b"false",
        "tile38_num_points": b"x",
        "next_gc_bytes": b"nan",
        "sys_cpus": b"4",
    }
    assert told(drive, pairs(fields)) == {"redis_tile38_read_only": "0", "redis_tile38_cpus_total": "4"}


@pytest.mark.parametrize(
    "reply", [[], [b"sys_cpus"], [5, b"4"], [b"\xff", b"4"], [b"sys_cpus", None], [b"sys_cpus", [b"4"]]]
)
def test_replies_of_an_odd_form(drive: Drive, reply: list[Any]) -> None:
    assert told(drive, reply) == {}


def test_numbers_may_be_integers(drive: Drive) -> None:
    assert told(drive, [b"sys_cpus", 4]) == {"redis_tile38_cpus_total": "4"}


def test_an_error_or_a_text(drive: Drive) -> None:
    assert told(drive, ReplyError("ERR unknown command 'SERVER', with args beginning with: 'EXT' ")) == {}
    with pytest.raises(AuthError):
        told(drive, ReplyError("NOAUTH authentication required"))
    with pytest.raises(ProtocolError):
        told(drive, b"OK")


def test_it_is_asked_for_on_demand_and_where_there_may_be_a_tile38() -> None:
    assert not Tile38Collector().enabled(parse([], {}))
    assert Tile38Collector().enabled(parse(["--is-tile38"], {}))
    assert Tile38Collector().wants(FACTS, OPTIONS)
    assert not Tile38Collector().wants(dataclasses.replace(FACTS, mode="sentinel"), OPTIONS)
    assert not Tile38Collector().wants(dataclasses.replace(FACTS, flavor="valkey"), OPTIONS)


async def test_over_a_socket(scripted_server: ScriptFactory, make_watch_harness: WatchHarnessFactory) -> None:
    reply = b"*4\r\n$17\r\ntile38_num_points\r\n$3\r\n225\r\n$16\r\ntile38_read_only\r\n$5\r\nfalse\r\n"
    server = scripted_server(redis_like({"INFO": info(tile38_version="1.33.0"), "SERVER": reply}))
    watch_harness = make_watch_harness([InfoCollector(), Tile38Collector()], argv=["--is-tile38"])
    watched = watch_harness.watched(server.port)
    await watch_harness.poll(watched)
    assert watch_harness.value(watched, "redis_tile38_num_points_total") == 225
    assert watch_harness.value(watched, "redis_tile38_read_only") == 0


async def test_a_real_redis_among_them_is_asked_once(
    redis_server: RedisFactory, make_watch_harness: WatchHarnessFactory
) -> None:
    server = redis_server()
    watch_harness = make_watch_harness([InfoCollector(), Tile38Collector()], argv=["--is-tile38"])
    watched = watch_harness.watched(server.port)
    for _ in range(13):
        await watch_harness.poll(watched)
    assert watch_harness.value(watched, "redis_exporter_collector_supported", "tile38") == 0
    assert b"errorstat_ERR:count=1\r\n" in server.ask("INFO", "errorstats")
