"""The engine: text of a server in, exposition bytes out.

`engine/plain` is the same in plain Python and is the specification; this file states the types of both. A
family has a number, counted from 0 within its family set. A `Block` holds the samples of all families of the
set, family by family; the compiled engine keeps their values only, and writes the samples where they are asked
for.
"""

import ssl
from collections.abc import Mapping, Sequence
from typing import Any

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
    """Samples. `samples` is their text, and `offsets` is int32 in native order, one more than there are families:
    the samples of family i are `samples[offsets[i]:offsets[i + 1]]`. To read either may take as long as to write
    it. `invalid` counts values that are not numbers; `fields` holds the wanted fields of the plan, None for a
    missing line. `size` is the length of the samples. Wrong offsets raise ValueError."""

    series: int
    invalid: int
    fields: tuple[bytes | None, ...]
    @property
    def samples(self) -> bytes: ...
    @property
    def offsets(self) -> bytes: ...
    @property
    def size(self) -> int: ...
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

    def read_histograms(self, family: int, reply: bytes, statistics: bytes, bounds: Any) -> bool:
        """Add all histograms of a reply to LATENCY HISTOGRAM as it came over the wire (RESP2). The family has
        one label, the command. The sums come from INFO commandstats; a command that it does not have is left
        out.

        `bounds` is a `collectors._contract.KnownBounds`. False if something is out of the ordinary, or if
        something has been added before: nothing is written or remembered then. Nothing else may be added to
        this family."""

    def merge(self, block: Block) -> None:
        """Take over the samples that a plan rendered for the same families. They stand before the added ones."""
    def block(self) -> Block: ...

class TargetSamples:
    """Writes the series about a target (`telemetry.target_series`) of one family set. `numbers` are those of the
    families in the order that `telemetry.target_series.WRITTEN` has."""

    def __init__(self, rows: Sequence[tuple[bytes, tuple[bytes, ...]]], numbers: Sequence[int]) -> None: ...
    def block(self, series: object, labels: Labels) -> Block | None:
        """All samples of a `TargetSeries`. None: it shows something that is out of the ordinary, or this engine
        has no quick way. Then the caller writes sample by sample."""

class Assembler:
    """Puts a page together, family by family.

    headers[i] is the HELP and TYPE of the page's i-th family, b"" if it is the same as the one before.
    cells[i] is (family set, family within it). blocks[n] has the block of every target with family set n; None takes no place. ValueError: a block has too few families.
    """

    size: int  # bytes of the whole page
    def __init__(
        self,
        headers: Sequence[bytes],
        cells: Sequence[tuple[int, int]],
        blocks: Sequence[Sequence[Block | None]],
    ) -> None: ...
    def fill(self, room: bytearray | memoryview) -> int:
        """Write the next bytes of the page into `room` (of 512 kB, say), without the GIL. Returns their
        number: 0 at the end."""

class Segments:
    """A page that is built again and again, in segments: each is one family of one group of targets.

    Segments are numbered as they stand on the page: cell after cell, and within a cell group after group.
    `cells` are as of an Assembler; `parts` and `groups` are how many family sets and groups of targets there
    are. Not for two threads at once. After an error it is of no use.
    """

    count: int  # of segments
    left: int  # bytes of the walk that are still to come
    def __init__(self, cells: Sequence[tuple[int, int]], parts: int, groups: int) -> None: ...
    def take(
        self, headers: Sequence[bytes], blocks: Sequence[list[Block | None]], ends: Sequence[int]
    ) -> bytes:
        """The page is made of these from now on, until `release`: nobody may change the lists. blocks[n] has
        the block of every target with family set n, None where there is none, or is empty; group i ends at
        ends[i]. Returns one byte for each segment: 0 if its text is the same as at the `take` before."""
    def size(self, first: int, end: int) -> int:
        """The bytes of segments `first` to `end`, without `end`."""
    def start(self, first: int, end: int) -> None:
        """Walk over these segments from now on."""
    def fill(self, room: bytearray | memoryview) -> int:
        """Write the next bytes of the walk into `room`, without the GIL. Returns their number: 0 at the
        end."""
    def release(self) -> None:
        """Let go of the blocks."""

def follow(block: Block, before: Block | None) -> None:
    """Note that a block takes the place of `before`, or the first place (None), and which families differ.
    Once for each block: `Segments` takes a block that follows none as changed."""

