"""Which targets can be told apart by the labels that the options give them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.errors import ConfigError
from exporter.options.commandline import parse
from exporter.targets.address import parse_address
from exporter.targets.distinct import distinct
from exporter.targets.target import Source, Target

PLAIN, SECURE, OTHER = (parse_address(text) for text in ("redis://h:1", "rediss://h:1", "redis://other:1"))
INSTANCE, ALIAS = ("--target-labels=instance",), ("--target-labels=instance", "--instance-label=alias")


def kept(*targets: Target, argv: tuple[str, ...] = INSTANCE) -> tuple[list[str], list[str]]:
    """The addresses of those that stay, and the warnings."""
    stay, warnings = distinct(targets, parse(argv, {}).metrics)
    return [target.addr for target in stay], list(warnings)


def found(target: Target, source: Source = "file_sd") -> Target:
    return replace(target, source=source)


@pytest.mark.parametrize("argv", [(), ("--target-labels=always",), INSTANCE])
def test_targets_that_can_be_told_apart_stay_as_they_are(argv: tuple[str, ...]) -> None:
    targets = [PLAIN, OTHER]
    assert distinct(targets, parse(argv, {}).metrics) == (targets, ())


@pytest.mark.parametrize("argv", [(), ("--target-labels=always",)])
def test_addr_tells_two_schemes_apart(argv: tuple[str, ...]) -> None:
    assert kept(PLAIN, SECURE, argv=argv) == (["redis://h:1", "rediss://h:1"], [])


def test_of_written_targets_every_clash_is_a_mistake() -> None:
    with pytest.raises(ConfigError) as caught:
        kept(PLAIN, SECURE, OTHER, replace(SECURE, addr="valkey://h:1", source="flags"))
    assert len(caught.value.problems) == 2
    assert str(caught.value.problems[0]).startswith(
        '--target-labels=instance: redis://h:1 and rediss://h:1 both have the label instance="h:1"; leave one'
    )


def test_a_label_of_its_own_ends_the_clash() -> None:
    named = replace(SECURE, labels=(("instance", "secure"),))
    assert kept(PLAIN, named) == (["redis://h:1", "rediss://h:1"], [])


@pytest.mark.parametrize("source", ["file_sd", "http_sd", "discovered", "adopted"])
def test_a_found_target_gives_way_wherever_it_stands(source: Source) -> None:
    warning = (
        '--target-labels=instance: rediss://h:1 and redis://h:1 both have the label instance="h:1": '
        "redis://h:1 is left out"
    )
    assert kept(found(PLAIN, source), OTHER, SECURE) == (["redis://other:1", "rediss://h:1"], [warning])


def test_of_two_found_ones_the_later_gives_way() -> None:
    assert kept(found(PLAIN), found(SECURE))[0] == ["redis://h:1"]


def test_an_alias_may_be_given_twice_or_be_the_address_of_another() -> None:
    named, again = replace(OTHER, alias="h:1"), found(replace(SECURE, alias="h:1"))
    with pytest.raises(ConfigError, match="redis://h:1 and redis://other:1 both"):
        kept(PLAIN, named, argv=ALIAS)
    assert kept(named, again, argv=ALIAS)[0] == ["redis://other:1"]


def test_values_that_are_cut_to_the_same_are_the_same() -> None:
    long = [parse_address(f"unix:///run/{'x' * 50}/{number}.sock") for number in range(2)]
    with pytest.raises(ConfigError):
        kept(*long, argv=(*INSTANCE, "--max-label-length=20"))


def test_without_labels_there_is_room_for_one() -> None:
    stay, [warning] = kept(PLAIN, found(OTHER), argv=("--target-labels=never",))
    assert stay == ["redis://h:1"]
    assert "redis://other:1 is left out" in warning
    with pytest.raises(ConfigError, match="write --target-labels=auto or always"):
        kept(PLAIN, OTHER, argv=("--target-labels=never",))


class TestCutLabels:
    """--max-label-length cuts addr too."""

    CUT = "--max-label-length=9"

    @pytest.mark.parametrize("mode", ["auto", "always"])
    def test_that_are_the_same_are_a_mistake(self, mode: str) -> None:
        with pytest.raises(ConfigError) as caught:
            kept(PLAIN, OTHER, parse_address("redis://h:2"), argv=(f"--target-labels={mode}", self.CUT))
        assert caught.value.problems == (
            "--max-label-length=9: redis://h:1 and redis://h:2 would have the same labels; write a larger "
            "one",
        )

    def test_are_told_apart_by_the_other_labels(self) -> None:
        targets = [PLAIN, replace(parse_address("redis://h:2"), alias="b")]
        assert distinct(targets, parse((self.CUT,), {}).metrics) == (targets, ())

    def test_of_a_found_target_leave_it_out(self) -> None:
        assert kept(PLAIN, found(parse_address("redis://h:2")), argv=(self.CUT,)) == (
            ["redis://h:1"],
            [
                "--max-label-length=9: redis://h:1 and redis://h:2 would have the same labels: redis://h:2 "
                "is left out"
            ],
        )

    def test_that_are_just_long_enough_stay(self) -> None:
        targets = [PLAIN, parse_address("redis://h:2")]
        assert distinct(targets, parse((f"--max-label-length={len(PLAIN.addr)}",), {}).metrics) == (
            targets,
            (),
        )
