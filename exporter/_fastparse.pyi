"""The engine: text of a server in, exposition bytes out.

`engine/plain` is the same in plain Python and is the specification; this file states the types of both.
Families are numbered from 0 within their part, and a `Block` holds the samples of all of them, grouped by family.
"""

from collections.abc import Mapping, Sequence

ENGINE: str  # "compiled" or "python"

# kinds of family rows of a Plan
FIELD: int
RECORD: int
EVERY_SUB_FIELD: int

Pair = tuple[bytes, bytes]

#: prefix, suffix, digits, name_label, whole, constant (rendered, `type="string"`), first
PatternRow = tuple[bytes, bytes, bool, bytes, bool, bytes, bytes]
#: name, FIELD, keys (the first that is there counts), transform, ((label, key, optional), …)
FieldRow = tuple[bytes, int, tuple[bytes, ...], int, tuple[tuple[bytes, bytes, bool], ...]]
#: name, RECORD, pattern, sub, transform, ((label, sub), …), fill
RecordRow = tuple[bytes, int, int, bytes, int, tuple[Pair, ...], bool]
#: name, EVERY_SUB_FIELD, pattern, sub_label, sub_name, transform, (pattern, sub, transform) of the sum or None, the same of the count
OpenRow = tuple[
    bytes, int, int, bytes, int, int, tuple[int, bytes, int] | None, tuple[int, bytes, int] | None
]

class Labels:
    """The labels of a target as they stand before a family's own: `addr="…",alias="…"`, without braces, maybe empty.

    `special` gives other text for the families (by number) that have a label of the same name themselves.
    """

    text: bytes
    special: Mapping[int, bytes]
    def __init__(self, text: bytes, special: Mapping[int, bytes] | None = None) -> None: ...

class Block:
    """Rendered samples. `offsets` is int32, native order, one more than there are families: family i is
    `samples[offsets[i]:offsets[i + 1]]`. `invalid` counts values that were no numbers; `fields` holds the texts the plan
    was told to return, None where the line is missing."""

    samples: bytes
    offsets: bytes
    series: int
    invalid: int
    fields: tuple[bytes | None, ...]

    def __init__(
        self, samples: bytes, offsets: bytes, series: int, invalid: int, fields: tuple[bytes | None, ...]
    ) -> None: ...

class LineOrder:
    """What one target's last reply looked like, so that the next one is read without hashing. Opaque; one per target and plan."""

    def __init__(self) -> None: ...

class Plan:
    """The INFO-read families of one part, compiled. `interned_max` bounds the names that are remembered for all targets."""

    families: int
    interned: int
    def __init__(
        self,
        patterns: Sequence[PatternRow],
        families: Sequence[FieldRow | RecordRow | OpenRow | tuple[bytes, int]],
        fields: Sequence[bytes] = (),
        *,
        interned_max: int = 16384,
        label_max: int = 1024,
    ) -> None: ...
    def read(
        self, text: bytes, labels: Labels, order: LineOrder | None = None, now: float = 0.0, fill: int = 0
    ) -> Block:
        """Read one INFO reply (or several, joined by a line break). Never raises because of what is in `text`."""

class Writer:
    """Writes samples of families one by one, from Python; `families` are (full name, own label names)."""

    def __init__(
        self, families: Sequence[tuple[bytes, tuple[bytes, ...]]], labels: Labels, label_max: int = 1024
    ) -> None: ...
    def add(
        self,
        family: int,
        value: float | int | bytes,
        values: Sequence[str | bytes] = (),
        suffix: bytes = b"",
        extra: tuple[bytes, str | bytes] | None = None,
    ) -> None:
        """One sample. `values` are as many as the family has labels; `suffix` and `extra` serve `_bucket` and `le`."""
    def add_histogram(
        self,
        family: int,
        bounds: Sequence[int | float],
        below: Sequence[int],
        count: int,
        total: float | int,
        values: Sequence[str | bytes] = (),
    ) -> None:
        """Buckets: upper bounds in rising order (ValueError if not), and transform many were at most that; then `+Inf` with
        `count`, the sum, and the count. Of the same labels the first counts."""
    def merge(self, block: Block) -> None:
        """Take over the samples that a plan rendered for the same families; of a family with both, the block's stand first."""
    def block(self) -> Block: ...

