"""How collectors that run less often than their lane are written."""

from __future__ import annotations

from exporter.options.values import ValueType, join_items, parse_interval, parse_list


def parse_collector_intervals(text: str) -> tuple[tuple[str, float], ...]:
    """`NAME=DURATION,…`, each name once."""
    intervals: dict[str, float] = {}
    for part in parse_list(text):
        name, equals, duration = part.partition("=")
        name = name.strip()
        if not name or not equals:
            raise ValueError("write COLLECTOR=DURATION, such as latency_histogram=10m")
        if name in intervals:
            raise ValueError(f"{name} is there twice")
        intervals[name] = parse_interval(duration.strip())
    return tuple(sorted(intervals.items()))


COLLECTOR_INTERVALS = ValueType(
    "COLLECTOR=DURATION,…", parse_collector_intervals, empty=True, join=join_items
)
