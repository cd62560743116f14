"""What is counted of the connections to one target."""

from __future__ import annotations

import time

import pytest

from bench.ports import free_port
from exporter.connection.dialer import Dialer
from exporter.connection.traffic import Traffic
from exporter.errors import RefusedError
from exporter.targets.address import parse_address
from tests.servers import answers
from tests.watch_harness import AMPLE_S, RedisFactory, ScriptFactory, WatchHarness


async def dial(port: int, traffic: Traffic) -> None:
    target = parse_address(f"redis://127.0.0.1:{port}")
    connection = await Dialer().dial(target, time.monotonic() + AMPLE_S, traffic=traffic)
    connection.close()


@pytest.mark.asyncio
class TestTraffic:
    async def test_counts_bytes_of_commands_and_replies_and_connections(
        self, scripted_server: ScriptFactory
    ) -> None:
        server, traffic = scripted_server(answers(b"+OK\r\n"), answers(b"+OK\r\n")), Traffic()
        name = b"*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$14\r\nredis_exporter\r\n"
        for number in (1, 2):
            await dial(server.port, traffic)
            assert (traffic.connections, traffic.sent, traffic.received) == (
                number,
                number * len(name),
                number * len(b"+OK\r\n"),
            )

    async def test_a_connection_that_cannot_be_made_is_none(self) -> None:
        traffic = Traffic()
        with pytest.raises(RefusedError):
            await dial(free_port(), traffic)
        assert (traffic.connections, traffic.sent, traffic.received) == (0, 0, 0)

    async def test_of_a_target_is_what_its_server_counts(self, redis_server: RedisFactory) -> None:
        server, harness = redis_server(), WatchHarness()
        watched = harness.watched(server.port)
        for _ in range(5):
            await harness.poll(watched)
        own = len("*3\r\n$4\r\nINFO\r\n$10\r\neverything\r\n")  # of the question below
        lines = server.ask("INFO", "everything").decode().split("\r\n")
        fields = dict(line.split(":", 1) for line in lines if ":" in line)
        sent = harness.number(watched, "redis_exporter_target_sent_bytes_total")
        received = harness.number(watched, "redis_exporter_target_received_bytes_total")
        # the server counts what it read when it reads again, and the test's own first question to it
        assert sent == pytest.approx(int(fields["total_net_input_bytes"]), abs=own + 100)
        assert received == pytest.approx(int(fields["total_net_output_bytes"]), abs=100)
        assert harness.number(watched, "redis_exporter_target_connections_total") == 1
        await harness.close()
