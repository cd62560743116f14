"""Debian's Go exporter and ours, side by side on the same real servers, through `/scrape`: nothing that it
prints is missing here.

Debian's is an older version, and knows some of the flags only.
"""

from __future__ import annotations

import functools
import re
import shlex
import shutil
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from bench.ports import free_port
from exporter.commands.compare import Difference, Series, compare, read_page, report
from tests.clusters import Cluster, Sentinel
from tests.servers import PATIENCE_S, RedisServer, wait_for_start, wait_until
from tests.system.conftest import ExporterFactory
from tests.watch_harness import RedisFactory

pytestmark = pytest.mark.go_exporter

FLAGS = (
    "--include-config-metrics",
    "--include-system-metrics",
    "--export-client-list",
    "--ping-on-connect",
    "--check-single-keys=a-string,a-number,db3=a-list,missing",
    "--check-keys=set:*",
    "--count-keys=set:*",
    "--check-single-streams=a-stream",
    "--check-keys-batch-size=2",
    "--check-streams=a-str*",
    "--check-key-groups=^(.*):[^:]*$",
    "--max-distinct-key-groups=1",
    "--export-client-port",
    "--set-client-name",
)
#: families that are not compared: those of docs/differences.md, and those that the older version had
#: otherwise
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
#: families of the program itself and of its own features: the telemetry path has all others
OF_THE_PROGRAM = (
    "redis_exporter_build_info",
    "redis_last_key_groups_scrape_duration_milliseconds",
    "go_*",
    "promhttp_*",
)
MOVING = Path(__file__).parents[2] / "docs" / "from-the-go-exporter.md"
#: our polls of all lanes, as often as may be
LANES = tuple(f"--poll.{lane}-interval=1s" for lane in ("slow", "standard", "scan"))
#: keys of three masters
KEYS_OF_A_CLUSTER = ("a", "b", "c")
#: families that count the one who asks
OF_THE_ASKER = ("redis_connected_clients",)
#: a value of these may go up and down with each command that is sent; the others of `fill` nobody sends again
PERCENTILES, SENT_ONCE = "redis_latency_percentiles_usec", ("set", "sadd", "xadd", "xreadgroup")
#: labels that tell of the asking connection, or that came later
LABELS = ("id", "host", "port", "flags", "name", "master_replid", "golang_version", "filename")
#: the one series of a compared family that is left out: a user's name is half of a secret
REDACTED = Series("redis_config_key_value", (("key", "masteruser"),))


class GoExporter:
    def __init__(self, log: Path, *flags: str) -> None:
        binary = shutil.which("prometheus-redis-exporter")
        assert binary is not None
        self.port = free_port()
        command = [binary, f"-web.listen-address=127.0.0.1:{self.port}", "-redis.addr=", *flags]
        with log.open("wb") as out:
            self.process = subprocess.Popen(command, stderr=out, stdout=out)
        wait_for_start(self._answers, "the Go exporter", self.stop)

    def _answers(self) -> bool:
        try:
            return bool(fetch(self.port, "/health"))
        except OSError:
            return False

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def fetch(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE_S) as response:
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


def polls(page: str) -> dict[str, int]:
    """How often each lane has been polled."""
    return {
        lane: int(count)
        for lane, count in re.findall(
            r'^redis_exporter_target_polls_total\{.*?lane="(\w+)".*\} (\d+)$', page, re.M
        )
    }


def side_by_side(
    exporter: ExporterFactory,
    go_exporter: Callable[..., GoExporter],
    port: int,
    *flags: str,
    without: str = "",
) -> Difference:
    """What differs between the two programs' pages of one server, but for the families `without`; of the
    values only those that differ each time that the Go exporter prints the same before and after ours was
    polled."""
    target = urllib.parse.quote(f"redis://127.0.0.1:{port}", safe="")
    ours = exporter(f"--redis.addr=redis://127.0.0.1:{port}", *LANES, *flags)
    theirs = go_exporter(*(flag.replace("--", "-", 1) for flag in flags))
    path = f"/scrape?target={target}"

    def polled_since(then: dict[str, int]) -> bool:
        return all(now > then[lane] + 1 for lane, now in polls(ours.get(path)).items())

    wait_until(lambda: "redis_connected_clients" in ours.get(path), "a poll")
    give_up = time.monotonic() + PATIENCE_S
    unlike: set[Series] | None = None
    while True:
        before, then = read_page(fetch(theirs.port, path), LABELS), polls(ours.get(path))
        wait_until(functools.partial(polled_since, then), "a new poll of every lane")
        difference = compare(before, read_page(ours.get(path), LABELS), ignored=(*DIFFERENT, without))
        after = read_page(fetch(theirs.port, path), LABELS)
        lost = [series for series in difference.only_old if series != REDACTED]
        still = {
            series
            for series, old, _ in difference.values
            if after.values.get(series) == old and not is_of_the_asker(series)
        }
        unlike = still if unlike is None else unlike & still
        if not (lost or unlike) or time.monotonic() > give_up:
            return replace(
                difference, only_old=lost, values=[row for row in difference.values if row[0] in unlike]
            )


