"""The engine: text of a server in, exposition bytes out.

`engine/plain` is the same in plain Python and is the specification; this file states the types of both. A
family has a number, counted from 0 within its family set. A `Block` holds the samples of all families of the
set, family by family.
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
#: name, FIELD, keys (the first that is there counts), transform, ((label, key, optional), …). An optional label
#: is left out where its key is missing; one with 2 also where the value is that of the first key
FieldRow = tuple[bytes, int, tuple[bytes, ...], int, tuple[tuple[bytes, bytes, int], ...]]
#: name, RECORD, pattern, sub, transform, ((label, sub), …), fill
RecordRow = tuple[bytes, int, int, bytes, int, tuple[Pair, ...], bool]
#: name, EVERY_SUB_FIELD, pattern, label, SubFieldLabel, transform, (pattern, sub, transform) of the sum or
#: None, the same of the count, the sub-fields that are written (none: all)
EverySubFieldRow = tuple[
    bytes,
    int,
    int,
    bytes,
    int,
    int,
    tuple[int, bytes, int] | None,
    tuple[int, bytes, int] | None,
    tuple[bytes, ...],
]

class Labels:
    """The labels of a target, which stand before a family's own: `addr="…",alias="…"`, without braces, maybe
    empty.

    `special` gives another text for the families (by number) that have a label of the same name themselves.
    """

    text: bytes
    special: Mapping[int, bytes]
    def __init__(self, text: bytes, special: Mapping[int, bytes] | None = None) -> None: ...

class Block:
    """Rendered samples. `offsets` is int32 in native order, one more than there are families: the samples of
    family i are `samples[offsets[i]:offsets[i + 1]]`. `invalid` counts values that are not numbers; `fields`
    holds the wanted fields of the plan, None for a missing line."""

    samples: bytes
    offsets: bytes
    series: int
    invalid: int
    fields: tuple[bytes | None, ...]

    def __init__(
        self, samples: bytes, offsets: bytes, series: int, invalid: int, fields: tuple[bytes | None, ...]
    ) -> None: ...

class LineOrder:
    """The order of the lines in one target's last reply: so the next one is read without hashing. One for
    each target and plan. While one thread reads by it, others read without it."""

    def __init__(self) -> None: ...

class Plan:
    """The families of one set that INFO holds, compiled. Several threads may read by it at once.
    `interned_max` bounds the keys that are remembered for all targets."""

    families: int
    interned: int
    def __init__(
        self,
        patterns: Sequence[PatternRow],
        families: Sequence[FieldRow | RecordRow | EverySubFieldRow | tuple[bytes, int]],
        fields: Sequence[bytes] = (),
        *,
        interned_max: int = 16384,
        label_max: int = 1024,
    ) -> None: ...
    def read(
        self, text: bytes, labels: Labels, order: LineOrder | None = None, now: float = 0.0, fill: int = 0
    ) -> Block:
        """Read one INFO reply, or several joined by a line break. No content of `text` raises an error.
        `fill` is the count up to which missing numbered records are written as 0."""

class Writer:
    """Writes samples one by one, from Python. `families` are (full name, names of its own labels)."""

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
        """Add one sample. There is a value for each label of the family; `suffix` and `extra` are for
        `_bucket` and `le`. Of the same labels the first sample counts."""
    def add_histogram(
        self,
        family: int,
        bounds: Sequence[int | float],
        below: Sequence[int],
        count: int,
        total: float | int,
        values: Sequence[str | bytes] = (),
    ) -> None:
        """Add the buckets (upper bounds in rising order, else ValueError, and how many were at most that),
        `+Inf` with `count`, the sum, and the count. Of the same labels the first histogram counts."""

    def merge(self, block: Block) -> None:
        """Take over the samples that a plan rendered for the same families. They stand before the added ones."""
    def block(self) -> Block: ...

class RepeatedSamples:
    """Writes the same series again and again with new values: keeps what stands before each value. `families`
    are the same as for a Writer."""

    def __init__(
        self, families: Sequence[tuple[bytes, tuple[bytes, ...]]], labels: Labels, label_max: int = 1024
    ) -> None: ...
    def block(
        self, samples: list[tuple[tuple[int, tuple[str, ...]], float | int]], following: Block | None = None
    ) -> Block:
        """The block of ((family, label values), value), in the order of the families; of the same labels the
        first counts. Fastest if the (family, label values) are the same objects as before. `following` is a
        block of later families, to be put behind."""

class Assembler:
    """Puts a page together, family by family.

    headers[i] is the HELP and TYPE of the page's i-th family, b"" if it is the same as the one before.
    cells[i] is (family set, family within it). blocks[n] has the (samples, offsets) of every target with
    family set n. Wrong offsets raise ValueError.
    """

    size: int  # bytes of the whole page
    def __init__(
        self,
        headers: Sequence[bytes],
        cells: Sequence[tuple[int, int]],
        blocks: Sequence[Sequence[tuple[bytes, bytes]]],
    ) -> None: ...
    def fill(self, room: bytearray) -> int:
        """Write the next bytes of the page into `room` (of 512 kB, say), without the GIL. Returns their
        number: 0 at the end."""

def escape(value: bytes, limit: int = 1024) -> bytes:
    """A label value, cut to `limit` bytes, then escaped: backslash, quote, line break. Bytes that are not
    UTF-8 become U+FFFD."""

def strip_labels(samples: bytes, offsets: bytes, labels: Labels) -> tuple[bytes, bytes]:
    """The same samples without the target's labels."""

