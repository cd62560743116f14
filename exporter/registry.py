"""The collectors there are, in the order of their families on a page: one line each."""

from __future__ import annotations

from exporter.collector import Collector
from exporter.collectors.acl_log import AclLogCollector
from exporter.collectors.config import ConfigCollector
from exporter.collectors.info import InfoCollector
from exporter.collectors.latency import LatencyCollector
from exporter.collectors.latency_histogram import LatencyHistogramCollector
from exporter.collectors.memory_stats import MemoryStatsCollector
from exporter.collectors.stats import StatsCollector
from exporter.collectors.unknown import UnknownInfoCollector

REGISTRY: tuple[Collector, ...] = (
    InfoCollector(),
    StatsCollector(),
    ConfigCollector(),
    LatencyCollector(),
    LatencyHistogramCollector(),
    AclLogCollector(),
    MemoryStatsCollector(),
    UnknownInfoCollector(known=(InfoCollector(), StatsCollector())),
)
