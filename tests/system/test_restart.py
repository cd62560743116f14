"""An upgrade with a state file: the program stops and starts again, and Prometheus sees neither a gap nor a
counter that begins again."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from bench.ports import free_port
from tests.prometheus import Prometheus
from tests.servers import wait_until
from tests.system.conftest import STOP_S, ExporterFactory, ProcessFactory
from tests.watch_harness import RedisFactory


def test_the_last_values_are_there_at_once_and_their_ages_tell_the_time_in_between(
    redis_server: RedisFactory, exporter: ExporterFactory, tmp_path: Path
) -> None:
    server, file = redis_server(), tmp_path / "state"
    flags = (f"--redis.addr=redis://127.0.0.1:{server.port}", f"--state.file={file}", "--poll.interval=100s")
    before = exporter(*flags)
    polls = before.values("redis_exporter_target_polls_total", lane="fast")
    before.process.send_signal(signal.SIGTERM)
    assert before.process.wait(STOP_S) == 0
    assert file.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir() if "state" in path.name) == ["state"]
    server.pause()  # it accepts, and does not answer
    try:
        after = exporter(*flags)
        page = after.get()
        assert f'redis_connected_clients{{addr="redis://127.0.0.1:{server.port}"}} 1' in page
        assert "\nredis_up{" not in page
        assert after.values("redis_exporter_target_polls_total", lane="fast") == polls
        [age_s] = after.values("redis_exporter_snapshot_age_seconds", lane="fast").values()
        assert 0.1 < age_s < 60
    finally:
        os.kill(server.pid, signal.SIGCONT)


def test_a_crash_leaves_no_file_and_the_next_start_is_a_usual_one(
    redis_server: RedisFactory, exporter: ExporterFactory, tmp_path: Path
) -> None:
    file = tmp_path / "state"
    flags = (f"--redis.addr=redis://127.0.0.1:{redis_server().port}", f"--state.file={file}")
    before = exporter(*flags)
    before.process.kill()
    before.process.wait()
    assert not file.exists()
    after = exporter(*flags)
    wait_until(lambda: list(after.values("redis_up").values()) == [1.0], "the target is up")
    assert "left out" not in after.log.read_text()


def test_a_place_that_cannot_be_written_is_said_at_the_start(
    exporter_process: ProcessFactory, tmp_path: Path
) -> None:
    log = exporter_process(f"--state.file={tmp_path}/none/state")
    said = (
        f"--state.file={tmp_path}/none/state cannot be written: No such file or directory",
        "folder that exists",
    )
    wait_until(lambda: all(text in log.read_text() for text in said), "the reason")


@pytest.mark.prometheus
def test_prometheus_sees_no_gap_and_no_reset(
    redis_server: RedisFactory, exporter: ExporterFactory, tmp_path: Path
) -> None:
    server, port = redis_server(), free_port()
    flags = (
        f"--redis.addr=redis://127.0.0.1:{server.port}",
        f"--state.file={tmp_path / 'state'}",
        "--poll.interval=1s",
    )
    program = exporter(*flags, port=port)
    prometheus = Prometheus(
        tmp_path / "prometheus",
        "global: {scrape_interval: 1s}\nscrape_configs:\n"
        f"  - {{job_name: redis, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}\n",
    )
    try:
        wait_until(
            lambda: prometheus.ask("count_over_time(redis_connected_clients[1m]) >= 3") != [], "scrapes"
        )
        scrapes, polls = (
            prometheus.one(f"last_over_time({counter}[1m])")
            for counter in ("redis_exporter_scrapes_total", 'redis_exporter_target_polls_total{lane="fast"}')
        )
        program.process.terminate()
        assert program.process.wait(STOP_S) == 0
        program = exporter(*flags, port=port)
        wait_until(
            lambda: prometheus.ask(f"redis_exporter_scrapes_total > {scrapes} + 5") != [], "more scrapes"
        )
        for counter in (
            "redis_exporter_scrapes_total",
            "redis_exporter_target_polls_total",
            "redis_exporter_scrape_duration_seconds_count",
        ):
            assert prometheus.one(f"max(resets({counter}[5m]))") == 0
        more = f'redis_exporter_target_polls_total{{lane="fast"}} > {polls}'
        wait_until(lambda: prometheus.ask(more) != [], "more polls")
    finally:
        prometheus.stop()
