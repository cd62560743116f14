"""YAML of bounded depth and size."""

from __future__ import annotations

import contextlib
import time

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.targets import yaml_reader
from exporter.targets.yaml_reader import DEPTH_MAX, NODES_MAX, YamlTextError, read_yaml

SECRET = "s3cret-of-mine"


def laughs(link: str) -> str:
    """Eight levels, each ten times the one before."""
    first = "a0: &a0 {x: lol}\n"
    return first + "".join(f"a{i}: &a{i} {link % ','.join([f'*a{i - 1}'] * 10)}\n" for i in range(1, 9))


@pytest.fixture(params=["libyaml", "python"])
def events(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to read the text."""
    if request.param == "python":

        class Plain(
            yaml_reader._Composer,
            yaml_reader._TextConstructor,
            yaml_reader._TextResolver,
            yaml_reader._PlainEvents,
        ):
            def __init__(self, text: str) -> None:
                yaml_reader._PlainEvents.__init__(self, text)
                yaml_reader._Composer.__init__(self)
                yaml_reader._TextConstructor.__init__(self)
                yaml_reader._TextResolver.__init__(self)

        monkeypatch.setattr(yaml_reader, "_Loader", Plain)
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
        ("? [a]\n: b", "unhashable key", 1),
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
