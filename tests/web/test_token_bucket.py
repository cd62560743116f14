"""A limit on the number of requests."""

from __future__ import annotations

import pytest

from exporter.web.token_bucket import RateLimit, TokenBucket


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("burst", [1, 3, 20])
def test_some_come_at_once_and_one_after_each_interval(burst: int) -> None:
    clock = Clock()
    bucket = TokenBucket(RateLimit(0.5, burst), clock)
    assert [bucket.take() for _ in range(burst + 2)] == [True] * burst + [False, False]
    clock.now += 0.25
    assert not bucket.take()
    clock.now += 0.25
    assert [bucket.take(), bucket.take()] == [True, False]


def test_a_long_rest_fills_it_once() -> None:
    clock = Clock()
    bucket = TokenBucket(RateLimit(0.5, 2), clock)
    clock.now += 1e9
    assert [bucket.take() for _ in range(3)] == [True, True, False]
