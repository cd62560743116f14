"""Options that keep their values while the exporter runs."""

from __future__ import annotations

import pytest

from exporter.app.fixed import NOT_YET, is_fixed, keep_fixed
from exporter.options.commandline import parse
from exporter.options.table import OPTIONS


@pytest.mark.parametrize(
    "flag",
    [
        "web.listen-address=:1",
        "web.telemetry-path=/m",
        "namespace=kiwi",
        "log-level=DEBUG",
        "is-cluster=true",
    ],
)
def test_a_fixed_option_keeps_its_value_and_is_named(flag: str) -> None:
    before = parse([], {})
    kept, [note] = keep_fixed(parse([f"--{flag}"], {}), before)
    assert (kept.web, kept.metrics, kept.log, kept.redis) == (
        before.web,
        before.metrics,
        before.log,
        before.redis,
    )
    assert note == f"--{flag.partition('=')[0]} keeps its value until the exporter is started again"


def test_the_others_change() -> None:
    before = parse([], {})
    changed = parse(["--poll.interval=7s", "--check-keys=k", "--include-modules-metrics"], {})
    kept, notes = keep_fixed(changed, before)
    assert kept is changed
    assert notes == []


def test_several_are_named_in_one_line() -> None:
    changed = parse(["--namespace=kiwi", "--web.listen-address=:1", "--poll.interval=7s"], {})
    kept, [note] = keep_fixed(changed, parse([], {}))
    assert note == ("--web.listen-address, --namespace keep their values until the exporter is started again")
    assert kept.poll.interval_s == 7.0


def test_the_note_holds_no_secret() -> None:
    _, [note] = keep_fixed(parse(["--basic-auth-password=s3cret"], {}), parse([], {}))
    assert "s3cret" not in note


def test_what_is_still_fixed_is_an_option_that_a_reload_is_to_change() -> None:
    reloadable = {(option.group, option.attribute) for option in OPTIONS if option.reloadable}
    named = {(group, name) for group, names in NOT_YET.items() for name in names if name != "*"}
    assert named <= reloadable
    assert set(NOT_YET) <= {group for group, _ in reloadable}


def test_options_of_a_target_are_not_fixed() -> None:
    fixed = {option.flag for option in OPTIONS if option.per_target and is_fixed(option)}
    assert fixed == {"is-cluster"}  # the endpoint that lists cluster nodes knows its start only
