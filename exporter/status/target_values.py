"""The values that are served for one target, family by family, read from the page of that target.

A page can have hundreds of thousands of lines. They are read in slices; of those that fit the filter, only a
number that a reader looks at is kept.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field

from exporter.safe_text import valid

#: samples that are kept; a page of HTML with more of them is slow to load
SHOWN_MAX = 500
#: lines that are read before the event loop may go on: 500 take less than 1 ms
LINES = 500
#: characters of a filter
FILTER_MAX = 200


@dataclass(frozen=True, slots=True)
class ServedSample:
    """One sample: what its name has behind that of the family (`_bucket`), its labels as they are served, and
    its value."""

    suffix: str
    labels: str
    value: str


@dataclass(slots=True)
class ServedFamily:
    """One family with the samples that fit the filter; `hidden` counts those that are not kept."""

    name: str
    type: str = "untyped"
    help: str = ""
    samples: list[ServedSample] = field(default_factory=list)
    hidden: int = 0


@dataclass(slots=True)
class ServedValues:
    """`families` are those that have samples which fit. `total` counts all samples of the target, `fit` those
    that fit, `shown` those that are kept."""

    families: list[ServedFamily] = field(default_factory=list)
    total: int = 0
    fit: int = 0
    shown: int = 0


async def served_values(
    pieces: Iterable[bytes], text: str, share: Callable[[], Awaitable[None]], shown_max: int | None = None
) -> ServedValues:
    """Read a page whose text comes in pieces. A sample fits if each word of `text` is in its name, labels or
    HELP, in upper or lower case. `share` returns when the event loop has time."""
    reader = _Reader(text, SHOWN_MAX if shown_max is None else shown_max)
    for number, line in enumerate(_lines(pieces)):
        if number % LINES == 0:
            await share()
        reader.read(line)
    return reader.values


class _Reader:
    """Reads line by line: HELP and TYPE come before the samples of their family."""

    def __init__(self, text: str, shown_max: int) -> None:
        self.values = ServedValues()
        self._words = text.lower().split()
        self._shown_max = shown_max
        self._family = ServedFamily("")
        self._missing: list[str] = []  # words that the name and HELP of the family do not have

    def read(self, line: bytes) -> None:
        if line.startswith(b"#"):
            self._describe(line)
        elif line:
            self._take(line)

    def _describe(self, line: bytes) -> None:
        words = valid(line.decode("utf-8", "replace")).split(" ", 3)
        if len(words) < 4 or words[1] not in ("HELP", "TYPE"):
            return
        if words[2] != self._family.name:
            self._begin(words[2])
        if words[1] == "TYPE":
            self._family.type = words[3]
        else:
            self._family.help = _unescaped(words[3])
            known = f"{self._family.name} {self._family.help}".lower()
            self._missing = [word for word in self._words if word not in known]

    def _begin(self, name: str) -> None:
        self._family = ServedFamily(name)
        known = name.lower()
        self._missing = [word for word in self._words if word not in known]

    def _take(self, line: bytes) -> None:
        values, family = self.values, self._family
        values.total += 1
        text = line.decode("utf-8", "replace")
        if self._missing:
            low = text.lower()
            if not all(word in low for word in self._missing):
                return
        values.fit += 1
        if not family.samples and not family.hidden:
            values.families.append(family)
        if values.shown >= self._shown_max:
            family.hidden += 1
            return
        values.shown += 1
        head, _, tail = text.rpartition("} ")
        if head:
            name, _, labels = head.partition("{")
        else:
            (name, _, tail), labels = text.partition(" "), ""
        family.samples.append(ServedSample(name.removeprefix(family.name), labels, tail))


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of a text that comes in pieces, whose ends may be within a line."""
    rest = b""
    for piece in pieces:
        lines = (rest + piece).split(b"\n")
        rest = lines.pop()
        yield from lines
    if rest:
        yield rest


def _unescaped(text: str) -> str:
    """HELP as it was before it was written: `\\n` is the end of a line there, and `\\\\` a backslash."""
    return text.replace("\\\\", "\0").replace("\\n", " ").replace("\0", "\\")
