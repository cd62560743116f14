"""Values that one target has of its own."""

from __future__ import annotations

import pytest

from exporter.errors import InternalError
from exporter.options.commandline import parse
from exporter.options.overrides import override, overrides_of


def test_equal_values_are_equal_whatever_their_order_was() -> None:
    one = overrides_of([("poll.interval", 1.0), ("check-keys", ()), ("poll.interval", 2.0)])
    assert one == overrides_of([("check-keys", ()), ("poll.interval", 2.0)])


def test_they_take_the_place_of_those_of_all_targets() -> None:
    options = parse(["--poll.slow-interval=2m", "--is-tile38"], {})
    own = override(options, overrides_of([("poll.interval", 7.0), ("is-tile38", False)]))
    assert (own.poll.interval_s, own.poll.slow_interval_s, own.redis.is_tile38) == (7.0, 120.0, False)
    assert own.web is options.web


def test_without_any_the_options_are_equal() -> None:
    options = parse([], {})
    assert override(options, ()) == options


def test_what_concerns_the_process_is_not_a_targets() -> None:
    with pytest.raises(InternalError, match=r"no-such-flag, web\.listen-address"):
        overrides_of([("web.listen-address", ":1"), ("no-such-flag", 1)])
