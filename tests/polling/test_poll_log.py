"""Debug lines of polls."""

from __future__ import annotations

import logging
import math

import pytest

from exporter.errors import RefusedError
from exporter.metrics.lane import Lane
from exporter.polling import poll_log
from exporter.polling.outcome import PollOutcome
from exporter.polling.results import PollResults
from exporter.targets.redaction import NOTHING

ADDR = "redis://h:1"


def line_of(caplog: pytest.LogCaptureFixture, outcome: PollOutcome) -> dict[str, object]:
    caplog.set_level(logging.DEBUG, poll_log.__name__)
    poll_log.note(ADDR, (Lane.FAST, Lane.SLOW), outcome)
    [record] = caplog.records
    names = ("addr", "lane", "duration_ms", "bytes", "reason", "err")
    return {name: vars(record)[name] for name in names if name in vars(record)}


def test_a_poll_has_one_line(caplog: pytest.LogCaptureFixture) -> None:
    outcome = PollOutcome(PollResults(NOTHING, received=512), None, 0.0, 0.0, 0.0123)
    line = {"addr": ADDR, "lane": "fast,slow", "duration_ms": 12.3, "bytes": 512}
    assert line_of(caplog, outcome) == line


def test_bytes_that_other_nodes_sent_are_not_counted(caplog: pytest.LogCaptureFixture) -> None:
    outcome = PollOutcome(PollResults(NOTHING, received=math.inf), None, 0.0, 0.0, 0.0123)
    assert "bytes" not in line_of(caplog, outcome)


def test_one_that_failed_has_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    line = line_of(caplog, PollOutcome(None, RefusedError("nobody listens"), 0.0, 0.0, 0.001))
    assert (line["reason"], line["err"], line["bytes"]) == ("refused", "nobody listens", 0)
