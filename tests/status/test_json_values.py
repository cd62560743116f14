"""Values as JSON."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

import pytest

from exporter.status.json_values import json_text, plain


@dataclass(frozen=True, slots=True)
class Inner:
    text: str
    number: float | None


@dataclass(frozen=True, slots=True)
class Outer:
    inner: tuple[Inner, ...]
    counts: dict[str, int]
    flag: bool


def test_classes_become_objects() -> None:
    value = Outer((Inner("a", 1.5), Inner("b", None)), {"up": 1}, True)
    assert plain(value) == {
        "inner": [{"text": "a", "number": 1.5}, {"text": "b", "number": None}],
        "counts": {"up": 1},
        "flag": True,
    }


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
def test_what_is_no_number_is_null(number: float) -> None:
    assert json_text(Inner("", number)) == '{"text":"","number":null}'


@pytest.mark.parametrize("text", ["<script>", '"\\', "ключ", "\n\x00\x7f\u2028", "\U0001f600"])
def test_texts_come_back(text: str) -> None:
    assert json.loads(json_text([text])) == [text]
    assert "\n" not in json_text([text])


def test_numbers_keep_nine_digits_behind_the_point() -> None:
    assert json_text([0.1 + 0.2, 1e-12, 1795933615.3055413]) == "[0.3,0.0,1795933615.3055413]"
