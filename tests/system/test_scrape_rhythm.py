"""A target that is scraped by itself, in a rhythm, is polled just before."""

from __future__ import annotations

import itertools
import re
import time

import pytest

from tests.servers import wait_until
from tests.system.conftest import Exporter, ExporterFactory
from tests.watch_harness import RedisFactory

pytestmark = pytest.mark.server

#: two slots and the lead, of polls every second; the rest is for a machine that is busy
AGE_MAX_S = 0.4


def age_s(program: Exporter, port: int) -> float:
    page = program.get(f"/scrape?target=127.0.0.1:{port}")
    [text] = re.findall(r'^redis_exporter_snapshot_age_seconds\{lane="fast"\} (\S+)$', page, re.M)
    return float(text)


@pytest.mark.parametrize("with_own_series", [False, True])
def test_the_values_are_new(
    redis_server: RedisFactory, exporter: ExporterFactory, with_own_series: bool
) -> None:
    server = redis_server()
    program = exporter(f"--redis.addr=redis://127.0.0.1:{server.port}")
    # begin just before a poll, when values are old
    ages_s = [0.0]
    while ages_s[0] < 0.85:
        time.sleep(0.02)
        ages_s = [age_s(program, server.port)]
    begin_s, numbers = time.monotonic(), itertools.count(1)

    def are_new() -> bool:
        number = next(numbers)
        time.sleep(max(0.0, begin_s + number - time.monotonic()))
        ages_s.append(age_s(program, server.port))
        if with_own_series:  # in a rhythm too, half an interval away
            time.sleep(max(0.0, begin_s + number + 0.5 - time.monotonic()))
            program.get("/metrics?name[]=redis_exporter_build_info")
        return number > 5 and max(sorted(ages_s[-5:])[:3]) < AGE_MAX_S

    wait_until(are_new, "most of five values in a row are new")
