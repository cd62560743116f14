"""The configuration of a Sentinel itself."""

from __future__ import annotations

import csv
import dataclasses
import json
import pathlib
from typing import Any

import pytest

from exporter.collectors.sentinel_config import SentinelConfigCollector
from exporter.errors import ProtocolError, ReplyError
from exporter.metrics.family import NameSet
from exporter.options.commandline import parse
from exporter.protocol.facts import Facts
from tests.collectors.conftest import OPTIONS, Drive

DATA = pathlib.Path(__file__).parent.parent / "data"
FACTS = Facts((7, 0, 15), "redis", "sentinel", "sentinel", "r", False, False)
FAMILIES = {family.name: family for family in SentinelConfigCollector.families}
SECRETS = [b"sentinel-pass", b"hunter2", b"Auth-Token", b"hunter2", b"SECRET", b"hunter2"]


def go_rows() -> list[dict[str, str]]:
    with (DATA / "go_metrics.csv").open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["source"].startswith("SENTINEL CONFIG")]


@pytest.mark.parametrize("row", go_rows(), ids=lambda row: row["name"])
def test_every_row_of_the_go_exporter_is_in_the_table(row: dict[str, str]) -> None:
    family = FAMILIES[row["name"].removeprefix("redis_")]
    assert (family.type.value, ";".join(family.labels), family.name_set) == (
        row["type"],
        row["labels"],
        NameSet.GO,
    )


def test_keys_with_their_values_and_those_that_are_numbers(drive: Drive) -> None:
    reply = [
        b"resolve-hostnames",
        b"no",
        b"announce-ip",
        b"",
        b"announce-port",
        b"26379",
        b"ratio",
        b"0.5",
        b"odd",
        b"nan",
    ]
    played = drive(SentinelConfigCollector(), [reply], facts=FACTS)
    assert played.asked == [[("SENTINEL", "CONFIG", "GET", "*")]]
    assert played.samples() == {
        'redis_sentinel_config_key_value{key="resolve-hostnames",value="no"}': "1",
        'redis_sentinel_config_key_value{key="announce-ip",value=""}': "1",
        'redis_sentinel_config_key_value{key="announce-port",value="26379"}': "1",
        'redis_sentinel_config_key_value{key="ratio",value="0.5"}': "1",
        'redis_sentinel_config_key_value{key="odd",value="nan"}': "1",
        'redis_sentinel_config_value{key="announce-port"}': "26379",
        'redis_sentinel_config_value{key="ratio"}': "0.5",
    }


def test_secrets_are_left_out(drive: Drive) -> None:
    assert drive(SentinelConfigCollector(), [[*SECRETS, b"loglevel", b"notice"]], facts=FACTS).samples() == {
        'redis_sentinel_config_key_value{key="loglevel",value="notice"}': "1"
    }


def test_unless_that_is_switched_off(drive: Drive) -> None:
    options = parse(["--redact-config-metrics=false"], {})
    samples = drive(SentinelConfigCollector(), [SECRETS], facts=FACTS, options=options).samples()
    assert samples['redis_sentinel_config_key_value{key="sentinel-pass",value="hunter2"}'] == "1"


@pytest.mark.parametrize(
    "path", sorted(DATA.glob("*/sentinel_config_get.json")), ids=lambda path: path.parent.name
)
def test_recorded(drive: Drive, path: pathlib.Path) -> None:
    reply = [text.encode() for text in json.loads(path.read_text())]
    samples = drive(SentinelConfigCollector(), [reply], facts=FACTS).samples()
    assert (
        len([key for key in samples if "key_value" in key]) == len(reply) // 2 - 2
    )  # sentinel-user and sentinel-pass
    assert samples['redis_sentinel_config_value{key="announce-port"}'] == "0"


@pytest.mark.parametrize("reply", [[b"key"], [b"key", None], [None, b"x"], [[b"key"], b"x"], []])
def test_a_pair_that_is_none_is_left_out(drive: Drive, reply: Any) -> None:
    assert drive(SentinelConfigCollector(), [reply], facts=FACTS).samples() == {}


def test_a_refusal_writes_nothing(drive: Drive) -> None:
    assert drive(SentinelConfigCollector(), [ReplyError("NOPERM no")], facts=FACTS).samples() == {}


@pytest.mark.parametrize("reply", [None, b"text"])
def test_another_answer_fails_it(drive: Drive, reply: Any) -> None:
    with pytest.raises(ProtocolError):
        drive(SentinelConfigCollector(), [reply], facts=FACTS)


def test_it_is_asked_on_request_and_of_sentinels_that_have_it() -> None:
    collector = SentinelConfigCollector()
    assert not collector.enabled(parse([], {}))
    assert collector.enabled(parse(["--include-config-metrics"], {}))
    assert collector.wants(FACTS, OPTIONS)
    assert not collector.wants(dataclasses.replace(FACTS, mode="standalone"), OPTIONS)
    assert not collector.wants(dataclasses.replace(FACTS, version=(6, 0, 20)), OPTIONS)
