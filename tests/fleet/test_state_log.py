"""Which targets go up and down, as the log has it."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from exporter.errors import DnsError, RefusedError
from exporter.fleet.state_log import StateLog
from tests.fleet.test_fleet import FakeWatched, assigned, ended


async def test_each_variant_of_an_address_has_its_own_state(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    log = StateLog()
    one: Any = FakeWatched(assigned("one"))
    variant: Any = FakeWatched(assigned("one", variant="keys"))
    one.up = variant.up = False
    log.note(one, ended(RefusedError("no")))
    log.note(variant, ended(DnsError("no")))
    log.note(one, ended(RefusedError("no"), up_changed=False))
    log.note(variant, ended(DnsError("no"), up_changed=False))
    assert [getattr(record, "reason", "") for record in caplog.records] == ["refused", "dns"]
    assert {getattr(record, "addr", "") for record in caplog.records} == {"redis://one:6379"}
    log.forget(one.target.key)
    log.note(one, ended(RefusedError("no"), up_changed=False))
    assert len(caplog.records) == 3
