"""Repeated lines: each kind of line is written once a minute for each source, then counted.

A kind is a logger, a level and a template. A source is the target (`addr`) or the client that the record
names. Lines with a `topic` say the state of their source, such as up or down: a line with another reason,
or without a reason another text, than the one before is written at once. If states change more often than
`CHANGES_MAX` a minute, the newest one is written at the end of the minute, with the number of those left
out. Debug lines are all written.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from exporter.logs.lines import FIELDS, is_ours, message_of

WINDOW_S = 60.0
#: lines of one topic and source that are written in a window
CHANGES_MAX = 4
#: different texts of one kind and source that are written in a window; of other libraries only one
TEXTS_MAX = 5
#: kinds and sources that are remembered; all others share one
ENTRIES_MAX = 20_000
#: clients that have lines of their own of one kind; all others share one
CLIENTS_MAX = 100


@dataclass(slots=True)
class _Entry:
    """What was written and left out of one kind and source since `began_at`."""

    began_at: float
    kind: Hashable
    written: int = 0
    seen: set[Hashable] = field(default_factory=set)
    left_out: int = 0
    newest: logging.LogRecord | None = None


class Repeats:
    """Decides which records are written. Not thread-safe: the caller holds a lock."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()  # in the order of their begin
        self._sources: Counter[Hashable] = Counter()  # by kind
        self.counted = 0  # entries that have left something out

    def admits(self, record: logging.LogRecord) -> bool:
        """Whether the record is written now; if not, it is counted."""
        if record.levelno <= logging.DEBUG:
            return True
        now = self._clock()
        self._forget(now)
        topic = getattr(record, "topic", None)
        kind = (record.name, topic) if topic else (record.name, record.levelno, str(record.msg)[:200])
        entry = self._entry(kind, _source(record), now, is_bounded=not hasattr(record, "addr"))
        text = (
            (record.levelno, str(record.msg)[:200], vars(record)["reason"])
            if topic and hasattr(record, "reason")
            else hash((record.levelno, message_of(record), getattr(record, "err", None)))
        )
        written_max = CHANGES_MAX if topic else TEXTS_MAX if is_ours(record) else 1
        is_new = text not in entry.seen and entry.written < written_max
        if topic:
            entry.seen.clear()  # a state is new if it is not the one before
        if topic or is_new:
            entry.seen.add(text)
        if is_new:
            entry.written += 1
        else:
            self.counted += not entry.left_out
            entry.left_out += 1
        if entry.left_out and (topic or not is_new):
            entry.newest = _light(record)  # the line at the end of the minute says the newest state
        return is_new

    def _entry(self, kind: Hashable, source: str, now: float, *, is_bounded: bool) -> _Entry:
        key = (kind, source)
        entry = self._entries.get(key)
        if entry is not None:
            return entry
        if len(self._entries) >= ENTRIES_MAX or (is_bounded and self._sources[kind] >= CLIENTS_MAX):
            key = (kind, "*")
            entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = _Entry(now, kind)
            self._sources[kind] += 1
        return entry

    def _forget(self, now: float) -> None:
        """Drop the oldest entries whose window has passed; those that left something out stay until
        `collect`."""
        while self._entries:
            key, entry = next(iter(self._entries.items()))
            if now < entry.began_at + WINDOW_S or entry.left_out:
                return
            self._drop(key, entry)

    def _drop(self, key: Hashable, entry: _Entry) -> None:
        del self._entries[key]
        self._sources[entry.kind] -= 1
        if self._sources[entry.kind] <= 0:
            del self._sources[entry.kind]

    def collect(self, *, at_once: bool = False) -> list[logging.LogRecord]:
        """The newest record of each kind that left some out, with their number; of those whose minute has
        passed, or of all."""
        now = self._clock()
        due = [
            (key, entry)
            for key, entry in self._entries.items()
            if at_once or now >= entry.began_at + WINDOW_S
        ]
        records = []
        for key, entry in due:
            if entry.newest is None:
                self._drop(key, entry)
                continue
            entry.newest.repeated = entry.left_out
            records.append(entry.newest)
            self.counted -= 1
            # in the minute that begins now, one change of state is written, and nothing of other kinds
            is_topic = hasattr(entry.newest, "topic")
            entry.began_at, entry.left_out, entry.newest = now, 0, None
            entry.written = CHANGES_MAX - 1 if is_topic else TEXTS_MAX
            if not is_topic:
                entry.seen.clear()
            self._entries.move_to_end(key)
        return records


def _source(record: logging.LogRecord) -> str:
    """The target, or the client; "" if the record has neither."""
    for name in ("addr", "client"):
        source = getattr(record, name, None)
        if source is not None:
            return str(source)[:200]
    return ""


def _light(record: logging.LogRecord) -> logging.LogRecord:
    """The record without its objects, to be kept for up to a minute."""
    light = logging.LogRecord(record.name, record.levelno, "", 0, message_of(record), (), None)
    for name in (*FIELDS, "topic"):
        if hasattr(record, name):
            setattr(light, name, getattr(record, name))
    return light
