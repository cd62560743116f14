"""The limits of the HTTP side, as values."""

from __future__ import annotations

from dataclasses import dataclass

from exporter.descriptors import reserve_of
from exporter.options.table import WebOptions

#: share of the files that are kept back from targets; the rest is for look-ups and for reading files
RESERVE_SHARE = 0.75
PLACES_MIN = 8


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """`places`: connections at once, `places_per_address` of them from one address. `request_s`: time for a
    whole request or a TLS handshake. `idle_s`: time between two requests. `write_s`: time without progress.
    `answer_s`: time for a whole answer. `request_bytes`: size of a head, or of a body. `old_pages_bytes`:
    size of the pages that only slow readers hold."""

    places: int = 512
    places_per_address: int = 256
    request_s: float = 10.0
    idle_s: float = 360.0
    write_s: float = 10.0
    answer_s: float = 120.0
    request_bytes: int = 64 * 1024
    old_pages_bytes: int = 256 * 1024 * 1024


def places_for(asked: int, files: int) -> int:
    """How many connections of clients there may be: as many as are asked for, within a share of the files
    that are kept back of the `files` that the process may open."""
    return min(asked, max(PLACES_MIN, int(reserve_of(files) * RESERVE_SHARE)))


def limits_of(given: WebOptions, files: int) -> HttpLimits:
    """The limits that the options set."""
    return HttpLimits(
        places=places_for(given.max_connections, files),
        places_per_address=given.max_connections_per_address,
        request_s=given.request_timeout_s,
        idle_s=given.idle_timeout_s,
        write_s=given.write_timeout_s,
        answer_s=given.answer_timeout_s,
        request_bytes=given.max_request_bytes,
        old_pages_bytes=given.old_pages_bytes,
    )
