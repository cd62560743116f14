"""Discovery of a real cluster's nodes by the whole program."""

from __future__ import annotations

import json
import urllib.error
from collections.abc import Callable

import pytest

from tests.clusters import Cluster
from tests.servers import RedisServer
from tests.system.conftest import Exporter

pytestmark = pytest.mark.server
PATH = "/discover-cluster-nodes"


def test_all_nodes_are_listed_from_one_of_them(
    redis_cluster: Cluster, exporter: Callable[..., Exporter]
) -> None:
    addresses = sorted(f"redis://127.0.0.1:{node.port}" for node in redis_cluster.nodes)
    program = exporter(f"--redis.addr={addresses[0]}", "--is-cluster")
    assert json.loads(program.get(PATH)) == [{"targets": addresses, "labels": {}}]


def test_a_server_alone_has_none(
    redis_server: Callable[..., RedisServer], exporter: Callable[..., Exporter]
) -> None:
    program = exporter(f"--redis.addr=redis://127.0.0.1:{redis_server().port}", "--is-cluster")
    with pytest.raises(urllib.error.HTTPError, match="400"):
        program.get(PATH)
