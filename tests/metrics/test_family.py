"""The values that pass between the rooms: what a family may be, what a command is on the wire."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from exporter.metrics.family import (
    EverySubField,
    Family,
    Field,
    MetricType,
    Pattern,
    Record,
    Source,
    counter,
    gauge,
    own_labels,
    summary,
)
from exporter.protocol.command import Command
from exporter.targets.target import Target

COMMAND = Pattern("cmdstat_", "cmd")
UNNAMED = Pattern("slave", "")
SIZES = Pattern("db", "db", suffix="_sizes", constant=(("type", "string"),))


class TestFamily:
    @pytest.mark.parametrize("name", ["", "9lives", "a-b", "a b", "é", "a\n", "up "])
    def test_a_name_that_is_none(self, name: str) -> None:
        with pytest.raises(ValueError, match="is not a valid metric name"):
            gauge(name, "Help.")

    @pytest.mark.parametrize("label", ["", "9", "a-b", "__name__", "a:b", "cmd\n"])
    def test_a_label_that_is_none(self, label: str) -> None:
        with pytest.raises(ValueError, match=r"clients: .* is not a valid label name"):
            gauge("clients", "Help.", labels=(label,))

    def test_a_label_named_twice(self) -> None:
        with pytest.raises(ValueError, match="clients: a label is named twice"):
            gauge("clients", "Help.", labels=("cmd", "cmd"))

    def test_help_is_a_sentence(self) -> None:
        with pytest.raises(ValueError, match="full stop"):
            gauge("clients", "How many clients")

    @pytest.mark.parametrize(
        ("make", "type"),
        [(gauge, MetricType.GAUGE), (counter, MetricType.COUNTER), (summary, MetricType.SUMMARY)],
    )
    def test_its_makers(self, make: Callable[..., Family], type: MetricType) -> None:
        family = make("x", "Help.", labels=("a", "b"), since="7.0")
        assert family == Family("x", type, "Help.", ("a", "b"), since="7.0")


class TestOwnLabels:
    @pytest.mark.parametrize(
        ("source", "labels"),
        [
            (None, ()),
            (Field("role"), ()),
            (Field("role", labels=(("role", "role"), ("mode", "redis_mode"))), ("role", "mode")),
            (Record(COMMAND, "calls"), ("cmd",)),
            (Record(UNNAMED, "lag", labels=(("ip", "ip"), ("state", "state"))), ("ip", "state")),
            (EverySubField(COMMAND, "quantile"), ("cmd", "quantile")),
            (EverySubField(UNNAMED, "name"), ("name",)),
            (EverySubField(SIZES, "size"), ("db", "type", "size")),
        ],
    )
    def test_are_known_from_the_source(self, source: Source | None, labels: tuple[str, ...]) -> None:
        assert own_labels(source) == labels
        assert gauge("x", "Help.", source).labels == labels

    def test_those_that_are_named_win(self) -> None:
        assert summary("x", "Help.", EverySubField(COMMAND, "quantile"), labels=("cmd",)).labels == ("cmd",)


@pytest.mark.parametrize(
    "value", [Target("redis://h:1", "redis", "h", 1, "", 0), gauge("x", "Help."), COMMAND, Command.of("INFO")]
)
def test_values_are_frozen(value: object) -> None:
    for field in dataclasses.fields(value):  # type: ignore[arg-type]
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, field.name, None)
