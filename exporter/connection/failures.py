"""Errors of sockets and TLS as `TargetError`s."""

from __future__ import annotations

import errno
import socket
import ssl

from exporter.errors import (
    DeadlineError,
    DnsError,
    OpenFilesError,
    ProtocolError,
    RefusedError,
    ResetError,
    TargetError,
    TlsError,
)


def not_resp(where: str, data: bytes, why: str) -> TargetError:
    if data[:1] in (b"\x15", b"\x16") and data[1:2] == b"\x03":  # an alert or handshake record of TLS
        return TlsError(f"{where}: the server speaks TLS here: write rediss:// or valkeys://")
    if data.startswith(b"HTTP/"):
        return ProtocolError(f"{where}: this is an HTTP server, not Redis")
    return ProtocolError(f"{where}: the server does not speak RESP: {why}")


def os_failure(where: str, error: OSError) -> TargetError:
    """An error of the operating system or of TLS, as the failure of a target."""
    text = f"{where}: {error.strerror or error}"
    match error:
        case ssl.SSLCertVerificationError():
            return TlsError(f"{where}: the server's certificate cannot be trusted: {error.verify_message}")
        case ssl.SSLError():
            said = (error.reason or str(error)).replace("_", " ").lower()
            hint = (
                ": this port does not speak TLS"
                if said in ("wrong version number", "record layer failure", "packet length too long")
                else ""
            )
            return TlsError(f"{where}: TLS failed: {said}{hint}")
        case socket.gaierror():
            return DnsError(text)
        case ConnectionRefusedError():
            return RefusedError(f"{where}: connection refused: no server listens there")
        case FileNotFoundError():
            return RefusedError(f"{where}: there is no such socket")
        case PermissionError():
            return RefusedError(f"{where}: no permission to connect")
        case ConnectionError():
            return ResetError(text)
        case TimeoutError():
            return DeadlineError(text)
        case _ if error.errno in (errno.EMFILE, errno.ENFILE):
            return OpenFilesError(f"{text}: this process may open no more files: raise its limit (ulimit -n)")
        case _:
            return RefusedError(text)
