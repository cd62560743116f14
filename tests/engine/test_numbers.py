"""Numbers and their transforms, as both engines write them."""

from __future__ import annotations

import math
import re

import pytest

from exporter.metrics.family import How
from tests.engine.readings import ENGINES, Reader, field


@pytest.fixture(params=ENGINES, ids=lambda engine: engine.ENGINE)
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Reader:
    return Reader(request.param, monkeypatch)


#: no value is made of these, whatever the transform that takes numbers
NO_NUMBERS = [
    "", " ", "+", "-", ".", "--1", "+-1", "1-", "12.", ".5", "1.2.3", "1e", "e5", "1e+", "1e1.5", "1e100",
    "1e999",
    "-1e999",
    "1e-999",
    "1e99999999999999999999", "0x10", "0b1", "1_000", "1,000", "1 2", " 1", "1 ", "1\t", "1\x00", "\x001",
    "١٢",
    "½",
    "nan",
    "-nan",
    "NaN",
    "infinity", "-Infinity", "infx", "in", "none", "unavailable", "True", "1%%", "9" * 41, "0." + "0" * 40,
    "-" * 40,
    "1\r",
]  # fmt: skip


class TestNumbers:
    @pytest.mark.parametrize(
        "text",
        [
            "0",
            "12",
            "-5",
            "-0",
            "12.50",
            "000123",
            "0.001",
            "-12.5",
            "1e5",
            "1.5E-3",
            "1e+5",
            "1e99",
            "18446744073709551615",
            "9" * 40,
        ],
    )
    def test_stand_as_they_are(self, reader: Reader, text: str) -> None:
        assert reader.read(f"x:{text}\r\n", field("x")).lines == [f"x {text}"]

    @pytest.mark.parametrize(
        ("text", "value"), [("+5", "5"), ("inf", "+Inf"), ("+inf", "+Inf"), ("-inf", "-Inf"), ("INF", "+Inf")]
    )
    def test_are_spelled_as_prometheus_reads_them(self, reader: Reader, text: str, value: str) -> None:
        assert reader.read(f"x:{text}\r\n", field("x")).lines == [f"x {value}"]

    @pytest.mark.parametrize("text", NO_NUMBERS)
    def test_what_is_none_is_left_out_and_counted(self, reader: Reader, text: str) -> None:
        reading = reader.read(f"x:{text}\r\ny:1\r\n", field("x"), field("y"))
        assert (reading.lines, reading.bad) == (["y 1"], 1)

    @pytest.mark.parametrize("how", How)
    @pytest.mark.parametrize(
        "text",
        [*NO_NUMBERS, "inf", "-inf", "97.3%", "9" * 40, "1e99", "-1e-99", "0", "-1", "up", "ok", "yes"],
    )
    def test_whatever_a_server_says_prometheus_can_read_what_is_made_of_it(
        self, reader: Reader, how: How, text: str
    ) -> None:
        reading = reader.read(f"x:{text}\n", field("x", how))
        for line in reading.lines:
            value = line.removeprefix("x ")
            assert re.fullmatch(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?|[+-]Inf", value)
            assert math.isfinite(float(value)) or text in ("inf", "-inf")
        assert len(reading.lines) + reading.bad <= 1


class TestTransforms:
    """How the text of a value becomes a sample; None: it is left out and counted, "": left out, for it
    means nothing."""

    @pytest.mark.parametrize(
        ("how", "text", "value"),
        [
            (How.USEC, "1", "0.000001"),
            (How.USEC, "1234567", "1.234567"),
            (How.USEC, "2000000", "2"),
            (How.USEC, "-1500000", "-1.5"),
            (How.USEC, "0.5", "0.0000005"),
            (How.USEC, "18446744073709551615", "18446744073709.551615"),  # nothing is rounded
            (How.USEC, "1e5", "1e-1"),
            (How.USEC, "inf", None),
            (How.MSEC, "1500", "1.5"),
            (How.MSEC, "0", "0"),
            (How.MSEC, "7", "0.007"),
            (How.PERCENT, "97.3%", "0.973"),
            (How.PERCENT, "97.3", "0.973"),
            (How.PERCENT, "100.00%", "1"),
            (How.PERCENT, "45687396783620096.00%", "456873967836200.96"),
            (How.PERCENT, "%", None),
            (How.PERCENT, "97.3%%", None),
            (How.KIB, "2", "2048"),
            (How.KIB, "1.5", "1536"),
            (How.KIB, "0.001", "1.024"),
            (How.KIB, "-1", "-1024"),
            (How.KIB, "1e3", None),
            (How.KIB, "9" * 16, None),  # a product that would not be exact
            (How.FLAG, "ok", "1"),
            (How.FLAG, "true", "1"),
            (How.FLAG, "yes", "1"),
            (How.FLAG, "err", "0"),
            (How.FLAG, "fail", "0"),
            (How.FLAG, "false", "0"),
            (How.FLAG, "no", "0"),
            (How.FLAG, "3", "3"),
            (How.FLAG, "maybe", None),
            (How.FLAG, "OK", None),
            (How.UP, "up", "1"),
            (How.UP, "down", "0"),
            (How.UP, "", "0"),
            (How.STATUS, "ok", "1"),
            (How.STATUS, "sdown,odown", "0"),
            (How.ONE, "whatever", "1"),
            (How.ONE, "", ""),
            (How.AGO, "60", "1699999940"),
            (How.AGO, "0", "1700000000"),
            (How.AGO, "-1", None),
            (How.AGO, "1.5", None),
            (How.AGO, "9" * 16, None),
            (How.NATURAL, "5", "5"),
            (How.NATURAL, "0", "0"),
            (How.NATURAL, "-1", ""),
            (How.NATURAL, "none", None),
        ],
    )
    def test_one(self, reader: Reader, how: How, text: str, value: str | None) -> None:
        reading = reader.read(f"x:{text}\r\n", field("x", how))
        assert reading.lines == ([f"x {value}"] if value else [])
        assert reading.bad == (value is None)
