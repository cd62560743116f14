"""From targets to pages: polling, storing, and building pages, without the endpoint."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

from exporter import __version__, engine, logs
from exporter.app.adoption import make_adoption
from exporter.app.build import Configuration, discovery_settings
from exporter.app.certificates import expiries
from exporter.connection.dialer import Dialer
from exporter.connection.limiter import PATIENCE_S, Limiter, scan_limiter
from exporter.connection.node_addresses import NodeAddresses
from exporter.connection.resolver import LOOKUPS_MIN, LOOKUPS_TIMES, Resolver
from exporter.descriptors import Descriptors
from exporter.errors import CancelledPollError
from exporter.fleet.alignment import Alignment, Rhythms
from exporter.fleet.discovery import Discovery
from exporter.fleet.fleet import Changes, Fleet
from exporter.fleet.pauses import Pauses
from exporter.fleet.schedule import Schedule
from exporter.fleet.views import FleetViews
from exporter.metrics.catalog import Catalog
from exporter.metrics.store import Store
from exporter.options.table import WebOptions
from exporter.pages.cache import PageCache
from exporter.pages.exposition import Exposition, Origin
from exporter.pages.page import Page
from exporter.polling.assignment import Assignment, Services
from exporter.polling.outcome import PollOutcome
from exporter.polling.timing import floor_s
from exporter.polling.watched_target import WatchedTarget
from exporter.targets.shard import Shard
from exporter.targets.source import TargetSource
from exporter.telemetry.own_series import OwnSeries, Reader

log = logging.getLogger(__name__)


class Backend:
    """Polls the targets of a configuration, and has their pages. `open_files` is how many files the process
    may open; `readers` have further values of the exporter's own series.

    `apply` comes before `start`. Make it inside the event loop.
    """

    def __init__(
        self, configuration: Configuration, open_files: int, readers: Mapping[str, Reader] | None = None
    ) -> None:
        options = configuration.options
        self.configuration = configuration
        self._scarce: str | None = None
        self._views = FleetViews()
        #: lets a new target go on from the state that the process before has left
        self.restore: Callable[[WatchedTarget, Catalog, Store], None] | None = None
        self.store = Store(stale_policy=options.poll.stale_policy)
        self.own_series = OwnSeries(
            options.metrics.namespace,
            __version__,
            engine.ENGINE,
            {**self._readers(), **(readers or {})},
            only_redis=options.metrics.redis_only_metrics,
            runtime=options.metrics.include_go_runtime_metrics,
        )
        self.exposition = Exposition(
            configuration.catalog, self.store, self._origin, self.own_series.render, options.metrics.namespace
        )
        self.pages = _page_cache(
            options.web, self.exposition, self._note_page, lambda: self.services.limiter.quiet
        )
        self.alignment = _alignment(self._rhythms, self.pages, self.own_series, follow=options.poll.follow)
        self.schedule = Schedule(
            self.store,
            self.own_series.note_lag,
            self.pages.up_changed,
            self.alignment if options.poll.align == "auto" else None,
        )
        self.fleet = Fleet(
            self.schedule,
            self._watch,
            self.pages.forget,
            self._targets_changed,
            self._views.forget,
            lambda watched: self.pauses.keep(watched),
        )
        self.pauses = Pauses(self.fleet)
        self.services = _services(configuration, open_files, self.store)
        self.adoption = make_adoption(self.fleet, self.services.dialer, lambda: self.configuration)
        addresses = NodeAddresses(self.services.dialer)
        self.discovery = Discovery(self.fleet, addresses.finder_for, discovery_settings(options))

    async def apply(self, configuration: Configuration) -> Changes:
        """Go on with this configuration: open and close family sets, and add, change and remove targets."""
        before, self.configuration = self.configuration, configuration
        self._log(configuration, before)
        self.services.dialer.change(configuration.dial_plan)
        names = configuration.catalog.family_set_names
        for name in names:
            self.store.open(name)
        for name in set(self.store.family_sets).difference(names):
            self.store.close(name)
        configuration.catalog.open()
        if self.exposition.catalog is not configuration.catalog:
            self.pages.show(configuration.catalog)
        changes = await self.fleet.apply(configuration.assignments)
        self.services.dialer.passwords.keep(configuration.password_commands)
        await self.adoption.follow()
        self.discovery.change(discovery_settings(configuration.options))
        self._targets_changed()
        return changes

    @property
    def sources(self) -> Sequence[TargetSource]:
        """What finds further targets."""
        configuration = self.configuration
        discovers = any(target.discover for target in configuration.targets)
        return (*configuration.sources, *([self.discovery] if discovers else []))

    def start(self) -> None:
        """Begin to poll."""
        self.schedule.start()

    async def stop_polling(self) -> None:
        """Give up the change and the polls that run, and close all connections."""
        await self.adoption.close()
        self.pauses.close()
        self.services.dialer.passwords.close()
        await self.fleet.close()
        await self.schedule.stop()

    async def close(self) -> None:
        """Build no more pages."""
        await self.pages.close()

    @property
    def max_age_floor_s(self) -> float:
        """How far apart polls that requests ask for are, of targets without an interval of their own."""
        poll = self.configuration.options.poll
        return floor_s(poll.max_age_floor_s, poll.interval_s)

    def other_owner(self, text: str) -> int | None:
        """The index of the other shard that polls the target of this address or alias; None if there is
        none."""
        return self.configuration.division.other_owner(text)

    @property
    def export_timestamps(self) -> bool:
        """Whether the stored samples have timestamps."""
        return self.configuration.options.metrics.export_timestamps

    def refuse(self, text: str) -> None:
        """Raise NotAllowedError if this is the address or alias of a configured target that is not polled."""
        self.configuration.disabled.refuse(text)

    # -- how its pieces work together

    def _log(self, configuration: Configuration, before: Configuration) -> None:
        known = before.warnings if before is not configuration else ()
        for warning in configuration.warnings:
            if warning not in known:
                log.warning(warning)
        scarce = self.services.dialer.descriptors.warning(configuration.connections)
        if scarce is not None and scarce != self._scarce:
            log.warning(scarce)
        self._scarce = scarce

    def _watch(self, assignment: Assignment) -> WatchedTarget:
        watched = WatchedTarget(assignment, self.services, self._end_poll, self.fleet.first_round.note)
        if self.restore is not None:
            self.restore(watched, self.exposition.catalog, self.store)
        return watched

    def _end_poll(self, watched: WatchedTarget, outcome: PollOutcome) -> None:
        if not isinstance(outcome.error, CancelledPollError):
            self.own_series.poll_seconds.observe(outcome.duration_s)
            if not watched.target.variant:  # its server is seen once
                self._views.note(watched, outcome.ended_at)
        self.fleet.note(watched, outcome)
        if watched.target.discover:
            self.discovery.note(watched)
        if outcome.up_changed:
            self.pages.up_changed()

    def _targets_changed(self) -> None:
        targets = len(self.fleet.watched_targets) + len(self.fleet.adopted_targets)
        self.services.dialer.descriptors.set_aside = self.configuration.connections_each * targets
        self.pages.up_changed()

    def _origin(self, addr: str) -> Origin:
        watched = self.fleet.watched_targets.get(addr) or self.fleet.adopted_targets[addr]
        return watched.state.labels

    def _rhythms(self, now: float) -> Rhythms:
        """Of the scrapers of pages that show targets."""
        found = self.pages.rhythms(now)
        return {page: found[page] for page in found if self.exposition.shows_targets(page)}

    def _note_page(self, page: Page, seconds: float) -> None:
        self.own_series.build_seconds.observe(seconds)
        if page is self.pages.whole:
            self.own_series.page_bytes = {"plain": page.length, "gzip": len(page.body)}

    def _readers(self) -> dict[str, Reader]:
        """Values of the exporter's own series that are known here."""
        return {
            "exporter_polls_in_flight": lambda: self.services.limiter.under_way,
            "exporter_log_lines_dropped_total": logs.dropped,
            "exporter_page_age_seconds": lambda: self.pages.served_age_s,
            "exporter_targets": lambda: self.fleet.states(),
            "exporter_adopted_targets": lambda: len(self.fleet.adopted_targets),
            "exporter_adoptions_refused_total": lambda: self.adoption.refused,
            "exporter_targets_in_step": lambda: self.schedule.in_step,
            "exporter_scraper_interval_seconds": lambda: self.alignment.periods_s(),
            "exporter_scraper_expected_age_seconds": lambda: self.schedule.expected_ages_s(),
            "exporter_lane_interval_seconds": self._lane_intervals_s,
            "exporter_certificate_expiry_timestamp_seconds": lambda: expiries(self.configuration),
            "exporter_shard_index": lambda: self._of_shard(lambda shard: shard.index),
            "exporter_shard_total": lambda: self._of_shard(lambda shard: shard.total),
            "exporter_shard_targets": lambda: self._of_shard(
                lambda shard: self.configuration.division.configured
            ),
            "exporter_shard_targets_owned": lambda: self._of_shard(
                lambda shard: len(self.fleet.watched_targets) - self.configuration.division.seeds_elsewhere
            ),
            **self._views.readers(),
        }

    def _of_shard(self, read: Callable[[Shard], int]) -> int | None:
        """A value that there is only with shards."""
        shard = self.configuration.division.shard
        return read(shard) if shard is not None else None

    def _lane_intervals_s(self) -> Mapping[str, float]:
        """Of the lanes that poll something."""
        configuration = self.configuration
        running = configuration.polled_lanes
        return {lane.value: seconds for lane, seconds in configuration.lanes.items() if lane in running}


