"""What `max_age` and `lanes` of a request do to the page of the whole program."""

from __future__ import annotations

import time
import urllib.error
from collections.abc import Callable, Iterator
from itertools import cycle

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.servers import RedisServer
from tests.system.conftest import Exporter, ExporterFactory
from tests.watch_harness import RedisFactory

pytestmark = pytest.mark.server

FRESH = "max_age=0&lanes=all"
#: so that only requests cause polls of these lanes
RARELY = ("--poll.standard-interval=10h", "--poll.slow-interval=10h")
#: longer than the floor of polls every second
APART_S = 0.2
SWITCHES = 12


def page_of_all(program: Exporter, server: RedisServer, query: str) -> str:
    return program.get(f"/metrics?{query}")


def page_of_one(program: Exporter, server: RedisServer, query: str) -> str:
    return program.get(f"/scrape?target=127.0.0.1:{server.port}&{query}")


def values(page: str, name: str) -> set[float]:
    return {
        sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == name
    }


@pytest.mark.parametrize("page", [page_of_all, page_of_one])
def test_a_value_of_the_slow_lane_is_that_of_now(
    page: Callable[[Exporter, RedisServer, str], str], redis_server: RedisFactory, exporter: ExporterFactory
) -> None:
    server = redis_server()
    program = exporter(f"--redis.addr=redis://127.0.0.1:{server.port}", *RARELY)
    [before] = values(page(program, server, ""), "redis_config_maxclients")
    server.ask("CONFIG", "SET", "maxclients", "777")
    time.sleep(APART_S)
    assert values(page(program, server, "max_age=0"), "redis_config_maxclients") == {before}
    assert values(page(program, server, "max_age=0&lanes=standard"), "redis_config_maxclients") == {before}
    assert values(page(program, server, "max_age=0&lanes=slow"), "redis_config_maxclients") == {777}
    server.ask("CONFIG", "SET", "maxclients", "778")
    time.sleep(APART_S)
    assert values(page(program, server, FRESH), "redis_config_maxclients") == {778}
    with pytest.raises(urllib.error.HTTPError, match="400"):
        page(program, server, "max_age=0&lanes=scan")


def counters(page: str) -> Iterator[tuple[object, float]]:
    """Those of the server, by name and labels."""
    for family in text_string_to_metric_families(page):
        if family.type in ("counter", "histogram") and not family.name.startswith("redis_exporter_"):
            for sample in family.samples:
                if not sample.name.endswith(("_created", "_gcount", "_gsum")):
                    yield (sample.name, frozenset(sample.labels.items())), sample.value


def test_no_counter_falls_between_two_exporters(
    redis_server: RedisFactory, exporter: ExporterFactory
) -> None:
    server = redis_server()
    address = f"--redis.addr=redis://127.0.0.1:{server.port}"
    programs = [exporter(address, "--redis-only-metrics", *RARELY) for _ in range(2)]
    highest: dict[object, float] = {}
    fallen = []
    for number, program in zip(range(SWITCHES), cycle(programs), strict=False):
        for _ in range(20):
            server.ask("SET", "key", str(number))
            server.ask("GET", "no key")
        time.sleep(APART_S)
        found = dict(counters(page_of_all(program, server, FRESH)))
        fallen += [
            (number, key, value, highest[key])
            for key, value in found.items()
            if value < highest.get(key, value)
        ]
        highest.update(found)
    assert len(highest) > 100
    assert fallen == []
