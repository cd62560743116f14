"""How collectors that run less often than their lane are written."""

from __future__ import annotations

import pytest

from exporter.options.collector_intervals import parse_collector_intervals


def test_each_collector_has_one() -> None:
    assert parse_collector_intervals("slowlog=30s, config=1h") == (
        ("config", 3600.0),
        ("slowlog", 30.0),
    )
    assert parse_collector_intervals("") == ()


@pytest.mark.parametrize("text", ["slowlog", "=5s", "slowlog=", "slowlog=soon", "slowlog=1s,slowlog=2s"])
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_collector_intervals(text)
