"""Each set-up of docs/many-targets.md, as the page writes it, with real servers and a real Prometheus. Only
addresses, files and intervals are those of this machine."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from urllib.error import HTTPError

import pytest

from bench.ports import free_port
from exporter.targets.shard import owner
from tests.clusters import Cluster
from tests.prometheus import Prometheus
from tests.servers import HOST, RedisServer, wait_until
from tests.system.conftest import Exporter, ExporterFactory
from tests.watch_harness import RedisFactory

PAGE = Path(__file__).parents[2] / "docs" / "many-targets.md"
#: the places that the page writes
EXPORTER = "exporter:9121"
NETWORK = "10.0.0.0/8"
ADDRESSES = ("10.0.0.1:6379", "10.0.0.2:6379", "10.0.0.3:6379")

pytestmark = [pytest.mark.prometheus, pytest.mark.server]


def section(number: int) -> str:
    """One set-up; 0 is what stands before all of them."""
    return re.split(r"^## \d+\. .*$", PAGE.read_text(), flags=re.M)[number]


def blocks(number: int, language: str) -> list[str]:
    """The blocks of a set-up in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", section(number), re.M | re.S)


class SetUp:
    """One set-up that runs: three servers, the exporter as the page starts it, and Prometheus with the
    configuration number `config` of the set-up. `servers` take the place of these three."""

    def __init__(
        self,
        number: int,
        start: RedisFactory,
        exporter: ExporterFactory,
        directory: Path,
        servers: Sequence[RedisServer] = (),
    ) -> None:
        self._number = number
        self._directory = directory
        self.servers: list[RedisServer] = list(servers) or [start() for _ in ADDRESSES]
        self.places = [f"{HOST}:{server.port}" for server in self.servers]
        self._real = dict(zip(ADDRESSES, self.places, strict=True))
        for text in (*blocks(0, "yaml"), *blocks(number, "yaml")):
            name = re.match(r"# ([\w.-]+\.yml)", text)
            assert name is not None
            (directory / name[1]).write_text(self._here(text))
        [command] = blocks(number, "sh")
        program, *flags = shlex.split(command)
        assert program == "redis_exporter"
        flags = [flag.replace(NETWORK, f"{HOST}/8") for flag in flags]
        self.exporter: Exporter = exporter(*[self._in_directory(flag) for flag in flags])

    def config(self, which: int = 0) -> str:
        """What the page has for prometheus.yml, with a scrape each second."""
        found = [text for text in blocks(self._number, "yaml") if text.startswith("# prometheus.yml")]
        text = self._here(found[which]).replace(EXPORTER, f"{HOST}:{self.exporter.port}")
        text, times = re.subn(r"scrape_interval: \w+", "scrape_interval: 1s", text)
        assert times == 1
        return text.replace('/sd"}', '/sd", refresh_interval: 1s}')

    def _here(self, text: str) -> str:
        for written, real in self._real.items():
            text = text.replace(written, real)
        return text

    def _in_directory(self, flag: str) -> str:
        name, _, value = flag.partition("=")
        return f"{name}={self._directory / value}" if value.endswith(".yml") else flag


SetUpFactory = Callable[..., SetUp]
PrometheusFactory = Callable[[str], Prometheus]


@pytest.fixture
def set_up(redis_server: RedisFactory, exporter: ExporterFactory, tmp_path: Path) -> SetUpFactory:
    return lambda number, servers=(): SetUp(number, redis_server, exporter, tmp_path, servers)


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[PrometheusFactory]:
    with ExitStack() as cleanup:

        def start(config: str) -> Prometheus:
            started = Prometheus(tmp_path / f"prometheus-{free_port()}", config)
            cleanup.callback(started.stop)
            return started

        yield start


def wait_for_instances(prometheus: Prometheus, expression: str, *places: str) -> None:
    """Return once an instant query has series of these instances."""

    def has_them() -> bool:
        found = sorted(labels["instance"] for labels, _ in prometheus.series(expression))
        return found == sorted(places)

    wait_until(has_them, f"{expression} has {places}")


def test_the_table_names_every_set_up() -> None:
    headings = re.findall(r"^## (\d+)\. (.*)$", PAGE.read_text(), re.M)
    assert [int(number) for number, _ in headings] == list(range(1, len(headings) + 1))
    rows = re.findall(r"^\| \[(\d+)\. (.*?)\]\(", section(0), re.M)
    assert [(number, name.lower()) for number, name in rows] == [
        (number, name.lower()) for number, name in headings
    ]


class TestOnePage:
    def test_every_series_has_the_instance_of_its_server(
        self, set_up: SetUpFactory, prometheus: PrometheusFactory
    ) -> None:
        running = set_up(1)
        asked = prometheus(running.config())
        wait_for_instances(asked, "redis_up == 1", *running.places)
        asked.wait_for("up", 1)
        wait_for_instances(asked, "redis_memory_used_bytes{team='orders'}", *running.places[:2])
        assert asked.ask("count({addr!=''} or {alias!=''} or {exported_instance!=''})") == []
        running.servers[2].stop()
        wait_for_instances(asked, "redis_up == 0", running.places[2])
        asked.wait_for("up", 1)

    def test_in_parts(self, set_up: SetUpFactory, prometheus: PrometheusFactory) -> None:
        running = set_up(1)
        asked = prometheus(running.config(1))
        wait_for_instances(asked, "redis_up == 1", *running.places)
        asked.wait_for("up", *[1] * 4)
        asked.wait_for("count(redis_exporter_build_info)", 1)


