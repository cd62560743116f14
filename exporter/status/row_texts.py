"""What a row of the table says of its target in words, cut so that the page stays small: it is a probe,
too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import islice

from exporter import safe_text
from exporter.status.rows import TargetRow
from exporter.status.table_query import STALE
from exporter.targets.path_names import written_name

#: bytes of all texts of one page, and of the texts of a row at least
PAGE_BYTES, ROW_BYTES = 15_000, 60
#: characters of each text, and labels of a row; the target's own page has all
NAME_MAX, LABEL_MAX, ERROR_MAX, LABELS_MAX = 60, 30, 100, 6
#: characters of what the server says that it is
SAID_MAX = 24
#: bytes of a name in a link: a target with a longer one is linked by its address
LINK_MAX = 120
#: bytes of the elements around a label
TAG_BYTES = 8


@dataclass(frozen=True, slots=True)
class RowTexts:
    """Texts of a row, not escaped, each "" if there is nothing to say. `link` finds the target in
    `/targets/`."""

    row: TargetRow
    state: str
    link: str
    name: str
    address: str
    role: str
    version: str
    error: str
    tags: Sequence[str]

    def sized(self) -> tuple[str, ...]:
        """Those that others choose."""
        return (self.link, self.name, self.address, self.role, self.version, self.error, *self.tags)


def row_texts(rows: Sequence[TargetRow]) -> Iterator[RowTexts]:
    """Those of all rows in at most `PAGE_BYTES`, if names and addresses are not longer alone. What one row
    does not need, the next ones have."""
    room = PAGE_BYTES
    for number, row in enumerate(rows):
        share = max(ROW_BYTES, room // (len(rows) - number))
        texts = _texts(row, share)
        room -= sum(map(_size, texts.sized()))
        room -= TAG_BYTES * len(texts.tags)
        yield texts


def _texts(row: TargetRow, room: int) -> RowTexts:
    link = link_of(row.name, row.key, min(LINK_MAX, room // 2))
    room -= len(link)
    name = _fit(safe_text.one_line(row.name, NAME_MAX), max(ROW_BYTES // 2, room))
    room -= _size(name)
    said = []
    for each in (row.role, row.version):
        said.append(_fit(safe_text.one_line(each, SAID_MAX), room))
        room -= _size(said[-1])
    address = _fit(safe_text.one_line(row.address, NAME_MAX), room) if row.alias else ""
    room -= _size(address)
    error = _fit(safe_text.shorten(row.error_text, ERROR_MAX), room)
    room -= _size(error)
    tags = tuple(_fitting(tags_of(row), room))
    return RowTexts(row, shown_state(row), link, name, address, said[0], said[1], error, tags)


def shown_state(row: TargetRow) -> str:
    """The state, or `STALE` if the target is up and values of any lane are too old."""
    if row.state == "up" and any(lane.is_stale for lane in row.lanes):
        return STALE
    return row.state


def link_of(name: str, key: str, most: int = LINK_MAX) -> str:
    """What `/targets/` is followed by: the name if that takes at most `most` bytes and is the whole name, or
    else the key."""
    link = written_name(name)
    return link if len(link) <= most and "\ufffd" not in name else written_name(key.removeprefix("redis://"))


def tags_of(row: TargetRow) -> list[str]:
    """Why a target is here if nobody configured it for this exporter, and its first labels."""
    tags = ["adopted"] if row.source == "adopted" else []
    if row.is_elsewhere:
        tags.append("of another shard")
    labels = islice(row.labels.items(), LABELS_MAX)
    return [*tags, *(safe_text.one_line(f"{name}={value}", LABEL_MAX) for name, value in labels)]


def _fitting(tags: Iterable[str], room: int) -> Iterator[str]:
    for tag in tags:
        room -= _size(tag) + TAG_BYTES
        if room < 0:
            return
        yield tag


def _fit(text: str, room: int) -> str:
    """As much of a text as `room` bytes hold; "" if that is nearly nothing."""
    while (size := _size(text)) > room:
        if room < 8:
            return ""
        text = safe_text.shorten(text, max(1, min(len(text) - 1, len(text) * room // size)))
    return text


def _size(text: str) -> int:
    """Bytes in the page."""
    return len(escape(text).encode())
