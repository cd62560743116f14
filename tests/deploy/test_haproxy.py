"""Two exporters behind HAProxy, as deploy/haproxy and deploy/prometheus/haproxy.yml have them: one is killed,
no scrape fails, and no counter of a server falls."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bench.ports import free_port
from tests.deploy.set_ups import DEPLOY, SetUp, wait_for_instances
from tests.servers import HOST, PATIENCE_S, RedisServer, wait_until
from tests.system.conftest import Exporter
from tests.watch_harness import RedisFactory

CONFIG = DEPLOY / "haproxy" / "haproxy.cfg"
SERVERS = 3
SCRAPES = 100
#: so old may a value be that a scrape finds
FLOOR_S = 0.02

pytestmark = [pytest.mark.haproxy, pytest.mark.server]


class Haproxy:
    """HAProxy on a free port, with other addresses of the exporters than those of the file."""

    def __init__(self, directory: Path, exporters: list[Exporter]) -> None:
        text = CONFIG.read_text()
        self.port = free_port()
        text, binds = re.subn(r"bind :9121", f"bind {HOST}:{self.port}", text)
        assert binds == 1
        for number, exporter in enumerate(exporters, 1):
            written = rf"(server exporter-{number}) \S+:9121"
            text, times = re.subn(written, rf"\1 {HOST}:{exporter.port}", text)
            assert times == 1
        file = directory / "haproxy.cfg"
        file.write_text(text)
        self.log = directory / "haproxy.log"
        with self.log.open("wb") as out:
            self._process = subprocess.Popen(["haproxy", "-db", "-f", str(file)], stdout=out, stderr=out)

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://{HOST}:{self.port}{path}", timeout=PATIENCE_S) as response:
            return str(response.read().decode())

    def answers(self) -> bool:
        try:
            return bool(self.get("/-/ready"))
        except OSError:
            return False

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(PATIENCE_S)
        finally:
            self._process.kill()
            self._process.wait()


@pytest.fixture
def servers(redis_server: RedisFactory) -> list[RedisServer]:
    return [redis_server() for _ in range(SERVERS)]


@pytest.fixture
def running(servers: list[RedisServer], tmp_path: Path, stack: ExitStack) -> SetUp:
    places = [f"{HOST}:{server.port}" for server in servers]
    return SetUp("haproxy.yml", places, tmp_path, stack, f"--max-age.floor={FLOOR_S}s")


@pytest.fixture
def haproxy(running: SetUp, tmp_path: Path, stack: ExitStack) -> Haproxy:
    started = Haproxy(tmp_path, running.exporters)
    stack.callback(started.stop)
    wait_until(started.answers, "HAProxy answers")
    running.replace("haproxy:9121", f"{HOST}:{started.port}")
    return started


def dropped() -> re.Pattern[str]:
    """The series that deploy/prometheus/haproxy.yml leaves out."""
    [pattern] = re.findall(
        r'regex: "(.*)", action: drop', (DEPLOY / "prometheus" / "haproxy.yml").read_text()
    )
    return re.compile(pattern)


OWN = dropped()


def counters(page: str) -> Iterator[tuple[object, float]]:
    """Those that Prometheus keeps, by name and labels."""
    for family in text_string_to_metric_families(page):
        if family.type in ("counter", "histogram"):
            for sample in family.samples:
                if not OWN.fullmatch(sample.name) and not sample.name.endswith("_created"):
                    yield (sample.name, frozenset(sample.labels.items())), sample.value


def unread_bytes(port: int) -> int:
    """How many bytes wait at a port for the process behind it to read them."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(
        int(row[4].partition(":")[2], 16)
        for row in rows
        if int(row[1].partition(":")[2], 16) == port and row[3] == "01"
    )


class Watcher:
    """Scrapes, and remembers the highest value of each counter."""

    def __init__(self, haproxy: Haproxy, servers: list[RedisServer]) -> None:
        self._haproxy = haproxy
        self._servers = servers
        self.highest: dict[object, float] = {}
        self.fallen: list[tuple[object, float]] = []

    def scrape(self) -> None:
        for server in self._servers:
            server.ask("SET", "key", "value")
            server.ask("GET", "no key")
        time.sleep(FLOOR_S)  # a value that is newer than the floor is not asked for again
        found = dict(counters(self._haproxy.get("/metrics")))
        self.fallen += [(key, value) for key, value in found.items() if value < self.highest.get(key, value)]
        self.highest |= found


def test_no_scrape_fails_and_no_counter_falls_when_an_exporter_is_killed(
    running: SetUp, haproxy: Haproxy, servers: list[RedisServer]
) -> None:
    """It is killed while it has a scrape to answer."""
    watcher = Watcher(haproxy, servers)
    for _ in range(SCRAPES // 2):
        watcher.scrape()
    first = running.exporters[0]
    os.kill(first.process.pid, signal.SIGSTOP)
    during = threading.Thread(target=watcher.scrape)
    during.start()
    wait_until(lambda: unread_bytes(first.port), "the scrape is at the exporter")
    first.process.kill()
    during.join(PATIENCE_S)
    for _ in range(SCRAPES // 2 - 1):
        watcher.scrape()
    assert len(watcher.highest) > 100 * SERVERS
    assert watcher.fallen == []


@pytest.mark.prometheus
def test_prometheus_sees_one_exporter(running: SetUp, haproxy: Haproxy, servers: list[RedisServer]) -> None:
    places = sorted(f"{HOST}:{server.port}" for server in servers)
    asked = running.prometheus()
    wait_for_instances(asked, "redis_up == 1", places)
    asked.wait_for("sum(redis_exporter_targets{state='up',job='redis_exporter'})", 2 * SERVERS)
    assert asked.ask("count({job='redis',__name__=~'redis_exporter_.*_total'})") == []
    running.exporters[0].process.kill()
    asked.wait_for("count(up{job='redis_exporter'} == 0)", 1)
    wait_until(lambda: asked.ask("min(redis_uptime_in_seconds offset 2s) > 0") != [], "more scrapes")
    for server in servers:
        server.ask("SET", "key", "value")
    wait_for_instances(asked, "redis_up == 1", places)
    assert asked.refused_scrapes("job='redis'") == {}
    for counter in ("commands_processed_total", "commands_total", "net_input_bytes_total"):
        assert asked.one(f"sum(resets(redis_{counter}[5m]))") == 0
    wait_until(lambda: asked.rule_faults() == [], "every rule can be evaluated")
    assert asked.refused_samples() == 0


def test_a_scrape_keeps_its_parameters(running: SetUp, haproxy: Haproxy, servers: list[RedisServer]) -> None:
    page = haproxy.get("/metrics?name[]=redis_up")
    assert len(re.findall(r"^redis_up\{", page, re.M)) == SERVERS
    assert "redis_memory_used_bytes" not in page
    place = f"{HOST}:{servers[1].port}"
    assert re.search(r"^redis_up 1$", haproxy.get(f"/scrape?target={place}"), re.M)
    servers[1].ask("CONFIG", "SET", "maxclients", "777")
    time.sleep(FLOOR_S)
    assert "redis_config_maxclients 777" in haproxy.get(f"/scrape?target={place}")


def test_haproxy_accepts_the_file() -> None:
    done = subprocess.run(["haproxy", "-c", "-f", CONFIG], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
