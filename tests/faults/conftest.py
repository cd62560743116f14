"""Servers that are well, for the faults of others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.servers import redis_servers

WELL = 40


@pytest.fixture(scope="module")
def well_ports() -> Iterator[list[int]]:
    with redis_servers(WELL) as ports:
        yield ports
