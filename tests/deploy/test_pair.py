"""Two exporters side by side, as deploy/prometheus/pair.yml has them: the queries that
docs/high-availability.md shows give one result, with both exporters and with one."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.deploy.set_ups import SetUp, instances
from tests.servers import HOST, wait_until
from tests.watch_harness import RedisFactory

PAGE = Path(__file__).parents[2] / "docs" / "high-availability.md"

pytestmark = [pytest.mark.prometheus, pytest.mark.server]


def queries() -> dict[str, str]:
    """Those of the page, by what they are for; with a range that fits this test."""
    rows = re.findall(
        r"^\| (a gauge|what is down|a rate|a sum of rates) \| `(.*)` \|$", PAGE.read_text(), re.M
    )
    return {name: query.replace("[2m]", "[20s]") for name, query in rows}


def test_queries_of_the_page_give_one_result(
    redis_server: RedisFactory, tmp_path: Path, stack: ExitStack
) -> None:
    servers = [redis_server() for _ in range(3)]
    places = sorted(f"{HOST}:{server.port}" for server in servers)
    asked = queries()
    assert len(asked) == 4
    running = SetUp("pair.yml", places, tmp_path, stack, "--poll.standard-interval=1s")
    prometheus = running.prometheus()

    def give_one_result() -> bool:
        return (
            instances(prometheus, asked["a gauge"]) == places
            and instances(prometheus, asked["a rate"]) == places
            and prometheus.ask(f"count by (cmd) ({asked['a sum of rates']}) > 1") == []
            and prometheus.ask(f"{asked['a sum of rates']} > 0") != []
        )

    prometheus.wait_for("count by (instance) (redis_up == 1)", *[2] * 3)
    wait_until(give_one_result, "one result for each server")
    assert prometheus.ask(asked["what is down"]) == []
    wait_until(lambda: prometheus.rule_faults() == [], "every rule can be evaluated")
    assert prometheus.refused_samples() == 0
    assert prometheus.complaints() == []
    running.exporters[0].process.kill()
    prometheus.wait_for("count(redis_up)", 3)
    wait_until(give_one_result, "one result for each server, of one exporter")
    servers[0].stop()
    down = f"{HOST}:{servers[0].port}"
    wait_until(lambda: instances(prometheus, asked["what is down"]) == [down], "one server is down")
