"""A collector for the registry of prometheus-client."""

from __future__ import annotations

import gc
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from bench.ports import free_port
from exporter import RedisCollector
from exporter.errors import ConfigError, UsageError
from tests.servers import PATIENCE_S, RedisServer, wait_until

RedisFactory = Callable[..., RedisServer]


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "redis-collector"]


def text_of(collector: RedisCollector) -> str:
    registry = CollectorRegistry()
    registry.register(collector)
    return generate_latest(registry).decode()


def test_several_targets_are_in_one_registry(redis_server: RedisFactory) -> None:
    ports = [redis_server().port, redis_server().port]
    with RedisCollector(*(f"redis://127.0.0.1:{port}" for port in ports)) as collector:
        text = text_of(collector)
    for port in ports:
        assert f'redis_up{{addr="redis://127.0.0.1:{port}"}} 1.0' in text.splitlines()
    assert threads() == []


def test_values_come_by_themselves(redis_server: RedisFactory) -> None:
    """It polls in the background: `collect` asks nobody."""
    server = redis_server()
    addr = f"redis://127.0.0.1:{server.port}"

    def connections() -> int:
        line = next(
            line for line in server.ask("INFO", "stats").splitlines() if b"connections_received" in line
        )
        return int(line.rpartition(b":")[2])

    with RedisCollector(addr, options={"poll.interval": "1h"}) as collector:
        before, page = connections(), text_of(collector)
        assert f'redis_up{{addr="{addr}"}} 1.0' in page
        server.pause()  # it answers nothing
        try:
            pages = [text_of(collector) for _ in range(5)]
        finally:
            server.resume()
        assert all(f'redis_up{{addr="{addr}"}} 1.0' in each for each in pages)
        assert connections() <= before + 2  # the collector's one, and this one
    with RedisCollector(addr, options={"poll.interval": "100ms"}) as collector:
        wait_until(lambda: f'redis_up{{addr="{addr}"}} 1.0' in text_of(collector), "the target to be up")
        server.stop()
        wait_until(lambda: f'redis_up{{addr="{addr}"}} 0.0' in text_of(collector), "the target to be down")


def test_names_and_types_are_those_of_the_page(redis_server: RedisFactory) -> None:
    with RedisCollector(f"redis://127.0.0.1:{redis_server().port}") as collector:
        families = {family.name: family for family in text_string_to_metric_families(text_of(collector))}
    assert families["redis_connected_clients"].type == "gauge"
    assert families["redis_commands_processed"].type == "counter"  # its parser takes off `_total`
    assert families["redis_total_error_replies"].type == "unknown"
    assert "redis_total_error_replies_total" not in families
    assert families["redis_rdb_saves_total"].type == "gauge"


def test_it_stands_beside_the_metrics_of_the_process(redis_server: RedisFactory) -> None:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    with RedisCollector(f"redis://127.0.0.1:{redis_server().port}") as collector:
        registry.register(collector)
        text = generate_latest(registry).decode()
    names = [line.split(" ")[2] for line in text.splitlines() if line.startswith("# TYPE ")]
    assert "process_cpu_seconds_total" in names
    assert len(names) == len(set(names))


def test_registering_does_not_wait_for_a_server() -> None:
    with RedisCollector(f"redis://127.0.0.1:{free_port()}") as collector:
        assert {"redis_up", "redis_connected_clients"} <= {each.name for each in collector.describe()}
        registry = CollectorRegistry(auto_describe=True)
        registry.register(collector)
        restricted = registry.restricted_registry(["redis_up"])
        assert [each.name for each in restricted.collect()] == ["redis_up"]


def test_a_second_one_of_the_same_names_is_refused() -> None:
    registry = CollectorRegistry()
    addr = f"redis://127.0.0.1:{free_port()}"
    with (
        RedisCollector(addr) as first,
        RedisCollector(addr) as same,
        RedisCollector(addr, options={"namespace": "cache"}) as other,
    ):
        registry.register(first)
        with pytest.raises(ValueError, match="redis_up"):
            registry.register(same)
        registry.register(other)
        names = [
            line for line in generate_latest(registry).decode().splitlines() if line.startswith("# TYPE")
        ]
    assert len(names) == len(set(names))


def test_one_that_nobody_holds_ends() -> None:
    collector = RedisCollector(f"redis://127.0.0.1:{free_port()}")
    list(collector.collect())
    assert threads() == ["redis-collector"]
    del collector
    gc.collect()
    wait_until(lambda: threads() == [], "its thread has ended")


def test_closed_it_gives_nothing() -> None:
    collector = RedisCollector(f"redis://127.0.0.1:{free_port()}")
    assert threads() == ["redis-collector"]
    collector.close()
    collector.close()
    assert list(collector.collect()) == []
    assert threads() == []


def test_threads_may_collect_while_it_is_closed(redis_server: RedisFactory) -> None:
    collector = RedisCollector(f"redis://127.0.0.1:{redis_server().port}")
    outcomes: list[int] = []
    collectors = [
        threading.Thread(target=lambda: outcomes.append(len(list(collector.collect())))) for _ in range(4)
    ]
    for thread in collectors:
        thread.start()
    collector.close()
    for thread in collectors:
        thread.join(PATIENCE_S)
    assert len(outcomes) == 4


def test_mistakes_leave_no_thread() -> None:
    with pytest.raises(ConfigError):
        RedisCollector("redis://h:0")
    with pytest.raises(UsageError):
        RedisCollector("redis://h", options={"poll.intervall": "1s"})
    with pytest.raises(ConfigError):
        RedisCollector("rediss://h", options={"tls-ca-cert-file": "/none"})
    assert threads() == []


def test_it_needs_an_address(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(UsageError, match=r"has no address: write RedisCollector\("):
        RedisCollector()
    for addresses in ([""], ["redis://h", ""]):  # a variable that is not set
        with pytest.raises(UsageError, match="an address of the RedisCollector is empty"):
            RedisCollector(*addresses)
    with pytest.raises(UsageError, match=r"'redis\.addr' holds a value of the type list"):
        RedisCollector(["redis://h"])  # type: ignore[arg-type]
    assert threads() == []
    file = tmp_path / "instances.yml"
    file.write_text(f"redis_instances: [{{addr: '127.0.0.1:{free_port()}'}}]\n")
    for option in ("config.file", "redis-file"):
        with RedisCollector(options={option: str(file)}) as collector:
            assert "redis_up{" in text_of(collector)
    with RedisCollector(options={"redis.addr": []}) as collector:
        assert "redis_up{" not in text_of(collector)
    assert "/scrape" not in caplog.text, "nobody can ask for it"


def test_a_forked_process_may_close_it() -> None:
    with RedisCollector(f"redis://127.0.0.1:{free_port()}") as collector:
        collector._lock.acquire()  # as when another thread collects during the fork
        child = os.fork()
        if child == 0:
            signal.alarm(round(PATIENCE_S))  # where it hangs
            collector.close()
            os._exit(0)
        collector._lock.release()
        assert os.waitpid(child, 0)[1] == 0
        assert threads() == ["redis-collector"]
        assert "redis_up{" in text_of(collector)


def test_a_forked_process_is_told() -> None:
    with RedisCollector(f"redis://127.0.0.1:{free_port()}") as collector:
        child = os.fork()
        if child == 0:
            try:
                list(collector.collect())
            except RuntimeError as error:
                os._exit(int("after the fork" not in str(error)))
            os._exit(2)
        assert os.waitpid(child, 0)[1] == 0