def is_of_the_asker(series: Series) -> bool:
    """Whether a page changes the value by being asked for."""
    if series.name == PERCENTILES:
        return dict(series.labels)["cmd"] not in SENT_ONCE
    return series.name in OF_THE_ASKER


def assert_drop_in(difference: Difference, least: int = 100) -> None:
    assert (difference.only_old, difference.types, difference.values) == ([], [], []), "\n".join(
        report(difference)
    )
    assert len(difference.old.values) > least


def test_the_telemetry_path_without_labels_has_every_series_of_the_go_exporter(
    redis_server: RedisFactory, exporter: ExporterFactory, go_exporter: Callable[..., GoExporter]
) -> None:
    address = f"redis://127.0.0.1:{redis_server().port}"
    theirs = read_page(fetch(go_exporter(f"-redis.addr={address}").port, "/metrics"), LABELS)
    ours = exporter(f"--redis.addr={address}", "--target-labels=never", *LANES)
    lost: list[Series] = []

    def has_all() -> bool:
        lost[:] = compare(theirs, read_page(ours.get("/metrics"), LABELS), ignored=OF_THE_PROGRAM).only_old
        return not lost

    wait_until(has_all, "our page has each series")
    assert len(theirs.values) > 100


def test_the_comparison_of_the_docs_finds_nothing_missing(
    redis_server: RedisFactory, exporter: ExporterFactory, go_exporter: Callable[..., GoExporter]
) -> None:
    """As docs/from-the-go-exporter.md writes it, with what it says of version 1.45."""
    text = MOVING.read_text()
    [command] = re.findall(r"^redis_exporter (compare .*?[^\\])\n", text, re.M | re.S)
    [sentence] = re.findall(r"version 1\.45 also ignore (.*?) which", text, re.S)
    of_old = ",".join(re.findall(r"`([\w*]+)`", sentence))
    address = f"redis://127.0.0.1:{redis_server().port}"
    theirs = go_exporter(f"-redis.addr={address}")
    ours = exporter(f"--redis.addr={address}", *LANES)
    words = shlex.split(command.replace("\\\n", " ").replace("'go_", f"'{of_old},go_"))
    words = [
        word.replace("old:9121", f"127.0.0.1:{theirs.port}").replace("new:9121", f"127.0.0.1:{ours.port}")
        for word in words
    ]

    def finds_all() -> bool:
        command = [sys.executable, "-m", "exporter", *words]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    wait_until(finds_all, "our page has each series, with its type")


def test_a_standalone_server(
    redis_server: RedisFactory,
    exporter: ExporterFactory,
    go_exporter: Callable[..., GoExporter],
    tmp_path: Path,
) -> None:
    server = redis_server(
        "--databases", "5", "--enable-debug-command", "yes", "--slowlog-log-slower-than", "0"
    )
    fill(server)
    script = tmp_path / "queues.lua"
    script.write_text("return {'waiting', '7', 'failed', '0.5'}")
    assert_drop_in(side_by_side(exporter, go_exporter, server.port, *FLAGS, f"--script={script}"))


def test_a_replica_and_its_master(
    redis_server: RedisFactory, exporter: ExporterFactory, go_exporter: Callable[..., GoExporter]
) -> None:
    master = redis_server()
    replica = redis_server("--replicaof", "127.0.0.1", str(master.port))
    wait_until(lambda: b"master_link_status:up" in replica.ask("INFO", "replication"), "replication")
    assert_drop_in(side_by_side(exporter, go_exporter, replica.port, "--include-config-metrics"))


@pytest.mark.server
def test_a_sentinel(
    redis_server: RedisFactory,
    exporter: ExporterFactory,
    go_exporter: Callable[..., GoExporter],
    tmp_path: Path,
) -> None:
    master = redis_server()
    replica = redis_server("--replicaof", "127.0.0.1", str(master.port))
    folder = tmp_path / "sentinel"
    folder.mkdir()
    sentinel = Sentinel(folder, [("orders", master.port, 1)])
    sentinel.start()
    try:
        wait_until(lambda: b"master_link_status:up" in replica.ask("INFO", "replication"), "replication")
        wait_until(lambda: sentinel.entries("REPLICAS", "orders"), "the Sentinel finds the replica")
        assert_drop_in(
            side_by_side(
                exporter, go_exporter, sentinel.port, "--include-config-metrics", without="redis_db_keys*"
            ),
            least=30,
        )
    finally:
        sentinel.stop()


def test_a_cluster_node(
    redis_cluster: Cluster, exporter: ExporterFactory, go_exporter: Callable[..., GoExporter]
) -> None:
    node = redis_cluster.nodes[0]
    wait_until(lambda: b"state=online" in node.ask("INFO", "replication"), "replication")
    for key in KEYS_OF_A_CLUSTER:
        assert b"OK" in [
            master.ask("SET", key, "12") for master in redis_cluster.nodes[: redis_cluster.masters]
        ]
    try:
        keys = ("--is-cluster", "--check-single-keys=" + ",".join(KEYS_OF_A_CLUSTER))
        assert_drop_in(
            side_by_side(
                exporter, go_exporter, node.port, "--include-config-metrics", "--export-client-list", *keys
            )
        )
    finally:
        for master in redis_cluster.nodes[: redis_cluster.masters]:
            master.ask("FLUSHALL")
