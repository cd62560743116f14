"""Polls by a program, which read replies as they came, beside ordinary polls of the same replies."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import hiredis

from exporter.errors import ReplyError
from tests.fuzz.case import Case, Script
from tests.fuzz.cases.polls import PIECES, changed_value
from tests.polling.fed_target import COLLECTORS, FedTarget
from tests.polling.test_steady_poll import (
    CHANGES,
    CLUSTER,
    HISTOGRAMS,
    INTERVAL_S,
    VERSIONS,
    Clock,
    Server,
    in_loop,
)
from tests.replay import resp

SETS = (COLLECTORS, HISTOGRAMS, CLUSTER)
WORDS = tuple(CHANGES)


class SteadyPolls(Case):
    """Whatever a reply becomes, both ways leave the same."""

    length_max = 200
    words = (*PIECES, b"calls=", b"usec=", b"\r\n", b":", b"=", b",")
    STEPS_MAX = 8

    def seeds(self) -> Iterable[bytes]:
        for number in range(18):
            step = bytes([number % 3, number % len(WORDS), 12, 0, 10 * number, 1, 5, 0, 3, 97, 58, 49])
            yield bytes([number % len(VERSIONS), number % len(SETS), 2, 0]) + 4 * step

    def check(self, data: bytes) -> None:
        in_loop(partial(self._run, Script(data)))

    async def _run(self, script: Script, clock: Clock) -> None:
        version, collectors = script.one_of(VERSIONS), script.one_of(SETS)
        server = Server(version, in_cluster=collectors is CLUSTER)
        targets = [FedTarget(server, programs=programs, collectors=collectors) for programs in (True, False)]
        for _ in range(self.STEPS_MAX):
            quiet, word, program = script.below(4), script.one_of(WORDS), script.piece(40)
            for step in range(quiet + 1):
                server.step += 1
                server.changes = {word: partial(_rewritten, program)} if step == quiet else {}
                clock.now += INTERVAL_S
                await self._poll(targets, clock.now)
            if script.is_over:
                break

    @staticmethod
    async def _poll(targets: list[FedTarget], now: float) -> None:
        for target in targets:
            await target.poll(now)
            if target.connection.closed:
                target.connect()
        ours, theirs = (target.left() for target in targets)
        assert ours == theirs


def _rewritten(program: bytes, reply: bytes) -> bytes:
    """A reply with changes that a few bytes make."""
    reader = hiredis.Reader(replyError=ReplyError)
    reader.feed(reply)
    return _wire(changed_value(reader.gets(), Script(program)))


def _wire(value: Any) -> bytes:
    if isinstance(value, ReplyError):
        return b"-%s\r\n" % value.raw.encode("utf-8", "surrogateescape")
    if isinstance(value, list):
        return b"*%d\r\n%s" % (len(value), b"".join(map(_wire, value)))
    return resp(value)
