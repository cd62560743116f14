"""Who adopts what a request asks for."""

from __future__ import annotations

import time
from typing import Any, cast

import pytest

from exporter.errors import ConfigError
from exporter.fleet.adoption import Adoption
from exporter.fleet.cluster_adoption import ClusterAdoption
from exporter.options.overrides import overrides_of
from exporter.options.values import parse_keys
from exporter.targets.asked import Asked
from exporter.targets.target import Target
from tests.fleet.test_fleet import assigned, watched
from tests.fleet.test_requested_targets import Setup

NODE = "redis://node:7000"
KEYS = overrides_of([("check-keys", parse_keys("a*"))])


class Nodes:
    """One node of a cluster."""

    def __init__(self) -> None:
        self.node = watched(NODE)
        self.followed = 0

    async def find(self, place: Target) -> Any:
        return self.node if place.addr == NODE else None

    async def follow(self) -> None:
        self.followed += 1


class Site:
    """An adoption with a configured target and a cluster."""

    def __init__(self) -> None:
        self.setup = Setup()
        self.nodes = Nodes()
        self.adoption = Adoption(
            self.setup.fleet, self.setup.targets, self.setup.requested, cast(ClusterAdoption, self.nodes)
        )

    async def find(self, text: str, **more: Any) -> Any:
        return await self.adoption.find(Asked(text, **more), time.monotonic() + 100)


@pytest.fixture
async def site() -> Site:
    site = Site()
    await site.setup.fleet.apply([assigned("redis://configured", "first")])
    return site


async def test_a_configured_target_is_itself_unless_other_keys_are_asked_for(site: Site) -> None:
    target = site.setup.fleet.find("first")
    assert await site.find("first") is await site.find("configured") is target
    variant = await site.find("first", overrides=KEYS)
    assert variant is not target
    assert variant is await site.find("configured", overrides=KEYS)
    await site.adoption.close()


async def test_a_paused_one_is_itself_whatever_is_asked_for(site: Site) -> None:
    target = site.setup.fleet.find("first")
    assert target is not None
    target.state.series.paused_until = time.time() + 100
    assert await site.find("first", overrides=KEYS) is target
    await site.adoption.close()


async def test_a_node_of_a_cluster_comes_before_what_requests_may_name(site: Site) -> None:
    assert await site.find(NODE) is site.nodes.node
    assert (await site.find(NODE, overrides=KEYS)).target.overrides == KEYS
    assert (await site.find("redis://other:7000")).target.source == "adopted"
    await site.adoption.close()


async def test_a_text_that_is_no_address_is_an_error(site: Site) -> None:
    with pytest.raises(ConfigError):
        await site.find("http://x")


async def test_all_follow_a_change(site: Site) -> None:
    await site.find("redis://other:7000")
    site.setup.access = type(site.setup.access)()
    await site.adoption.follow()
    assert site.nodes.followed == 1
    assert site.setup.adopted == []
    assert site.adoption.refused == 0
    await site.adoption.close()
