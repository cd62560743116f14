"""Numbers and their transforms, as both engines write them."""

from __future__ import annotations

import math
import re

import pytest

from exporter.metrics.family import Transform
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
    "1e99999999999999999999", "0x10", "0b1", "1_000", "1,000", "1 2", "1\v", "1\x00", "\x001",
    "١٢",
    "½",
    "nan",
    "-nan",
    "NaN",
    "infinity", "-Infinity", "infx", "in", "none", "unavailable", "True", "1%%", "9" * 41, "0." + "0" * 40,
    "-" * 40,
    "1\r",
]  # fmt: skip

#: transforms that take words and no numbers
WORDS = (Transform.UP, Transform.STATUS, Transform.ONE)


class TestNumbers:
    @pytest.mark.parametrize(
        "text",
        [
            "0",
            "12",
            "-0",
            "-0.00",
            "12.50",
            "000123",
            "0.001",
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
        ("text", "value"), [("+5", "5"), ("inf", "+Inf"), ("+inf", "+Inf"), ("INF", "+Inf")]
    )
    def test_are_spelled_as_prometheus_reads_them(self, reader: Reader, text: str, value: str) -> None:
        assert reader.read(f"x:{text}\r\n", field("x")).lines == [f"x {value}"]

    @pytest.mark.parametrize("text", [" 1", "1 ", "\t1\t", "  1 \t "])
    @pytest.mark.parametrize("end", ["\r\n", "\n", ""])
    def test_may_have_blanks_around_them(self, reader: Reader, text: str, end: str) -> None:
        assert reader.read(f"x:{text}{end}", field("x")).lines == ["x 1"]

    @pytest.mark.parametrize("transform", [each for each in Transform if each not in WORDS])
    @pytest.mark.parametrize("text", ["-1", "-0.5", "-1e-9", "-100000000000"])
    def test_a_negative_one_means_that_the_server_does_not_know(
        self, reader: Reader, transform: Transform, text: str
    ) -> None:
        reading = reader.read(f"x:{text}\r\n", field("x", transform))
        assert reading.lines == ([f"x {text}"] if transform is Transform.SIGNED else [])
        assert reading.invalid == 0

    def test_a_rate_of_minus_infinity_is_not_known_either(self, reader: Reader) -> None:
        assert reader.read("x:-inf\r\n", field("x"))[:2] == ([], 0)
        assert reader.read("x:-inf\r\n", field("x", Transform.SIGNED)).lines == ["x -Inf"]

    @pytest.mark.parametrize("text", NO_NUMBERS)
    def test_what_is_none_is_left_out_and_counted(self, reader: Reader, text: str) -> None:
        reading = reader.read(f"x:{text}\r\ny:1\r\n", field("x"), field("y"))
        assert (reading.lines, reading.invalid) == (["y 1"], 1)

    @pytest.mark.parametrize("transform", Transform)
    @pytest.mark.parametrize(
        "text",
        [*NO_NUMBERS, "inf", "-inf", "97.3%", "9" * 40, "1e99", "-1e-99", "0", "-1", "up", "ok", "yes"],
    )
    def test_whatever_a_server_says_prometheus_can_read_what_is_made_of_it(
        self, reader: Reader, transform: Transform, text: str
    ) -> None:
        reading = reader.read(f"x:{text}\n", field("x", transform))
        for line in reading.lines:
            value = line.removeprefix("x ")
            assert re.fullmatch(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?|[+-]Inf", value)
            assert math.isfinite(float(value)) or text in ("inf", "-inf")
        assert len(reading.lines) + reading.invalid <= 1


class TestTransforms:
    """How the text of a value becomes a sample; None: it is left out and counted, "": left out, for it
    means nothing."""

    @pytest.mark.parametrize(
        ("transform", "text", "value"),
        [
            (Transform.USEC, "1", "0.000001"),
            (Transform.USEC, "1234567", "1.234567"),
            (Transform.USEC, "2000000", "2"),
            (Transform.USEC, "-1500000", ""),
            (Transform.MSEC, "-1", ""),
            (Transform.PERCENT, "-1%", ""),
            (Transform.PERCENT, "-nan%", None),
            (Transform.USEC, "0.5", "0.0000005"),
            (Transform.USEC, "18446744073709551615", "18446744073709.551615"),  # nothing is rounded
            (Transform.USEC, "1e5", "1e-1"),
            (Transform.USEC, "inf", None),
            (Transform.MSEC, "1500", "1.5"),
            (Transform.MSEC, "0", "0"),
            (Transform.MSEC, "7", "0.007"),
            (Transform.PERCENT, "97.3%", "0.973"),
            (Transform.PERCENT, "97.3", "0.973"),
            (Transform.PERCENT, "100.00%", "1"),
            (Transform.PERCENT, "45687396783620096.00%", "456873967836200.96"),
            (Transform.PERCENT, "%", None),
            (Transform.PERCENT, "97.3%%", None),
            (Transform.KIB, "2", "2048"),
            (Transform.KIB, "1.5", "1536"),
            (Transform.KIB, "0.001", "1.024"),
            (Transform.KIB, "-1", ""),
            (Transform.KIB, "-0.00", "-0"),
            (Transform.FLAG, "-1", ""),
            (Transform.KIB, "1e3", None),
            (Transform.KIB, "9" * 15, "1023999999999998976"),
            (Transform.KIB, "9" * 16, None),  # a product that would not be exact
            (Transform.FLAG, "ok", "1"),
            (Transform.FLAG, "true", "1"),
            (Transform.FLAG, "yes", "1"),
            (Transform.FLAG, "err", "0"),
            (Transform.FLAG, "fail", "0"),
            (Transform.FLAG, "false", "0"),
            (Transform.FLAG, "no", "0"),
            (Transform.FLAG, "3", "3"),
            (Transform.FLAG, "maybe", None),
            (Transform.FLAG, "OK", None),
            (Transform.UP, "up", "1"),
            (Transform.UP, "down", "0"),
            (Transform.UP, "", "0"),
            (Transform.STATUS, "ok", "1"),
            (Transform.STATUS, "sdown,odown", "0"),
            (Transform.ONE, "whatever", "1"),
            (Transform.ONE, "", ""),
            (Transform.AGO, "60", "1699999940"),
            (Transform.AGO, "0", "1700000000"),
            (Transform.AGO, "-1", ""),
            (Transform.AGO, "-0", None),
            (Transform.AGO, "1.5", None),
            (Transform.AGO, "9" * 15, "-999998299999999"),
            (Transform.AGO, "9" * 16, None),
            (Transform.AGO, "1e5", None),
            (Transform.SIGNED, "5", "5"),
            (Transform.SIGNED, "-12.5", "-12.5"),
            (Transform.SIGNED, "1.5E-3", "1.5E-3"),
            (Transform.SIGNED, "none", None),
        ],
    )
    def test_one(self, reader: Reader, transform: Transform, text: str, value: str | None) -> None:
        reading = reader.read(f"x:{text}\r\n", field("x", transform))
        assert reading.lines == ([f"x {value}"] if value else [])
        assert reading.invalid == (value is None)
