"""Fixtures of the tests of connections."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence

import pytest

from exporter.connection.dialer import Dialer
from exporter.targets.target import Target
from tests.connection.dialling import AMPLE_S


@pytest.fixture
def connects_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gives connecting ample time, whatever the deadline of the dial. On a busy machine a short one may pass
    before the step that the test is about."""
    connect = Dialer._connect

    async def connect_in_time(
        dialer: Dialer, target: Target, where: str, addresses: Sequence[str], deadline: float
    ) -> tuple[socket.socket, str]:
        return await connect(dialer, target, where, addresses, time.monotonic() + AMPLE_S)

    monkeypatch.setattr(Dialer, "_connect", connect_in_time)
