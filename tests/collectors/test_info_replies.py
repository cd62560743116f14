"""What a server answers to INFO, whole and in parts."""

from __future__ import annotations

import math
import pathlib
import re
from dataclasses import replace

import pytest

from exporter.collectors._info_replies import (
    InfoMemory,
    MovingSections,
    ask_info,
    asks_for_part,
    has_all,
    is_sentinel,
    is_whole,
    join_texts,
)
from exporter.collectors._several import LOOK_AGAIN_S, Apart, Sections
from exporter.collectors.info import InfoCollector
from exporter.metrics.family import Field
from exporter.options.commandline import parse
from exporter.protocol.facts import Facts
from exporter.protocol.info_commands import MOVING

DATA = pathlib.Path(__file__).parent.parent / "data"
WHOLE = sorted(
    path
    for version in DATA.iterdir()
    if re.match(r"(redis-[789]|redis-1\d|valkey-|redict-)", version.name)
    for path in version.glob("info_default*.txt")
)
KEYS = {
    key.encode()
    for family in InfoCollector.families
    if isinstance(family.source, Field)
    for key in (family.source.key, *family.source.also)
}


def moving_of(whole: bytes) -> bytes:
    """What such a server answers to a question for the moving sections."""
    sections = re.split(rb"(?m)^(?=# (?!Made )\w)", whole)
    names = {name.encode() for name in MOVING}
    return b"".join(
        each for each in sections if each[2:].split()[:1] and each[2:].split()[0].lower() in names
    )


@pytest.mark.parametrize("path", WHOLE, ids=lambda path: path.parent.name)
def test_the_moving_sections_of_recorded_servers_hold_all_that_is_read_of_them(path: pathlib.Path) -> None:
    whole = path.read_bytes()
    part = moving_of(whole)
    assert len(part) < len(whole)
    assert has_all(part, whole, KEYS)


def test_a_part_without_a_section_or_a_line_is_not_enough() -> None:
    whole = (DATA / "redis-7.0.15" / "info_default.txt").read_bytes()
    part = moving_of(whole)
    assert not has_all(part.replace(b"# CPU", b"# Other"), whole, KEYS)
    assert not has_all(part.replace(b"\nused_memory:", b"\nmemory_used:"), whole, KEYS)
    assert not has_all(whole, whole, KEYS), "nothing is gained by a server that sends everything"


def test_what_a_run_gives_is_looked_at_once_an_hour_and_in_a_new_run() -> None:
    moving = MovingSections()
    assert moving.is_due("r", 0.0)
    moving.note("r", 0.0, are_given=True)
    assert not moving.is_due("r", LOOK_AGAIN_S - 1)
    assert moving.is_due("r", LOOK_AGAIN_S)
    assert moving.is_due("other", 1.0)
    assert not moving.is_due("", 1.0), "a server that does not name its runs"


def test_a_run_that_was_not_looked_at_is_asked_for_everything() -> None:
    memory = InfoMemory(sections=Sections(Apart((), "r", math.inf), Apart((), "r", math.inf)))
    memory.moving.note("r", 0.0, are_given=True)
    known = Facts((7, 0, 15), "redis", "master", "standalone", "r", cluster_enabled=False, loading=False)
    options = parse([], {})
    assert asks_for_part(known, options, memory, 1.0)
    for run_id in ("other", ""):
        assert not asks_for_part(replace(known, run_id=run_id), options, memory, 1.0)


def test_the_texts_of_several_replies_are_joined_without_the_errors() -> None:
    assert join_texts([b"a"]) == b"a"
    assert join_texts([b"a", None, b"b"]) == b"a\r\nb"


def test_the_kind_of_a_text() -> None:
    assert is_whole(b"# Server\r\nrun_id:r\r\n")
    assert not is_whole(b"# Clients\r\n")
    assert is_sentinel(b"# Server\r\nredis_mode:sentinel\r\n")
    assert not is_sentinel(b"x" * 2000 + b"_mode:sentinel")


def test_plain_info_is_enough_where_it_was_looked_at() -> None:
    memory = InfoMemory(sections=Sections(Apart((), "r", math.inf), Apart((), "r", math.inf)))
    generator = ask_info(memory.sections, "r", 0.0)
    assert [command.args for command in next(generator)] == [("INFO",)]
    with pytest.raises(StopIteration) as end:
        generator.send([b"text"])
    assert end.value.value == [b"text"]
