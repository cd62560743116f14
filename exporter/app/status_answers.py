"""The answers for people and programs that look at the exporter: pages and JSON."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from exporter import __version__, engine
from exporter.app.backend import Backend
from exporter.app.reload_record import ReloadRecord
from exporter.app.target_answers import target_answers
from exporter.build_facts import build_facts
from exporter.options.endpoints import routes
from exporter.options.table import Options, WebOptions
from exporter.status import target_page
from exporter.status.api import ApiAnswers, ApiSources
from exporter.status.api_answers import BuildStatus, ExporterStatus, ProcessStatus, ReloadStatus, ShardStatus
from exporter.status.asset_files import AssetFiles
from exporter.status.cardinality import Cardinality, CardinalitySources
from exporter.status.cardinality_page import CardinalityPage
from exporter.status.config_page import ConfigPage, ConfigSources
from exporter.status.fleet_table import FleetTable
from exporter.status.overview import Link, OverviewPage
from exporter.status.scraper_rows import ScraperSources, ScraperTable
from exporter.status.scrapers_page import ScrapersPage
from exporter.status.templates import Templates
from exporter.telemetry.process import ProcessSeries
from exporter.web.body_writer import LoopShare
from exporter.web.incidents import Incidents
from exporter.web.scrape_log import ScrapeLog

#: how much of one turn of the event loop all these answers may take together
TURN_S = 0.002


@dataclass(frozen=True, slots=True)
class Seen:
    """What the endpoint knows that answers show."""

    incidents: Incidents
    scrape_log: ScrapeLog
    record: ReloadRecord
    addresses: Callable[[], Sequence[str]]
    is_ready: Callable[[], bool]


def status_answers(backend: Backend, options: Options, seen: Seen) -> list[object]:
    """What answers beside `Web`, for its `others`."""
    share = LoopShare(TURN_S).take
    table = FleetTable(backend.fleet, share)
    status = _StatusReader(backend, seen, table)
    scrapers = ScraperTable(
        ScraperSources(
            seen.scrape_log.visits,
            lambda: list(seen.incidents.refused),
            backend.pages.rhythms,
            backend.schedule.expected_ages_s,
            lambda: backend.configuration.options.poll.interval_s,
            options.web.telemetry_path,
            options.poll.align == "auto",
        )
    )
    cardinality = Cardinality(
        CardinalitySources(
            backend.store,
            lambda: backend.configuration.catalog.family_sets,
            table.members,
            lambda: _limits(backend.configuration.options),
            share,
        )
    )
    api = ApiAnswers(
        ApiSources(
            table,
            scrapers,
            cardinality,
            status.read,
            share,
            options.web.max_csv_bytes,
            seen.incidents.note,
        ),
        __version__,
        target_page.OPERATIONS,
    )
    assets = AssetFiles()
    templates = Templates({"version": __version__, "asset": assets.path}, share)
    return [
        assets,
        api,
        OverviewPage(table, templates, tuple(_links(options.web))),
        ScrapersPage(scrapers, templates),
        CardinalityPage(cardinality, templates),
        ConfigPage(ConfigSources(lambda: backend.configuration.options, seen.addresses), templates),
        target_answers(backend, options.web, templates, share),
    ]


def _links(options: WebOptions) -> Iterator[Link]:
    """The paths that the overview names."""
    for route in routes(options.telemetry_path):
        if route.note and not (route.name == "scrape" and options.disable_scrape_endpoint):
            path = route.link or route.path
            yield Link(path.removeprefix("/"), path, route.note)


def _limits(options: Options) -> tuple[int, int]:
    return options.metrics.max_series_per_target, options.metrics.max_series_per_family


class _StatusReader:
    """Reads what the exporter says of itself."""

    def __init__(self, backend: Backend, seen: Seen, table: FleetTable) -> None:
        self._backend = backend
        self._seen = seen
        self._table = table
        self._process = ProcessSeries()
        self._began, self._began_at = time.monotonic(), time.time()

    def read(self) -> ExporterStatus:
        backend, seen, facts = self._backend, self._seen, build_facts()
        configuration, process = backend.configuration, self._process.read()
        shard = configuration.division.shard
        return ExporterStatus(
            version=__version__,
            build=BuildStatus(facts.commit, facts.date, platform.python_version(), engine.ENGINE),
            started_at=process.started_at or self._began_at,
            uptime_s=time.monotonic() - self._began,
            is_ready=seen.is_ready(),
            counts=self._table.counts(),
            adopted=len(backend.fleet.adopted_targets),
            reload=ReloadStatus(seen.record.successful, seen.record.succeeded_at),
            listen_addresses=list(seen.addresses()),
            config_files=[file.shown for file in configuration.options.config_files],
            shard=None
            if shard is None
            else ShardStatus(shard.index, shard.total, configuration.division.configured),
            process=ProcessStatus(process.page_bytes(1), time.process_time(), process.open_files),
        )
