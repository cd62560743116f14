"""Strangers at the port cost the others nothing: Prometheus misses no scrape, values stay fresh, memory
stays flat, SIGTERM works."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.prometheus import Prometheus
from tests.servers import PATIENCE_S, wait_until
from tests.system.conftest import STOP_S, Exporter, ExporterFactory
from tests.watch_harness import RedisFactory

SERVERS = 5
#: seconds between scrapes, and between polls
INTERVAL_S = 1
#: two intervals, and the page's own age
AGE_MAX_S = 3
#: on a machine that is busy a scrape is late now and then, so an attack that costs time is repeated once: it
#: costs as much then if it is the reason
TRIALS = 2
USER, PASSWORD = "prometheus", "right"


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[Callable[[str], Prometheus]]:
    with ExitStack() as cleanup:

        def start(config: str) -> Prometheus:
            started = Prometheus(tmp_path / "prometheus", config)
            cleanup.callback(started.stop)
            return started

        yield start


def scrape_config(port: int, *more: str) -> str:
    lines = ["global: {scrape_interval: 1s}", "scrape_configs:", "- job_name: redis"]
    lines += [f"  static_configs: [{{targets: ['127.0.0.1:{port}']}}]", *(f"  {line}" for line in more)]
    return "\n".join(lines)


def resident_mb(pid: int) -> float:
    [found] = re.findall(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found) / 1024


def attack(port: int, seconds: float, clients: int) -> subprocess.Popen[str]:
    arguments = [str(port), str(seconds), str(clients)]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.hostile", *arguments], stdout=subprocess.PIPE, text=True
    )


def endure(program: Exporter, prometheus: Prometheus, seconds: int, clients: int) -> None:
    """See the module."""
    wait_until(lambda: prometheus.ask("count_over_time(up[1m]) >= 5") != [], "five scrapes in peace")
    costs: list[str] = []
    for _ in range(TRIALS):
        costs = what_it_costs(program, prometheus, seconds, clients)
        if not costs:
            break
    assert costs == []
    again = attack(program.port, 60, clients)
    try:
        time.sleep(2)
        began_s = time.monotonic()
        program.process.terminate()
        assert program.process.wait(PATIENCE_S) == 0
        took_s = time.monotonic() - began_s
    finally:
        again.kill()
        again.communicate()
    print(f"SIGTERM under attack: {took_s:.2f} s")
    assert took_s < STOP_S


def what_it_costs(program: Exporter, prometheus: Prometheus, seconds: int, clients: int) -> list[str]:
    """Which of the others an attack delays."""
    began = time.time()
    attackers = attack(program.port, seconds, clients)
    try:
        time.sleep(seconds / 3)  # the attack is to warm up: what it makes us hold once is held then
        before_mb = resident_mb(program.process.pid)
        out, _ = attackers.communicate(timeout=seconds + 60)
        after_mb = resident_mb(program.process.pid)
    finally:
        attackers.kill()
        attackers.communicate()
    done = json.loads(out)
    assert sum(done.values()) > 5 * clients, done
    window = f"[{round(time.time() - began)}s]"
    missed = prometheus.one(f"count_over_time(up{window}) - sum_over_time(up{window})")
    scrapes = prometheus.one(f"count_over_time(up{window})")
    ages = f'redis_exporter_snapshot_age_seconds{{lane="fast"}}{window}'
    age_s = prometheus.one(f"max(max_over_time({ages}))")
    age_min_s = prometheus.one(f"min(min_over_time({ages}))")
    counts = f'redis_exporter_target_polls_total{{lane="fast"}}{window}'
    polls = prometheus.one(f"min(max_over_time({counts}) - min_over_time({counts}))")
    down = prometheus.one(f"sum(count_over_time(redis_up{window}) - sum_over_time(redis_up{window}))")
    print(
        f"{done}\n{scrapes:.0f} scrapes, {missed:.0f} missed; {polls:.0f} polls; age {age_min_s:.2f} to "
        f"{age_s:.2f} s; {before_mb:.0f} to {after_mb:.0f} MB"
    )
    assert after_mb - before_mb < 20  # no busy machine is the reason of more
    costs = {
        "scrapes": missed == 0 and scrapes >= seconds / INTERVAL_S - 2,
        "polls": down == 0 and polls >= seconds / INTERVAL_S - 3,
        "ages": 0 <= age_min_s <= age_s < AGE_MAX_S,
    }
    return [name for name, is_well in costs.items() if not is_well]


@pytest.mark.prometheus
def test_prometheus_misses_nothing_beside_hostile_clients(
    redis_server: RedisFactory, exporter: ExporterFactory, prometheus: Callable[[str], Prometheus]
) -> None:
    program = exporter(addresses(redis_server))
    endure(program, prometheus(scrape_config(program.port)), seconds=9, clients=100)


@pytest.mark.prometheus
@pytest.mark.slow
def test_prometheus_misses_nothing_beside_200_hostile_clients_for_half_a_minute(
    redis_server: RedisFactory, exporter: ExporterFactory, prometheus: Callable[[str], Prometheus]
) -> None:
    program = exporter(addresses(redis_server))
    endure(program, prometheus(scrape_config(program.port)), seconds=30, clients=200)


@pytest.mark.prometheus
@pytest.mark.slow
def test_prometheus_misses_nothing_beside_200_clients_without_the_password(
    redis_server: RedisFactory, exporter: ExporterFactory, prometheus: Callable[[str], Prometheus]
) -> None:
    import bcrypt

    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(10)).decode()
    flags = (f"--basic-auth-username={USER}", f"--basic-auth-hash-password={hashed}")
    program = exporter(addresses(redis_server), *flags, credentials=(USER, PASSWORD))
    signed_in = f"basic_auth: {{username: {USER}, password: {PASSWORD}}}"
    endure(program, prometheus(scrape_config(program.port, signed_in)), seconds=30, clients=200)


def addresses(redis_server: RedisFactory) -> str:
    return "--redis.addr=" + ",".join(f"redis://127.0.0.1:{redis_server().port}" for _ in range(SERVERS))
