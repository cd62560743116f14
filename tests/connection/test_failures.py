"""What failed on the way to a server, as a `TargetError`."""

from __future__ import annotations

import errno
import os
import ssl

import pytest

from exporter.connection.failures import os_failure

pytestmark = pytest.mark.asyncio(loop_factories=["uvloop", "asyncio"])


@pytest.mark.parametrize(
    ("number", "reason", "part"),
    [
        (errno.ENETUNREACH, "refused", "unreachable"),
        (errno.ETIMEDOUT, "timeout", "timed out"),
        (errno.ECONNRESET, "reset", "reset"),
        (errno.EACCES, "refused", "no permission"),
        (errno.EMFILE, "open_files", "ulimit -n"),
        (errno.ENFILE, "open_files", "ulimit -n"),
    ],
)
async def test_what_the_operating_system_reports_has_a_reason(number: int, reason: str, part: str) -> None:
    failure = os_failure("cache:6379", OSError(number, os.strerror(number)))
    assert failure.reason == reason
    assert str(failure).startswith("cache:6379: ")
    assert part in str(failure)


async def test_a_server_that_wants_a_certificate_gets_a_hint() -> None:
    """As OpenSSL reports the alert of TLS 1.3."""
    error = ssl.SSLError(1, "[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert certificate required")
    error.reason = "TLSV13_ALERT_CERTIFICATE_REQUIRED"
    failure = os_failure("cache:6379", error)
    assert failure.reason == "tls"
    assert str(failure).endswith("certificate required: the server wants to see --tls-client-cert-file")
