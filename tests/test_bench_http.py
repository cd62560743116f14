"""What the benches' client and simulator make of what comes over a socket."""

from __future__ import annotations

import gzip
import re
import socket
import time
from typing import Any

import hiredis
import pytest

from bench.http import Client
from bench.simulated_replies import Replies, encode
from bench.simulator import ServerFaults, simulated
from tests.servers import Conversation, Script, wait_until
from tests.watch_harness import ScriptFactory

STATISTICS = [(b"INFO",), (b"INFO", b"commandstats", b"latencystats", b"errorstats")]
#: what says what a server is, not how it does
CONSTANT = {
    *(
        "redis_version",
        "redis_git_sha1",
        "redis_git_dirty",
        "arch_bits",
        "gcc_version",
        "process_id",
        "tcp_port",
    ),
    *("uptime_in_days", "hz", "configured_hz", "lru_clock", "io_threads_active", "maxclients", "maxmemory"),
    *("total_system_memory", "active_defrag_running", "loading", "async_loading", "rdb_bgsave_in_progress"),
    *("aof_enabled", "aof_rewrite_in_progress", "aof_rewrite_scheduled", "module_fork_in_progress"),
    *("latest_fork_usec", "total_forks", "connected_slaves", "repl_backlog_active", "cluster_enabled"),
}
PAGE = b"redis_up 1\n" * 2000


def answering(*pieces: bytes) -> Script:
    def talk(conversation: Conversation) -> None:
        conversation.receive()
        for piece in pieces:
            conversation.send(piece)
        conversation.silence()

    return talk


class TestClient:
    def test_an_answer_of_known_length(self, scripted_server: ScriptFactory) -> None:
        body = gzip.compress(PAGE)
        head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
        client = Client(scripted_server(answering(head[:20], head[20:] + body[:50], body[50:])).port)
        answer = client.ask()
        client.close()
        assert answer.page.encode() == PAGE
        assert answer.body == body
        assert answer.seconds > 0

    def test_one_in_chunks(self, scripted_server: ScriptFactory) -> None:
        body = gzip.compress(PAGE)
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:50], body[50:]))
        client = Client(scripted_server(answering(head, chunks + b"0\r\n\r\n")).port)
        assert client.ask().page.encode() == PAGE
        client.close()

    @pytest.mark.parametrize(
        ("sent", "told"),
        [
            (b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", "503"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", "in the middle"),
        ],
    )
    def test_what_is_no_answer_ends_the_bench(
        self, scripted_server: ScriptFactory, sent: bytes, told: str
    ) -> None:
        def talk(conversation: Conversation) -> None:
            conversation.receive()
            conversation.send(sent)
            conversation.close()

        client = Client(scripted_server(talk).port)
        with pytest.raises(SystemExit, match=told):
            client.ask()
        client.close()


