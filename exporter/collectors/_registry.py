"""The collectors there are, in the order of their families on a page: one line each."""

from __future__ import annotations

from exporter.collectors._contract import AnyCollector
from exporter.collectors.acl_log import AclLogCollector
from exporter.collectors.clients import ClientsCollector
from exporter.collectors.cluster import ClusterCollector
from exporter.collectors.cluster_nodes import ClusterNodesCollector
from exporter.collectors.commandlog import CommandlogCollector
from exporter.collectors.config import ConfigCollector
from exporter.collectors.hotkeys import HotkeysCollector
from exporter.collectors.info import InfoCollector
from exporter.collectors.key_groups import KeyGroupsCollector
from exporter.collectors.key_scan import KeyScanCollector
from exporter.collectors.keys import FoundKeysCollector, KeysCollector
from exporter.collectors.latency import LatencyCollector
from exporter.collectors.latency_histogram import LatencyHistogramCollector
from exporter.collectors.latency_stats import LatencyStatsCollector
from exporter.collectors.memory_stats import MemoryStatsCollector
from exporter.collectors.modules import ModulesCollector
from exporter.collectors.scripts import ScriptsCollector
from exporter.collectors.search import SearchCollector
from exporter.collectors.sentinel import SentinelCollector
from exporter.collectors.sentinel_config import SentinelConfigCollector
from exporter.collectors.server import ServerCollector
from exporter.collectors.slot_stats import SlotStatsCollector
from exporter.collectors.slowlog import SlowlogCollector
from exporter.collectors.stats import StatsCollector
from exporter.collectors.streams import FoundStreamsCollector, StreamsCollector
from exporter.collectors.tile38 import Tile38Collector
from exporter.collectors.unknown import UnknownInfoCollector
from exporter.collectors.vector_sets import VectorSetsCollector

REGISTRY: tuple[AnyCollector, ...] = (
    InfoCollector(),
    ServerCollector(),
    StatsCollector(),
    LatencyStatsCollector(),
    SlowlogCollector(),
    CommandlogCollector(),
    ClientsCollector(),
    ModulesCollector(),
    SearchCollector(),
    Tile38Collector(),
    ConfigCollector(),
    LatencyCollector(),
    LatencyHistogramCollector(),
    AclLogCollector(),
    MemoryStatsCollector(),
    KeysCollector(),
    FoundKeysCollector(),
    StreamsCollector(),
    FoundStreamsCollector(),
    VectorSetsCollector(),
    HotkeysCollector(),
    KeyScanCollector(),
    KeyGroupsCollector(),
    ScriptsCollector(),
    ClusterCollector(),
    ClusterNodesCollector(),
    SlotStatsCollector(),
    SentinelCollector(),
    SentinelConfigCollector(),
    UnknownInfoCollector(
        known=(
            InfoCollector(),
            ServerCollector(),
            StatsCollector(),
            LatencyStatsCollector(),
            ClusterCollector(),
        )
    ),
)
