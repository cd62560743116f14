"""The family sets of a configuration, by lane, and what nodes are polled for."""

from __future__ import annotations

import pytest

from exporter.app.assigner import Assigner
from exporter.app.build import configure
from exporter.collectors._enabled import EnabledCollector
from exporter.metrics.family import gauge
from exporter.metrics.lane import Lane
from exporter.options.commandline import parse
from exporter.polling.assignment import Assignment, FamilySets, node_assignment
from exporter.targets.address import parse_address
from exporter.telemetry.target_series import target_family_set
from tests.poll_fixture import idle

INFO, STATS, CONFIG, KEYS = (
    idle(name, lane, gauge(name, "A number."))
    for name, lane in (
        ("info", Lane.FAST),
        ("stats", Lane.STANDARD),
        ("config", Lane.STANDARD),
        ("keys", Lane.SCAN),
    )
)
TARGET = target_family_set("redis")
FAMILY_SETS = FamilySets([INFO, STATS, KEYS, CONFIG], TARGET)


@pytest.mark.parametrize(
    ("lanes", "collectors"),
    [
        ((), ()),
        ((Lane.FAST,), (INFO,)),
        ((Lane.FAST, Lane.STANDARD), (INFO, STATS, CONFIG)),
        ((Lane.SLOW,), ()),
        ((Lane.SCAN,), (KEYS,)),
    ],
)
def test_by_lanes(lanes: tuple[Lane, ...], collectors: tuple[EnabledCollector, ...]) -> None:
    assert FAMILY_SETS.on(lanes) == collectors
    assert FAMILY_SETS.on(lanes) is FAMILY_SETS.on(lanes)


def test_the_lanes_that_have_any() -> None:
    assert FAMILY_SETS.lanes == (Lane.FAST, Lane.STANDARD, Lane.SCAN)
    assert FAMILY_SETS.scan == (KEYS,)
    assert FamilySets([INFO], TARGET).lanes == (Lane.FAST,)
    assert FamilySets([INFO], TARGET).scan == ()


@pytest.mark.parametrize(
    ("collectors", "covered"),
    [
        ((INFO, STATS, CONFIG), (Lane.FAST, Lane.STANDARD)),
        ((INFO, STATS), (Lane.FAST,)),
        ((CONFIG, STATS), (Lane.STANDARD,)),
        ((), ()),
    ],
)
def test_a_lane_is_covered_if_all_its_collectors_run(
    collectors: tuple[EnabledCollector, ...], covered: tuple[Lane, ...]
) -> None:
    lanes = (Lane.FAST, Lane.STANDARD)
    assert FAMILY_SETS.covered(lanes, collectors) == covered
    assert FAMILY_SETS.covered(lanes, FAMILY_SETS.on(lanes)) == lanes


def test_all_with_the_one_about_the_target() -> None:
    assert FAMILY_SETS.all == (*(each.family_set for each in (INFO, STATS, KEYS, CONFIG)), TARGET)


def test_a_node_is_polled_like_its_seed_but_for_keys() -> None:
    flags = (
        "--check-keys=a*",
        "--check-single-keys=a",
        "--count-keys=a*",
        "--check-streams=s*",
        "--check-single-streams=s",
        "--check-key-groups=^(.*):",
        "--is-cluster",
    )
    seed, node = parse_address("redis://seed"), parse_address("redis://node")
    [assignment] = configure(parse(flags, {}), [seed]).assignments
    of_node = node_assignment(assignment, node)
    assert (of_node.target, of_node.timing) == (node, assignment.timing)
    [plain] = configure(parse(["--is-cluster"], {}), [node]).assignments

    def names(assignment: Assignment) -> list[str]:
        return [each.name for each in assignment.family_sets.of_collectors]

    assert names(of_node) == names(plain)
    assert set(names(assignment)) - set(names(of_node)) == {
        "keys",
        "found_keys",
        "streams",
        "found_streams",
        "key_scan",
        "key_groups",
    }
    assert set(of_node.family_sets.of_collectors) < set(assignment.family_sets.of_collectors)
    assert node_assignment(assignment, node) == of_node
    assert node_assignment(assignment, seed).family_sets is of_node.family_sets


@pytest.mark.parametrize(
    ("address", "flag", "is_same"),
    [
        ("redis://h", "", True),
        ("redis://:new@h", "", True),
        ("redis://reader:new@h", "", False),
        ("redis://h/1", "", False),
        ("rediss://h", "", False),
        ("redis://h", "--tls-ca-cert-file=/new.pem", True),
    ],
)
def test_a_target_is_its_address_and_its_user(address: str, flag: str, is_same: bool) -> None:
    assert assigned("redis://:old@h").is_same_target(assigned(address, flag)) is is_same


@pytest.mark.parametrize(
    "flag",
    [
        "tls-ca-cert-file=/new.pem",
        "tls-client-cert-file=/new.pem --tls-client-key-file=/old.pem",
        "tls-client-cert-file=/old.pem --tls-client-key-file=/new.pem",
        "tls-server-name=other",
        "skip-tls-verification",
    ],
)
def test_a_target_with_tls_is_its_settings_of_tls_too(flag: str) -> None:
    before = assigned("rediss://h", "--tls-client-cert-file=/old.pem", "--tls-client-key-file=/old.pem")
    if "client" not in flag:
        before = assigned("rediss://h")
    assert not before.is_same_target(assigned("rediss://h", *f"--{flag}".split()))
    assert assigned("rediss://h").is_same_target(assigned("rediss://h", "--ping-on-connect"))


def assigned(address: str, *flags: str) -> Assignment:
    return Assigner(parse([flag for flag in flags if flag], {}), FAMILY_SETS).assign(parse_address(address))
