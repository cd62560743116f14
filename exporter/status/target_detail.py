"""Everything that the page and the JSON of one target say about it. Values only, without secrets."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from exporter import safe_text
from exporter.options.commandline import ShownSetting
from exporter.options.table import Options
from exporter.options.target_settings import settings_of_target
from exporter.polling.poll_history import PastPoll
from exporter.polling.watched_target import WatchedTarget
from exporter.status.refused_commands import RefusedCommand, acl_line, refused_commands
from exporter.status.rows import TargetRow, row_of

#: what a target's login says better: who else may have given it
LOGIN_FLAGS = ("redis.user", "redis.password")


@dataclass(frozen=True, slots=True)
class ShownPoll:
    """One poll that ended. `began_at` is wall-clock seconds; the steps of the dial are 0.0 on a connection
    that was kept, and `commands_s` is all the rest. `received_bytes` is None where several nodes replied."""

    began_at: float
    lanes: tuple[str, ...]
    duration_s: float
    dns_s: float
    connect_s: float
    tls_s: float
    auth_s: float
    commands_s: float
    received_bytes: int | None
    reason: str
    error_text: str


@dataclass(frozen=True, slots=True)
class ShownTargetSetting:
    """An option in force for the target, and where its value comes from. `is_given` is false for
    defaults."""

    flag: str
    value: str
    where: str
    is_given: bool
    help: str


@dataclass(frozen=True, slots=True)
class CommandCost:
    """One command that the polls of a lane send: how often in a poll, and how long the server takes for one
    on average, by its own counts."""

    lane: str
    command: str
    calls: int
    call_s: float


@dataclass(frozen=True, slots=True)
class TargetDetail:
    """`login` says what gave user and password. `peer` is the numeric address that the newest connection led
    to. `connect_s` is how long that took, `ping_s` a PING on it. `polls` and `refused` have the newest
    first. `acl_line` allows what the server refuses to the user, "" where no rule helps."""

    row: TargetRow
    login: str
    group: str
    peer: str
    connect_s: float | None
    ping_s: float | None
    failures_in_a_row: int
    notices: tuple[str, ...]
    connections: int
    sent_bytes: int
    received_bytes: int
    polls: tuple[ShownPoll, ...]
    refused: tuple[RefusedCommand, ...]
    acl_line: str
    costs: tuple[CommandCost, ...]
    settings: tuple[ShownTargetSetting, ...]


def detail_of(
    watched: WatchedTarget, options: Options, places: Mapping[str, str], now: float, wall: float
) -> TargetDetail:
    """As of `now` (monotonic), which is `wall` on the wall clock. `options` are those of all targets,
    `places` the files and lines of the target's own values, by flag."""
    target, state, connection = watched.target, watched.state, watched.connection
    refused, traffic = refused_commands(state, now, wall), state.memory.traffic
    return TargetDetail(
        row=row_of(watched, now, wall),
        login=safe_text.one_line(target.login_text),
        group=safe_text.valid(target.settings_group),
        peer=state.memory.peer,
        connect_s=connection.connect_s or None,
        ping_s=connection.ping_s,
        failures_in_a_row=watched.health.failures,
        notices=tuple(notice.value for notice in watched.notices),
        connections=traffic.connections,
        sent_bytes=traffic.sent,
        received_bytes=traffic.received,
        polls=tuple(map(_shown_poll, watched.health.history.newest())),
        refused=refused,
        acl_line=acl_line(target.user, refused),
        costs=tuple(_costs(watched)),
        settings=tuple(map(_shown_setting, _settings(watched, options, places))),
    )


def _shown_poll(poll: PastPoll) -> ShownPoll:
    return ShownPoll(
        poll.began_at,
        tuple(lane.value for lane in poll.lanes),
        poll.duration_s,
        poll.dns_s,
        poll.connect_s,
        poll.tls_s,
        poll.auth_s,
        poll.commands_s,
        int(poll.received) if math.isfinite(poll.received) else None,
        poll.reason,
        poll.error_text,
    )


def _settings(watched: WatchedTarget, options: Options, places: Mapping[str, str]) -> Iterator[ShownSetting]:
    target = watched.target
    found = settings_of_target(options, target.overrides, places, _where(watched))
    return (each for each in found if each.option.flag not in LOGIN_FLAGS)


def _where(watched: WatchedTarget) -> str:
    """Where the target's own values come from."""
    target = watched.target
    if target.variant:
        return "the request"
    return f"this target, or its group {target.settings_group}" if target.settings_group else "this target"


def _shown_setting(setting: ShownSetting) -> ShownTargetSetting:
    text, where, option = safe_text.one_line(setting.text), safe_text.one_line(setting.where), setting.option
    return ShownTargetSetting(option.flag, text, where, setting.is_given, option.help)


def _costs(watched: WatchedTarget) -> Iterator[CommandCost]:
    """The dearest first."""
    found = [
        CommandCost(lane.value, " ".join(filter(None, verb)), calls, call_s)
        for lane, verb, calls, call_s in watched.state.cost.by_command()
    ]
    yield from sorted(found, key=lambda cost: -cost.calls * cost.call_s)


def labels_of(detail: TargetDetail) -> Mapping[str, str]:
    """Those of the target, without the ones that its head shows anyway."""
    return {name: value for name, value in detail.row.labels.items() if name not in ("addr", "alias")}
