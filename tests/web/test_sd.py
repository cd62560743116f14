"""The list of targets for Prometheus' http_sd."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace

from exporter.protocol.facts import make_facts
from exporter.targets.address import parse_address
from exporter.targets.target import NodeFacts, Target
from exporter.web.sd import HANDFUL, TargetLister
from tests.web.fleet import FakeWatch

#: what Prometheus accepts as a name of a label
NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")


class Bench:
    """A lister of some targets, and how often it gave way to the event loop."""

    def __init__(self, *members: FakeWatch, instance_by: str = "address") -> None:
        self.members = list(members)
        self.pauses = 0
        self.lister = TargetLister(lambda: self.members, self._pause, instance_by=instance_by)

    async def _pause(self) -> None:
        self.pauses += 1
        await asyncio.sleep(0)

    async def list(self, group: str | None = None) -> list[tuple[list[str], dict[str, str]]]:
        return [(each["targets"], each["labels"]) for each in json.loads(await self.lister.written(group))]


def watch(text: str, **changes: object) -> FakeWatch:
    return FakeWatch(replace(parse_address(text), **changes), None)  # type: ignore[arg-type]


async def test_what_is_not_known_is_left_out() -> None:
    assert await Bench(watch("redis://h:1")).list() == [
        (["redis://h:1"], {"instance": "h:1", "__meta_redis_source": "file"})
    ]


async def test_what_discovery_knows_with_the_newest_role() -> None:
    node = NodeFacts("c", "s", "", "n", "m", shown=("cluster",))
    watched = watch("redis://h:1", source="discovered", node=node)
    watched.facts = make_facts({"role": b"master"}, databases=16)
    bench = Bench(watched)
    bench.lister = TargetLister(
        lambda: bench.members, bench._pause, role_of={"redis://h:1": "slave"}.__getitem__
    )
    [(_, labels)] = await bench.list()
    assert labels["cluster"] == "c"
    assert "shard" not in labels
    found = {name.removeprefix("__meta_redis_"): value for name, value in labels.items()}
    assert {found[name] for name in ("cluster", "shard", "node_id", "master_name")} == {"c", "s", "n", "m"}
    assert found["role"] == "slave"


async def test_an_address_that_leads_to_changing_nodes_is_no_target() -> None:
    node = NodeFacts(is_endpoint=True)
    assert await Bench(watch("redis://h:1", node=node)).list() == []


async def test_everything_that_is_known() -> None:
    watched = watch(
        "rediss://h:1/2",
        alias="cache",
        labels=(("env", "prod"), ("empty", "")),
        settings_group="caches",
        source="http_sd",
    )
    watched.facts = make_facts(
        {"redis_version": b"7.2.4", "valkey_version": b"8.1.1", "role": b"replica"}, databases=16
    )
    [(targets, labels)] = await Bench(watched).list()
    assert targets == ["rediss://h:1/2"]
    assert labels == {
        "instance": "h:1/2",
        "env": "prod",
        "__meta_redis_alias": "cache",
        "__meta_redis_source": "http_sd",
        "__meta_redis_group": "caches",
        "__meta_redis_role": "slave",
        "__meta_redis_mode": "standalone",
        "__meta_redis_flavor": "valkey",
        "__meta_redis_version": "8.1.1",
    }
    assert all(NAME.match(name) for name in labels)


async def test_a_version_that_the_server_does_not_state_is_not_known() -> None:
    watched = watch("redis://h:1")
    watched.facts = make_facts({}, databases=None)
    [(_, labels)] = await Bench(watched).list()
    assert "__meta_redis_version" not in labels
    assert "__meta_redis_role" not in labels


async def test_the_instance_is_that_of_the_page() -> None:
    named = watch("redis://h:1", alias="cache")
    own = watch("unix:///run/r.sock", labels=(("instance", "mine"),))
    assert [labels["instance"] for _, labels in await Bench(named, own).list()] == ["h:1", "mine"]
    bench = Bench(named, own, instance_by="alias")
    assert [labels["instance"] for _, labels in await bench.list()] == ["cache", "mine"]


async def test_no_secret_and_any_text() -> None:
    hostile = watch('unix://kiwi:plum@/run/"\udcff\n', labels=(("env", "\ud800"),))
    text = await Bench(hostile).lister.written()
    assert "kiwi" not in text
    assert "plum" not in text
    assert text.isascii()
    assert json.loads(text)


async def test_a_group_is_a_part_of_the_list() -> None:
    bench = Bench(watch("redis://a:1", labels=(("group", "blue"),)), watch("redis://b:1"))
    assert [targets for targets, _ in await bench.list("blue")] == [["redis://a:1"]]
    assert [targets for targets, _ in await bench.list("")] == [["redis://b:1"]]
    assert await bench.list("no such") == []


async def test_without_targets_the_list_is_empty() -> None:
    assert await Bench().list() == []


async def test_ten_thousand_targets_are_listed_in_handfuls_and_once_for_all_who_ask() -> None:
    members = [
        FakeWatch(Target(f"redis://h:{number}", "redis", "h", number, "", 0), None)
        for number in range(10_000)
    ]
    bench = Bench(*members)
    lists = await asyncio.gather(*(bench.lister.written() for _ in range(50)))
    assert len(set(lists)) == 1
    assert len(json.loads(lists[0])) == 10_000
    assert 10_000 / HANDFUL <= bench.pauses <= 10_000 / HANDFUL + 50
