"""The values that pass between the rooms: what a family may be, what a command is on the wire."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import pytest

from exporter.model import (
    Command,
    Family,
    Field,
    Kind,
    Lane,
    Open,
    Pattern,
    Record,
    Snapshot,
    Source,
    Target,
    counter,
    gauge,
    own_labels,
    summary,
)

COMMAND = Pattern("cmdstat_", "cmd")
UNNAMED = Pattern("slave", "")
SIZES = Pattern("db", "db", suffix="_sizes", constant=(("type", "string"),))


class TestFamily:
    @pytest.mark.parametrize("name", ["", "9lives", "a-b", "a b", "é", "a\n", "up "])
    def test_a_name_that_is_none(self, name: str) -> None:
        with pytest.raises(ValueError, match="is no metric name"):
            gauge(name, "Help.")

    @pytest.mark.parametrize("label", ["", "9", "a-b", "__name__", "a:b", "cmd\n"])
    def test_a_label_that_is_none(self, label: str) -> None:
        with pytest.raises(ValueError, match=r"clients: .* is no label name"):
            gauge("clients", "Help.", labels=(label,))

    def test_a_label_named_twice(self) -> None:
        with pytest.raises(ValueError, match="clients: a label is named twice"):
            gauge("clients", "Help.", labels=("cmd", "cmd"))

    def test_help_is_a_sentence(self) -> None:
        with pytest.raises(ValueError, match="full stop"):
            gauge("clients", "How many clients")

    @pytest.mark.parametrize(("make", "kind"), [(gauge, Kind.GAUGE), (counter, Kind.COUNTER), (summary, Kind.SUMMARY)])
    def test_its_makers(self, make: Callable[..., Family], kind: Kind) -> None:
        family = make("x", "Help.", labels=("a", "b"), since="7.0")
        assert family == Family("x", kind, "Help.", ("a", "b"), since="7.0")


class TestOwnLabels:
    @pytest.mark.parametrize(
        ("source", "labels"),
        [
            (None, ()),
            (Field("role"), ()),
            (Field("role", labels=(("role", "role"), ("mode", "redis_mode"))), ("role", "mode")),
            (Record(COMMAND, "calls"), ("cmd",)),
            (Record(UNNAMED, "lag", labels=(("ip", "ip"), ("state", "state"))), ("ip", "state")),
            (Open(COMMAND, "quantile"), ("cmd", "quantile")),
            (Open(UNNAMED, "name"), ("name",)),
            (Open(SIZES, "size"), ("db", "type", "size")),
        ],
    )
    def test_are_known_from_the_source(self, source: Source | None, labels: tuple[str, ...]) -> None:
        assert own_labels(source) == labels
        assert gauge("x", "Help.", source).labels == labels

    def test_those_that_are_named_win(self) -> None:
        assert summary("x", "Help.", Open(COMMAND, "quantile"), labels=("cmd",)).labels == ("cmd",)


class TestCommand:
    def test_what_goes_over_the_wire(self) -> None:
        assert Command.of("SLOWLOG", "GET", 10).packed == b"*3\r\n$7\r\nSLOWLOG\r\n$3\r\nGET\r\n$2\r\n10\r\n"

    def test_arguments_may_be_any_bytes(self) -> None:
        assert Command.of("GET", b"\xff\r\n").packed == b"*2\r\n$3\r\nGET\r\n$3\r\n\xff\r\n\r\n"

    @pytest.mark.parametrize(
        ("command", "name"),
        [
            (Command.of("INFO"), "INFO"),
            (Command.of("info"), "INFO"),
            (Command.of("INFO", "commandstats"), "INFO commandstats"),
            (Command.of("CONFIG", "GET", "databases"), "CONFIG GET databases"),
            (Command.of("SLOWLOG", "GET", 10), "SLOWLOG GET 10"),
            (Command.of(b"GET", b"k\xff"), "GET k\\xff"),
        ],
    )
    def test_its_name(self, command: Command, name: str) -> None:
        assert command.name == name

    def test_keys_that_differ_in_case_have_different_names(self) -> None:
        assert Command.of("GET", "k").name != Command.of("GET", "K").name

    def test_equal_by_arguments(self) -> None:
        assert Command.of("INFO") == Command.of("INFO")
        assert Command.of("INFO") != Command.of("INFO", "all")


class TestTarget:
    @pytest.mark.parametrize(
        ("scheme", "tls"), [("redis", False), ("valkey", False), ("unix", False), ("tcp", False), ("rediss", True), ("valkeys", True)]
    )
    def test_tls_is_a_matter_of_the_scheme(self, scheme: str, tls: bool) -> None:
        assert Target(f"{scheme}://h:1", scheme, "h", 1, "", 0).tls is tls

    def test_its_text_holds_no_secret(self) -> None:
        shown = repr(Target("redis://h:1", "redis", "h", 1, "", 0, user="kiwi", password="plum"))
        assert "kiwi" not in shown
        assert "plum" not in shown


@pytest.mark.parametrize("value", [Target("redis://h:1", "redis", "h", 1, "", 0), gauge("x", "Help."), COMMAND, Command.of("INFO")])
def test_values_are_frozen(value: object) -> None:
    for field in dataclasses.fields(value):  # type: ignore[arg-type]
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, field.name, None)


def test_a_snapshot_is_itself_alone() -> None:
    one, other = (Snapshot("redis://h:1", "info", Lane.FAST, b"", b"", 0, 0.0, math.inf) for _ in range(2))
    assert one != other
