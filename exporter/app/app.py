"""Where everything meets: build, start, drain, stop. Nothing else knows both ends."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace

from exporter import __version__, engine, logs
from exporter.collectors._registry import REGISTRY
from exporter.collectors._shown import hidden_families, is_denied, is_shown, make_family_sets
from exporter.collectors.info import GATED
from exporter.connection.dialer import Dialer
from exporter.connection.limiter import PATIENCE_S, Limiter, scan_limiter
from exporter.connection.replies import ReplyLimits
from exporter.connection.resolver import LOOKUPS_MIN, Resolver
from exporter.connection.settings import DialSettings
from exporter.descriptors import Descriptors, raise_limit
from exporter.errors import CancelledPollError
from exporter.fleet.alignment import Alignment
from exporter.fleet.fleet import Fleet
from exporter.fleet.schedule import Schedule
from exporter.metrics.catalog import Catalog
from exporter.metrics.lane import Lane
from exporter.metrics.store import Store
from exporter.metrics.taken_names import TakenNames
from exporter.options.groups import Options
from exporter.options.values import split_listen_address
from exporter.pages.cache import PageCache
from exporter.pages.exposition import AGE, Exposition, Origin
from exporter.pages.page import Page
from exporter.polling.assignment import Assignment, FamilySets, Services
from exporter.polling.outcome import PollOutcome
from exporter.polling.timing import PollTiming, floor_s, lane_notes, lanes
from exporter.polling.watched_target import WatchedTarget
from exporter.single_flight import SingleFlight
from exporter.targets.passwords import PasswordFile
from exporter.targets.target import Target
from exporter.telemetry.own_series import OwnSeries, Reader
from exporter.telemetry.target_series import FAMILIES as TARGET_FAMILIES
from exporter.telemetry.target_series import target_family_set
from exporter.web.auth import BasicAuth
from exporter.web.body_writer import BodyWriter
from exporter.web.guard import Guard
from exporter.web.incidents import Incidents
from exporter.web.limits import limits_of
from exporter.web.listener import Listener, cannot_listen, shown
from exporter.web.routes import Settings, Web
from exporter.web.tls import ServerContext, ServerTls

#: how long a stop may take: the process is to end within a second
STOP_S = 0.95

log = logging.getLogger(__name__)


class App:
    """One running exporter. Make it inside the event loop."""

    def __init__(self, options: Options, targets: Sequence[Target]) -> None:
        metrics = options.metrics
        self._options = options
        self._targets = targets
        collectors = [collector for collector in REGISTRY if collector.enabled(options)]
        gated = {name: bool(getattr(metrics, option)) for name, option in GATED.items()}
        hidden = hidden_families(collectors, metrics, gated) | {
            family.name for family in TARGET_FAMILIES if is_denied(family.name, metrics)
        }
        self._family_sets = make_family_sets(collectors, hidden, metrics)
        self._target_family_set = target_family_set(metrics.namespace)
        self.catalog = Catalog(
            [self._target_family_set, *self._family_sets],
            hidden,
            lambda name: is_shown(name, metrics),
            _taken_names(metrics.namespace),
        )
        self.store = Store(self.catalog.family_set_names, options.poll.stale_policy)
        self.own_series = OwnSeries(
            metrics.namespace,
            __version__,
            engine.ENGINE,
            self._readers(),
            only_redis=metrics.redis_only_metrics,
            runtime=metrics.include_go_runtime_metrics,
        )
        self.exposition = Exposition(
            self.catalog, self.store, self._origin, self.own_series.render, metrics.namespace
        )
        self.pages = PageCache(
            self.exposition,
            options.web.page_min_interval_s,
            self._note_page,
            lambda: self._limiter.quiet,
            selections_max=options.web.page_max_selections,
            selections_bytes_max=options.web.page_max_selections_bytes,
        )
        self.alignment = Alignment(
            self.pages.rhythms, self.pages.shows, lambda: self.pages.lead_s, follow=options.poll.follow
        )
        aligned = self.alignment if options.poll.align == "auto" else None
        self.schedule = Schedule(self.store, self.own_series.note_lag, self._up_changed, aligned)
        self.fleet = Fleet(self.schedule, self.pages.forget, self._targets_changed)
        self._limiter = Limiter(options.poll.max_in_flight, PATIENCE_S)
        scans = scan_limiter(options.poll.max_in_flight)
        self._lanes = lanes(options.poll)
        self._timings: dict[float | None, PollTiming] = {}  # by a target's own interval
        open_files = raise_limit()
        self._dialer = self._make_dialer(open_files)
        self._services = Services(self._dialer, self.store, self._limiter, scans)
        self._polled_sets = FamilySets(self._family_sets, self._target_family_set)
        self._passwords = (
            PasswordFile(options.redis.password_file, options.files) if options.redis.password_file else None
        )
        self._reloads = SingleFlight(self._reload)
        self._auth = self._make_auth()
        self._tls = self._make_tls()
        self._incidents = Incidents()
        self._guard = Guard(limits_of(options.web, open_files), self._incidents)
        self._listener: Listener | None = None

    def _make_auth(self) -> BasicAuth | None:
        given = self._options.web
        words = (given.basic_auth_username, given.basic_auth_password, given.basic_auth_hash_password)
        return BasicAuth(*words, given.max_password_checks) if any(words) else None

    def _make_tls(self) -> ServerContext | None:
        given = self._options.web
        files = (given.tls_server_cert_file, given.tls_server_key_file, given.tls_server_ca_cert_file)
        return (
            ServerContext(ServerTls(*files, given.tls_server_min_version, self._options.files))
            if given.tls_server_cert_file
            else None
        )

    def _make_dialer(self, open_files: int) -> Dialer:
        redis = self._options.redis
        descriptors = Descriptors(open_files)
        dialer = Dialer(
            DialSettings(
                set_client_name=redis.set_client_name,
                ping=redis.ping_on_connect,
                ca_file=redis.tls_ca_cert_file,
                cert_file=redis.tls_client_cert_file,
                key_file=redis.tls_client_key_file,
                server_name=redis.tls_server_name,
                skip_verification=redis.skip_tls_verification,
                file_limits=self._options.files,
                limits=ReplyLimits(self._options.poll.reply_max_bytes, self._options.poll.reply_max_elements),
                allowance=redis.discover_allow,
            ),
            resolver=Resolver(min(redis.dns_max_lookups, max(LOOKUPS_MIN, descriptors.reserve // 4))),
            limiter=Limiter(self._options.poll.max_dials, PATIENCE_S),
            descriptors=descriptors,
        )
        if any(target.tls for target in self._targets):
            _ = dialer.context  # a file that cannot be used is a mistake to be told now
        return dialer

    def _readers(self) -> dict[str, Reader]:
        """Values of rows of the exporter's own series."""
        running = {family_set.lane for family_set in self._family_sets}
        return {
            "exporter_polls_in_flight": lambda: self._limiter.under_way,
            "exporter_log_lines_dropped_total": logs.dropped,
            "exporter_page_age_seconds": lambda: self.pages.served_age_s,
            "exporter_targets": lambda: self.fleet.states(),
            "exporter_targets_in_step": lambda: self.schedule.in_step,
            "exporter_scraper_interval_seconds": lambda: self.alignment.periods_s(),
            "exporter_scraper_expected_age_seconds": lambda: self.schedule.expected_ages_s(),
            "exporter_http_connections": lambda: len(self._guard),
            "exporter_http_incidents_total": lambda: self._incidents.counts,
            "exporter_lane_interval_seconds": lambda: {
                lane.value: seconds for lane, seconds in self._lanes.items() if lane in running
            },
        }

    def _note_page(self, page: Page, seconds: float) -> None:
        self.own_series.build_seconds.observe(seconds)
        if page is self.pages.whole:
            self.own_series.page_bytes = {"plain": page.length, "gzip": len(page.body)}

    def _up_changed(self) -> None:
        self.pages.up_changed()

    def _targets_changed(self) -> None:
        # a scan has a connection of its own
        connections = 2 if any(each.lane is Lane.SCAN for each in self._family_sets) else 1
        self._dialer.descriptors.set_aside = connections * len(self.fleet.watched_targets)
        self.pages.up_changed()

    def _ended(self, watched: WatchedTarget, outcome: PollOutcome) -> None:
        if not isinstance(outcome.error, CancelledPollError):
            self.own_series.poll_seconds.observe(outcome.duration_s)
        self.fleet.note(watched, outcome)
        if outcome.up_changed:
            self._up_changed()

    def _origin(self, addr: str) -> Origin:
        return self.fleet.watched_targets[addr].state.labels

    def add(self, target: Target) -> None:
        """Watch one more target."""
        target = replace(target, password=self._password_of(target))
        assignment = Assignment(target, self._polled_sets, self._timing_of(target.interval_s), self._options)
        self.fleet.add(WatchedTarget(assignment, self._services, self._ended))

    def _timing_of(self, interval_s: float | None) -> PollTiming:
        """Of all targets with this interval of their own."""
        poll, redis = self._options.poll, self._options.redis
        if interval_s not in self._timings:
            self._timings[interval_s] = PollTiming.of(
                interval_s,
                self._lanes,
                timeout_s=min(redis.scrape_timeout_s, redis.connection_timeout_s),
                max_backoff_s=poll.max_backoff_s,
                connection_max_age_s=redis.connection_max_age_s,
                max_age_s=poll.max_age_s,
                max_age_floor_s=poll.max_age_floor_s,
                scan_budget_s=self._options.keys.scan_budget_time_s,
            )
        return self._timings[interval_s]

    def _password_of(self, target: Target) -> str:
        """What was named with the target comes before the file."""
        return target.password or (self._passwords.find(target) if self._passwords is not None else "")

    async def reload(self) -> bool:
        """Read the password file again, and let every target be asked again what it refused. False if there
        is no such file; ConfigError if it cannot be read: nothing changes then. Those who ask while it is
        read share the next reading."""
        return await self._reloads.run()

    async def _reload(self) -> bool:
        if self._passwords is not None:
            await self._passwords.read_again()
        for target in self._targets:
            watched = self.fleet.watched_targets.get(target.addr)
            if watched is not None:
                target = replace(target, password=self._password_of(target))
                watched.reassign(replace(watched.assignment, target=target))
        log.info("reloaded: %s", "no password file" if self._passwords is None else self._passwords.file)
        return self._passwords is not None

    def watch_all(self) -> None:
        """Watch every target that was given; nothing is polled before the schedule starts."""
        for warning in label_warnings(self._targets, self.catalog):
            log.warning(warning)
        for target in self._targets:
            self.add(target)
        descriptors = self._dialer.descriptors
        scarce = descriptors.warning(descriptors.set_aside)
        if scarce is not None:
            log.warning(scarce)

    async def start(self) -> None:
        """Begin to poll and to listen. ConfigError if the address cannot be had."""
        for note in lane_notes(self._options.poll):
            log.info(note)
        self.watch_all()
        settings = self._web_settings()
        answers = Web(
            settings,
            self.pages,
            self.fleet,
            self.own_series,
            turned_at=lambda: self.schedule.turned_at,
            stale=lambda addr: self.store.expired(addr, self._family_sets[0].name),
            generation=lambda: self.store.generation,
            max_age_floor_s=floor_s(self._options.poll.max_age_floor_s, self._options.poll.interval_s),
            reload=self.reload,
            auth=self._auth,
            incidents=self._incidents,
            bodies=BodyWriter(self._guard.limits.old_pages_bytes, self.pages.current),
        )
        tls = (self._tls.context, self._tls.freshen) if self._tls is not None else ()
        self._listener = Listener(answers.app(), self._guard, *tls)
        await self._listen()
        self.schedule.start()
        log.info("polling %d targets (%s engine)", len(self._targets), engine.ENGINE)

    def _web_settings(self) -> Settings:
        options = self._options
        return Settings(
            version=__version__,
            telemetry_path=options.web.telemetry_path,
            health_strict=options.web.health_strict,
            scrape_endpoint=not options.web.disable_scrape_endpoint,
            plain_targets=options.metrics.target_labels == "auto",
            fail_when_stale=options.poll.stale_policy == "fail",
            discover_clusters=options.redis.is_cluster,
            discover_hostnames=options.web.cluster_discover_hostnames,
            ready_after_s=min(
                options.redis.scrape_timeout_s,
                options.redis.connection_timeout_s,
                max(1.0, options.poll.interval_s),
            ),
        )

    async def _listen(self) -> None:
        address = self._options.web.listen_address
        assert self._listener is not None
        try:
            await self._listener.start(*split_listen_address(address))
        except (OSError, ValueError) as error:
            raise cannot_listen(address, error) from None
        for bound in self.addresses:
            log.info("listening on %s%s", "https://" if self._tls is not None else "", bound)

    @property
    def addresses(self) -> list[str]:
        """Where it listens, as host:port."""
        return [shown(bound) for bound in self._listener.addresses] if self._listener is not None else []

    async def stop(self) -> None:
        """Poll no more, finish the answers under way, let go of everything."""
        await self.schedule.stop()
        if self._listener is not None:
            await self._listener.stop()
        await self.pages.close()


def _taken_names(namespace: str) -> TakenNames:
    """Those of all collectors, whether the options ask for them or not."""
    return TakenNames(
        [*TARGET_FAMILIES, AGE, *(family for collector in REGISTRY for family in collector.families)],
        namespace,
    )


def label_warnings(targets: Sequence[Target], catalog: Catalog) -> Iterator[str]:
    """One line for each configured label that some families have themselves."""
    configured = {name for target in targets for name, _ in target.labels}
    for name in sorted(configured):
        clashing = [
            full.decode()
            for family_set in catalog.family_sets
            for family, full in zip(family_set.families, family_set.names, strict=True)
            if name in family.labels and family.name not in catalog.hidden
        ]
        clashing = list(dict.fromkeys(clashing))  # a family may be of several parts
        if clashing:
            shown = ", ".join(clashing[:3]) + (" and others" if len(clashing) > 3 else "")
            yield f"the configured label {name!r} is left off {shown}: they have a label of that name themselves"