def _page_cache(
    web: WebOptions,
    exposition: Exposition,
    note: Callable[[Page, float], None],
    is_quiet: Callable[[], bool],
) -> PageCache:
    return PageCache(
        exposition,
        web.page_min_interval_s,
        note,
        is_quiet,
        selections_max=web.page_max_selections,
        selections_bytes_max=web.page_max_selections_bytes,
    )


def _alignment(
    rhythms: Callable[[float], Rhythms], pages: PageCache, own_series: OwnSeries, *, follow: bool
) -> Alignment:
    return Alignment(
        rhythms, pages.shows, lambda: pages.lead_s, follow=follow, scrapes=lambda: own_series.scrapes
    )


def _services(configuration: Configuration, open_files: int, store: Store) -> Services:
    options = configuration.options
    descriptors = Descriptors(open_files)
    most = max(LOOKUPS_MIN, descriptors.reserve // 4)
    lookups = min(options.redis.dns_max_lookups, most)
    dialer = Dialer(
        resolver=Resolver(lookups, min(most, LOOKUPS_TIMES * lookups)),
        limiter=Limiter(options.poll.max_dials, PATIENCE_S),
        descriptors=descriptors,
        plan=configuration.dial_plan,
    )
    in_flight = options.poll.max_in_flight
    return Services(dialer, store, Limiter(in_flight, PATIENCE_S), scan_limiter(in_flight))
