"""CLUSTER INFO: the cluster's state and the messages of its bus."""

from __future__ import annotations

import csv
import dataclasses
import pathlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from exporter.collectors._registry import REGISTRY
from exporter.collectors.cluster import MESSAGES, ClusterCollector
from exporter.collectors.info import InfoCollector
from exporter.errors import ProtocolError, ReplyError
from exporter.metrics.family import Family, Field, NameSet
from exporter.protocol.facts import Facts
from tests.clusters import Cluster
from tests.collectors.conftest import OPTIONS, Drive
from tests.watch_harness import WatchHarness

DATA = pathlib.Path(__file__).parent.parent / "data"
VERSIONS = sorted(path.parent.name for path in DATA.glob("*/cluster_info.txt"))
FACTS = Facts((7, 0, 15), "redis", "master", "cluster", "r", True, False)
FAMILIES = {family.name: family for family in ClusterCollector.families}


@pytest.fixture
async def watch_harness() -> AsyncIterator[WatchHarness]:
    watch_harness = WatchHarness(REGISTRY)
    yield watch_harness
    await watch_harness.close()


def go_rows() -> list[dict[str, str]]:
    """What the Go exporter reads from CLUSTER INFO; a pattern once for each type of message."""
    with (DATA / "go_metrics.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["source"] == "CLUSTER INFO"]
    for row in [row for row in rows if "<type>" in row["name"]]:
        rows.remove(row)
        for spelled in MESSAGES:
            rows.append({**row, "name": row["name"].replace("<type>", spelled.replace("-", "_"))})
    return rows


@pytest.mark.parametrize("row", go_rows(), ids=lambda row: row["name"])
def test_every_row_of_the_go_exporter_is_in_the_table(row: dict[str, str]) -> None:
    family = FAMILIES[row["name"].removeprefix("redis_")]
    assert (family.type.value, ";".join(family.labels), family.name_set) == (
        row["type"],
        row["labels"],
        NameSet.GO,
    )


@pytest.mark.parametrize("family", ClusterCollector.families, ids=lambda family: family.name)
def test_every_family_is_read_from_its_field(drive: Drive, family: Family) -> None:
    assert isinstance(family.source, Field)
    played = drive(ClusterCollector(), [f"{family.source.key}:7\r\n".encode()], facts=FACTS)
    assert played.samples() == {f"redis_{family.name}": "7"}


def test_a_family_is_of_one_family_set() -> None:
    """Valkey 9.1 repeats CLUSTER INFO in INFO."""
    assert not FAMILIES.keys() & {family.name for family in InfoCollector.families}
    keys = {family.source.key for family in InfoCollector.families if isinstance(family.source, Field)}
    assert not keys & {family.source.key for family in FAMILIES.values() if isinstance(family.source, Field)}


@pytest.mark.parametrize("version", VERSIONS)
def test_every_field_of_every_version_has_its_value(drive: Drive, version: str) -> None:
    for path in (DATA / version).glob("cluster_info*.txt"):
        samples = drive(ClusterCollector(), [path.read_bytes()], facts=FACTS).samples()
        told = dict(line.split(":") for line in path.read_text().split())
        for name, family in FAMILIES.items():
            assert isinstance(family.source, Field)
            value = told.pop(family.source.key, None)
            assert samples.get(f"redis_{name}") == {"ok": "1", "fail": "0"}.get(str(value), value)
        assert told == {}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_failure_is_told(drive: Drive, version: str) -> None:
    samples = drive(
        ClusterCollector(), [(DATA / version / "cluster_info_fail.txt").read_bytes()], facts=FACTS
    ).samples()
    assert samples["redis_cluster_state"] == "0"
    assert samples["redis_cluster_slots_fail"] == "5461"
    assert samples["redis_cluster_slots_ok"] == "10919"


def test_only_cluster_nodes_that_have_their_data_are_asked() -> None:
    collector = ClusterCollector()
    assert collector.wants(FACTS, OPTIONS)
    assert not collector.wants(dataclasses.replace(FACTS, cluster_enabled=False), OPTIONS)
    assert not collector.wants(dataclasses.replace(FACTS, loading=True), OPTIONS)


def test_a_server_that_does_not_let_itself_be_asked_writes_nothing(drive: Drive) -> None:
    played = drive(ClusterCollector(), [ReplyError("NOPERM this user has no permissions")], facts=FACTS)
    assert played.asked == [[("CLUSTER", "INFO")]]
    assert played.samples() == {}


def test_what_is_refused_still_gives_nothing(drive: Drive) -> None:
    block = drive(ClusterCollector(), [ReplyError("ERR unknown command")], facts=FACTS).again(None)
    assert block is not None
    assert block.samples == b""


@pytest.mark.parametrize("reply", [7, None])
def test_another_answer_fails_it(drive: Drive, reply: Any) -> None:
    with pytest.raises(ProtocolError):
        drive(ClusterCollector(), [reply], facts=FACTS)


@pytest.mark.server
async def test_a_real_cluster(watch_harness: WatchHarness, redis_cluster: Cluster) -> None:
    watched = watch_harness.watched(redis_cluster.nodes[0].port)
    await watch_harness.poll(watched)
    series = watch_harness.series(watched)
    expected = {
        "state": 1,
        "enabled": 1,
        "slots_assigned": 16384,
        "slots_ok": 16384,
        "slots_fail": 0,
        "known_nodes": 6,
        "size": 3,
    }
    assert {name: series[f"redis_cluster_{name}", ()] for name in expected} == expected
    assert series["redis_cluster_stats_messages_ping_sent", ()] > 0
    assert (
        series["redis_cluster_messages_sent_total", ()]
        >= series["redis_cluster_stats_messages_ping_sent", ()]
    )
    assert series["redis_exporter_collector_success", ("cluster",)] == 1
