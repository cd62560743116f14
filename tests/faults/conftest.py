"""Servers that are well, for the faults of others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.servers import redis_servers
from exporter import engine

WELL = 40


@pytest.fixture(scope="module")
def well_ports() -> Iterator[list[int]]:
    if engine.ENGINE != "compiled":
        pytest.skip("the plain engine has no time for 40 targets a second beside what is wrong")
    with redis_servers(WELL) as ports:
        yield ports