def escape(value: bytes, limit: int = 1024) -> bytes:
    """A label value, cut to `limit` bytes, then escaped: backslash, quote, line break. Bytes that are not
    UTF-8 become U+FFFD."""

def strip_labels(block: Block, labels: Labels) -> Block:
    """The same samples without the target's labels."""

def heads_of(block: Block) -> tuple[set[bytes], list[int]]:
    """The heads (name and labels) of all samples, and how many samples each family has."""

def sift(block: Block, heads: set[bytes], counts: list[int], room: int, per_family: int) -> Block:
    """The samples with a head in `heads`, and new ones while `heads` has less than `room` and `counts` less
    than `per_family` for that family; both grow by the new ones."""

def add_timestamps(block: Block, at_ms: int) -> Block:
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
    if it began before); `finished` how many replies have ended, skipped ones too, and `ends` where each of
    them ended, in bytes from the beginning of the walk; `why` says what is wrong.
    """

    at: int
    kept: int
    finished: int
    ends: tuple[int, ...]
    skipping: bool
    why: str
    def expect(self, replies: int, bytes_max: int, elements_max: int, total_max: int) -> None:
        """Start a new walk over that many replies. Each has at most `bytes_max` bytes and `elements_max`
        elements, all together have at most `total_max` bytes."""
    def scan(self, data: bytes, begin: int = 0) -> int:
        """Walk over data[begin:]. After DONE, BROKEN and HOPELESS the walk is over."""

EPOLL: bool  # whether this system has what an `Exchanger` needs

class Exchanger:
    """The sockets of an event loop, in an epoll of their own. `fileno` is for one reader of the loop, which calls
    `drain`: it serves all sockets that have something, for `turn_s` seconds at most. What is left then makes
    `fileno` readable at once. `channels` counts the open ones."""

    channels: int
    def __init__(self, turn_s: float) -> None: ...
    def fileno(self) -> int: ...
    def drain(self) -> None: ...
    def close(self) -> None:
        """Only without open channels."""

class Traffic:
    """Bytes that channels sent and received, and how many connections there were. It counts from 0."""

    connections: int
    received: int
    sent: int

class Received:
    """Replies as they came: see `connection.replies.RawReplies`, whose fields these are."""

    data: bytes
    ends: tuple[int, ...]
    received: int
    source: Any
    replies: list[Any] | None

class Channel:
    """One socket, and at most one exchange over it. What happens is reported to methods that a class below this
    one has: `answered` and the others. They may begin the next exchange, and close this channel or others.

    `began_reply`: a byte came for the newest exchange.
    """

    began_reply: bool
    def open(self, exchanger: Exchanger, fd: int, limits: tuple[int, int, int]) -> None:
        """Take a connected socket that does not block. `limits` are those of `Frames.expect`."""
    def secure(
        self, session: ssl.SSLObject, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, early: bytes
    ) -> None:
        """From now on all bytes go through TLS. `session` has ended its handshake, and reads from `incoming`, which
        may be that of other channels too: it is empty between two calls. `early` came after the handshake."""
    @property
    def is_secured(self) -> bool: ...
    @property
    def failure(self) -> ssl.SSLError | None:
        """What TLS has failed with. The connection has ended then."""
    def shut(self) -> None:
        """Close the socket. Nothing is reported from now on."""
    def watch(self) -> None:
        """Report what comes; so it is from the beginning."""
    def unwatch(self) -> None:
        """Report nothing until `watch`: what comes stays in the socket."""
    def ask(self, payload: bytes, count: int) -> None:
        """Send a pipeline of `count` > 0 commands, and report their replies."""
    def send(self, data: bytes) -> None:
        """Send; what does not fit into the socket is sent later."""
    def receive(self, most: int) -> bytes | None:
        """Up to that many bytes; b"" at the end of the connection, None if there are none now."""
    @property
    def has_more(self) -> bool:
        """Whether a byte waits to be received."""
    def take_held(self) -> bytes:
        """What has come of incomplete replies; what comes after it is reported to `came`."""
    def answered(self, data: bytes, ends: tuple[int, ...]) -> None:
        """All replies have come, and nothing else: `data`, and where each reply ends in it."""
    def came(self, data: bytes) -> None:
        """Bytes came that nobody asked for; or for the running exchange all bytes so far, which are too many to
        be held here, or no plain replies. All that comes later for this exchange is reported here too."""
    def ended(self) -> None:
        """The connection has come to its end. Nothing more is reported."""
    def failed(self, error: Exception) -> None:
        """One of these methods has raised an error."""
