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

_AUTHORITY = ": name its authority in --tls-ca-cert-file"
_NAME = ": connect by a name that it has, or write one in --tls-server-name"
#: OpenSSL's verify_code → what to do
_TRUST_HINTS = {18: _AUTHORITY, 19: _AUTHORITY, 20: _AUTHORITY, 21: _AUTHORITY, 62: _NAME, 64: _NAME}


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
            why = error.verify_message.rstrip(".") + _TRUST_HINTS.get(error.verify_code, "")
            return TlsError(f"{where}: the server's certificate cannot be trusted: {why}")
        case ssl.SSLError():
            said = (error.reason or str(error)).replace("_", " ").lower()
            return TlsError(f"{where}: TLS failed: {said}{_tls_hint(said)}")
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


def _tls_hint(said: str) -> str:
    if said in ("wrong version number", "record layer failure", "packet length too long"):
        return ": this port does not speak TLS"
    if said.endswith("certificate required"):
        return ": the server wants to see --tls-client-cert-file"
    return ""
