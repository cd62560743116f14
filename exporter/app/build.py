"""From options and targets to a configuration: everything that a start or a change needs, read and checked.

Nothing here touches what is running. A mistake raises ConfigError, and the configuration in use goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from exporter import masks, safe_text
from exporter.app.assigner import Assigner
from exporter.app.dials import plan_dials
from exporter.app.entrance import entrance_of
from exporter.app.fixed import refuse_fixed
from exporter.app.found_targets import sources_of
from exporter.app.requests import WITH_KEYS, access_warnings, may_name_any, scrape_access
from exporter.app.state_file import StateError, check_place
from exporter.collectors._enabled import EnabledCollector, enable_all, is_enabled
from exporter.collectors._registry import REGISTRY
from exporter.collectors._shown import hidden_families, is_denied, is_shown
from exporter.collectors._switches import faults_of
from exporter.collectors.info import GATED
from exporter.connection.dial_plan import DialPlan
from exporter.errors import ConfigError
from exporter.fleet.discovery import DiscoverySettings
from exporter.metrics.catalog import Catalog
from exporter.metrics.lane import Lane
from exporter.metrics.taken_names import TakenNames
from exporter.options.overrides import override
from exporter.options.table import Options
from exporter.pages.exposition import AGE
from exporter.polling.assignment import Assignment, FamilySets
from exporter.polling.timing import lane_notes, lanes
from exporter.polling.turns import interval_faults, turn_notes
from exporter.targets.address import ignored_warning
from exporter.targets.disabled_targets import DisabledTargets
from exporter.targets.distinct import distinct
from exporter.targets.password_file import Passwords, read_passwords
from exporter.targets.scrape_access import ScrapeAccess
from exporter.targets.shard import Division, divide, shard_of
from exporter.targets.source import TargetSource
from exporter.targets.target import Target
from exporter.targets.target_labels import INSTANCE
from exporter.telemetry.target_series import COST, target_family_set
from exporter.telemetry.target_series import FAMILIES as TARGET_FAMILIES
from exporter.web.entrance import Entrance
from exporter.web.scrapes import Settings


@dataclass(frozen=True, slots=True)
class Configuration:
    """What one exporter runs by.

    `targets` are all that have labels of their own; `division` has those of this shard, `disabled` those
    that are not polled, and `assignments` what each of the others is polled for, with the `passwords` of the
    password file (None: not read). `assigner` makes the assignments of further targets, `access` is what
    requests may name. `known` holds every enabled collector that this process has had, by name;
    `polled_lanes` are those on which targets have any. `sources` find further targets. `notes` and `warnings`
    are lines for the log. `follows` is the `mark` of the configuration that it was made from.
    """

    options: Options
    targets: Sequence[Target]
    division: Division
    disabled: DisabledTargets
    assigner: Assigner
    assignments: Sequence[Assignment]
    passwords: Passwords | None = field(repr=False)
    family_sets: FamilySets
    known: Mapping[str, EnabledCollector]
    catalog: Catalog
    lanes: Mapping[Lane, float]
    polled_lanes: frozenset[Lane]
    access: ScrapeAccess
    dial_plan: DialPlan
    entrance: Entrance
    sources: Sequence[TargetSource]
    notes: Sequence[str]
    warnings: Sequence[str]
    follows: object
    mark: object = field(default_factory=object)

    @property
    def connections_each(self) -> int:
        """How many connections each target wants: a scan has its own."""
        return 2 if Lane.SCAN in self.polled_lanes else 1

    @property
    def password_commands(self) -> frozenset[tuple[str, ...]]:
        """The commands that give passwords, by their arguments: of targets, and of logins that requests may
        pick."""
        commands = {assignment.target.password_command for assignment in self.assignments}
        commands |= {login.fields["password_command"] for login in self.access.logins.values()}
        return frozenset(command.args for command in commands if command is not None)

    @property
    def connections(self) -> int:
        """How many connections all targets want."""
        return self.connections_each * len(self.assignments)

    def renew_files(self) -> None:
        """Read certificates and the web configuration file if they have changed, in this thread. ConfigError
        if they cannot be used: what was read before stays."""
        for context in self.dial_plan.contexts:
            context.renew()
        self.entrance.renew()


def configure(
    options: Options,
    targets: Sequence[Target],
    before: Configuration | None = None,
    passwords: Passwords | None = None,
) -> Configuration:
    """Read and check everything. With the configuration in use `before`, options that cannot change while the
    exporter runs are refused, and family sets that are the same are kept. With `passwords` the password file
    is not read: they are what it held."""
    if before is not None:
        refuse_fixed(options, before.options)
    elif options.targets.state_file:
        _check_state_file(options.targets.state_file)
    given, (targets, clashes) = targets, distinct(targets, options.metrics)
    division = divide(targets, shard_of(options.targets))
    disabled = DisabledTargets(targets)
    owned = [target for target in division.polled if target.enabled]
    wrong = (*faults_of(options.metrics.collectors_off), *interval_faults(options, owned))
    if wrong:
        raise ConfigError(*wrong)
    hidden, family_sets, known = _family_sets(options, owned, before)
    if len(targets) == 1:  # its page has few more series than the Go exporter's
        hidden |= {family.name for family in COST}
    catalog = _catalog(options, family_sets, hidden, before)
    passwords = passwords or _passwords(options, owned)
    assigner = Assigner(options, family_sets, before.assigner if before is not None else None)
    assignments = _assignments(assigner, owned, passwords)
    return Configuration(
        options,
        targets,
        division,
        disabled,
        assigner,
        assignments,
        passwords,
        family_sets,
        known,
        catalog,
        lanes(options.poll),
        _polled_lanes(assigner, assignments),
        scrape_access(options, passwords, given),
        plan_dials(options, owned, before.dial_plan if before is not None else None),
        before.entrance if before is not None else entrance_of(options.web, options.files),
        tuple(sources_of(options)),
        tuple(_notes(options, assigner, passwords, disabled)),
        (*clashes, *_warnings(owned, catalog, passwords), *access_warnings(options)),
        follows=before.mark if before is not None else None,
    )


def _check_state_file(path: str) -> None:
    try:
        check_place(path)
    except StateError as error:
        shown = safe_text.shorten(masks.mask(path), 200)
        raise ConfigError(
            f"--state.file={shown} cannot be written: {error}: name a file in a folder that exists and that "
            f"this user may write to"
        ) from None


# -- what is polled


def _family_sets(
    options: Options, targets: Sequence[Target], before: Configuration | None
) -> tuple[frozenset[str], FamilySets, Mapping[str, EnabledCollector]]:
    """The hidden families, the family sets that any of the targets needs, and all that are known."""
    metrics = options.metrics
    variants = [
        options,
        *(override(options, each) for each in {target.overrides for target in targets} - {()}),
    ]
    if not options.web.disable_scrape_endpoint:
        variants.append(override(options, WITH_KEYS))
    collectors = [
        collector for collector in REGISTRY if any(is_enabled(collector, each) for each in variants)
    ]
    gated = {name: bool(getattr(metrics, option)) for name, option in GATED.items()}
    hidden = hidden_families(collectors, metrics, gated) | {
        family.name for family in TARGET_FAMILIES if is_denied(family.name, metrics)
    }
    known = before.known if before is not None else {}
    made = [
        _as_known(each, known.get(each.name))
        for each in enable_all(collectors, hidden, metrics, thrifty=options.poll.thrifty)
    ]
    if before is not None and made == list(before.family_sets.of_collectors):
        return hidden, before.family_sets, known
    about_target = (
        before.family_sets.about_target if before is not None else target_family_set(metrics.namespace)
    )
    return hidden, FamilySets(made, about_target), {**known, **{each.name: each for each in made}}


def _assignments(
    assigner: Assigner, targets: Sequence[Target], passwords: Passwords | None
) -> list[Assignment]:
    logged_in = map(passwords.log_in, targets) if passwords is not None else targets
    return list(map(assigner.assign, logged_in))


def _polled_lanes(assigner: Assigner, assignments: Sequence[Assignment]) -> frozenset[Lane]:
    """Those on which any target is polled, requests apart."""
    parts = {each.family_sets for each in assignments} | {assigner.common_family_sets}
    return frozenset(lane for part in parts for lane in part.lanes)


def _as_known(made: EnabledCollector, known: EnabledCollector | None) -> EnabledCollector:
    """The known one if nothing about its family set changes. One that changes keeps the numbers of its
    families, those of run-time families included: a snapshot of it may be stored, or on its way."""
    if known is None:
        return made
    new, old = made.family_set, known.family_set
    if all(getattr(new, name) == getattr(old, name) for name in _COMPARED):
        return known
    family_set = replace(new, rows=old.rows, runtime_families=old.runtime_families)
    return EnabledCollector(made.collector, family_set)


#: what the options can change of a family set
_COMPARED = ("names", "families", "lane", "wanted_fields", "label_max", "hidden")


def _passwords(options: Options, targets: Sequence[Target]) -> Passwords | None:
    """What the password file holds; None if it is not read: beside --redis.password it may be anything if no
    target needs it."""
    redis = options.redis
    is_needed = (
        not redis.password or may_name_any(options) or not all(target.has_password for target in targets)
    )
    return read_passwords(redis.password_file, options.files) if redis.password_file and is_needed else None


def _notes(
    options: Options, assigner: Assigner, passwords: Passwords | None, disabled: DisabledTargets
) -> Iterator[str]:
    yield from lane_notes(options.poll)
    yield from turn_notes(assigner.common_family_sets.of_collectors, options.poll)
    yield from _password_notes(options, passwords)
    yield from disabled.notes


def _password_notes(options: Options, passwords: Passwords | None) -> Iterator[str]:
    if options.redis.password_file and passwords is None:
        yield "--redis.password-file is not read: --redis.password gives the password"
    if passwords is not None and passwords.single:
        yield "--redis.password-file holds one password: it is for the targets of --redis.addr"


# -- connections and the endpoint


def discovery_settings(options: Options) -> DiscoverySettings:
    """What the discovery of targets needs of the options."""
    return DiscoverySettings(
        interval_s=options.targets.discover_interval_s,
        grace_s=options.targets.discover_grace_s,
        labels=options.targets.discover_labels,
        hostnames=options.web.cluster_discover_hostnames,
        allowance=options.redis.discover_allow,
    )


def web_settings(options: Options) -> Settings:
    """What the endpoint needs of the options."""
    return Settings(
        telemetry_path=options.web.telemetry_path,
        health_strict=options.web.health_strict,
        scrape_endpoint=not options.web.disable_scrape_endpoint,
        plain_targets=options.metrics.target_labels in ("auto", INSTANCE),
        fail_when_stale=options.poll.stale_policy == "fail",
        discover_clusters=options.redis.is_cluster,
        discover_hostnames=options.web.cluster_discover_hostnames,
        instance_by=options.metrics.instance_label,
        lifecycle=options.web.enable_lifecycle,
        reload_requests=options.web.enable_reload,
        open_probes=options.web.open_probes,
        ready_after_s=min(
            options.redis.scrape_timeout_s,
            options.redis.connection_timeout_s,
            max(1.0, options.poll.interval_s),
        ),
    )


# -- names and labels


def _catalog(
    options: Options, family_sets: FamilySets, hidden: frozenset[str], before: Configuration | None
) -> Catalog:
    """The one in use while it stays the same."""
    if (
        before is not None
        and before.family_sets is family_sets
        and before.catalog.hidden == hidden
        and before.options.metrics == options.metrics
    ):
        return before.catalog
    return Catalog(
        (family_sets.about_target, *(each.family_set for each in family_sets.of_collectors)),
        hidden,
        lambda name: is_shown(name, options.metrics),
        _taken_names(options.metrics.namespace),
    )


def _taken_names(namespace: str) -> TakenNames:
    """The names of all collectors' families, whether the options enable them or not."""
    return TakenNames(
        [*TARGET_FAMILIES, AGE, *(family for collector in REGISTRY for family in collector.families)],
        namespace,
    )


def _warnings(targets: Sequence[Target], catalog: Catalog, passwords: Passwords | None) -> Iterator[str]:
    yield from label_warnings(targets, catalog)
    for target in targets:
        yield from ignored_warning(target.addr, target.ignored)
    yield from passwords.warnings if passwords is not None else ()


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
        clashing = list(dict.fromkeys(clashing))  # several sets may share a family
        if clashing:
            shown = ", ".join(clashing[:3]) + (" and others" if len(clashing) > 3 else "")
            yield f"the configured label {name!r} is left off {shown}: they have a label of that name"
