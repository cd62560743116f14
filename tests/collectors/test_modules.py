"""INFO MODULES: which modules are loaded, and numbers of RediSearch and of the modules of Valkey's bundle.

The numbers are played: no recorded server has those modules. What is recorded has modules that tell odd
things.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from exporter.collectors.info import InfoCollector
from exporter.collectors.modules import ModulesCollector
from exporter.errors import NoPermError, ProtocolError, ReplyError
from exporter.options.commandline import parse
from exporter.protocol.facts import Facts
from tests.collectors.conftest import OPTIONS, Drive
from tests.collectors.go_rows import DATA, assert_same_families, go_rows
from tests.watch_harness import RedisFactory, ScriptFactory, WatchHarnessFactory, bulk, redis_like

FACTS = Facts((7, 0, 15), "redis", "master", "standalone", "r", False, False, 16)
VERSIONS = sorted(
    path.parent.name for path in DATA.glob("*/info_modules.txt") if b"module:" in path.read_bytes()
)
ROWS = go_rows("INFO MODULES")
NUMBERS = {name: row for name, row in ROWS.items() if name != "module_info"}


def told(drive: Drive, text: Any) -> dict[str, str]:
    return drive(ModulesCollector(), [text], facts=FACTS).samples()


def test_the_families_of_the_go_exporter() -> None:
    assert len(NUMBERS) > 70
    assert_same_families(ModulesCollector(), ROWS)


def test_every_field_is_the_family_it_should_be(drive: Drive) -> None:
    lines = [f"{row['field']}:{number}.5" for number, row in enumerate(NUMBERS.values(), 1)]
    played = drive(ModulesCollector(), ["\r\n".join(lines).encode()], facts=FACTS)
    assert played.asked == [[("INFO", "modules")]]
    assert played.samples() == {f"redis_{name}": f"{number}.5" for number, name in enumerate(NUMBERS, 1)}


def test_a_module(drive: Drive) -> None:
    line = (
        b"module:name=ReJSON,ver=20609,api=1,filters=0,usedby=[search|other],using=[],"
        b"options=[handle-io-errors]\r\n"
    )
    labels = 'name="ReJSON",ver="20609",api="1",filters="0",usedby="[search|other]",using="[]"'
    assert told(drive, b"# Modules\r\n" + line) == {f"redis_module_info{{{labels}}}": "1"}


@pytest.mark.parametrize("name", ["a,b", "a=b", "x:y", "ver=1", 'q"uote', "na me"])
def test_a_modules_name_may_be_odd(drive: Drive, name: str) -> None:
    [series] = told(
        drive, f"module:name={name},ver=-1,api=1,filters=2,usedby=[],using=[],options=[]\r\n".encode()
    )
    escaped = name.replace('"', '\\"')
    assert (
        series == f'redis_module_info{{name="{escaped}",ver="-1",api="1",filters="2",usedby="[]",using="[]"}}'
    )


@pytest.mark.parametrize(
    "line",
    [
        b"module:",
        b"module:name=a",
        b"module:name=a,ver=x,api=1,filters=0,usedby=[],using=[]",
        b"modules:name=a",
    ],
)
def test_what_is_no_module_is_left_out(drive: Drive, line: bytes) -> None:
    assert told(drive, line + b"\r\n") == {}


@pytest.mark.parametrize("value", [b"", b"nan", b"-nan", b"x", b"1_000", b"1.5M"])
def test_one_bad_value_costs_no_other(drive: Drive, value: bytes) -> None:
    text = b"search_number_of_indexes:" + value + b"\r\njson_num_documents:4\r\n"
    assert told(drive, text) == {"redis_json_num_documents": "4"}


@pytest.mark.parametrize("version", VERSIONS)
def test_recorded_modules(drive: Drive, version: str) -> None:
    text = (DATA / version / "info_modules.txt").read_bytes()
    samples = told(drive, text)
    assert len(samples) == text.count(b"\nmodule:") >= 3
    labels = 'name="odd-info.1",ver="1",api="1",filters="0",usedby="[]",using="[]"'
    assert samples[f"redis_module_info{{{labels}}}"] == "1"


def test_a_server_without_modules(drive: Drive) -> None:
    assert told(drive, b"# Modules\r\n") == {}
    assert told(drive, b"") == {}


def test_it_is_asked_for_on_demand_and_where_there_are_modules() -> None:
    assert not ModulesCollector().enabled(parse([], {}))
    assert ModulesCollector().enabled(parse(["--include-modules-metrics"], {}))
    assert ModulesCollector().wants(dataclasses.replace(FACTS, version=(6, 0, 0)), OPTIONS)
    assert not ModulesCollector().wants(dataclasses.replace(FACTS, version=(5, 0, 14)), OPTIONS)
    assert not ModulesCollector().wants(dataclasses.replace(FACTS, mode="sentinel"), OPTIONS)


def test_an_answer_that_is_no_text(drive: Drive) -> None:
    with pytest.raises(NoPermError):
        told(drive, ReplyError("NOPERM no"))
    with pytest.raises(ProtocolError):
        told(drive, None)


async def test_over_a_socket(scripted_server: ScriptFactory, make_watch_harness: WatchHarnessFactory) -> None:
    text = (
        b"redis_version:7.4.1\r\nmodule:name=search,ver=1,api=1,filters=0,usedby=[],using=[],"
        b"options=[]\r\nsearch_number_of_indexes:3\r\n"
    )
    server = scripted_server(redis_like({"INFO": bulk(text)}))
    watch_harness = make_watch_harness(
        [InfoCollector(), ModulesCollector()], argv=["--include-modules-metrics"]
    )
    watched = watch_harness.watched(server.port)
    await watch_harness.poll(watched)
    assert watch_harness.value(watched, "redis_search_number_of_indexes") == 3
    assert watch_harness.value(watched, "redis_module_info", "search", "1", "1", "0", "[]", "[]") == 1


async def test_a_real_server_without_modules(
    redis_server: RedisFactory, make_watch_harness: WatchHarnessFactory
) -> None:
    server = redis_server()
    watch_harness = make_watch_harness(
        [InfoCollector(), ModulesCollector()], argv=["--include-modules-metrics"]
    )
    watched = watch_harness.watched(server.port)
    await watch_harness.poll(watched)
    assert watch_harness.value(watched, "redis_exporter_collector_success", "modules") == 1
    assert b"errorstat_" not in server.ask("INFO", "errorstats")
