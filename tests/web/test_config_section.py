"""One map of the web configuration file: values and faults."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.options.config_file import Faults
from exporter.options.yaml_reader import read_yaml
from exporter.web.config_section import ConfigSection, section_of

WORDS = {"one": 1, "two": 2}


class Read:
    """A section `s` of a file, and its faults."""

    def __init__(self, text: str) -> None:
        self.faults = Faults("web.yml")
        found = section_of(read_yaml(f"s:\n  first: x\n  k: {text}\n"), "s", self.faults)
        assert found is not None
        self.section: ConfigSection = found

    def fault(self) -> str:
        [line] = self.faults.lines
        return line


@pytest.mark.parametrize("text", ["", "s:", "s: {}", "s: ~", "other: {a: b}"])
def test_there_may_be_none(text: str) -> None:
    faults = Faults("web.yml")
    assert section_of(read_yaml(text) or read_yaml("a: b"), "s", faults) is None
    assert faults.lines == []


@pytest.mark.parametrize(("text", "kind"), [("s: x", "a text"), ("s: [x]", "a list")])
def test_it_has_to_be_a_map(text: str, kind: str) -> None:
    faults = Faults("web.yml")
    assert section_of(read_yaml(text), "s", faults) is None
    assert faults.lines == [f"web.yml, line 1: s: write a map, not {kind}"]


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("YES", True), ("on", True), ("False", False), ("n", False), ("", True)],
)
def test_a_switch_is_as_yaml_writes_it(text: str, value: bool) -> None:
    read = Read(text)
    assert read.section.switch("k", usual=True) is value
    assert read.faults.lines == []


READERS: dict[str, Any] = {
    "text": lambda section: section.text("k"),
    "texts": lambda section: section.texts("k"),
    "switch": lambda section: section.switch("k", usual=True),
    "choice": lambda section: section.choice("k", WORDS, 0),
    "choices": lambda section: section.choices("k", WORDS),
    "section": lambda section: section.section("k"),
}


@pytest.mark.parametrize(
    ("reader", "text", "value"),
    [
        ("text", "a b", "a b"),
        ("text", "", ""),
        ("texts", "[a, b]", ("a", "b")),
        ("texts", "", ()),
        ("choice", "two", 2),
        ("choice", "", 0),
        ("choices", "[two, one]", (2, 1)),
        ("section", "", None),
    ],
)
def test_values(reader: str, text: str, value: object) -> None:
    read = Read(text)
    assert READERS[reader](read.section) == value
    assert read.faults.lines == []


@pytest.mark.parametrize(
    ("reader", "text", "says"),
    [
        ("text", "[a]", "write a text, not a list"),
        ("text", "{a: b}", "write a text, not a map"),
        ("texts", "a", "write a list of texts, each behind a dash"),
        ("texts", "[a, [b]]", "write a list of texts, each behind a dash"),
        ("texts", "[a, ]", None),
        ("switch", "maybe", "write true or false"),
        ("choice", "three", "three is not known: write one of one, two"),
        ("choice", "'a b\\n'", "this value is not known: write one of one, two"),
        ("choices", "[one, three]", "three is not known: write one of one, two"),
        ("section", "[a]", "write a map, not a list"),
    ],
)
def test_faults_have_the_line_and_the_key(reader: str, text: str, says: str | None) -> None:
    read = Read(text)
    READERS[reader](read.section)
    assert read.faults.lines == ([] if says is None else [f"web.yml, line 3: s: k: {says}"])


def test_an_unknown_key_is_a_fault_with_the_nearest_one() -> None:
    read = Read("x")
    read.section.check_keys(["first", "kk"])
    assert read.fault() == "web.yml, line 3: s: unknown key k: did you mean kk?"


def test_a_map_within_it_has_both_names() -> None:
    read = Read("{a: [b]}")
    inner = read.section.section("k")
    assert inner is not None
    inner.text("a")
    assert read.fault() == "web.yml, line 3: s: k: a: write a text, not a list"
    assert inner.has("a")
    assert not inner.has("b")
    assert inner.place("a", "web.yml") == "web.yml, line 3: s: k: a"
