"""The settings of connections, shared by targets."""

from __future__ import annotations

from dataclasses import dataclass

from exporter import files
from exporter.connection.replies import DEFAULT_LIMITS, ReplyLimits
from exporter.node_allowance import Allowance


@dataclass(frozen=True, slots=True)
class DialSettings:
    """How to connect, shared by targets. The files are PEM; "" means no file, and the system's CAs in the
    case of `ca_file`.

    `server_name` is sent as SNI and verified in place of the target's host. `allowance`: where nodes of
    clusters may be; None: near their target. `scrape_allow`: where targets may be that requests name; None:
    anywhere but at a link-local address.
    """

    set_client_name: bool = True
    ping: bool = False
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    server_name: str = ""
    skip_verification: bool = False
    limits: ReplyLimits = DEFAULT_LIMITS
    file_limits: files.FileLimits = files.DEFAULT
    allowance: Allowance | None = None
    scrape_allow: Allowance | None = None

    @property
    def tls_files(self) -> tuple[str, ...]:
        """Those that are named."""
        return tuple(filter(None, (self.ca_file, self.cert_file, self.key_file)))

    @property
    def of_tls(self) -> tuple[object, ...]:
        """Those that a TLS context is made of."""
        return self.ca_file, self.cert_file, self.key_file, self.skip_verification

    def connects_as(self, other: DialSettings, *, tls: bool) -> bool:
        """Whether both make the same connections, with TLS or without."""
        ours, theirs = (
            (each.set_client_name, each.ping, each.limits, (each.of_tls, each.server_name) if tls else ())
            for each in (self, other)
        )
        return ours == theirs
