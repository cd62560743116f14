"""From targets to assignments."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.app.build import Configuration, configure
from exporter.metrics.lane import Lane
from exporter.options.commandline import parse
from exporter.options.overrides import overrides_of
from exporter.options.values import parse_keys
from exporter.polling.assignment import Assignment
from exporter.targets.address import parse_address
from exporter.targets.target import Target

PLAIN = parse_address("redis://plain")
KEYS = replace(
    parse_address("redis://keys"), overrides=overrides_of([("check-single-keys", parse_keys("db1=a"))])
)
SLOW = replace(
    parse_address("redis://slow"),
    overrides=overrides_of([("poll.interval", 10.0), ("poll.standard-interval", 25.0)]),
)


def configured(
    *targets: Target, before: Configuration | None = None, flags: tuple[str, ...] = ()
) -> Configuration:
    return configure(parse(flags, {}), targets, before)


def collectors(assignment: Assignment) -> set[str]:
    return {each.name for each in assignment.family_sets.of_collectors}


def test_a_targets_own_values_count_for_it_alone() -> None:
    plain, keys, slow = configured(PLAIN, KEYS, SLOW).assignments
    assert collectors(keys) - collectors(plain) == {"keys"}
    assert collectors(slow) == collectors(plain)
    assert (plain.timing.interval_s, slow.timing.interval_s) == (5.0, 10.0)
    assert slow.timing.lane_interval_s(Lane.STANDARD) == 30.0  # a whole multiple


@pytest.mark.parametrize(
    ("flags", "deadline_s"),
    [
        (("--scrape-timeout=2s",), 2.0),
        (("--connection-timeout=2s",), 2.0),
        (("--scrape-timeout=3s", "--connection-timeout=2s"), 2.0),
        (("--scrape-timeout=2s", "--connection-timeout=3s"), 2.0),
        (("--poll.interval=1s",), 1.0),
        (("--poll.interval=100s",), 15.0),
    ],
)
def test_a_poll_has_the_least_of_all_limits(flags: tuple[str, ...], deadline_s: float) -> None:
    [assignment] = configured(PLAIN, flags=flags).assignments
    assert assignment.timing.deadline_s == deadline_s


@pytest.mark.parametrize(
    ("flag", "name", "value"),
    [
        ("--poll.max-backoff=7s", "max_backoff_s", 7.0),
        ("--connection-max-age=7m", "connection_max_age_s", 420.0),
        ("--max-age=7s", "max_age_s", 7.0),
        ("--max-age.floor=7s", "max_age_floor_s", 7.0),
        ("--scan.budget-time=7s", "scan_deadline_s", 12.0),  # and a deadline
    ],
)
def test_limits_are_those_of_the_options(flag: str, name: str, value: float) -> None:
    before, after = (configured(PLAIN, flags=flags).assignments[0].timing for flags in ((), (flag,)))
    assert getattr(before, name) != value
    assert getattr(after, name) == value


def test_equal_ones_share_everything() -> None:
    twin = replace(KEYS, addr="redis://twin:6379", host="twin")
    one, other = configured(KEYS, twin).assignments
    assert one.options is other.options
    assert one.timing is other.timing
    assert one.family_sets is other.family_sets


def test_after_a_change_of_others_an_assignment_is_equal() -> None:
    before = configured(PLAIN, KEYS)
    after = configured(PLAIN, SLOW, KEYS, before=before)
    assert after.assignments[0] == before.assignments[0]
    assert after.assignments[2] == before.assignments[1]
    assert after.assignments[2].options is before.assignments[1].options


def test_where_targets_come_from_changes_no_assignment() -> None:
    before = configured(PLAIN)
    flags = ("--targets.file-sd=/a.yml", "--scrape.max-targets=5", "--discover.grace=1m")
    after = configured(PLAIN, before=before, flags=flags)
    assert after.assignments == before.assignments


def test_an_assignment_changes_with_the_options_of_all() -> None:
    before = configured(PLAIN)
    after = configured(PLAIN, before=before, flags=("--poll.max-backoff=9s",))
    assert after.assignments[0] != before.assignments[0]


def test_further_targets_can_be_assigned() -> None:
    configuration = configured(PLAIN)
    assert configuration.assigner.assign(PLAIN) == configuration.assignments[0]


def test_a_node_looks_for_no_keys_where_its_seed_looks_on_all_nodes() -> None:
    node = replace(KEYS, addr="redis://node:6379", host="node", source="discovered", discover="cluster")
    for flags, finds in (((), True), (("--is-cluster",), False)):
        seed, found = configured(KEYS, node, flags=flags).assignments
        assert "keys" in collectors(seed)
        assert ("keys" in collectors(found)) == finds
