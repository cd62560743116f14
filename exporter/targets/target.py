"""One watched server."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Target:
    """One watched server. `addr` is the canonical address and holds neither user nor password."""

    addr: str
    scheme: str
    host: str  # of TCP; "" for a socket
    port: int
    path: str  # of a unix socket; "" for TCP
    db: int
    alias: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    interval_s: float | None = None  # None: the lane's own

    @property
    def tls(self) -> bool:
        return self.scheme in ("rediss", "valkeys")
