"""What a request asks for."""

from __future__ import annotations

from dataclasses import replace

from exporter.options.overrides import overrides_of
from exporter.options.values import parse_keys
from exporter.targets.address import parse_address
from exporter.targets.asked import Asked, variant_of


def test_equal_requests_are_equal_in_any_order_of_their_parts() -> None:
    keys, streams = ("check-keys", parse_keys("a")), ("check-streams", parse_keys("s"))
    one = Asked("h", overrides=overrides_of([keys, streams]))
    assert one == Asked("h", overrides=overrides_of([streams, keys]))
    assert hash(one) == hash(Asked("h", overrides=overrides_of([streams, keys])))
    assert one != Asked("h", "name", overrides_of([keys, streams]))


def test_a_variant_has_its_keys_and_else_what_its_target_has() -> None:
    own = overrides_of([("check-keys", parse_keys("own")), ("poll.interval", 10.0)])
    target = replace(parse_address("redis://me:word@h"), alias="first", overrides=own)
    keys = ("check-keys", parse_keys("asked"))
    variant = variant_of(target, Asked("first", overrides=overrides_of([keys])), "x")
    assert variant == replace(target, variant="x", overrides=overrides_of([keys, ("poll.interval", 10.0)]))
    assert variant.key != target.key