class TestSimulator:
    def test_counters_move(self) -> None:
        replies = Replies()
        first = replies.to([b"INFO"])

        def commands(reply: bytes) -> int:
            return int(reply.partition(b"total_commands_processed:")[2].split(b"\r\n")[0])

        wait_until(lambda: commands(replies.to([b"info"])) > commands(first), "a counter that moves")

    def test_where_all_moves_every_statistic_does(self) -> None:
        replies = Replies(all_move=True)
        first = {asked: replies.to(asked) for asked in STATISTICS}
        time.sleep(1.1)  # a whole step of what counts seconds
        for asked, before in first.items():
            pairs = zip(before.split(b"\r\n"), replies.to(asked).split(b"\r\n"), strict=True)
            same = [line for line, after in pairs if line == after and re.search(rb"[=:]\d[\d.]*$", line)]
            assert {line.partition(b":")[0].decode() for line in same} <= CONSTANT

    def test_counts_of_histograms_grow_alike(self) -> None:
        replies = Replies(all_move=True)
        first = _read(replies.to([b"LATENCY", b"HISTOGRAM"]))
        wait_until(lambda: _read(replies.to([b"LATENCY", b"HISTOGRAM"])) != first, "other counts")
        second = _read(replies.to([b"LATENCY", b"HISTOGRAM"]))
        for before, after in zip(first[1::2], second[1::2], strict=True):
            grown = after[1] - before[1]
            assert grown > 0
            assert after[3][::2] == before[3][::2]
            assert after[3][1::2] == [count + grown for count in before[3][1::2]]

    def test_a_packet_that_was_answered_before_gets_the_same(self) -> None:
        with simulated(1) as [address], _connected(address) as first, _connected(address) as second:
            packet = encode([b"PING"]) + encode([b"SELECT", b"3"])
            for sock in (first, second, first):
                sock.sendall(packet)
                assert _received(sock, len(b"+PONG\r\n+OK\r\n")) == b"+PONG\r\n+OK\r\n"
            first.sendall(packet[:9])
            time.sleep(0.05)
            first.sendall(packet[9:])
            assert _received(first, len(b"+PONG\r\n+OK\r\n")) == b"+PONG\r\n+OK\r\n"

    def test_what_it_does_not_know_is_an_unknown_command(self) -> None:
        assert Replies().to([b"FLUSHALL"]) == b"-ERR unknown command\r\n"

    def test_a_configuration_by_keys_and_patterns(self) -> None:
        reader = hiredis.Reader()
        reader.feed(Replies().to([b"CONFIG", b"GET", b"maxmemory", b"repl-*"]))
        found = reader.gets()
        assert b"maxmemory" in found[::2]
        assert all(key == b"maxmemory" or key.startswith(b"repl-") for key in found[::2])

    def test_targets_share_ports_by_database(self) -> None:
        with simulated(20, databases=16) as addresses:
            assert len(set(addresses)) == 20
            port = int(addresses[0].split(":")[2].split("/")[0])
            with socket.create_connection(("127.0.0.1", port), 10) as sock:
                sock.sendall(encode([b"SELECT", b"7"]) + encode([b"PING"]))
                received = b""
                while len(received) < len(b"+OK\r\n+PONG\r\n"):
                    received += sock.recv(64)
        assert received == b"+OK\r\n+PONG\r\n"

    def test_a_port_for_each_unless_told_otherwise(self) -> None:
        with simulated(3) as addresses:
            assert len({address.split(":")[2].split("/")[0] for address in addresses}) == 3

    def test_replies_are_late_and_in_order(self) -> None:
        with simulated(1, "--latency-ms=60") as [address], _connected(address) as sock:
            began = time.monotonic()
            sock.sendall(encode([b"PING"]))
            sock.sendall(encode([b"SELECT", b"0"]))
            assert _received(sock, len(b"+PONG\r\n+OK\r\n")) == b"+PONG\r\n+OK\r\n"
            assert time.monotonic() - began >= 0.05

    @pytest.mark.parametrize(("now", "delay_s"), [(10.0, 1.1), (10.75, 0.35), (11.5, 0.1), (12.0, 1.1)])
    def test_in_a_stall_nothing_is_answered(self, now: float, delay_s: float) -> None:
        assert ServerFaults(latency_s=0.1, stall_s=1.0, every_s=2.0).delay_s(now) == pytest.approx(delay_s)

    @pytest.mark.parametrize(("share", "reply"), [("0", b"+PONG\r\n"), ("1", b"-ERR simulated\r\n")])
    def test_a_share_of_errors(self, share: str, reply: bytes) -> None:
        with simulated(1, f"--error-share={share}") as [address], _connected(address) as sock:
            sock.sendall(encode([b"PING"]))
            assert _received(sock, len(reply)) == reply


def _read(reply: bytes) -> Any:
    reader = hiredis.Reader()
    reader.feed(reply)
    return reader.gets()


def _connected(address: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(address.split(":")[2].split("/")[0])), 10)


def _received(sock: socket.socket, count: int) -> bytes:
    received = b""
    while len(received) < count:
        received += sock.recv(count)
    return received
