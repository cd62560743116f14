"""Debian's Go exporter and ours, side by side on the same real servers, through `/scrape`: nothing that it prints is missing here.

Debian's is an older version, and knows some of the flags only.
"""

from __future__ import annotations

import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from exporter.commands.compare import Difference, Series, compare, read_page, report
from tests.servers import RedisServer, free_port, wait_until

pytestmark = pytest.mark.go_exporter

LANES_S = 8.0
FLAGS = (
    "--include-config-metrics",
    "--include-system-metrics",
    "--export-client-list",
    "--ping-on-connect",
    "--check-single-keys=a-string,a-number,db3=a-list,missing",
    "--check-keys=set:*",
    "--count-keys=set:*",
    "--check-single-streams=a-stream",
    "--check-key-groups=^(.*):[^:]*$",
)
#: families whose values move between two scrapes, or tell of the asking connection
MOVING = (
    "redis_exporter_*", "redis_commands_*", "redis_cpu_*", "redis_net_*", "redis_connections_received_total", "redis_mem*",
    "redis_allocator_*", "redis_client_recent_*", "redis_connected_client*", "redis_slowlog_*", "redis_last_slow_*", "redis_up*",
    "redis_start_time_seconds", "redis_latency_percentiles_usec*", "redis_stream_group_consumer_idle_seconds",
    "redis_commands_processed_total", "redis_expire_cycle_cpu_time_ms_total", "redis_keyspace_*", "redis_total_reads_processed",
    "redis_total_writes_processed", "redis_master_*", "redis_*_offset*", "redis_last_key_groups_*", "redis_errors_total",
    "redis_total_error_replies", "redis_unexpected_error_replies", "redis_repl_*", "redis_replication_*", "redis_slave_*",
    "redis_active_defrag_*", "redis_instantaneous_*", "redis_rdb_changes_since_last_save", "redis_key_memory_usage_bytes",
    "redis_key_group_memory_usage_bytes", "redis_hz", "redis_lazyfree*", "redis_reply_buffer_*", "redis_number_of_cached_scripts",
    "redis_dump_payload_sanitizations", "redis_io_threaded_*", "redis_stream_radix_*", "redis_sentinel_*_ping_*",
)  # fmt: skip
#: families that are not compared: those of docs/differences.md, and those that the older version had otherwise
DIFFERENT = (
    "redis_exporter_scrape_duration_seconds",
    "redis_exporter_last_scrape_error",
    "redis_exporter_build_info",
    "redis_exporter_scrapes_total",
    "redis_target_scrape_request_errors_total",
    "redis_last_key_groups_scrape_duration_milliseconds",
    "redis_connected_clients_details",  # connected_client_info since
    "redis_expired_time_cap_reached_total",  # a counter since
    "process_*",
    "go_*",
    "promhttp_*",
)
#: labels that tell of the asking connection, or that came later
LABELS = ("id", "host", "port", "flags", "name", "master_replid", "golang_version")
#: the one series of a compared family that is left out: a user's name is half of a secret
REDACTED = Series("redis_config_key_value", (("key", "masteruser"),))


class GoExporter:
    def __init__(self, log: Path, *flags: str) -> None:
        binary = shutil.which("prometheus-redis-exporter")
        assert binary is not None
        self.port = free_port()
        self._log = log.open("wb")
        command = [binary, f"-web.listen-address=127.0.0.1:{self.port}", "-redis.addr=", *flags]
        self.process = subprocess.Popen(command, stderr=self._log, stdout=self._log)
        wait_until(lambda: self._answers(), "the Go exporter")

    def _answers(self) -> bool:
        try:
            return bool(fetch(self.port, "/health"))
        except OSError:
            return False

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        self._log.close()


def fetch(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as response:
        return str(response.read().decode())


@pytest.fixture
def go_exporter(tmp_path: Path) -> Iterator[Callable[..., GoExporter]]:
    with ExitStack() as cleanup:

        def start(*flags: str) -> GoExporter:
            started = GoExporter(tmp_path / "go.log", *flags)
            cleanup.callback(started.stop)
            return started

        yield start


def fill(server: RedisServer) -> None:
    server.ask("SET", "a-string", "kiwi")
    server.ask("SET", "a-number", "12.5")
    for member in range(7):
        server.ask("SADD", "set:seven", member)
        server.ask("XADD", "a-stream", "*", "n", member)
    server.ask("SADD", "set:one", 1)
    server.ask("XGROUP", "CREATE", "a-stream", "group", "0")
    server.ask("XREADGROUP", "GROUP", "group", "reader", "COUNT", 2, "STREAMS", "a-stream", ">")
    server.ask("LATENCY", "RESET")
    server.ask("CONFIG", "SET", "latency-monitor-threshold", 15)
    server.ask("DEBUG", "SLEEP", "0.02")


def side_by_side(exporter, go_exporter, port: int, *flags: str) -> Difference:
    """What differs between the two programs' pages of one server."""
    target = urllib.parse.quote(f"redis://127.0.0.1:{port}", safe="")
    ours = exporter(
        f"--redis.addr=redis://127.0.0.1:{port}",
        "--poll.slow-interval=1s",
        "--poll.standard-interval=1s",
        "--poll.scan-interval=1s",
        *flags,
    )
    theirs = go_exporter(*(flag.replace("--", "-", 1) for flag in flags))
    path = f"/scrape?target={target}"
    wait_until(lambda: "redis_connected_clients" in ours.get(path), "a poll")
    old = read_page(fetch(theirs.port, path), LABELS)
    difference = compare(old, read_page(ours.get(path), LABELS), ignored=DIFFERENT)
    give_up = time.monotonic() + LANES_S  # every lane has come round by then
    while difference.only_old and time.monotonic() < give_up:
        time.sleep(0.1)
        difference = compare(old, read_page(ours.get(path), LABELS), ignored=DIFFERENT)
    return difference


def assert_drop_in(difference: Difference) -> None:
    lost = [series for series in difference.only_old if series != REDACTED]
    assert (lost, difference.types) == ([], []), "\n".join(report(difference))
    assert len(difference.old.values) > 100
    still = [row for row in difference.values if not any(fnmatchcase(row[0].name, pattern) for pattern in MOVING)]
    assert not still, "\n".join(f"{series}: {old:g}, {new:g}" for series, old, new in still)


def test_a_standalone_server(redis_server, exporter, go_exporter) -> None:
    server = redis_server("--databases", "5", "--enable-debug-command", "yes", "--slowlog-log-slower-than", "0")
    fill(server)
    assert_drop_in(side_by_side(exporter, go_exporter, server.port, *FLAGS))


def test_a_replica_and_its_master(redis_server, exporter, go_exporter) -> None:
    master = redis_server()
    replica = redis_server("--replicaof", "127.0.0.1", str(master.port))
    wait_until(lambda: b"master_link_status:up" in replica.ask("INFO", "replication"), "replication")
    assert_drop_in(side_by_side(exporter, go_exporter, replica.port, "--include-config-metrics"))
