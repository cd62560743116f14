"""A steady load on servers, and what it had sent by when."""

from __future__ import annotations

import bisect
import contextlib
import socket
import threading
import time
from collections.abc import Iterator, Sequence

BEAT_S = 0.025
#: GETs that a server is sent at each beat: 200 in a second
GETS = 5
_KEY = b"bench:steady"


class SteadyLoad(threading.Thread):
    """At every beat each server is sent the same few GETs of a key that is there, in one packet. A beat that
    comes late is made up for at once. So `keyspace_hits` of each server is what `sent_by` tells, and nothing
    else moves it."""

    def __init__(self, ports: Sequence[int]) -> None:
        super().__init__(daemon=True)
        self._sockets = [socket.create_connection(("127.0.0.1", port), 10) for port in ports]
        for each in self._sockets:
            each.sendall(b"SET %b 1\r\n" % _KEY)
            each.recv(64)
            each.setblocking(False)
        self._times: list[float] = []  # wall clock, as Prometheus' times are
        self._sent: list[int] = []
        self._ended = threading.Event()

    def run(self) -> None:
        packet = b"GET %b\r\n" % _KEY * GETS
        began = time.monotonic()
        beats = 0
        while not self._ended.wait(max(0.0, began + beats * BEAT_S - time.monotonic())):
            due = int((time.monotonic() - began) / BEAT_S) + 1 - beats
            for each in self._sockets:
                each.send(packet * due)
            beats += due
            self._sent.append(beats * GETS)  # before its time: `sent_by` may look just now
            self._times.append(time.time())
            self._drain(self._sockets[beats % len(self._sockets)])

    def sent_by(self, at: float) -> float:
        """GETs that each server had been sent by that wall-clock time, on a straight line between two
        beats."""
        after = bisect.bisect(self._times, at)
        if not 0 < after < len(self._times):
            raise SystemExit("bench: the load did not run all the time")
        from_s, to_s = self._times[after - 1 : after + 1]
        from_sent, to_sent = self._sent[after - 1 : after + 1]
        return from_sent + (to_sent - from_sent) * (at - from_s) / (to_s - from_s)

    def end(self) -> None:
        self._ended.set()
        self.join(10)
        for each in self._sockets:
            each.close()

    @staticmethod
    def _drain(sock: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            sock.recv(1 << 20)


@contextlib.contextmanager
def steady_load(ports: Sequence[int]) -> Iterator[SteadyLoad]:
    load = SteadyLoad(ports)
    load.start()
    try:
        yield load
    finally:
        load.end()
