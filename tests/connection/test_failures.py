"""What failed on the way to a server, as a `TargetError`."""

from __future__ import annotations

import errno
import os

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
