"""YAML of bounded depth and size."""

from __future__ import annotations

import contextlib
import time

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.options import yaml_reader
from exporter.options.yaml_reader import DEPTH_MAX, NODES_MAX, YamlTextError, read_yaml

SECRET = "s3cret-of-mine"


def laughs(link: str) -> str:
    """Eight levels, each ten times the one before."""
    first = "a0: &a0 {x: lol}\n"
    return first + "".join(f"a{i}: &a{i} {link % ','.join([f'*a{i - 1}'] * 10)}\n" for i in range(1, 9))


@pytest.fixture(params=["libyaml", "python"])
def events(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to read the text."""
    if request.param == "python":
        monkeypatch.setattr(yaml_reader, "_Events", yaml_reader._PlainEvents)
    else:
        assert yaml.__with_libyaml__
    return str(request.param)


@pytest.mark.usefixtures("events")
@pytest.mark.parametrize(
    ("text", "why", "line"),
    [
        ("x: " + "[" * 100_000, f"nested deeper than {DEPTH_MAX} levels", 1),
        ("{a: " * 100_000, f"nested deeper than {DEPTH_MAX} levels", 1),
        ("- " * 100_000, f"nested deeper than {DEPTH_MAX} levels", 1),
        (laughs("{<<: [%s]}"), f"more than {NODES_MAX} values once its aliases are filled in", 6),
        (laughs("[%s]"), f"more than {NODES_MAX} values once its aliases are filled in", 6),
        ("a: &a\n  b: *a\n", "an alias is inside of what it names", 2),
        ("a: &a {<<: *a}", "an alias is inside of what it names", 1),
        ("a: *b", "undefined alias", 1),
        ("a: 1\nb: 2\na: 3", "a key comes twice", 3),
        ("? [a]\n: b", "a key must be a text", 1),
        ("!!python/object:os.system x", "tag", 1),
        ("a\n---\nb", "another document", 2),
        ("a: \0", "a character that YAML does not allow", 0),
        ("a: \ud800", "a character that YAML does not allow", 0),
        (f'a: "{SECRET}" x', "not valid YAML", 1),
        (f"a: {{{SECRET}: ]", "not valid YAML", 1),
    ],
)
def test_what_is_refused_is_said_in_one_line_without_values(text: str, why: str, line: int) -> None:
    began = time.thread_time()
    with pytest.raises(YamlTextError, match=why) as caught:
        read_yaml(text)
    assert time.thread_time() - began < 2.0
    assert caught.value.line == line
    assert "\n" not in str(caught.value)
    assert SECRET not in str(caught.value)


def test_the_number_of_values_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_reader, "NODES_MAX", 1000)
    assert len(read_yaml("[" + "a," * 999 + "]")) == 999
    with pytest.raises(YamlTextError, match="more than 1000 values"):
        read_yaml("[" + "a," * 1000 + "]")


@pytest.mark.usefixtures("events")
def test_scalars_stay_as_they_were_written() -> None:
    text = "a: 0123\nb: yes\nc: 1.10\nd: ~\ne:\nf: 2026-01-02\ng: " + "9" * 5000
    assert read_yaml(text) == {
        "a": "0123",
        "b": "yes",
        "c": "1.10",
        "d": None,
        "e": None,
        "f": "2026-01-02",
        "g": "9" * 5000,
    }


@pytest.mark.usefixtures("events")
def test_merges_and_aliases_within_bounds_are_filled_in() -> None:
    assert read_yaml("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: [*a, *a]") == {
        "a": {"x": "1", "y": "2"},
        "b": {"x": "1", "y": "3"},
        "c": [{"x": "1", "y": "2"}] * 2,
    }


@given(st.text("ab:-[]{}&*<!|>'\"#?%@`,\n \t~", max_size=60) | st.text(max_size=40))
@settings(max_examples=300)
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(YamlTextError):
        read_yaml(text)


@pytest.mark.usefixtures("events")
def test_maps_and_lists_know_their_lines() -> None:
    found = read_yaml("a:\n  - x\n  - {b: 1,\n     c: 2}\n\nd: &d {e: 1}\nf:\n  <<: *d\n  g: 1\n")
    assert (found.lines, found.line) == ({"a": 1, "d": 6, "f": 7}, 1)
    assert (found["a"].lines, found["a"][1].lines) == ([2, 3], {"b": 3, "c": 4})
    assert found["f"].lines == {"e": 6, "g": 9}
    assert (found["f"].line_of("g"), found["f"].line_of("no")) == (9, 8)


@pytest.mark.usefixtures("events")
@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: &x 1\nb: &x 2", "an anchor is given twice"),
        ("a: {<<: b}", "only maps can be merged"),
        ("a: {<<: [{b: 1}, c]}", "only maps can be merged"),
        ("a: !!seq {}", "a tag"),
        ("a: !!map []", "a tag"),
        ("a: !!int 1", "a tag"),
    ],
)
def test_forms_that_mean_nothing_here_are_refused(text: str, why: str) -> None:
    with pytest.raises(YamlTextError, match=why):
        read_yaml(text)


@pytest.mark.usefixtures("events")
def test_tags_of_the_forms_that_there_are_change_nothing() -> None:
    text = "a: !!str null\nb: !!null x\nc: !!map {}\nd: !!seq []\n'<<': 1\n~: 2"
    assert read_yaml(text) == {"a": "null", "b": None, "c": {}, "d": [], "<<": "1", "": "2"}


@pytest.mark.usefixtures("events")
def test_of_several_values_for_a_key_the_first_merged_map_counts() -> None:
    assert read_yaml("a: &a {x: 1}\nb: &b {x: 2, y: 2}\nc: {<<: [*a, *b]}")["c"] == {"x": "1", "y": "2"}
    assert read_yaml("") is None


def test_a_file_of_ten_thousand_entries_is_read_in_a_moment() -> None:
    entries = "".join(
        f"  - name: n{number}\n    addr: redis://host-{number}:6379\n    labels: {{env: production}}\n"
        for number in range(10_000)
    )
    began = time.thread_time()
    assert len(read_yaml("redis_instances:\n" + entries)["redis_instances"]) == 10_000
    assert time.thread_time() - began < 3.0  # it takes a sixth of that on a quiet machine
