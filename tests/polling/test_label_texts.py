"""The labels of one target's series."""

from __future__ import annotations

import pytest

from exporter.metrics.family import gauge
from exporter.metrics.lane import Lane
from exporter.options.commandline import parse
from exporter.polling.assignment import FamilySets
from exporter.polling.label_texts import LabelTexts
from exporter.targets.target import Target
from exporter.telemetry.target_series import CONNECT, target_family_set
from tests.poll_fixture import idle

LANED = gauge("laned", "A number of a lane.", labels=("lane",))
FAMILY_SETS = FamilySets([idle("info", Lane.FAST, LANED)], target_family_set("redis"))
ADDR = b'addr="redis://h:6379"'


def labels(*argv: str, alias: str = "", **configured: str) -> LabelTexts:
    target = Target("redis://h:6379", "redis", "h", 6379, "", 0, alias, tuple(configured.items()))
    return LabelTexts(target, FAMILY_SETS, parse(argv, {}).metrics)


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (labels(), ADDR),
        (labels(alias="cache"), ADDR + b',alias="cache"'),
        (labels(env='a"b'), ADDR + b',env="a\\"b"'),
        (labels("--target-labels=never", env="x"), b""),
        (labels("--target-labels=instance", alias="cache", env="x"), b'instance="h:6379",env="x"'),
        (
            labels("--target-labels=instance", "--instance-label=alias", alias="cache"),
            b'instance="cache"',
        ),
    ],
)
def test_the_text(made: LabelTexts, text: bytes) -> None:
    assert made.labels_of("target").text == made.written["target"].text == text


def test_a_configured_label_gives_way_to_the_familys_own() -> None:
    made = labels(lane="mine", env="x")
    assert made.labels_of("info").special[0] == ADDR + b',env="x"'
    assert made.lane_labels == ADDR + b',env="x"'
    assert labels("--target-labels=instance", lane="mine").lane_labels == b'instance="h:6379"'


@pytest.mark.parametrize(("configured", "group"), [({}, ""), ({"group": "a"}, "a")])
def test_the_group_is_the_label_of_that_name(configured: dict[str, str], group: str) -> None:
    assert labels(**configured).group == group


class TestRole:
    def test_is_left_out_unless_it_is_asked_for(self) -> None:
        made = labels(instance_role="mine")
        before = dict(made.written)
        assert not made.learn_role("master")
        assert made.written == before
        assert made.written["target"].text == ADDR + b',instance_role="mine"'

    def test_stands_in_what_is_written_and_not_in_what_a_page_leaves_off(self) -> None:
        made = labels("--append-instance-role-label", instance_role="mine")
        assert made.written["target"].text == ADDR
        assert made.learn_role("master")
        assert made.written["info"].text == ADDR + b',instance_role="master"'
        assert made.labels_of("info").text == ADDR
        assert not made.learn_role("master")
        assert made.learn_role("slave")
        assert made.written["info"].text == ADDR + b',instance_role="slave"'

    def test_is_no_label_of_families_about_connecting(self) -> None:
        made = labels("--append-instance-role-label")
        made.learn_role("master")
        number = FAMILY_SETS.about_target.numbers[CONNECT.name]
        assert made.written["target"].special[number] == ADDR


class TestSame:
    @pytest.mark.parametrize(
        ("other", "same"),
        [
            (labels(env="x"), True),
            (labels(env="y"), False),
            (labels("--append-instance-role-label", env="x"), False),
            (labels(env="x", alias="cache"), False),
        ],
    )
    def test_by_its_labels(self, other: LabelTexts, same: bool) -> None:
        assert labels(env="x").same_as(other) is same

    def test_other_family_sets_need_labels_of_their_own(self) -> None:
        target = Target("redis://h:6379", "redis", "h", 6379, "", 0)
        one, other = (
            LabelTexts(
                target, FamilySets(FAMILY_SETS.of_collectors, FAMILY_SETS.about_target), parse([], {}).metrics
            )
            for _ in range(2)
        )
        assert not one.same_as(other)