class TestServiceDiscovery:
    def test_each_target_is_scraped_by_itself(
        self, set_up: SetUpFactory, prometheus: PrometheusFactory
    ) -> None:
        running = set_up(2)
        asked = prometheus(running.config())
        wait_for_instances(asked, "redis_up == 1", *running.places)
        wait_for_instances(asked, "up{job='redis'}", *running.places)
        wait_for_instances(asked, "redis_memory_used_bytes{team='orders'}", *running.places[:2])
        assert asked.ask("count({exported_instance!=''} or {exported_team!=''})") == []
        asked.wait_for("redis_exporter_targets{state='up'}", 3)
        asked.wait_for("count(redis_up)", 3)
        running.servers[2].stop()
        wait_for_instances(asked, "redis_up == 0", running.places[2])
        asked.wait_for("sum(up{job='redis'})", 3)


class TestDiscovery:
    def test_all_nodes_of_a_cluster_are_found_from_two(
        self, set_up: SetUpFactory, prometheus: PrometheusFactory, redis_cluster: Cluster
    ) -> None:
        running = set_up(3, redis_cluster.nodes[:3])
        asked = prometheus(running.config())
        everybody = sorted(f"{HOST}:{node.port}" for node in redis_cluster.nodes)
        found = "redis_up{cluster='orders', team='orders'} == 1"
        wait_for_instances(asked, found, *everybody)
        asked.wait_for("sum by (cluster, shard) (redis_up)", *[2] * 3)
        asked.wait_for("count(count by (node_id) (redis_memory_used_bytes))", 6)


class TestAllowList:
    def test_what_prometheus_asks_for_is_polled(
        self, set_up: SetUpFactory, prometheus: PrometheusFactory
    ) -> None:
        running = set_up(4)
        asked = prometheus(running.config())
        wait_for_instances(asked, "redis_up == 1", *running.places)
        wait_for_instances(asked, "redis_memory_used_bytes{team='orders'}", *running.places[:2])
        running.servers[2].stop()
        wait_for_instances(asked, "redis_up == 0", running.places[2])
        wait_for_instances(asked, "up{job='redis'} == 1", *running.places)
        assert "redis_exporter_adopted_targets 3.0" in running.exporter.get()


class TestShards:
    """Three exporters, as the page starts them."""

    ADDRESSES = tuple(f"exporter-{index}:9121" for index in range(3))

    @pytest.fixture
    def number(self) -> int:
        [number] = re.findall(r"^## (\d+)\. Shards$", PAGE.read_text(), re.M)
        return int(number)

    @pytest.fixture
    def servers(self, redis_server: RedisFactory) -> list[RedisServer]:
        """So many that each exporter has some, whatever the ports are."""
        servers = [redis_server() for _ in range(3)]
        while len({owner(f"redis://{HOST}:{each.port}", 3) for each in servers}) < 3:
            servers.append(redis_server())
        return servers

    @pytest.fixture
    def exporters(
        self, number: int, servers: list[RedisServer], exporter: ExporterFactory, tmp_path: Path
    ) -> list[Exporter]:
        file = tmp_path / "redis_exporter.yml"
        entries = [{"addr": f"redis://{HOST}:{each.port}"} for each in servers]
        file.write_text(json.dumps({"redis_instances": entries}))
        [commands] = blocks(number, "sh")
        started = []
        for command in commands.splitlines():
            program, *flags = shlex.split(command)
            assert program == "redis_exporter"
            started.append(exporter(*[flag.replace(file.name, str(file)) for flag in flags]))
        return started

    def config(self, number: int, which: int, exporters: list[Exporter]) -> str:
        text = blocks(number, "yaml")[which].replace("scrape_interval: 5s", "scrape_interval: 1s")
        for written, each in zip(self.ADDRESSES, exporters, strict=True):
            assert written in text
            text = text.replace(written, f"{HOST}:{each.port}")
        return text

    @pytest.mark.parametrize("which", [0, 1])
    def test_every_target_is_there_once(
        self,
        which: int,
        number: int,
        servers: list[RedisServer],
        exporters: list[Exporter],
        prometheus: PrometheusFactory,
    ) -> None:
        places = sorted(f"{HOST}:{each.port}" for each in servers)
        asked = prometheus(self.config(number, which, exporters))
        wait_for_instances(asked, "redis_up == 1", *places)
        asked.wait_for("max(count by (instance) (redis_up))", 1)
        if which == 0:
            asked.wait_for("sum(redis_exporter_shard_targets_owned)", len(servers))
            asked.wait_for("max(redis_exporter_shard_targets)", len(servers))
            asked.wait_for("count(count by (redis_exporter_shard_total) (redis_exporter_shard_total))", 1)

    def test_each_exporter_says_who_has_what_it_has_not(
        self, servers: list[RedisServer], exporters: list[Exporter]
    ) -> None:
        for server in servers:
            addr = f"redis://{HOST}:{server.port}"
            for index, each in enumerate(exporters):
                if index == owner(addr, 3):
                    assert "redis_up" in each.get(f"/scrape?target={addr}")
                    continue
                with pytest.raises(HTTPError) as refused:
                    each.get(f"/scrape?target={addr}")
                assert refused.value.code == 421
                assert f"shard {owner(addr, 3)} polls" in refused.value.read().decode()
