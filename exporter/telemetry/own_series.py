"""Series about the exporter itself: the table of them, and their text."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, generate_latest

from exporter.build_facts import build_facts
from exporter.errors import InternalError
from exporter.metrics.family import MetricType
from exporter.telemetry.family_text import FamilyText
from exporter.telemetry.own_family import Counted, Durations, OwnFamily, Values, added, counted
from exporter.telemetry.process import ProcessSeries

Reader = Callable[[], Values]

GAUGE, COUNTER, HISTOGRAM = MetricType.GAUGE, MetricType.COUNTER, MetricType.HISTOGRAM
BUILD_INFO: OwnFamily[OwnSeries] = OwnFamily(
    "exporter_build_info",
    "Version, commit and build date of the exporter, version of Python, and the engine in use.",
    GAUGE,
    ("version", "commit_sha", "build_date", "python_version", "engine"),
    read=lambda own: {own.build: 1},
    of_process=True,
)
#: the rows, in the order of the page
FAMILIES: tuple[OwnFamily[OwnSeries], ...] = (
    BUILD_INFO,
    OwnFamily("exporter_scrapes_total", "Scrapes that were answered.", COUNTER, read=lambda own: own.scrapes),
    OwnFamily(
        "target_scrape_request_errors_total",
        "Requests for one target that were refused.",
        COUNTER,
        read=lambda own: own.request_errors,
    ),
    OwnFamily(
        "exporter_scrape_duration_seconds",
        "How long polls took.",
        HISTOGRAM,
        read=lambda own: own.poll_seconds,
    ),
    OwnFamily(
        "exporter_http_request_duration_seconds",
        "How long an answer took, by endpoint.",
        HISTOGRAM,
        ("endpoint",),
        read=lambda own: own.seconds_by_endpoint,
        of_process=True,
    ),
    OwnFamily(
        "exporter_page_build_duration_seconds",
        "How long it took to assemble and compress a page.",
        HISTOGRAM,
        read=lambda own: own.build_seconds,
        of_process=True,
    ),
    OwnFamily(
        "exporter_loop_lag_seconds",
        "Delay of the event loop when it was measured last.",
        GAUGE,
        read=lambda own: own.lag_s,
        of_process=True,
    ),
    OwnFamily(
        "exporter_page_bytes",
        "Size of the newest page of all targets.",
        GAUGE,
        ("encoding",),
        read=lambda own: own.page_bytes,
        of_process=True,
    ),
    OwnFamily("exporter_polls_in_flight", "Polls that are running.", GAUGE),
    OwnFamily(
        "exporter_log_lines_dropped_total",
        "Log lines dropped because nothing reads stderr; absent while 0.",
        COUNTER,
        of_process=True,
        once_above_0=True,
    ),
    OwnFamily(
        "exporter_page_age_seconds", "Age of the page of all targets when it was requested last.", GAUGE
    ),
    OwnFamily("exporter_targets", "Targets by state.", GAUGE, ("state",)),
    OwnFamily(
        "exporter_adopted_targets",
        "Targets that nobody configured, polled because requests ask for them; absent while 0.",
        GAUGE,
        once_above_0=True,
    ),
    OwnFamily(
        "exporter_adoptions_refused_total",
        "Requests for such targets that there was no room for; absent while 0.",
        COUNTER,
        once_above_0=True,
    ),
    OwnFamily("exporter_targets_in_step", "Targets that are polled just before a scrape.", GAUGE),
    OwnFamily(
        "exporter_scraper_interval_seconds",
        "How often a scraper comes, as learnt from its requests.",
        GAUGE,
        ("scraper",),
    ),
    OwnFamily(
        "exporter_scraper_expected_age_seconds",
        "Expected age of the oldest values that a scraper gets, of targets that are polled in step.",
        GAUGE,
        ("scraper",),
    ),
    OwnFamily("exporter_http_connections", "Open connections of HTTP clients.", GAUGE, of_process=True),
    OwnFamily(
        "exporter_http_incidents_total",
        "Requests and connections that went wrong; absent while 0.",
        COUNTER,
        ("reason",),
        of_process=True,
        once_above_0=True,
    ),
    OwnFamily(
        "exporter_fleet_versions",
        "Different versions of servers in a group of targets; absent of a single target.",
        GAUGE,
        ("group",),
    ),
    OwnFamily(
        "exporter_fleet_configurations",
        "Different configurations in a group of targets, by the hashes of --include-config-hash.",
        GAUGE,
        ("group",),
    ),
    OwnFamily(
        "exporter_fleet_masters_without_replicas",
        "Masters that no replica is connected to, in a group of targets; absent of a single target.",
        GAUGE,
        ("group",),
    ),
    OwnFamily(
        "exporter_fleet_uncovered_slots",
        "Slots of a cluster that no working node serves, as most of its nodes see it.",
        GAUGE,
        ("cluster",),
    ),
    OwnFamily("exporter_lane_interval_seconds", "How often a lane is polled.", GAUGE, ("lane",)),
    OwnFamily("exporter_shard_index", "Which shard this exporter is; absent without --shard.index.", GAUGE),
    OwnFamily("exporter_shard_total", "How many shards there are.", GAUGE),
    OwnFamily("exporter_shard_targets", "Targets of all shards together.", GAUGE),
    OwnFamily("exporter_shard_targets_owned", "Targets that this shard polls.", GAUGE),
    OwnFamily(
        "exporter_sd_failures_total",
        "How often a file or URL with targets could not be read; what it had before stays.",
        COUNTER,
        ("source",),
    ),
    OwnFamily(
        "exporter_sd_last_success_timestamp_seconds",
        "When a source of targets was read well for the last time, Unix time.",
        GAUGE,
        ("source",),
    ),
    OwnFamily(
        "exporter_certificate_expiry_timestamp_seconds",
        "When the certificates of a file end, Unix time: the first of a chain, the last of authorities.",
        GAUGE,
        ("flag", "file"),
    ),
    OwnFamily(
        "exporter_config_last_reload_successful",
        "1 if the newest reload went well; 0 if it has changed nothing because of a mistake.",
        GAUGE,
        of_process=True,
    ),
    OwnFamily(
        "exporter_config_last_reload_success_timestamp_seconds",
        "When the configuration in use was read, Unix time.",
        GAUGE,
        of_process=True,
    ),
)


class OwnSeries:
    """What the exporter counts about itself, and the text of all that. `readers` have the values of the rows
    that have none here, by name; without its reader a row is left out. `only_redis` leaves out what is about
    the process and its endpoint, as `--redis-only-metrics` asks; `runtime` adds the figures of Python."""

    def __init__(
        self,
        namespace: str,
        version: str,
        engine: str,
        readers: Mapping[str, Reader] | None = None,
        *,
        only_redis: bool = False,
        runtime: bool = False,
    ) -> None:
        facts = build_facts()
        self.build: tuple[str, ...] = (version, facts.commit, facts.date, platform.python_version(), engine)
        self.scrapes: int = 0
        self.request_errors: int = 0
        self.poll_seconds: Durations = Durations()
        self.build_seconds: Durations = Durations()
        self.seconds_by_endpoint: dict[str, Durations] = {}
        self.lag_s: float = 0.0
        self.page_bytes: dict[str, float] = {}  # by encoding
        self._prefix = f"{namespace}_" if namespace else ""
        shown = [family for family in FAMILIES if not (only_redis and family.of_process)]
        self._readers = _readers_of(self, readers or {}, shown)
        self._texts = [FamilyText(family, self._prefix) for family, _ in self._readers]
        self._before: Mapping[str, Counted] = {}  # by family
        self._process = None if only_redis else ProcessSeries()
        self._runtime: CollectorRegistry | None = None
        if runtime and not only_redis:
            self._runtime = CollectorRegistry(auto_describe=False)
            PlatformCollector(registry=self._runtime)
            GCCollector(registry=self._runtime)

    def request_seconds(self, endpoint: str) -> Durations:
        """Of the answers of one endpoint."""
        return self.seconds_by_endpoint.setdefault(endpoint, Durations())

    def note_lag(self, seconds: float) -> None:
        self.lag_s = seconds

    def counts(self) -> Mapping[str, Counted]:
        """What the counters and histograms have counted, by family."""
        return {
            family.name: counted(self._values(family, read))
            for family, read in self._readers
            if family.type in (COUNTER, HISTOGRAM)
        }

    def go_on_from(self, counts: Mapping[str, Counted]) -> None:
        """Add these counts, of the process before, to all that is counted."""
        counters = {family.name for family, _ in self._readers if family.type in (COUNTER, HISTOGRAM)}
        self._before = {name: before for name, before in counts.items() if name in counters}

    def _values(self, family: OwnFamily[OwnSeries], read: Reader) -> Values:
        before = self._before.get(family.name) if self._before else None
        return read() if before is None else added(read(), before)

    def render(self) -> bytes:
        """The text format, as prometheus-client writes it. Its own way would take most of the time of a page
        that is built every few seconds, so only the runtime's series go that way."""
        texts = self._process.render() if self._process is not None else []
        if self._runtime is not None:
            texts.append(generate_latest(self._runtime))
        texts += [
            text.of(self._values(family, read))
            for text, (family, read) in zip(self._texts, self._readers, strict=True)
        ]
        return b"".join(texts)


def _readers_of(
    own: OwnSeries, readers: Mapping[str, Reader], families: Iterable[OwnFamily[OwnSeries]]
) -> list[tuple[OwnFamily[OwnSeries], Reader]]:
    """Each row with what reads it."""
    unknown = readers.keys() - {family.name for family in FAMILIES if family.read is None}
    if unknown:
        raise InternalError(f"no row of the exporter's own series wants these readers: {sorted(unknown)}")
    found: list[tuple[OwnFamily[OwnSeries], Reader]] = []
    for family in families:
        if family.read is not None:
            found.append((family, partial(family.read, own)))
        elif family.name in readers:
            found.append((family, readers[family.name]))
    return found
