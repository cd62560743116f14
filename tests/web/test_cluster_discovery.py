"""The nodes of the watched clusters, for Prometheus' http_sd."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import threading
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from exporter.protocol.cluster import ClusterView, parse_nodes
from exporter.protocol.facts import Facts
from exporter.web import cluster_discovery
from tests.store_fixture import PATIENCE_S, until
from tests.web.fleet import FakeWatch
from tests.web.test_routes import A, B, Site

CLUSTER = Facts((7, 0, 15), "redis", "master", "cluster", "r", True, False)
ALONE = dataclasses.replace(CLUSTER, mode="standalone", cluster_enabled=False)
PATH = "/discover-cluster-nodes"


@pytest_asyncio.fixture
async def site() -> AsyncIterator[Site]:
    """Two targets, of which nothing is known yet."""
    site = Site()
    await site.start(discover_clusters=True)
    yield site
    await site.stop_serving()
    await site.pages.close()


def watched(site: Site, addr: str) -> FakeWatch:
    return site.fleet.watched_targets[addr]


def saw(site: Site, addr: str, *lines: str) -> None:
    """A poll of a target has brought this answer."""
    nodes = parse_nodes("\n".join(f"{number:040} {line}" for number, line in enumerate(lines)))
    watched(site, addr).facts = CLUSTER
    watched(site, addr).cluster = ClusterView(nodes, 1.0)


def listed(text: str) -> list[str]:
    [group] = json.loads(text)
    assert group["labels"] == {}
    return list(group["targets"])


MASTER = "master - 0 0 1 connected"


class TestAnswer:
    async def test_is_a_list_of_one_group_as_the_go_exporter_writes_it(self, site: Site) -> None:
        saw(site, A, f"10.0.0.2:7000@17000 myself,{MASTER} 0-16383", f"10.0.0.1:7000@17000 {MASTER}")
        watched(site, B).facts = ALONE
        response, body = await site.ask(PATH)
        assert (response.status, response.content_type) == (200, "application/json")
        assert body.decode() == (
            '[\n  {\n    "targets": [\n      "redis://10.0.0.1:7000",\n      "redis://10.0.0.2:7000"\n    '
            '],\n    "labels": {}\n  }\n]'
        )

    @pytest.mark.parametrize(
        ("line", "target"),
        [
            (f"::1:7000@17000 {MASTER}", "redis://[::1]:7000"),
            (f"10.0.0.1:7000 {MASTER}", "redis://10.0.0.1:7000"),  # Redis 3
            ("10.0.0.1:7000@17000 master,fail - 0 0 1 disconnected", "redis://10.0.0.1:7000"),
            (f"10.0.0.1:7000@17000,one.example.com {MASTER}", "redis://10.0.0.1:7000"),
            (f"FD00:0:0:0:0:0:0:2:7000@17000 {MASTER}", "redis://[fd00::2]:7000"),
            (f"::ffff:a00:2:7000@17000 {MASTER}", "redis://10.0.0.2:7000"),
            (f"::1:2:3:4:5:6:7:8:7000@17000 {MASTER}", None),
            (f"10.0.0.1:70000@80000 {MASTER}", None),
            (":0@0 master,fail,noaddr - 0 0 1 disconnected", None),
            ("10.0.0.1:1@10001 handshake - 0 0 0 disconnected", None),
        ],
    )
    async def test_a_node(self, site: Site, line: str, target: str | None) -> None:
        saw(site, A, line)
        assert listed(await site.text(f"{PATH}?target={A}")) == ([] if target is None else [target])

    async def test_names_that_nodes_announce_on_request(self, site: Site) -> None:
        await site.start(discover_clusters=True, discover_hostnames=True)
        saw(site, A, f"10.0.0.1:7000@17000,one.example.com {MASTER}", f"10.0.0.2:7000@17000 {MASTER}")
        assert listed(await site.text(f"{PATH}?target={A}")) == [
            "redis://10.0.0.2:7000",
            "redis://one.example.com:7000",
        ]

    @pytest.mark.parametrize("name", ["one/two", "?", "user@one", "one?", "-one", "[one]", "x" * 254])
    async def test_a_name_that_no_address_can_have_is_not_listed(self, site: Site, name: str) -> None:
        await site.start(discover_clusters=True, discover_hostnames=True)
        saw(site, A, f"10.0.0.1:7000@17000,{name} {MASTER}", f"10.0.0.2:7000@17000 {MASTER}")
        assert listed(await site.text(f"{PATH}?target={A}")) == ["redis://10.0.0.2:7000"]

    @pytest.mark.parametrize(
        ("scheme", "shown"),
        [
            ("redis", "redis"),
            ("rediss", "rediss"),
            ("valkeys", "valkeys"),
            ("tcp", "redis"),
            ("unix", "redis"),
        ],
    )
    async def test_the_scheme_is_the_target_s(self, site: Site, scheme: str, shown: str) -> None:
        saw(site, A, f"10.0.0.1:7000@17000 {MASTER}")
        watched(site, A).target = dataclasses.replace(watched(site, A).target, scheme=scheme)
        assert listed(await site.text(f"{PATH}?target={A}")) == [f"{shown}://10.0.0.1:7000"]

    async def test_of_several_targets_holds_each_node_once(self, site: Site) -> None:
        saw(site, A, f"10.0.0.1:1@2 {MASTER}", f"10.0.0.2:1@2 {MASTER}")
        saw(site, B, f"10.0.0.2:1@2 {MASTER}", f"10.0.0.3:1@2 {MASTER}")
        assert listed(await site.text(PATH)) == [f"redis://10.0.0.{number}:1" for number in (1, 2, 3)]
        assert listed(await site.text(f"{PATH}?target=first")) == ["redis://10.0.0.1:1", "redis://10.0.0.2:1"]

    async def test_a_target_that_is_down_keeps_the_nodes_it_had(self, site: Site) -> None:
        saw(site, A, f"10.0.0.1:1@2 {MASTER}")
        watched(site, A).up = False
        watched(site, B).facts = ALONE
        assert listed(await site.text(PATH)) == ["redis://10.0.0.1:1"]

    async def test_nobody_is_polled_for_it(self, site: Site) -> None:
        saw(site, A, f"10.0.0.1:1@2 {MASTER}")
        await site.text(PATH)
        assert watched(site, A).asked == watched(site, B).asked == []


class TestRefusal:
    async def test_where_clusters_are_not_looked_at(self, site: Site) -> None:
        await site.start(discover_clusters=False)
        saw(site, A, f"10.0.0.1:1@2 {MASTER}")
        assert "--is-cluster" in await site.text(PATH, 400)

    async def test_where_no_target_is_a_cluster_node(self, site: Site) -> None:
        watched(site, A).facts = watched(site, B).facts = ALONE
        assert "node of a cluster" in await site.text(PATH, 400)

    async def test_of_a_target_that_was_never_reached(self, site: Site) -> None:
        watched(site, A).up = False
        assert "CLUSTER NODES" in await site.text(f"{PATH}?target={A}", 500)

    async def test_before_every_target_was_attempted(self, site: Site) -> None:
        """A part of the list would take the rest out of Prometheus' sight."""
        saw(site, A, f"10.0.0.1:1@2 {MASTER}")
        watched(site, B).up = None
        await site.text(PATH, 503)
        assert listed(await site.text(f"{PATH}?target={A}")) == ["redis://10.0.0.1:1"]

    async def test_of_a_target_that_is_not_configured(self, site: Site) -> None:
        assert "not configured" in await site.text(f"{PATH}?target=redis://elsewhere:6379", 404)

    async def test_of_an_address_that_is_none(self, site: Site) -> None:
        await site.text(f"{PATH}?target=http://a", 400)


async def test_a_long_list_holds_up_nobody_and_is_made_once_for_all_who_ask(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, made = threading.Event(), []

    def slow(*_: object, **__: object) -> tuple[int, str]:
        made.append(threading.current_thread().daemon)
        assert go.wait(PATIENCE_S)
        return 200, "[]"

    monkeypatch.setattr(cluster_discovery, "answer", slow)
    asking = [asyncio.ensure_future(site.text(PATH)) for _ in range(20)]
    await until(lambda: made)
    assert await site.text("/-/healthy") == "ok\n"
    go.set()
    assert await asyncio.gather(*asking) == ["[]"] * 20
    assert len(made) <= 2
    assert all(made), "the end of the program would wait for it"
