"""Pieces of the replies on record, as inputs to begin with."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from tests.replay import DATA, resp

#: servers whose replies are long, and different
VERSIONS = ("redis-2.8.24", "redis-7.0.15", "redis-8.0.2", "valkey-8.1.1", "keydb-6.3.4")


def texts(pattern: str, versions: tuple[str, ...] = VERSIONS) -> Iterator[bytes]:
    """The files of these servers that fit."""
    for version in versions:
        for path in sorted((DATA / version).glob(pattern)):
            yield path.read_bytes()


def lists(pattern: str, versions: tuple[str, ...] = VERSIONS) -> Iterator[Any]:
    """The replies on record that are no plain texts."""
    for text in texts(pattern, versions):
        yield json.loads(text.decode("utf-8", "surrogateescape"))


def beginning(text: bytes, length_max: int) -> bytes:
    """The whole lines within this length."""
    return text if len(text) <= length_max else text[: text.rfind(b"\n", 0, length_max) + 1]


def sections(length_max: int) -> Iterator[bytes]:
    """Different beginnings of sections of INFO."""
    found = dict.fromkeys(
        beginning(section, length_max)
        for text in texts("*info*.txt")
        for section in re.split(rb"(?m)^(?=# )", text)
    )
    return islice((section for section in found if len(section) > 20), 150)


def wire_replies(length_max: int) -> Iterator[bytes]:
    """Short replies as they go over the wire."""
    for value in lists("*.json"):
        for size in (len(value), 4, 2):
            reply = resp(value[:size]) if isinstance(value, list) else resp(value)
            if len(reply) <= length_max:
                yield reply
                break
    for text in texts("*.error.txt"):
        yield beginning(text, length_max).rstrip() + b"\r\n"
    for section in islice(sections(length_max - 20), 20):
        yield resp(section)


def config_files() -> Iterator[bytes]:
    """Configuration files, good and bad."""
    for path in sorted(Path(DATA, "config").glob("*.yml")):
        yield path.read_bytes()
