"""Counts what goes wrong with requests and connections, by reason, and logs it. (The log writes each kind of
line once a minute for each client.)

A line says what happened and how often, never what a request held: its bytes come from strangers and may hold
passwords.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from dataclasses import dataclass

#: reason → what the log says
REASONS = {
    "malformed": "a request that is not valid HTTP/1.x was answered with 400",
    "too_large": "a request with too long a head or body was answered with 431 or 413, or closed",
    "request_timeout": "a connection was closed: its request took too long (--web.request-timeout)",
    "handshake": "a TLS handshake failed or did not end in time (--web.request-timeout)",
    "idle": "an idle connection was closed (--web.idle-timeout)",
    "write_stalled": "a connection was closed: its client did not read the answer (--web.write-timeout)",
    "answer_timeout": "a connection was closed: its answer took too long (--web.answer-timeout)",
    "old_page": "a connection was closed: its client reads an old page too slowly (--web.old-pages-bytes)",
    "evicted": "connections were closed to make room for others (--web.max-connections, "
    "--web.max-connections-per-address)",
    "refused": "connections were refused: running answers took all places (--web.max-connections, "
    "--web.max-connections-per-address)",
    "too_many_checks": "sign-ins were answered with 429: too many passwords wait for their check "
    "(--web.max-password-checks)",
    "rate_limited": "requests were answered with 429: there were too many (rate_limit of --web.config.file)",
    "certificate_name": "a connection was closed: its certificate is for none of client_allowed_sans "
    "(--web.config.file)",
    "too_many_tables": "a request for the table as CSV was answered with 429: others are being written",
    "internal": "a request was answered with 500",
}
#: these are counted, not logged
_QUIET = frozenset({"idle"})

#: answers that refuse a request for who sends it, or for what it asks
REFUSING = frozenset({401, 403, 429})
#: newest refused requests that are remembered
REFUSED_MAX = 50

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RefusedRequest:
    """A request that was answered with `status` 401, 403 or 429, at the moment `at` (wall clock). `path` is
    one of the exporter's own, without parameters; "" for any other."""

    at: float
    address: str
    status: int
    path: str


class Incidents:
    """`counts`: what happened since the start, by reason; `refused`: the newest refused requests, the last
    one first."""

    def __init__(self) -> None:
        self.counts = dict.fromkeys(REASONS, 0)
        self.refused: deque[RefusedRequest] = deque(maxlen=REFUSED_MAX)

    def note(self, reason: str, detail: str = "", *, client: str = "") -> None:
        """Count one more, and log it. `detail` must not come from a request; `client` is an address."""
        self.counts[reason] += 1
        if reason not in _QUIET:
            log.warning(
                f"HTTP: {REASONS[reason]}{detail and ': '}%s",
                detail,
                extra={"reason": reason, "client": client or None},
            )

    def note_refusal(self, status: int, client: str, path: str) -> None:
        """Remember a refused request. `path` must not come from the request."""
        self.refused.appendleft(RefusedRequest(time.time(), client, status, path))


def place_of(error: BaseException | None) -> str:
    """The type of an exception and where it was raised; never its text, which may repeat what a request
    held."""
    if error is None:
        return "unknown"
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None:
        return type(error).__name__
    file = traceback.tb_frame.f_code.co_filename.rpartition("/")[2]
    return f"{type(error).__name__} at {file}:{traceback.tb_lineno}"
