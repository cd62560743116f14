"""What a row says in words, and in how many bytes."""

from __future__ import annotations

from dataclasses import replace
from html import escape

from exporter.status.row_texts import (
    LINK_MAX,
    PAGE_BYTES,
    SAID_MAX,
    TAG_BYTES,
    RowTexts,
    link_of,
    row_texts,
    shown_state,
    tags_of,
)
from exporter.status.rows import LaneAge, TargetRow, row_of
from tests.status.members import Members


def row(**changes: object) -> TargetRow:
    members = Members()
    watched = members.add("host", "up", alias="first")
    return replace(row_of(watched, 0.0, 0.0), **changes)  # type: ignore[arg-type]


def test_a_name_that_a_browser_would_read_otherwise_is_linked_by_address() -> None:
    address = "redis://host:6379"
    assert link_of("first", address) == "first"
    assert link_of("a/b c", address) == "a~2Fb%20c"
    assert link_of("..", address) == "~2E~2E"
    for name in ("not UTF-8: \ufffd", "y" * (LINK_MAX + 1)):
        assert link_of(name, address) == "host%3A6379"


def test_a_target_that_is_up_with_old_values_is_stale() -> None:
    ages = (LaneAge("fast", 1.0, 16.0, False), LaneAge("slow", 400.0, 200.0, True))
    assert shown_state(row(lanes=ages)) == "stale"
    assert shown_state(row(lanes=ages[:1])) == "up"
    assert shown_state(row(lanes=ages, state="down")) == "down"


def test_tags_say_labels_and_why_a_target_is_here() -> None:
    labels = {"env": "prod", "team": "t" * 50, **{f"l{number}": "x" for number in range(9)}}
    tags = tags_of(row(labels=labels, source="adopted", is_elsewhere=True))
    assert tags[:3] == ["adopted", "of another shard", "env=prod"]
    assert tags[3].endswith("t…")
    assert len(tags) == 8


def size(texts: RowTexts) -> int:
    return sum(len(escape(word).encode()) for word in texts.sized()) + TAG_BYTES * len(texts.tags)


def test_few_rows_say_much() -> None:
    labels = {f"label{number}": "value" for number in range(4)}
    [texts] = row_texts([row(error_text="why " * 20, state="down", labels=labels)])
    assert (texts.state, texts.link, texts.name) == ("down", "first", "first")
    assert texts.address == "redis://host:6379"
    assert texts.error == "why " * 20
    assert texts.tags == tuple(f"{name}=value" for name in labels)


def test_many_rows_say_less_and_names_stay() -> None:
    labels = {f"label{number}": "value" * 10 for number in range(9)}
    long = row(name="n" * 50, error_text="<why> " * 50, labels=labels)
    found = list(row_texts([long] * 100))
    assert sum(map(size, found)) <= PAGE_BYTES
    assert {texts.name for texts in found} == {"n" * 50}
    short = list(row_texts([row()] * 90 + [long] * 10))
    assert len(short[-1].tags) > len(found[0].tags), "what others do not need is theirs"


def test_hostile_names_are_cut_by_their_bytes() -> None:
    names = ["\U0001d54f" * 1000, "<>\"'&" * 200]
    found = list(row_texts([row(name=name) for name in names] * 50))
    assert sum(map(size, found)) <= PAGE_BYTES
    assert all(texts.name and texts.link == "host%3A6379" for texts in found)


def test_what_a_server_says_of_itself_is_cut_too() -> None:
    found = list(row_texts([row(role="<img src=x>" * 1000, version="\U0001d54f" * 1000)] * 100))
    assert sum(map(size, found)) <= PAGE_BYTES
    assert all(len(texts.role) <= SAID_MAX and len(texts.version) <= SAID_MAX for texts in found)
    [usual] = row_texts([row(role="master", version="valkey 8.0.1")])
    assert (usual.role, usual.version) == ("master", "valkey 8.0.1")
