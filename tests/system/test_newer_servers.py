"""The whole program and servers of versions that are not at hand: what they alone can tell."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from exporter.cli import main
from tests.replay import Replay, resp
from tests.servers import ScriptedServer

HOTKEYS = [[
    b"tracking-active", 1, b"sample-ratio", 1, b"selected-slots", [[0, 16383]],
    b"all-commands-all-slots-us", 2500, b"net-bytes-all-commands-all-slots", 300,
    b"by-cpu-time-us", [b"kiwi", 2000], b"by-net-bytes", [b"kiwi", 140],
]]  # fmt: skip
VINFO = [b"quant-type", b"int8", b"hnsw-m", 16, b"vector-dim", 300, b"size", 3000]
SLOTS = [[5, [b"key-count", 45, b"cpu-usec", 2000]], [9, [b"key-count", 3, b"cpu-usec", 1]]]


class Redis810(Replay):
    """A cluster node, with a session of HOTKEYS and a vector set."""

    def __init__(self) -> None:
        super().__init__("redis-8.10.0")
        self._handlers |= {
            "HOTKEYS": lambda what: resp(HOTKEYS),
            "TYPE": lambda key: b"+vectorset\r\n",
            "VINFO": lambda key: resp(VINFO),
            "CLUSTER": lambda what, *more: resp(SLOTS) if what == "SLOT-STATS" else self._unknown(),
        }

    def _info(self, *sections: str) -> bytes:
        reply = super()._info(*sections)
        return reply.replace(b"cluster_enabled:0", b"cluster_enabled:1")


@pytest.fixture
def redis_810() -> Iterator[ScriptedServer]:
    server = ScriptedServer(Redis810())
    yield server
    server.close()


def page_of(server: ScriptedServer, capfdbinary: pytest.CaptureFixture[bytes], *flags: str) -> list[str]:
    assert main(["once", f"--redis.addr=redis://127.0.0.1:{server.port}", *flags], {}) == 0
    page = capfdbinary.readouterr().out.decode()
    return page.replace(f'addr="redis://127.0.0.1:{server.port}"', "").replace("{,", "{").splitlines()


def test_what_is_asked_for_is_there(
    redis_810: ScriptedServer, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    flags = ("--include-hotkeys-metrics", "--include-slot-stats-metrics", "--include-vector-set-metrics")
    lines = page_of(redis_810, capfdbinary, *flags, "--check-single-keys=v")
    assert 'redis_hotkey_cpu_seconds{key="kiwi"} 0.002' in lines
    assert 'redis_hotkey_network_bytes{key="kiwi"} 140' in lines
    assert 'redis_cluster_slot_keys{slot="5"} 45' in lines
    assert 'redis_cluster_slot_cpu_seconds_total{slot="5"} 0.002' in lines
    assert 'redis_vector_set_dimensions{db="db0",key="v"} 300' in lines


def test_nothing_of_it_is_there_by_default(
    redis_810: ScriptedServer, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    page = "\n".join(page_of(redis_810, capfdbinary))
    assert "redis_up{} 1" in page
    for family in ("redis_hotkey_", "redis_cluster_slot_keys", "redis_vector_set_"):
        assert family not in page
