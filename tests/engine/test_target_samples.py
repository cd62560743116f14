"""The quick way to write the series about a target gives the bytes of the slow one, whatever is counted."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter import engine
from exporter.engine import plain
from exporter.errors import REASONS
from exporter.metrics.family_set import FamilySet
from exporter.metrics.labels import label_forms
from exporter.metrics.lane import Lane
from exporter.telemetry import target_series as module
from exporter.telemetry.target_series import (
    COMMANDSTATS,
    ESTIMATED,
    OUTCOMES,
    STRAINS,
    LaneCount,
    TargetSeries,
    target_family_set,
)

SETS = [target_family_set("redis"), target_family_set("")]
LABELS = [(), ((b"addr", b"redis://h:6379"),), ((b"addr", b'"\\'), (b"reason", b"x"), (b"lane", b"y"))]

#: near the middle of two roundings, where Python writes exponents, and large
SECONDS = st.one_of(
    st.floats(0, 100),
    st.floats(0, 1e-3),
    st.floats(allow_nan=True, allow_infinity=True),
    st.integers(0, 10**8).map(lambda n: n / 2e6),
    st.integers(0, 10**6).map(lambda n: math.nextafter(n / 2e6, 0.0)),
    st.sampled_from([0.0, -0.0, 1e-4, 9.99995e-5, 0.9999995, 0.9999994999, 1.0, 5e-7, 1e7, 1e13]),
    st.integers(0, 100),
)
MOMENTS = st.one_of(
    st.floats(0, 4e9),
    st.integers(0, 10**13).map(lambda n: n / 2000),
    st.sampled_from([1e12, 1795945860.5325, 1795945860.0005]),
)
COUNTS = st.one_of(st.integers(0, 10**6), st.sampled_from([0, 2**62, 2**70, -1]))
LANES = st.lists(st.sampled_from(list(Lane)), unique=True)
REASON = st.sampled_from(REASONS)
NAMES = st.one_of(st.sampled_from(["info", "stats", "config"]), st.text(max_size=5))
TRAFFIC = st.builds(
    lambda a, b, c: SimpleNamespace(received=a, sent=b, connections=c), COUNTS, COUNTS, COUNTS
)
LANE_COUNTS = st.builds(
    LaneCount,
    polls=COUNTS,
    skipped=st.one_of(st.just(0), COUNTS),
    succeeded_at=st.one_of(st.none(), MOMENTS),
    stale=st.booleans(),
)
ORDINARY = {
    "reason": st.one_of(st.just(""), REASON),
    "duration_s": SECONDS,
    "connect_s": SECONDS,
    "ping_s": st.one_of(st.none(), SECONDS),
    "series": COUNTS,
    "refused": st.one_of(st.just(0), COUNTS),
    "dropped": st.one_of(st.just(0), COUNTS),
    "lanes": st.dictionaries(st.sampled_from(list(Lane)), LANE_COUNTS),
    "failures": st.dictionaries(REASON, COUNTS, max_size=3),
    "collectors": st.dictionaries(NAMES, st.sampled_from(list(OUTCOMES.values())), max_size=5),
    "server_seconds": st.dictionaries(
        st.tuples(st.sampled_from(list(Lane)), st.sampled_from([COMMANDSTATS, ESTIMATED])), SECONDS
    ),
    "traffic": st.one_of(st.none(), TRAFFIC),
    "replica_lag": st.one_of(
        st.none(),
        st.tuples(COUNTS, st.one_of(st.none(), SECONDS), st.sampled_from(["master", "estimate"])),
    ),
}
ODD = {
    "strain": st.sampled_from(STRAINS),
    "paused_until": MOMENTS,
    "cuts": st.dictionaries(NAMES, st.integers(1, 9), min_size=1, max_size=3),
    "conflicts": st.lists(st.tuples(st.sampled_from(["same", "former"]), NAMES), min_size=1, max_size=3).map(
        tuple
    ),
}
UP = st.sampled_from(["up", "down", "unknown"]).map({"up": True, "down": False, "unknown": None}.get)


@st.composite
def series_of(draw: st.DrawFn, *, odd: bool = False) -> TargetSeries:
    values = {name: draw(strategy) for name, strategy in ORDINARY.items()}
    # what cannot be rounded is never counted
    seconds = [values["duration_s"], values["connect_s"]]
    values |= {
        name: 0.25 if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in zip(("duration_s", "connect_s"), seconds, strict=True)
    }
    if odd:
        name = draw(st.sampled_from(list(ODD)))
        values[name] = draw(ODD[name])
    return TargetSeries(up=draw(UP), **values)


def seen(block: engine.Block) -> tuple[object, ...]:
    return block.samples, block.offsets, block.series, block.invalid, block.fields


def forms(family_set: FamilySet, number: int) -> engine.Labels:
    return label_forms([family_set], LABELS[number])[family_set.name]


@given(st.lists(series_of(), min_size=1, max_size=3), st.integers(0, 1), st.integers(0, 2))
@settings(deadline=None)
def test_what_is_ordinary_is_written_as_sample_by_sample(
    many: list[TargetSeries], family_set: int, labels: int
) -> None:
    of = SETS[family_set]
    for series in many:
        quick = module._quick_way(of).block(series, forms(of, labels))
        assert (quick is None) is (engine.ENGINE == plain.ENGINE)
        if quick is not None:
            assert seen(quick) == seen(series.written(of, forms(of, labels)))


@given(series_of(odd=True))
@settings(deadline=None)
def test_what_is_out_of_the_ordinary_is_left_to_the_caller(series: TargetSeries) -> None:
    of = SETS[0]
    assert module._quick_way(of).block(series, forms(of, 1)) is None
    assert seen(series.render(of, forms(of, 1))) == seen(series.written(of, forms(of, 1)))


def test_all_targets_of_a_family_set_share_it() -> None:
    assert module._quick_way(SETS[0]) is module._quick_way(SETS[0])
    assert module._quick_way(SETS[0]) is not module._quick_way(SETS[1])
    for _ in range(3 * module._QUICK_MAX):
        module._quick_way(target_family_set("redis"))
    assert len(module._quick) == module._QUICK_MAX


def test_many_collectors_are_told_too() -> None:
    series = TargetSeries(collectors={f"c{number}": OUTCOMES[True, False] for number in range(300)})
    text = series.render(SETS[0], forms(SETS[0], 1)).samples.decode()
    assert all(f'collector="c{number}"}} 0\n' in text for number in range(300))


def test_numbers_must_be_those_of_families() -> None:
    rows = SETS[0].rows
    numbers = [module._NUMBERS[family.name] for family in module.WRITTEN]
    for wrong in ([*numbers[1:], numbers[0]], [*numbers[:-1], len(rows)], [-1, *numbers[1:]]):
        with pytest.raises(ValueError, match="famil"):
            engine.TargetSamples(rows, wrong)
