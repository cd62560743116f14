"""Options that keep their values while the exporter runs."""

from __future__ import annotations

import pytest

from exporter.app.fixed import refuse_fixed
from exporter.errors import ConfigError
from exporter.options.commandline import parse

BEFORE = parse([], {})


@pytest.mark.parametrize(
    "flag",
    [
        "web.listen-address=:1",
        "web.telemetry-path=/m",
        "namespace=kiwi",
        "log-level=DEBUG",
        "is-cluster=true",
        "poll.max-dials=3",
    ],
)
def test_a_fixed_option_is_refused_by_its_name(flag: str) -> None:
    with pytest.raises(ConfigError, match=f"cannot change --{flag.partition('=')[0]}: start it again"):
        refuse_fixed(parse([f"--{flag}"], {}), BEFORE)


def test_the_others_may_change() -> None:
    refuse_fixed(parse(["--poll.interval=7s", "--check-keys=k", "--include-modules-metrics"], {}), BEFORE)


def test_several_are_named_in_one_line() -> None:
    changed = parse(["--namespace=kiwi", "--web.listen-address=:1", "--poll.interval=7s"], {})
    with pytest.raises(ConfigError) as refusal:
        refuse_fixed(changed, BEFORE)
    assert str(refusal.value) == (
        "a running exporter cannot change --web.listen-address, --namespace: start it again, or write the "
        "value in use"
    )


def test_the_refusal_holds_no_secret() -> None:
    with pytest.raises(ConfigError) as refusal:
        refuse_fixed(parse(["--basic-auth-password=s3cret"], {}), BEFORE)
    assert "s3cret" not in str(refusal.value)
