"""Scrapes of one target whose Redis is blocked for 1 s out of every 2 (DEBUG SLEEP), beside scrapes of one
that is idle."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

from bench.cases.scrape import OURS, ours
from bench.charts import Chart, distribution
from bench.figures import Figure, at_most, plain
from bench.http import Answer, Client
from bench.measure import percentile
from bench.rivals import go_exporter
from bench.servers import redis_servers
from bench.setup import Result, Setup

BLOCKED_S, FREE_S = 1.0, 1.0
PAUSE_S = 0.02


def run(setup: Setup) -> Result:
    rounds, seconds = (1, 2.0) if setup.quick else (3, 8.0)
    answers: dict[str, list[Answer]] = {}
    with ExitStack() as stack:
        [server] = stack.enter_context(redis_servers(1, "--enable-debug-command", "yes"))
        port, _ = stack.enter_context(ours([server]))
        clients = {OURS: Client(port)}
        for rival in setup.rivals:
            port, _ = stack.enter_context(go_exporter(rival.path))
            clients[rival.name] = Client(port, f"/scrape?target=redis://127.0.0.1:{server}")
        for state, holding in (("idle", contextlib.nullcontext()), ("blocked", _blocking(server))):
            setup.note(state)
            with holding:
                for _ in range(rounds):
                    for name, client in clients.items():
                        answers.setdefault(f"{name}, {state}", []).extend(_ask_for(client, seconds))
        for client in clients.values():
            client.close()
    figures = [figure for name, found in answers.items() for figure in _figures(name, found)]
    p99 = {name: percentile([answer.seconds for answer in found], 0.99) for name, found in answers.items()}
    detail = (
        f"age p99 {_age_p99_s(answers[f'{OURS}, blocked']):.2f} s, redis_up 0 "
        f"on {_down(answers[f'{OURS}, blocked']):.1%} of the pages"
    )
    figures.append(
        at_most(
            "one target: p99 while Redis is blocked / idle p99",
            p99[f"{OURS}, blocked"] / p99[f"{OURS}, idle"],
            2,
            "",
            detail,
        )
    )
    lines = {
        name: [(1e3 * value, part) for value, part in distribution([a.seconds for a in found])]
        for name, found in answers.items()
    }
    title = "A scrape of one target, Redis idle or blocked 1 s out of 2"
    return Result(
        figures, [Chart("busy-latency", title, "milliseconds", "part of the scrapes", lines, log_x=True)]
    )


@contextlib.contextmanager
def _blocking(port: int) -> Iterator[None]:
    """Block the server again and again until the block ends."""
    ended = threading.Event()

    def block() -> None:
        with socket.create_connection(("127.0.0.1", port), 10) as sock:
            while not ended.wait(FREE_S):
                sock.sendall(b"DEBUG SLEEP %g\r\n" % BLOCKED_S)
                sock.recv(64)

    thread = threading.Thread(target=block, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(10)


def _ask_for(client: Client, seconds: float) -> list[Answer]:
    client.ask()
    until = time.monotonic() + seconds
    found = []
    while time.monotonic() < until:
        found.append(client.ask())
        time.sleep(PAUSE_S)
    return found


def _down(answers: list[Answer]) -> float:
    """Part of the pages that say `redis_up` 0."""
    return sum(bool(re.search(r"^redis_up(\{.*\})? 0$", answer.page, re.M)) for answer in answers) / len(
        answers
    )


def _age_p99_s(answers: list[Answer]) -> float:
    pattern = re.compile(r'^redis_exporter_snapshot_age_seconds\{.*lane="fast"\} (\S+)', re.M)
    return percentile([float(age) for answer in answers for age in pattern.findall(answer.page)], 0.99)


def _figures(name: str, answers: list[Answer]) -> list[Figure]:
    seconds = [answer.seconds for answer in answers]
    detail = f"{len(answers)} scrapes, redis_up 0 on {_down(answers):.1%} of the pages"
    return [
        plain(f"one target, {name}: p50", percentile(seconds, 0.5) * 1e3, "ms", detail),
        plain(f"one target, {name}: p99", percentile(seconds, 0.99) * 1e3, "ms"),
    ]
