"""The collectors there are, in the order of their families on a page: one line each."""

from __future__ import annotations

from exporter.collector import Collector
from exporter.collectors.info import InfoCollector
from exporter.collectors.stats import StatsCollector
from exporter.collectors.unknown import UnknownInfoCollector

REGISTRY: tuple[Collector, ...] = (
    InfoCollector(),
    StatsCollector(),
    UnknownInfoCollector(known=(InfoCollector(), StatsCollector())),
)
