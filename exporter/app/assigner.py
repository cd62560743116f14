"""From targets to assignments, under one configuration."""

from __future__ import annotations

from dataclasses import replace

from exporter.options.overrides import Overrides, override, overrides_of
from exporter.options.table import OPTIONS, Options
from exporter.options.target_options import TargetOptions
from exporter.options.values import KEYS, LUA_PATTERNS
from exporter.polling.assignment import Assignment, FamilySets
from exporter.polling.timing import PollTiming, lanes
from exporter.polling.turns import turns_of
from exporter.targets.target import Target

#: what lets a target look for no keys
NO_KEYS = overrides_of(
    (option.flag, ()) for option in OPTIONS if option.per_target and option.type in (KEYS, LUA_PATTERNS)
)

_Shared = tuple[FamilySets, PollTiming, Options]


class Assigner:
    """Makes assignments. Targets with the same overrides share their options, timing and family sets.

    `family_sets` are those of all targets; each gets the part that its own options enable. What is equal to
    what the assigner `before` shares is the same object: so the assignments are quickly compared.
    """

    def __init__(self, options: Options, family_sets: FamilySets, before: Assigner | None = None) -> None:
        self._options = _for_polls(options)
        self._family_sets = family_sets
        self._shared: dict[Overrides, _Shared] = {}
        self._before = dict(before._shared) if before is not None else {}

    def assign(self, target: Target) -> Assignment:
        """What a target is polled for. What a request asks for is not kept: it may be anything."""
        overrides = target.overrides
        if self._options.redis.is_cluster and target.source == "discovered" and target.discover == "cluster":
            overrides = overrides_of((*overrides, *NO_KEYS))  # its seed looks for keys on all nodes
        return Assignment(target, *self._share(overrides, keep=not target.variant))

    @property
    def common_family_sets(self) -> FamilySets:
        """Those of targets without overrides."""
        return self._share(())[0]

    def _share(self, overrides: Overrides, *, keep: bool = True) -> _Shared:
        shared = self._shared.get(overrides)
        if shared is None:
            options = override(self._options, overrides)
            family_sets = self._family_sets.under(options)
            shared = (family_sets, _timing(options, family_sets), options)
            before = self._before.get(overrides)
            shared = before if before == shared and before else shared
            if keep:
                self._shared[overrides] = shared
        return shared


def _for_polls(options: Options) -> Options:
    """The options without those that only say where targets come from: an assignment changes only with what
    concerns its target."""
    redis = replace(options.redis, addr=(), user="", password="", password_file="", config_file="", file="")
    return replace(options, redis=redis, targets=TargetOptions(), settings={}, config_files=())


def _timing(options: Options, family_sets: FamilySets) -> PollTiming:
    poll, redis = options.poll, options.redis
    return PollTiming.of(
        lanes(poll),
        turns=turns_of(family_sets.of_collectors, poll),
        timeout_s=min(redis.scrape_timeout_s, redis.connection_timeout_s),
        max_backoff_s=poll.max_backoff_s,
        connection_max_age_s=redis.connection_max_age_s,
        max_age_s=poll.max_age_s,
        max_age_floor_s=poll.max_age_floor_s,
        scan_budget_s=options.keys.scan_budget_time_s,
    )
