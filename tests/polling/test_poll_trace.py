"""The values of a traced poll cannot be changed: a page and its JSON show the same."""

from __future__ import annotations

from dataclasses import fields

import pytest

from exporter.polling.poll_trace import PollTrace


def test_a_trace_does_not_change() -> None:
    trace = PollTrace(0.0, (), 0.0, 0.0, 1.0, {}, "", (), (), (), {}, {}, "", "")
    for each in fields(PollTrace):
        with pytest.raises(AttributeError):
            setattr(trace, each.name, None)