def heads_of(samples: bytes, offsets: bytes) -> tuple[set[bytes], list[int]]:
    """The heads (name and labels) of all samples, and how many samples each family has."""

def sift(
    samples: bytes, offsets: bytes, heads: set[bytes], counts: list[int], room: int, per_family: int
) -> tuple[bytes, bytes, int]:
    """The samples with a head in `heads`, and new ones while `heads` has less than `room` and `counts` less
    than `per_family` for that family; both grow by the new ones. Returns samples, offsets, and the number of
    samples."""

def add_timestamps(samples: bytes, offsets: bytes, at_ms: int) -> tuple[bytes, bytes]:
    """The same samples, each with the time `at_ms` (Unix time in milliseconds)."""

def ages(heads: Sequence[bytes], times: Sequence[float], now: float) -> bytes:
    """One line for each head: `head` and now - time, in seconds with three decimals."""

#: by-values; count; omem sum and max; tot-mem sum and max; idle max; age max
Tally = tuple[tuple[bytes, ...], int, int, int, int, int, int, int]

def tally_clients(text: bytes, by: Sequence[str]) -> list[Tally]:
    """CLIENT LIST, counted by any of name, user, lib-name, cmd, db, flags, in the order of first sight. A
    missing field is b"". A text that is not a number counts as 0."""

def client_rows(text: bytes) -> list[dict[bytes, bytes]]:
    """CLIENT LIST, one mapping a client. A blank inside an address does not begin a field."""

#: of one command: its name, how many calls, the upper bounds in rising order, how many calls took at most that
Histogram = tuple[bytes, int, tuple[int, ...], list[int]]

def histogram_rows(reply: object, bounds_max: int) -> list[Histogram]:
    """LATENCY HISTOGRAM: [name, [calls, n, histogram_usec, [bound, count, …]], …]. A row of another form is
    left out, also one with numbers beyond 64 bits, counts that fall, or more bounds than `bounds_max`."""

# the results of a walk over replies
MORE: int  # all bytes are taken, and more must come
DONE: int  # the last awaited reply has ended
TOO_LARGE: int  # the reply under way is too large: the walk goes on, but nobody reads it
SKIPPED: int  # such a reply has ended
BROKEN: int  # this is not a reply of RESP2
HOPELESS: int  # too large even to walk over

class Frames:
    """Where replies end and whether they may be read, before any object is made of them. Keeps nothing of
    what it passes.

    After each walk: `at` is where it stopped; `kept` where the reply under way begins (the begin of the walk
    if it began before); `finished` how many replies have ended, skipped ones too; `why` says what is wrong.
    """

    at: int
    kept: int
    finished: int
    skipping: bool
    why: str
    def expect(self, replies: int, bytes_max: int, elements_max: int, total_max: int) -> None:
        """Start a new walk over that many replies. Each has at most `bytes_max` bytes and `elements_max`
        elements, all together have at most `total_max` bytes."""
    def scan(self, data: bytes, begin: int = 0) -> int:
        """Walk over data[begin:]. After DONE, BROKEN and HOPELESS the walk is over."""