class RepeatedSamples:
    """For samples that are written again and again with other values: what stands before each value is kept. `families` as
    for a Writer."""

    def __init__(
        self, families: Sequence[tuple[bytes, tuple[bytes, ...]]], labels: Labels, label_max: int = 1024
    ) -> None: ...
    def block(
        self, samples: list[tuple[tuple[int, tuple[str, ...]], float | int]], following: Block | None = None
    ) -> Block:
        """((family, label values), value) in the order of the families; of the same labels the first counts. Quickest if the
        (family, label values) are the same objects as before. `following` is a block of later families, put behind."""

class Assembler:
    """Puts a page together, family by family.

    headers[i] is the HELP and TYPE of the page's i-th family, b"" if it is the same as the one before; cells[i] = (part, family within it), and blocks[p] the
    (samples, offsets) of every target that has part p. Offsets are checked: one that lies raises ValueError.
    """

    size: int  # bytes of the whole page
    def __init__(
        self,
        headers: Sequence[bytes],
        cells: Sequence[tuple[int, int]],
        blocks: Sequence[Sequence[tuple[bytes, bytes]]],
    ) -> None: ...
    def fill(self, room: bytearray) -> int:
        """Write the next bytes of the page, as many as there is room for (512 kB, say). How many: 0 at the end. Copies without
        the GIL."""

def escape(value: bytes, limit: int = 1024) -> bytes:
    """A label value, escaped: backslash, quote, line break; bytes that are not UTF-8 become U+FFFD; longer ones are cut."""

def strip_labels(samples: bytes, offsets: bytes, labels: Labels) -> tuple[bytes, bytes]:
    """The same samples without the target's labels."""

def heads_of(samples: bytes, offsets: bytes) -> tuple[set[bytes], list[int]]:
    """The heads (name and labels) of all samples, and transform many samples each family has."""

def sift(
    samples: bytes, offsets: bytes, heads: set[bytes], counts: list[int], room: int, per_family: int
) -> tuple[bytes, bytes, int]:
    """The samples whose heads are in `heads`, and newcomers while `heads` are fewer than `room` and the family's count is less than
    `per_family`: those are put into both. Samples, offsets, and transform many samples those are."""

def add_timestamps(samples: bytes, offsets: bytes, at_ms: int) -> tuple[bytes, bytes]:
    """The same samples, each with the time `at_ms` (Unix time in milliseconds)."""

def ages(heads: Sequence[bytes], times: Sequence[float], now: float) -> bytes:
    """One line a head, `head` + (now - time) to the millisecond."""

#: by-values; count; omem sum and max; tot-mem sum and max; idle max; age max
Tally = tuple[tuple[bytes, ...], int, int, int, int, int, int, int]

def tally_clients(text: bytes, by: Sequence[str]) -> list[Tally]:
    """CLIENT LIST, counted by any of name, user, lib-name, cmd, db, flags; in the order of first sight. A field that a
    line does not have is b"". Numbers that are none count as 0."""

def client_rows(text: bytes) -> list[dict[bytes, bytes]]:
    """CLIENT LIST, one mapping a client. A blank inside an address does not begin a field."""

#: of one command: its name, transform many calls, the upper bounds in rising order, and transform many calls took at most that
Histogram = tuple[bytes, int, tuple[int, ...], list[int]]

def histogram_rows(reply: object, bounds_max: int) -> list[Histogram]:
    """LATENCY HISTOGRAM: [name, [calls, n, histogram_usec, [bound, count, …]], …]. A row of another form is left out, as is
    one of numbers beyond 64 bits, of counts that fall, or of more bounds than `bounds_max`."""

# what a walk over replies came to
MORE: int  # all was taken, and more is to come
DONE: int  # the last awaited reply has ended
TOO_LARGE: int  # the reply under way is too large: it is walked over, and read by nobody
SKIPPED: int  # such a reply has ended
BROKEN: int  # this is no reply of RESP2
HOPELESS: int  # too large to be walked over

class Frames:
    """Where replies end, and whether they may be read, before anything is made of them. Keeps nothing of what it passes.

    After each walk: `at` is where it stopped, `kept` where the reply under way began (in these bytes, at their begin if before them),
    `finished` transform many replies have ended, those that were walked over too; `why` says what was wrong.
    """

    at: int
    kept: int
    finished: int
    skipping: bool
    why: str
    def expect(self, replies: int, bytes_max: int, elements_max: int, total_max: int) -> None:
        """Begin anew, with so many replies: each of so many bytes and elements at most, all of so many bytes."""
    def scan(self, data: bytes, begin: int = 0) -> int:
        """Walk over data[begin:]. After DONE, BROKEN and HOPELESS there is no more to walk over."""
