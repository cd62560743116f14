"""A real Prometheus scrapes twenty real servers, configured by a file with names, passwords and `role`
labels."""

from __future__ import annotations

import random
import shutil
import subprocess
from contextlib import ExitStack, closing
from pathlib import Path

import hiredis
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.collectors.test_hostile_names import spoilt
from tests.prometheus import Prometheus
from tests.replay import EVERYTHING, SERVERS, Replay, resp
from tests.servers import ScriptedServer, wait_until
from tests.system.conftest import ExporterFactory
from tests.watch_harness import RedisFactory

COUNT = 20


def instances_file(path: Path, ports: list[int]) -> Path:
    entries = [
        f"  - name: redis-{number}\n    addr: redis://127.0.0.1:{port}\n    password: ${{REDIS_PASSWORD}}\n"
        f"    labels:\n      role: {'master' if number == 0 else 'replica'}\n      environment: production\n"
        for number, port in enumerate(ports)
    ]
    path.write_text("redis_instances:\n" + "".join(entries))
    return path


@pytest.mark.prometheus
def test_prometheus_takes_every_sample(
    redis_server: RedisFactory, exporter: ExporterFactory, tmp_path: Path
) -> None:
    servers = [redis_server("--requirepass", "pw") for _ in range(COUNT)]
    file = instances_file(tmp_path / "instances.yml", [server.port for server in servers])
    program = exporter(f"--redis-file={file}", environ={"REDIS_PASSWORD": "pw"})
    wait_until(lambda: sum(program.values("redis_up").values()) == COUNT, "all are up")

    prometheus = Prometheus(
        tmp_path,
        "global: {scrape_interval: 1s}\nscrape_configs:\n"
        f"  - {{job_name: redis, static_configs: [{{targets: ['127.0.0.1:{program.port}']}}]}}\n",
    )
    try:
        wait_until(lambda: prometheus.ask('sum_over_time(up{job="redis"}[1m]) >= 3') != [], "three scrapes")
        assert prometheus.refused_scrapes() == {}
        prometheus.wait_for('sum(redis_up{job="redis"})', COUNT)
        prometheus.wait_for('count(redis_up{role="replica"})', COUNT - 1)
        prometheus.wait_for("scrape_samples_scraped - scrape_samples_post_metric_relabeling", 0)
        assert prometheus.one("max_over_time(scrape_samples_scraped[1m])") > 100 * COUNT
    finally:
        prometheus.stop()
    assert prometheus.complaints() == []


class SpoiltServer(Replay):
    """Calls everything by hostile names, other ones each time."""

    def __init__(self, of: Replay, chance: random.Random) -> None:
        self._of = of
        self._chance = chance

    def answer(self, words: list[str]) -> bytes:
        answer = self._of.answer(words)
        if answer[:1] not in b"*$" or self._chance.random() < 0.3:
            return answer
        reader = hiredis.Reader()
        reader.feed(answer)
        return resp(spoilt(reader.gets(), self._chance))


@pytest.mark.prometheus
def test_prometheus_takes_pages_of_servers_with_hostile_names(
    exporter: ExporterFactory, tmp_path: Path
) -> None:
    with ExitStack() as cleanup:
        chance = random.Random("names")
        servers = [
            cleanup.enter_context(closing(ScriptedServer(SpoiltServer(SERVERS[name](), chance))))
            for name in SERVERS
        ]
        addresses = [f"redis://127.0.0.1:{server.port}" for server in servers]
        flags = (*EVERYTHING, "--poll.standard-interval=fast", "--poll.slow-interval=fast")
        program = exporter(f"--redis.addr={','.join(addresses)}", "--scrape.allow=127.0.0.0/8", *flags)
        prometheus = Prometheus(
            tmp_path,
            "global: {scrape_interval: 3s}\nscrape_configs:\n"
            f"  - {{job_name: page, static_configs: [{{targets: ['127.0.0.1:{program.port}']}}]}}\n"
            f"  - {{job_name: one, metrics_path: /scrape, params: {{target: ['{addresses[0]}']}},"
            f" static_configs: [{{targets: ['127.0.0.1:{program.port}']}}]}}\n",
        )
        cleanup.callback(prometheus.stop)
        wait_until(lambda: prometheus.ask("min(sum_over_time(up[2m])) >= 4") != [], "four scrapes of each")
        assert prometheus.refused_scrapes() == {}
        prometheus.wait_for("sum(up)", 2)
        prometheus.wait_for("count(redis_up)", len(servers) + 1)
        hostile = '{__name__=~"redis_.+", cmd=~".*evil 1.*"}'
        wait_until(lambda: prometheus.labels_of(hostile), "a label's value that looks like a sample")
        assert prometheus.labels_of('{__name__="evil"}') == []
        prometheus.wait_for("sum(scrape_samples_scraped - scrape_samples_post_metric_relabeling)", 0)
    assert prometheus.complaints() == []


@pytest.mark.prometheus
def test_the_page_is_read_without_a_duplicate_and_promtool_finds_no_fault(
    redis_server: RedisFactory, exporter: ExporterFactory
) -> None:
    program = exporter(f"--redis.addr=redis://127.0.0.1:{redis_server().port}")
    page = program.get()
    series = [
        (sample.name, frozenset(sample.labels.items()))
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    ]
    assert len(series) == len(set(series))
    promtool = shutil.which("promtool")
    assert promtool is not None
    done = subprocess.run(
        [promtool, "check", "metrics"], input=page.encode(), capture_output=True, timeout=60, check=False
    )
    for line in done.stderr.decode().splitlines():
        assert "should" in line or "abbreviated units" in line, line
