"""The compiled engine. `engine/plain` specifies it line by line; `_fastparse.pyi` states the types.

How it is fast. A reply is read in one pass without the GIL. The keys of its lines are interned in a table that all
targets share; each target remembers the order of its last reply, so that a line is recognised by comparing it with the
one expected, without hashing. Values are noted as (pointer, length); a second pass over the families writes each sample
as three or four short copies: head, labels, value. What reading and writing are made of stands in `_native`; pages are put
together in `_native/pages.pyx`, lists of clients are read in `_native/clients.pyx`,
histograms in `_native/histograms.pyx`, ends of replies are found in `_frames.pyx`.

Invariants: nothing that a server says is trusted for an offset, a length or a count; what does not fit in the shared
table is interned in a second one that lives for one reply.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc, PyMem_RawRealloc
from cpython.object cimport PyObject
from cpython.pythread cimport (
    PyThread_acquire_lock, PyThread_allocate_lock, PyThread_free_lock, PyThread_release_lock, PyThread_type_lock, WAIT_LOCK,
)
from cpython.ref cimport Py_XDECREF
from cpython.tuple cimport PyTuple_GET_ITEM
from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy, memset

from exporter._native.buffers cimport (
    Buffer, PAD, Text, append, check_offsets, cut_text, find_byte, grow, new_text, put, raw_zeros, release,
    reserve, same, stride, text_of, text_room,
)
from exporter._native.numbers cimport (
    F_ANY, NUMBER_MAX, digit_span, number_span, put_escaped, put_sub_name, write_int, write_value,
)
from exporter._native.tables cimport (
    Table, hash_of, table_add, table_clear, table_find, table_free, table_init,
)

import os
import struct

from exporter._native.clients import client_rows, tally_clients
from exporter._native.frames import BROKEN, DONE, HOPELESS, MORE, SKIPPED, TOO_LARGE, Frames
from exporter._native.histograms import histogram_rows
from exporter._native.pages import Assembler, ages, heads_of, sift, stamp, strip_labels

ENGINE = "compiled"
FIELD, RECORD, OPEN = 0, 1, 2

cdef enum:
    K_FIELD = 0
    K_RECORD = 1
    K_OPEN = 2
    K_EMPTY = 3
    GROUPS_MAX = 64
    FILL_MAX = 65536
    OPEN_MAX = 256
    OPENED_MAX = 16384
    WANTED_MAX = 1000
    KEY_INTERNED_MAX = 256      # a longer key is not worth remembering
    LOOK_AHEAD = 8              # lines that may vanish at once before hashing takes over for one reply
    SUBS_MAX = 16               # sub-fields of one pattern that families use
    ROOM_MORE = 640             # the next samples may be a little longer, and the last line wants some air
    FULL = -2                   # returned where a block can hold no more

def escape(value: bytes, limit: int = 1024) -> bytes:
    cdef Buffer b
    memset(&b, 0, sizeof(Buffer))
    if put_escaped(&b, PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value), <size_t>limit) < 0:
        raise MemoryError
    try:
        return PyBytes_FromStringAndSize(b.p, b.n)
    finally:
        release(&b)

# ----------------------------------------------------------------------------------------------------------------------
# What callers hold

cdef struct LabelText:
    char *open          # `{addr="x",` or `{`
    size_t open_n
    char *closed        # `{addr="x"} ` or ` `
    size_t closed_n

cdef int make_label_text(LabelText *out, bytes text) except -1:
    cdef bytes opened = b"{" + text + b"," if text else b"{"
    cdef bytes closed = b"{" + text + b"} " if text else b" "
    out.open_n = PyBytes_GET_SIZE(opened)
    out.closed_n = PyBytes_GET_SIZE(closed)
    out.open = <char *>PyMem_RawMalloc(out.open_n + out.closed_n + 2 * PAD)
    if out.open == NULL:
        raise MemoryError
    memset(out.open, 0, out.open_n + out.closed_n + 2 * PAD)
    out.closed = out.open + out.open_n + PAD
    memcpy(out.open, PyBytes_AS_STRING(opened), out.open_n)
    memcpy(out.closed, PyBytes_AS_STRING(closed), out.closed_n)
    return 0

cdef class Labels:
    cdef readonly bytes text
    cdef readonly dict special
    cdef LabelText *texts       # texts[0] for all families but the special ones
    cdef int *special_families
    cdef int special_n

    def __cinit__(self, bytes text not None, special=None):
        cdef int i
        self.text = text
        self.special = dict(special or {})
        self.special_n = len(self.special)
        self.texts = <LabelText *>PyMem_RawMalloc((self.special_n + 1) * sizeof(LabelText))
        self.special_families = <int *>PyMem_RawMalloc((self.special_n + 1) * sizeof(int))
        if self.texts == NULL or self.special_families == NULL:
            raise MemoryError
        memset(self.texts, 0, (self.special_n + 1) * sizeof(LabelText))
        make_label_text(&self.texts[0], text)
        for i, (family, own) in enumerate(sorted(self.special.items())):
            self.special_families[i] = family
            make_label_text(&self.texts[i + 1], own)

    def __dealloc__(self):
        cdef int i
        if self.texts != NULL:
            for i in range(self.special_n + 1):
                PyMem_RawFree(self.texts[i].open)
        PyMem_RawFree(self.texts)
        PyMem_RawFree(self.special_families)

    cdef inline LabelText *of(self, int family) noexcept nogil:
        cdef int i
        for i in range(self.special_n):
            if self.special_families[i] == family:
                return &self.texts[i + 1]
        return &self.texts[0]

cdef class Block:
    cdef readonly bytes samples
    cdef readonly bytes offsets
    cdef readonly Py_ssize_t series
    cdef readonly Py_ssize_t invalid
    cdef readonly tuple fields

    def __init__(self, bytes samples, bytes offsets, Py_ssize_t series, Py_ssize_t invalid, tuple fields):
        self.samples = samples
        self.offsets = offsets
        self.series = series
        self.invalid = invalid
        self.fields = fields

cdef class LineOrder:
    cdef int32_t *ids           # numbers of kept entries, in the order of the lines; -1: one that is not kept
    cdef int n
    cdef int room
    cdef Py_ssize_t room_n      # what its next samples might take
    cdef tuple fields

    def __dealloc__(self):
        PyMem_RawFree(self.ids)

# ----------------------------------------------------------------------------------------------------------------------
# The plan: reading

cdef enum:
    E_IGNORED = 0
    E_FIELD = 1
    E_RECORD = 2
    GROUP_CURRENT = -1

cdef struct Entry:
    uint32_t key            # where the key begins among the interned ones
    uint32_t key_n
    int8_t kind
    bint sets_group
    int32_t row             # slot of a field, pattern of a record
    int32_t group           # of a field: 0, N of master_N_…, or the one that the lines before were of
    int32_t number          # of a numbered record, -1 where it has none
    int32_t subject         # (pattern, name)
    int32_t joined          # (joined pattern, name), -1: none
    uint32_t own            # where the rendered own labels begin
    uint32_t own_n

cdef struct Interner:
    Table lines
    Entry *entries
    int32_t room
    Buffer own
    Table subjects

cdef struct SubShape:
    char key[32]            # `calls=`
    uint8_t key_n
    int8_t sub

cdef struct Pattern:
    Text prefix
    Text suffix
    Text name_label         # `cmd="`, empty: none
    Text constant
    Text first
    bint digits
    bint whole
    int joined              # the pattern whose record of the same name is joined, -1: none
    Text subs[SUBS_MAX]
    int subs_n
    SubShape shape[24]      # the sub-fields of the line read last, in order: the next one's, most likely
    int shape_n
    Buffer lines            # of Line
    Buffer values           # of Text, subs_n a line

cdef struct Line:
    Text value
    uint32_t own
    uint32_t own_n
    bint passing
    int32_t number
    int32_t joined

cdef struct Seat:
    uint32_t stamp
    int32_t line

cdef struct FieldLabel:
    Text opening            # `role="`
    int keys
    int keys_n
    bint optional

cdef struct OpenName:
    uint8_t raw_n
    uint8_t state           # 0 written, 1 of another form, 2 there already
    uint16_t label_n
    char raw[NUMBER_MAX]
    char label[256]         # `quantile="0.5"} `

cdef struct OpenShape:
    int n
    OpenName names[OPEN_MAX]

cdef struct FamilyRow:
    int kind
    Text name
    int transform
    bint grouped
    int keys                # into `numbers`: slots, the first that is there counts
    int keys_n
    int labels              # into `field_labels`
    int labels_n
    int pattern
    int sub                 # -1: the whole value
    bint fill
    int sub_labels          # into `numbers`: sub numbers; the openings are in sub_openings
    int sub_labels_n
    int sub_kind
    Text sub_opening        # `quantile="`
    OpenShape *shape
    int sum_sub             # -1: none
    int sum_how
    int count_sub
    int count_how

cdef struct PlainRow:
    const char *name
    uint32_t name_n
    int32_t slot            # of a field with one key and no labels; -1: look at the full row
    int32_t transform

cdef struct GroupValue:
    int group
    int slot
    Text value

cdef int interner_init(Interner *it, uint64_t seed) noexcept nogil:
    memset(it, 0, sizeof(Interner))
    if table_init(&it.lines, seed) < 0 or table_init(&it.subjects, seed) < 0:
        return -1
    return grow(&it.own, 0)

cdef void interner_free(Interner *it) noexcept nogil:
    table_free(&it.lines)
    table_free(&it.subjects)
    PyMem_RawFree(it.entries)
    it.entries = NULL
    release(&it.own)

cdef class Plan:
    """See `_fastparse.pyi`. One lock guards all that is mutable here: reads of several threads come one after the other."""

    cdef readonly int families
    cdef int interned_max
    cdef int subjects_max
    cdef size_t label_max
    cdef list _alive            # the Python objects that the Texts below point into
    cdef tuple wanted
    cdef int *wanted_slots
    cdef PyThread_type_lock lock
    cdef Table field_keys
    cdef bint *grouped_slots
    cdef Pattern *patterns
    cdef int patterns_n
    cdef FamilyRow *rows
    cdef PlainRow *plain        # parallel to rows: all that the most common kind needs, close together
    cdef Buffer names           # of the families
    cdef const char *last       # up to here, 32 bytes of the text can be read
    cdef int *numbers
    cdef int numbers_n
    cdef FieldLabel *field_labels
    cdef int field_labels_n
    cdef Text *sub_openings     # parallel to numbers
    cdef Interner kept
    cdef Interner passing
    # one reading
    cdef Text *fields           # by slot, group 0
    cdef Buffer group_values    # of GroupValue
    cdef int groups[GROUPS_MAX]
    cdef int groups_n
    cdef int group
    cdef Seat *seats            # by subject: the line of it in this reading
    cdef int32_t seats_n
    cdef uint32_t stamp
    cdef Buffer ids             # of int32_t: the line order of this reading
    cdef Buffer scratch
    cdef Buffer out
    cdef Py_ssize_t room_n      # what the samples of another target of the same kind might take; never 0
    cdef Buffer head
    cdef Table seen             # heads that may come twice
    cdef int32_t *offsets
    cdef Py_ssize_t series
    cdef Py_ssize_t invalid
    cdef LabelText *label_text

    def __cinit__(self, patterns, families, fields=(), *, int interned_max=16384, int label_max=1024):
        cdef uint64_t seed = struct.unpack("=Q", os.urandom(8))[0]
        self.room_n = ROOM_MORE
        self.lock = PyThread_allocate_lock()
        if self.lock == NULL:
            raise MemoryError
        self._alive = []
        self.families = len(families)
        self.interned_max = interned_max
        self.subjects_max = 2 * interned_max + 64
        self.label_max = max(label_max, 0)
        self.wanted = tuple(fields)
        if (
            table_init(&self.field_keys, seed) < 0 or table_init(&self.seen, seed) < 0
            or interner_init(&self.kept, seed) < 0 or interner_init(&self.passing, seed) < 0
        ):
            raise MemoryError
        self._compile_patterns(patterns)
        self._compile_families(families)
        self.wanted_slots = <int *>raw_zeros(len(self.wanted) + 1, sizeof(int))
        for i, key in enumerate(self.wanted):
            self.wanted_slots[i] = self._slot(key)
        self.fields = <Text *>raw_zeros(self.field_keys.count + 1, sizeof(Text))
        self.offsets = <int32_t *>raw_zeros(self.families + 1, sizeof(int32_t))
        self._group_slots(families)
        self._make_plain()

    def __dealloc__(self):
        cdef int i
        if self.lock != NULL:
            PyThread_free_lock(self.lock)
        table_free(&self.field_keys)
        table_free(&self.seen)
        interner_free(&self.kept)
        interner_free(&self.passing)
        for i in range(self.patterns_n):
            release(&self.patterns[i].lines)
            release(&self.patterns[i].values)
        if self.rows != NULL:
            for i in range(self.families):
                PyMem_RawFree(self.rows[i].shape)
        PyMem_RawFree(self.patterns)
        PyMem_RawFree(self.rows)
        PyMem_RawFree(self.plain)
        release(&self.names)
        PyMem_RawFree(self.numbers)
        PyMem_RawFree(self.field_labels)
        PyMem_RawFree(self.sub_openings)
        PyMem_RawFree(self.wanted_slots)
        PyMem_RawFree(self.grouped_slots)
        PyMem_RawFree(self.fields)
        PyMem_RawFree(self.seats)
        PyMem_RawFree(self.offsets)
        release(&self.group_values)
        release(&self.ids)
        release(&self.scratch)
        release(&self.out)
        release(&self.head)

    @property
    def interned(self):
        return self.kept.lines.count

    # -- compiling

    cdef Text _text(self, bytes value):
        """A padded copy that lives as long as the plan."""
        cdef bytes padded = value + bytes(PAD)
        cdef Text text
        self._alive.append(padded)
        text.p = PyBytes_AS_STRING(padded)
        text.n = <uint32_t>PyBytes_GET_SIZE(value)
        text.form = F_ANY
        return text

    cdef int _slot(self, bytes key) except -1:
        cdef const char *p = PyBytes_AS_STRING(key)
        cdef size_t n = PyBytes_GET_SIZE(key)
        cdef uint32_t h = <uint32_t>hash_of(p, n, self.field_keys.seed)
        cdef int32_t slot = table_find(&self.field_keys, p, n, h)
        if slot < 0:
            slot = table_add(&self.field_keys, p, n, h)
            if slot < 0:
                raise MemoryError
        return slot

    cdef int _sub(self, int pattern, bytes name) except -2:
        cdef Pattern *row
        cdef int i
        if pattern < 0 or pattern >= self.patterns_n:
            raise ValueError(f"there is no pattern {pattern}")
        row = &self.patterns[pattern]
        if not name:
            return -1
        for i in range(row.subs_n):
            if row.subs[i].p[: row.subs[i].n] == name:
                return i
        if row.subs_n == SUBS_MAX:
            raise ValueError(f"a pattern has at most {SUBS_MAX} sub-fields")
        row.subs[row.subs_n] = self._text(name)
        row.subs_n += 1
        return row.subs_n - 1

    def _compile_patterns(self, patterns):
        cdef Pattern *row
        self.patterns = <Pattern *>raw_zeros(len(patterns) + 1, sizeof(Pattern))
        if len(patterns) > 250:
            raise ValueError("a plan has at most 250 patterns")
        for prefix, suffix, digits, name_label, whole, constant, first in patterns:
            row = &self.patterns[self.patterns_n]
            row.prefix = self._text(prefix)
            row.suffix = self._text(suffix)
            row.digits = digits
            row.name_label = self._text(name_label + b'="' if name_label else b"")
            row.whole = whole
            row.constant = self._text(constant)
            row.first = self._text(b":" + first if first else b"")
            row.joined = -1
            self.patterns_n += 1

    def _compile_families(self, families):
        cdef int i
        numbers_room = field_room = 1
        for row in families:
            if len(row) > 2 and row[1] == K_FIELD:
                field_room += len(row[4])
                numbers_room += len(row[2]) + sum(keys.count(b"|") + 1 for _, keys, _ in row[4])
            elif len(row) > 2 and row[1] == K_RECORD:
                numbers_room += len(row[5])
        self.rows = <FamilyRow *>raw_zeros(self.families + 1, sizeof(FamilyRow))
        self.numbers = <int *>raw_zeros(numbers_room, sizeof(int))
        self.sub_openings = <Text *>raw_zeros(numbers_room, sizeof(Text))
        self.field_labels = <FieldLabel *>raw_zeros(field_room, sizeof(FieldLabel))
        for i in range(self.families):
            row = families[i]
            self.rows[i].name = self._text(row[0])
            self.rows[i].kind = row[1] if len(row) > 2 else K_EMPTY
            if self.rows[i].kind == K_FIELD:
                self._compile_field(i, row)
            elif self.rows[i].kind == K_RECORD:
                self._compile_record(i, row)
            elif self.rows[i].kind == K_OPEN:
                self._compile_open(i, row)

    cdef int _compile_field(self, int i, row) except -1:
        cdef FamilyRow *family = &self.rows[i]
        cdef FieldLabel *label
        _, _, keys, family.transform, labels = row
        family.keys = self.numbers_n
        family.keys_n = len(keys)
        for key in keys:
            self.numbers[self.numbers_n] = self._slot(key)
            self.numbers_n += 1
        family.labels = self.field_labels_n
        family.labels_n = len(labels)
        for name, alternatives, optional in labels:
            label = &self.field_labels[self.field_labels_n]
            self.field_labels_n += 1
            label.opening = self._text(name + b'="')
            label.optional = optional
            label.keys = self.numbers_n
            for key in alternatives.split(b"|"):
                self.numbers[self.numbers_n] = self._slot(key)
                self.numbers_n += 1
                label.keys_n += 1
        return 0

    cdef int _compile_record(self, int i, row) except -1:
        cdef FamilyRow *family = &self.rows[i]
        _, _, family.pattern, sub, family.transform, labels, family.fill = row
        family.sub = self._sub(family.pattern, sub)
        family.sub_labels = self.numbers_n
        family.sub_labels_n = len(labels)
        for name, key in labels:
            self.numbers[self.numbers_n] = self._sub(family.pattern, key)
            self.sub_openings[self.numbers_n] = self._text(name + b'="')
            self.numbers_n += 1
        return 0

    cdef int _compile_open(self, int i, row) except -1:
        cdef FamilyRow *family = &self.rows[i]
        _, _, family.pattern, label, family.sub_kind, family.transform, total, count = row
        self._sub(family.pattern, b"")
        if len(label) > 64:
            raise ValueError("the label of a sub-field has at most 64 characters")
        family.sub_opening = self._text(label + b'="')
        family.shape = <OpenShape *>raw_zeros(1, sizeof(OpenShape))
        family.sum_sub = family.count_sub = -1
        for join in (total, count):
            if join is not None:
                if self.patterns[family.pattern].joined not in (-1, join[0]):
                    raise ValueError("a pattern is joined with one other pattern at most")
                self.patterns[family.pattern].joined = join[0]
        if total is not None:
            family.sum_sub = self._sub(total[0], total[1])
            family.sum_how = total[2]
        if count is not None:
            family.count_sub = self._sub(count[0], count[1])
            family.count_how = count[2]
        return 0

    def _group_slots(self, families):
        """Fields that may come once for each master: the keys of families that are labelled by it."""
        cdef int i
        grouped = set()
        for row in families:
            if len(row) > 2 and row[1] == K_FIELD:
                label_keys = {key for _, keys, _ in row[4] for key in keys.split(b"|")}
                if b"master_host" in label_keys:
                    grouped.update(row[2])
                    grouped.update(key for key in label_keys if key.startswith(b"master_"))
        self.grouped_slots = <bint *>raw_zeros(self.field_keys.count + 1, sizeof(bint))
        for key in grouped:
            self.grouped_slots[self._slot(key)] = True
        for i, row in enumerate(families):
            if len(row) > 2 and row[1] == K_FIELD:
                self.rows[i].grouped = any(key in grouped for key in row[2])

    def _make_plain(self):
        cdef int i
        cdef FamilyRow *row
        cdef size_t at
        for i in range(self.families):
            if append(&self.names, self.rows[i].name.p, self.rows[i].name.n) < 0:
                raise MemoryError
        self.plain = <PlainRow *>raw_zeros(self.families + 1, sizeof(PlainRow))
        at = 0
        for i in range(self.families):
            row = &self.rows[i]
            self.plain[i].name = self.names.p + at
            self.plain[i].name_n = row.name.n
            at += row.name.n
            self.plain[i].slot = -1
            self.plain[i].transform = row.transform
            if row.kind == K_FIELD and row.keys_n == 1 and row.labels_n == 0 and not row.grouped:
                self.plain[i].slot = self.numbers[row.keys]

    # -- reading: what a line is

    cdef void _classify(self, const char *p, size_t n, int forced, Entry *entry) noexcept nogil:
        """Fill in kind, row, group and number for a key; `forced` is the pattern where that is known already."""
        cdef char plain[NUMBER_MAX + 64]
        cdef size_t digits
        cdef int32_t slot
        cdef int i
        cdef size_t k
        entry.kind = E_IGNORED
        entry.number = entry.subject = entry.joined = -1
        if forced < 0:
            slot = table_find(&self.field_keys, p, n, <uint32_t>hash_of(p, n, self.field_keys.seed))
            if slot >= 0:
                entry.kind = E_FIELD
                entry.row = slot
                if self.grouped_slots[slot]:
                    if n >= 7 and memcmp(p, b"master_", 7) == 0:
                        entry.sets_group = True
                    else:
                        entry.group = GROUP_CURRENT
                return
            if n > 9 and n < sizeof(plain) and memcmp(p, b"master_", 7) == 0 and p[7] != 48:
                digits = digit_span(p + 7, n - 7)
                if 0 < digits <= 4 and p[7 + digits] == 95:
                    memcpy(plain, p, 7)
                    memcpy(plain + 7, p + 8 + digits, n - 8 - digits)
                    k = n - 1 - digits
                    slot = table_find(&self.field_keys, plain, k, <uint32_t>hash_of(plain, k, self.field_keys.seed))
                    if slot >= 0 and k > 7 and self.grouped_slots[slot]:
                        entry.kind = E_FIELD
                        entry.row = slot
                        entry.sets_group = True
                        for k in range(digits):
                            entry.group = entry.group * 10 + (p[7 + k] - 48)
                        return
        for i in range(self.patterns_n):
            if (forced < 0 and self._fits(&self.patterns[i], p, n)) or forced == i:
                entry.kind = E_RECORD
                entry.row = i
                return

    cdef bint _fits(self, Pattern *pattern, const char *p, size_t n) noexcept nogil:
        cdef size_t middle
        if n <= pattern.prefix.n + pattern.suffix.n or memcmp(p, pattern.prefix.p, pattern.prefix.n) != 0:
            return False
        if memcmp(p + n - pattern.suffix.n, pattern.suffix.p, pattern.suffix.n) != 0:
            return False
        middle = n - pattern.prefix.n - pattern.suffix.n
        return not pattern.digits or (middle <= 18 and digit_span(p + pattern.prefix.n, middle) == middle)

    cdef int32_t _subject(self, int pattern, const char *name, size_t n, bint keep) noexcept nogil:
        """A number for (pattern, name), the same for the same. -1 out of memory."""
        cdef char tag = <char>pattern
        cdef uint32_t h
        cdef int32_t found
        self.scratch.n = 0
        if append(&self.scratch, &tag, 1) < 0 or append(&self.scratch, name, n) < 0:
            return -1
        h = <uint32_t>hash_of(self.scratch.p, n + 1, self.kept.subjects.seed)
        found = table_find(&self.kept.subjects, self.scratch.p, n + 1, h)
        if found >= 0:
            return found
        if keep and self.kept.subjects.count < self.subjects_max:
            return table_add(&self.kept.subjects, self.scratch.p, n + 1, h)
        found = table_find(&self.passing.subjects, self.scratch.p, n + 1, h)
        if found < 0:
            found = table_add(&self.passing.subjects, self.scratch.p, n + 1, h)
            if found < 0:
                return -1
        return self.subjects_max + found

    cdef int _name_record(self, const char *p, size_t n, Interner *into, Entry *entry) noexcept nogil:
        """Render the own labels of a record, and number its subject. -1 out of memory."""
        cdef Pattern *pattern = &self.patterns[entry.row]
        cdef const char *middle = p + pattern.prefix.n
        cdef size_t middle_n = n - pattern.prefix.n - pattern.suffix.n
        cdef size_t i, name_at
        cdef bint keep = into == &self.kept
        if pattern.digits and middle_n < 8 and (middle[0] != 48 or middle_n == 1):
            entry.number = 0
            for i in range(middle_n):
                entry.number = entry.number * 10 + (middle[i] - 48)
        entry.own = <uint32_t>into.own.n
        if append(&into.own, pattern.name_label.p, pattern.name_label.n) < 0:
            return -1
        name_at = into.own.n
        if put_escaped(&into.own, p if pattern.whole else middle, n if pattern.whole else middle_n, self.label_max) < 0:
            return -1
        entry.subject = self._subject(entry.row, into.own.p + name_at, into.own.n - name_at, keep)
        if entry.subject < 0:
            return -1
        if pattern.joined >= 0:
            entry.joined = self._subject(pattern.joined, into.own.p + name_at, into.own.n - name_at, keep)
            if entry.joined < 0:
                return -1
        if pattern.name_label.n == 0:
            into.own.n = name_at
        elif append(&into.own, b'"', 1) < 0:
            return -1
        if pattern.constant.n:
            if pattern.name_label.n and append(&into.own, b",", 1) < 0:
                return -1
            if append(&into.own, pattern.constant.p, pattern.constant.n) < 0:
                return -1
        entry.own_n = <uint32_t>(into.own.n - entry.own)
        return reserve(&into.own, 0)

    cdef int _intern(self, const char *p, size_t n, int forced, Entry **entry, int32_t *number) noexcept nogil:
        """The entry of a key; `number` is its number where it is kept, else -1. Returns -1 out of memory."""
        cdef uint32_t h = <uint32_t>hash_of(p, n, self.kept.lines.seed)
        cdef Interner *into = &self.kept
        cdef int32_t found = table_find(&self.kept.lines, p, n, h)
        cdef Entry *entries
        cdef Entry fresh
        if found >= 0:
            entry[0] = &self.kept.entries[found]
            number[0] = found
            return 0
        if n > KEY_INTERNED_MAX or self.kept.lines.count >= self.interned_max:
            into = &self.passing
            found = table_find(&into.lines, p, n, h)
            if found >= 0:
                entry[0] = &into.entries[found]
                number[0] = -1
                return 0
        memset(&fresh, 0, sizeof(Entry))
        self._classify(p, n, forced, &fresh)
        if fresh.kind == E_RECORD and self._name_record(p, n, into, &fresh) < 0:
            return -1
        if into.lines.count >= into.room:
            into.room = into.room * 2 if into.room else 256
            entries = <Entry *>PyMem_RawRealloc(into.entries, into.room * sizeof(Entry))
            if entries == NULL:
                return -1
            into.entries = entries
        found = table_add(&into.lines, p, n, h)
        if found < 0:
            return -1
        fresh.key = <uint32_t>(into.lines.at[found] >> 24)
        fresh.key_n = <uint32_t>n
        into.entries[found] = fresh
        entry[0] = &into.entries[found]
        number[0] = found if into == &self.kept else -1
        return 0

    # -- reading: the pass over the lines

    cdef int _scan(self, const char *p, size_t n, LineOrder order) noexcept nogil:
        cdef const char *end = p + n
        cdef const char *stop
        cdef const char *colon
        cdef const char *value
        cdef Entry *entry
        cdef Entry *expected
        cdef int32_t id
        cdef int form
        cdef int at = 0, known = order.n if order is not None else 0
        cdef int32_t *ids = order.ids if order is not None else NULL
        cdef bint as_before = True      # every line so far was the expected one: `ids` up to `at` are this reading's too
        cdef int i
        cdef size_t key_n
        while p < end:
            if p[0] == 13 or p[0] == 10:
                if p[0] == 10 or (p + 1 < end and p[1] == 10) or p + 1 == end:
                    p += 1
                    continue
            entry = NULL
            if p[0] == 35:
                stop = <const char *>memchr(p, 10, end - p)
                p = end if stop == NULL else stop + 1
                continue
            if at < known and ids[at] >= 0:
                id = ids[at]
                expected = &self.kept.entries[id]
                if end - p > expected.key_n and p[expected.key_n] == 58:
                    if same(p, self.kept.lines.keys.p + expected.key, expected.key_n):
                        entry = expected
                        key_n = expected.key_n
                        at += 1
            if entry == NULL:
                stop = <const char *>memchr(p, 10, end - p)
                if stop == NULL:
                    stop = end
                colon = <const char *>memchr(p, 58, stop - p)
                if colon == NULL:
                    p = stop + 1
                    continue
                key_n = colon - p
                if self._intern(p, key_n, -1, &entry, &id) < 0:
                    return -1
                if as_before:
                    as_before = False
                    if append(&self.ids, <char *>ids, at * sizeof(int32_t)) < 0:
                        return -1
                for i in range(at, min(at + LOOK_AHEAD, known)):
                    if ids[i] == id:
                        at = i + 1
                        break
            value = p + key_n + 1
            colon = number_span(value, end, &form)      # the value's end, if the line ends there
            if end - colon >= 2 and colon[0] == 13 and colon[1] == 10:
                stop = colon + 1
            else:
                form = F_ANY
                stop = <const char *>memchr(colon, 10, end - colon)
                if stop == NULL:
                    stop = end
                colon = stop
                if colon > value and (colon - 1)[0] == 13:
                    colon -= 1
            if entry.kind == E_FIELD:
                self._take_field(entry, value, colon - value, form)
            elif entry.kind == E_RECORD:
                if self._take_record(entry, &id, p, value, colon) < 0:
                    return -1
                if as_before and id != ids[at - 1]:     # the name held a colon: another key than the expected one
                    as_before = False
                    if append(&self.ids, <char *>ids, (at - 1) * sizeof(int32_t)) < 0:
                        return -1
            if not as_before and append(&self.ids, <char *>&id, sizeof(int32_t)) < 0:
                return -1
            p = stop + 1
        if order is None or (as_before and at == known):
            return 0
        if as_before and append(&self.ids, <char *>ids, at * sizeof(int32_t)) < 0:
            return -1
        return remember_order(order, &self.ids)

    cdef inline void _take_field(self, Entry *entry, const char *value, size_t n, int form) noexcept nogil:
        cdef int group = entry.group
        if entry.sets_group or group == GROUP_CURRENT:
            group = self._enter_group(entry)
            if group < 0:
                return
            if group:
                self._take_group_value(group, entry.row, value, n)
                return
        if self.fields[entry.row].p == NULL:
            self.fields[entry.row].p = value
            self.fields[entry.row].n = <uint32_t>n
            self.fields[entry.row].form = form

    cdef int _enter_group(self, Entry *entry) noexcept nogil:
        """The group that a field of a master belongs to; -1 where there are too many."""
        cdef int i
        if entry.group == GROUP_CURRENT:
            return self.group
        for i in range(self.groups_n):
            if self.groups[i] == entry.group:
                self.group = entry.group
                return entry.group
        if self.groups_n >= GROUPS_MAX:
            return -1
        self.groups[self.groups_n] = entry.group
        self.groups_n += 1
        self.group = entry.group
        return entry.group

    cdef void _take_group_value(self, int group, int slot, const char *value, size_t n) noexcept nogil:
        cdef GroupValue *known = <GroupValue *>self.group_values.p
        cdef size_t i, count = self.group_values.n // sizeof(GroupValue)
        for i in range(count):
            if known[i].group == group and known[i].slot == slot:
                return
        if reserve(&self.group_values, sizeof(GroupValue)) < 0:
            return
        known = <GroupValue *>(self.group_values.p + self.group_values.n)
        known.group = group
        known.slot = slot
        known.value.p = value
        known.value.n = <uint32_t>n
        known.value.form = F_ANY
        self.group_values.n += sizeof(GroupValue)

    cdef int _take_record(self, Entry *entry, int32_t *id, const char *line, const char *value, const char *end) noexcept nogil:
        cdef Pattern *pattern = &self.patterns[entry.row]
        cdef const char *at
        cdef Line *fresh
        cdef Text *values
        cdef Seat *seat
        cdef size_t first_n = pattern.first.n - 1
        if pattern.first.n and not (<size_t>(end - value) >= first_n and same(value, pattern.first.p + 1, first_n)):
            # the name itself holds a colon
            if pattern.digits:
                return 0
            at = find_text(line, end - line, pattern.first)
            if at == NULL:
                return 0
            if self._intern(line, at - line, entry.row, &entry, id) < 0:
                return -1
            value = at + 1
            pattern = &self.patterns[entry.row]
        seat = self._seat(entry.subject)
        if seat == NULL:
            return -1
        if seat.stamp == self.stamp and pattern.name_label.n:
            return 0
        if reserve(&pattern.lines, sizeof(Line)) < 0 or reserve(&pattern.values, pattern.subs_n * sizeof(Text)) < 0:
            return -1
        if seat.stamp != self.stamp:
            seat.stamp = self.stamp
            seat.line = <int32_t>(pattern.lines.n // sizeof(Line))
        fresh = <Line *>(pattern.lines.p + pattern.lines.n)
        fresh.value.p = value
        fresh.value.n = <uint32_t>(end - value)
        fresh.value.form = F_ANY
        fresh.own = entry.own
        fresh.own_n = entry.own_n
        fresh.passing = id[0] < 0
        fresh.number = entry.number
        fresh.joined = entry.joined
        pattern.lines.n += sizeof(Line)
        if pattern.subs_n:
            values = <Text *>(pattern.values.p + pattern.values.n)
            memset(values, 0, pattern.subs_n * sizeof(Text))
            pattern.values.n += pattern.subs_n * sizeof(Text)
            take_subs(pattern, value, end, values)
        return 0

    cdef Seat *_seat(self, int32_t subject) noexcept nogil:
        cdef Seat *seats
        cdef int32_t n
        if subject >= self.seats_n:
            n = subject + 1 + subject // 2 + 256
            seats = <Seat *>PyMem_RawRealloc(self.seats, n * sizeof(Seat))
            if seats == NULL:
                return NULL
            memset(seats + self.seats_n, 0, (n - self.seats_n) * sizeof(Seat))
            self.seats = seats
            self.seats_n = n
        return &self.seats[subject]

    cdef void _begin(self) noexcept nogil:
        """Forget the reading before."""
        cdef int i
        memset(self.fields, 0, self.field_keys.count * sizeof(Text))
        self.group_values.n = self.ids.n = self.out.n = 0
        self.groups[0] = 0
        self.groups_n = 1
        self.group = 0
        self.series = self.invalid = 0
        for i in range(self.patterns_n):
            self.patterns[i].lines.n = self.patterns[i].values.n = 0
        if self.passing.lines.count or self.passing.subjects.count:
            table_clear(&self.passing.lines)
            table_clear(&self.passing.subjects)
            self.passing.own.n = 0
            if self.seats_n > self.subjects_max:
                memset(self.seats + self.subjects_max, 0, (self.seats_n - self.subjects_max) * sizeof(Seat))
        if self.seen.count:
            table_clear(&self.seen)
        self.stamp += 1
        if self.stamp == 0:
            memset(self.seats, 0, self.seats_n * sizeof(Seat))
            self.stamp = 1

    # -- writing

    cdef int _write(self, Labels labels, int64_t now, int fill) noexcept nogil:
        """All samples, family by family. -1 out of memory. What no longer fits in 31 bits of offset is left out."""
        cdef int f = 0, rc = 0
        cdef FamilyRow *row
        while f < self.families:
            if rc != FULL and self.plain[f].slot >= 0:
                f = self._write_plain(f, labels, now)
                if f < 0:
                    return -1
                if self.out.n > 0x70000000:
                    rc = FULL
                continue
            self.offsets[f] = <int32_t>self.out.n
            row = &self.rows[f]
            if rc != FULL:
                if row.kind == K_FIELD:
                    rc = self._write_field(row, labels.of(f), now)
                elif row.kind != K_EMPTY and (self.patterns[row.pattern].lines.n or row.fill):
                    self.label_text = labels.of(f)
                    rc = self._write_records(row, now, fill) if row.kind == K_RECORD else self._write_open(row, now)
                if rc == -1:
                    return -1
            f += 1
        self.offsets[self.families] = <int32_t>self.out.n
        self.invalid += rc == FULL
        return 0

    cdef int _write_plain(self, int f, Labels labels, int64_t now) noexcept nogil:
        """A run of families that are one field each. Returns the first that is none, -1 out of memory.

        All that changes is local: a write through a `char *` may change any other memory, as far as the compiler knows.
        """
        cdef PlainRow *plain = self.plain
        cdef Text *fields = self.fields
        cdef Text *value
        cdef LabelText *text = labels.texts
        cdef const char *closed = text.closed
        cdef size_t closed_n = text.closed_n
        cdef int families = self.families
        cdef int special_n = labels.special_n
        cdef int32_t *offsets = self.offsets
        cdef const char *last = self.last
        cdef char *start = self.out.p
        cdef char *to = start + self.out.n
        cdef char *stop = start + self.out.room
        cdef char *at
        cdef char *end
        cdef Py_ssize_t series = 0, invalid = 0
        while f < families and plain[f].slot >= 0:
            offsets[f] = <int32_t>(to - start)
            value = &fields[plain[f].slot]
            if value.p == NULL:
                f += 1
                continue
            if special_n:
                text = labels.of(f)
                closed = text.closed
                closed_n = text.closed_n
            if <size_t>(stop - to) < plain[f].name_n + closed_n + 512:
                self.out.n = to - start
                if grow(&self.out, plain[f].name_n + closed_n + 512) < 0:
                    return -1
                start = self.out.p
                to = start + self.out.n
                stop = start + self.out.room
            at = to
            stride(at, plain[f].name, plain[f].name_n)
            at += plain[f].name_n
            stride(at, closed, closed_n)
            at += closed_n
            end = write_value(at, value, plain[f].transform, now, last)
            if end == NULL:
                invalid += 1
            elif end != at:
                end[0] = 10
                to = end + 1
                series += 1
            f += 1
        self.out.n = to - start
        self.series += series
        self.invalid += invalid
        return f

    cdef inline int _write_field(self, FamilyRow *row, LabelText *text, int64_t now) noexcept nogil:
        cdef int i
        cdef Text *value
        if row.grouped:
            return self._write_grouped(row, text, now)
        for i in range(row.keys, row.keys + row.keys_n):
            value = &self.fields[self.numbers[i]]
            if value.p == NULL:
                continue
            return self._write_labelled(row, text, now, 0, value)
        return 0

    cdef inline int _commit(self, char *value, char *end) noexcept nogil:
        """Keep the sample that stands at the end of `out` if its value is one."""
        if end == NULL:
            self.invalid += 1
        elif end != value:
            end[0] = 10
            self.out.n = end + 1 - self.out.p
            self.series += 1
            if self.out.n > 0x70000000:
                return FULL
        return 0

    cdef Text _value_of(self, int group, int slot) noexcept nogil:
        cdef GroupValue *known = <GroupValue *>self.group_values.p
        cdef size_t i
        cdef Text none
        if group == 0 or not self.grouped_slots[slot]:
            return self.fields[slot]
        for i in range(self.group_values.n // sizeof(GroupValue)):
            if known[i].group == group and known[i].slot == slot:
                return known[i].value
        none.p = NULL
        none.n = 0
        none.form = F_ANY
        return none

    cdef int _write_grouped(self, FamilyRow *row, LabelText *text, int64_t now) noexcept nogil:
        cdef int g, i, rc
        cdef Text value
        for g in range(self.groups_n):
            for i in range(row.keys, row.keys + row.keys_n):
                value = self._value_of(self.groups[g], self.numbers[i])
                if value.p != NULL:
                    rc = self._write_labelled(row, text, now, self.groups[g], &value)
                    if rc < 0:
                        return rc
                    break
        return 0

    cdef int _write_labelled(self, FamilyRow *row, LabelText *text, int64_t now, int group, Text *value) noexcept nogil:
        """A field's sample whose labels are other fields."""
        cdef size_t before = self.out.n
        cdef FieldLabel *label
        cdef Text found
        cdef int i, k
        cdef char *to
        cdef char *end
        cdef bint any_label = False
        if append(&self.out, row.name.p, row.name.n) < 0 or append(&self.out, text.open, text.open_n) < 0:
            return -1
        for i in range(row.labels, row.labels + row.labels_n):
            label = &self.field_labels[i]
            found.p = NULL
            found.n = 0
            found.form = F_ANY
            for k in range(label.keys, label.keys + label.keys_n):
                found = self._value_of(group, self.numbers[k])
                if found.p != NULL:
                    break
            if found.p == NULL and label.optional:
                continue
            if any_label and append(&self.out, b",", 1) < 0:
                return -1
            any_label = True
            if append(&self.out, label.opening.p, label.opening.n) < 0:
                return -1
            if found.p != NULL and put_escaped(&self.out, found.p, found.n, self.label_max) < 0:
                return -1
            if append(&self.out, b'"', 1) < 0:
                return -1
        if any_label:
            if append(&self.out, b"} ", 2) < 0:
                return -1
        else:
            self.out.n = before + row.name.n
            if append(&self.out, text.closed, text.closed_n) < 0:
                return -1
        return self._finish(before, value, row.transform, now, row.grouped)

    cdef int _finish(self, size_t before, Text *value, int transform, int64_t now, bint may_repeat) noexcept nogil:
        """Write the value behind the head that stands in `out` from `before` on; take all back if there is no sample."""
        cdef size_t head_end = self.out.n
        cdef char *to
        cdef char *end
        cdef uint32_t h
        if reserve(&self.out, 256) < 0:
            return -1
        to = self.out.p + self.out.n
        end = write_value(to, value, transform, now, self.last)
        self.out.n = before
        if end != NULL and end != to and may_repeat:
            h = <uint32_t>hash_of(self.out.p + before, head_end - before, self.seen.seed)
            if table_find(&self.seen, self.out.p + before, head_end - before, h) >= 0:
                return 0
            if table_add(&self.seen, self.out.p + before, head_end - before, h) < 0:
                return -1
        return self._commit(to, end)

    cdef int _begin_head(self, FamilyRow *row, const char *suffix, size_t suffix_n) noexcept nogil:
        """name + suffix + opening brace and target labels, padded, into `head`."""
        self.head.n = 0
        if append(&self.head, row.name.p, row.name.n) < 0 or append(&self.head, suffix, suffix_n) < 0:
            return -1
        if append(&self.head, self.label_text.open, self.label_text.open_n) < 0:
            return -1
        return reserve(&self.head, 0)

    cdef int _write_records(self, FamilyRow *row, int64_t now, int fill) noexcept nogil:
        cdef Pattern *pattern = &self.patterns[row.pattern]
        cdef Line *lines = <Line *>pattern.lines.p
        cdef size_t i, n = pattern.lines.n // sizeof(Line)
        cdef Text *values = <Text *>pattern.values.p
        cdef Text *value
        cdef int rc
        if self._begin_head(row, b"", 0) < 0:
            return -1
        if row.sub_labels_n or pattern.name_label.n == 0:
            for i in range(n):
                value = &lines[i].value if row.sub < 0 else &values[i * pattern.subs_n + row.sub]
                if value.p != NULL:
                    rc = self._write_record_labelled(row, &lines[i], &values[i * pattern.subs_n], value, now)
                    if rc < 0:
                        return rc
        elif self._write_named(row, lines, n, now) < 0:
            return -1
        if self.out.n > 0x70000000:
            return FULL
        if row.fill:
            return self._write_missing(row, fill)
        return 0

    cdef int _write_named(self, FamilyRow *row, Line *lines, size_t n, int64_t now) noexcept nogil:
        """Records whose labels are rendered already. All that changes is local, as in `_write_plain`."""
        cdef Pattern *pattern = &self.patterns[row.pattern]
        cdef Text *values = <Text *>pattern.values.p
        cdef int subs_n = pattern.subs_n, sub = row.sub, transform = row.transform
        cdef const char *kept = self.kept.own.p
        cdef const char *passing = self.passing.own.p
        cdef const char *head = self.head.p
        cdef size_t head_n = self.head.n
        cdef const char *last = self.last
        cdef char *start = self.out.p
        cdef char *to = start + self.out.n
        cdef char *stop = start + self.out.room
        cdef char *at
        cdef char *end
        cdef Text *value
        cdef Py_ssize_t series = 0, invalid = 0
        cdef size_t i
        for i in range(n):
            value = &lines[i].value if sub < 0 else &values[i * subs_n + sub]
            if value.p == NULL:
                continue
            if <size_t>(stop - to) < head_n + lines[i].own_n + 512:
                self.out.n = to - start
                if grow(&self.out, head_n + lines[i].own_n + 512) < 0:
                    return -1
                start = self.out.p
                to = start + self.out.n
                stop = start + self.out.room
            at = to
            stride(at, head, head_n)
            at += head_n
            stride(at, (passing if lines[i].passing else kept) + lines[i].own, lines[i].own_n)
            at += lines[i].own_n
            at[0] = 125
            at[1] = 32
            at += 2
            end = write_value(at, value, transform, now, last)
            if end == NULL:
                invalid += 1
            elif end != at:
                end[0] = 10
                to = end + 1
                series += 1
        self.out.n = to - start
        self.series += series
        self.invalid += invalid
        return 0

    cdef int _write_record_labelled(self, FamilyRow *row, Line *line, Text *values, Text *value, int64_t now) noexcept nogil:
        """A record whose labels are sub-fields, or that has none at all."""
        cdef size_t before = self.out.n
        cdef const char *own = (self.passing.own.p if line.passing else self.kept.own.p) + line.own
        cdef Text *found
        cdef int i
        cdef bint any_label = line.own_n > 0
        if append(&self.out, self.head.p, self.head.n) < 0 or append(&self.out, own, line.own_n) < 0:
            return -1
        for i in range(row.sub_labels, row.sub_labels + row.sub_labels_n):
            if any_label and append(&self.out, b",", 1) < 0:
                return -1
            any_label = True
            if append(&self.out, self.sub_openings[i].p, self.sub_openings[i].n) < 0:
                return -1
            found = &values[self.numbers[i]]
            if found.p != NULL and put_escaped(&self.out, found.p, found.n, self.label_max) < 0:
                return -1
            if append(&self.out, b'"', 1) < 0:
                return -1
        if any_label:
            if append(&self.out, b"} ", 2) < 0:
                return -1
        else:
            self.out.n = before + row.name.n
            if append(&self.out, self.label_text.closed, self.label_text.closed_n) < 0:
                return -1
        return self._finish(before, value, row.transform, now, self.patterns[row.pattern].name_label.n == 0)

    cdef int _write_missing(self, FamilyRow *row, int fill) noexcept nogil:
        """0 for every number below `fill` that no line was seen of."""
        cdef Pattern *pattern = &self.patterns[row.pattern]
        cdef Line *lines = <Line *>pattern.lines.p
        cdef size_t i, n = pattern.lines.n // sizeof(Line)
        cdef char *seen
        cdef int k
        cdef size_t tail_n
        cdef char *to
        if fill > FILL_MAX:
            fill = FILL_MAX
        if fill <= 0 or pattern.name_label.n == 0:
            return 0
        self.scratch.n = 0
        if reserve(&self.scratch, fill) < 0:
            return -1
        seen = self.scratch.p
        memset(seen, 0, fill)
        for i in range(n):
            if 0 <= lines[i].number < fill:
                seen[lines[i].number] = 1
        if append(&self.head, pattern.name_label.p, pattern.name_label.n) < 0:
            return -1
        if pattern.whole and append(&self.head, pattern.prefix.p, pattern.prefix.n) < 0:
            return -1
        if reserve(&self.head, 0) < 0:
            return -1
        tail_n = 5 + (pattern.suffix.n if pattern.whole else 0) + (pattern.constant.n + 1 if pattern.constant.n else 0)
        for k in range(fill):
            if seen[k]:
                continue
            if reserve(&self.out, self.head.n + tail_n + 32) < 0:
                return -1
            to = self.out.p + self.out.n
            stride(to, self.head.p, self.head.n)
            to = write_int(to + self.head.n, k)
            if pattern.whole and pattern.suffix.n:
                to = put(to, pattern.suffix.p, pattern.suffix.n)
            to[0] = 34
            to += 1
            if pattern.constant.n:
                to[0] = 44
                to = put(to + 1, pattern.constant.p, pattern.constant.n)
            memcpy(to, b"} 0\n", 4)
            self.out.n = to + 4 - self.out.p
            self.series += 1
        return 0

    cdef int _write_open(self, FamilyRow *row, int64_t now) noexcept nogil:
        cdef Pattern *pattern = &self.patterns[row.pattern]
        cdef Line *lines = <Line *>pattern.lines.p
        cdef size_t i, n = pattern.lines.n // sizeof(Line)
        cdef int rc, looked_at = 0
        cdef int32_t joined
        if self._begin_head(row, b"", 0) < 0:
            return -1
        for i in range(n):
            if looked_at >= OPENED_MAX:
                self.invalid += 1
                continue
            rc = self._write_open_line(row, &lines[i], now)
            if rc < 0:
                return rc
            looked_at += rc
            if lines[i].joined < 0 or lines[i].joined >= self.seats_n or self.seats[lines[i].joined].stamp != self.stamp:
                continue
            joined = self.seats[lines[i].joined].line
            if row.sum_sub >= 0:
                rc = self._write_joined(row, &lines[i], joined, b"_sum", 4, row.sum_sub, row.sum_how, now)
                if rc < 0:
                    return rc
            if row.count_sub >= 0:
                rc = self._write_joined(row, &lines[i], joined, b"_count", 6, row.count_sub, row.count_how, now)
                if rc < 0:
                    return rc
        return 0

    cdef int _write_joined(
        self, FamilyRow *row, Line *line, int32_t joined, const char *suffix, size_t suffix_n, int sub, int transform, int64_t now
    ) noexcept nogil:
        cdef Pattern *other = &self.patterns[self.patterns[row.pattern].joined]
        cdef Text *value = &(<Text *>other.values.p)[joined * other.subs_n + sub]
        cdef size_t before = self.out.n
        cdef const char *own = (self.passing.own.p if line.passing else self.kept.own.p) + line.own
        cdef char *to
        if value.p == NULL:
            return 0
        if reserve(&self.out, row.name.n + suffix_n + self.label_text.open_n + self.label_text.closed_n + line.own_n + 256) < 0:
            return -1
        to = self.out.p + self.out.n
        stride(to, row.name.p, row.name.n)
        to += row.name.n
        to = put(to, suffix, suffix_n)
        if line.own_n:
            stride(to, self.label_text.open, self.label_text.open_n)
            to += self.label_text.open_n
            stride(to, own, line.own_n)
            to += line.own_n
            to[0] = 125
            to[1] = 32
            to += 2
        else:
            to = put(to, self.label_text.closed, self.label_text.closed_n)
        self.out.n = to - self.out.p
        return self._finish(before, value, transform, now, self.patterns[row.pattern].name_label.n == 0)

    cdef int _write_open_line(self, FamilyRow *row, Line *line, int64_t now) noexcept nogil:
        """How many sub-fields it has; -1 out of memory."""
        cdef OpenShape *shape = row.shape
        cdef OpenName *name
        cdef const char *p = line.value.p
        cdef const char *end = p + line.value.n
        cdef const char *comma
        cdef const char *equals
        cdef const char *own = (self.passing.own.p if line.passing else self.kept.own.p) + line.own
        cdef bint may_repeat = self.patterns[row.pattern].name_label.n == 0
        cdef int j = 0, more = 0, rc
        cdef size_t before
        cdef char *to
        cdef Text value
        while p < end:
            name = &shape.names[j] if j < OPEN_MAX else NULL
            if j < shape.n and name.raw_n < end - p and p[name.raw_n] == 61 and name.raw_n <= NUMBER_MAX and same(p, name.raw, name.raw_n):
                equals = p + name.raw_n
                comma = number_span(equals + 1, end, &value.form)
                if comma < end and comma[0] != 44:
                    value.form = F_ANY
                    comma = find_byte(comma, end, 44)
            else:
                value.form = F_ANY
                comma = find_byte(p, end, 44)
                equals = find_byte(p, comma, 61)
                if equals == comma:
                    p = comma + 1
                    continue
                if name == NULL:
                    self.invalid += 1
                    more += 1
                    p = comma + 1
                    continue
                if self._learn_name(row, j, p, equals - p) < 0:
                    return -1
            j += 1
            if name.state == 1:
                self.invalid += 1
            elif name.state == 0:
                if reserve(&self.out, self.head.n + line.own_n + name.label_n + 320) < 0:
                    return -1
                to = self.out.p + self.out.n
                stride(to, self.head.p, self.head.n)
                to += self.head.n
                if line.own_n:
                    stride(to, own, line.own_n)
                    to += line.own_n
                    to[0] = 44
                    to += 1
                stride(to, name.label, name.label_n)
                to += name.label_n
                value.p = equals + 1
                value.n = <uint32_t>(comma - equals - 1)
                if may_repeat:
                    before = self.out.n
                    self.out.n = to - self.out.p
                    rc = self._finish(before, &value, row.transform, now, True)
                else:
                    rc = self._commit(to, write_value(to, &value, row.transform, now, self.last))
                if rc < 0:
                    return rc
            p = comma + 1
        return j + more

    cdef int _learn_name(self, FamilyRow *row, int j, const char *p, size_t n) noexcept nogil:
        """What the j-th sub-field's name stands for; all that was known of later ones is forgotten, because a name that
        stood there may now be the second of its kind."""
        cdef OpenShape *shape = row.shape
        cdef OpenName *name = &shape.names[j]
        cdef int i, rc
        shape.n = j
        if n > NUMBER_MAX:
            name.raw_n = NUMBER_MAX + 1     # fits no name: the next one there is learnt anew
            name.state = 1
            shape.n = j + 1
            return 0
        self.scratch.n = 0
        if append(&self.scratch, row.sub_opening.p, row.sub_opening.n) < 0:
            return -1
        rc = put_sub_name(&self.scratch, p, n, row.sub_kind, self.label_max)
        if rc < 0:
            return -1
        if rc == 0 and append(&self.scratch, b'"} ', 3) < 0:
            return -1
        name.raw_n = <uint8_t>n
        memcpy(name.raw, p, n)
        name.state = <uint8_t>rc
        if rc == 0:
            name.label_n = <uint16_t>self.scratch.n
            memcpy(name.label, self.scratch.p, self.scratch.n)
            for i in range(j):
                if shape.names[i].state == 0 and shape.names[i].label_n == name.label_n:
                    if memcmp(shape.names[i].label, name.label, name.label_n) == 0:
                        name.state = 2
                        break
        shape.n = j + 1
        return 0

    # -- one reading

    def read(self, bytes text not None, Labels labels not None, LineOrder order=None, double now=0.0, int fill=0):
        cdef const char *p = PyBytes_AS_STRING(text)
        cdef size_t n = min(PyBytes_GET_SIZE(text), <Py_ssize_t>0x7FFFFFFF)
        cdef int rc
        cdef int64_t seconds = <int64_t>now
        cdef Py_ssize_t room = text_room(order.room_n if order is not None and order.room_n else self.room_n)
        cdef PyObject *samples = new_text(room)     # written in place, cut to size in the end
        cdef char *start = PyBytes_AS_STRING(<object>samples)
        with nogil:
            PyThread_acquire_lock(self.lock, WAIT_LOCK)
            self._begin()
            self.last = p + n - 32 if n >= 32 else NULL
            self.out.p = start
            self.out.room = room
            self.out.borrowed = True
            rc = self._scan(p, n, order)
            if rc == 0:
                rc = self._write(labels, seconds, fill)
        # the lock is held until the scratch has been copied: nobody waits for it with the GIL
        try:
            if rc < 0:
                raise MemoryError
            self.room_n = self.out.n + ROOM_MORE
            if order is not None:
                order.room_n = self.room_n
            offsets = PyBytes_FromStringAndSize(<char *>self.offsets, (self.families + 1) * sizeof(int32_t))
            return Block(take_text(&samples, &self.out), offsets, self.series, self.invalid, self._wanted(order))
        finally:
            release(&self.out)
            PyThread_release_lock(self.lock)
            Py_XDECREF(samples)

    cdef tuple _wanted(self, LineOrder order):
        """The texts of the wanted fields: the very objects of the reading before, where nothing has changed."""
        cdef list found
        cdef Py_ssize_t i, n = len(self.wanted)
        cdef Text *value
        cdef bytes before
        cdef Py_ssize_t value_n
        if order is not None and order.fields is not None:
            for i in range(n):
                value = &self.fields[self.wanted_slots[i]]
                before = <bytes>PyTuple_GET_ITEM(order.fields, i)
                if value.p == NULL or before is None:
                    if value.p != NULL or before is not None:
                        break
                else:
                    value_n = min(value.n, <uint32_t>WANTED_MAX)
                    if value_n != PyBytes_GET_SIZE(before) or memcmp(value.p, PyBytes_AS_STRING(before), value_n) != 0:
                        break
            else:
                return order.fields
        found = []
        for i in range(n):
            value = &self.fields[self.wanted_slots[i]]
            found.append(None if value.p == NULL else value.p[:min(value.n, <uint32_t>WANTED_MAX)])
        fields = tuple(found)
        if order is not None:
            order.fields = fields
        return fields

cdef object take_text(PyObject **written, Buffer *b):
    """What stands in `b` as bytes: the object it was written into, cut to size, or a copy where that did not suffice."""
    cdef PyObject *cut
    if not b.borrowed:
        return text_of(b)
    cut = written[0]
    written[0] = NULL
    cut_text(&cut, b.n)
    result = <object>cut
    Py_XDECREF(cut)          # `result` holds it now
    return result

cdef int remember_order(LineOrder order, Buffer *ids) noexcept nogil:
    cdef int n = <int>(ids.n // 4)
    cdef int32_t *room
    if order.n == n and (n == 0 or memcmp(order.ids, ids.p, ids.n) == 0):
        return 0
    if n > order.room or n < order.room // 4:
        room = <int32_t *>PyMem_RawRealloc(order.ids, (n + 1) * sizeof(int32_t))
        if room == NULL:
            return -1
        order.ids = room
        order.room = n
    memcpy(order.ids, ids.p, ids.n)
    order.n = n
    return 0

cdef const char *find_text(const char *p, size_t n, Text what) noexcept nogil:
    """Where `what` (not empty) stands first, NULL: nowhere."""
    cdef const char *end = p + n
    while <size_t>(end - p) >= what.n:
        p = <const char *>memchr(p, what.p[0], end - p - what.n + 1)
        if p == NULL:
            return NULL
        if memcmp(p, what.p, what.n) == 0:
            return p
        p += 1
    return NULL

cdef void take_subs(Pattern *pattern, const char *p, const char *end, Text *values) noexcept nogil:
    """The sub-fields that families use; the first of a name counts."""
    cdef int j = 0, sub, i
    cdef int form
    cdef const char *comma
    cdef const char *equals
    cdef const char *value
    cdef SubShape *shape
    while p < end:
        shape = &pattern.shape[j]
        if j < pattern.shape_n and shape.key_n <= end - p and same(p, shape.key, shape.key_n):
            sub = shape.sub
            value = p + shape.key_n
        else:
            comma = <const char *>memchr(p, 44, end - p)
            if comma == NULL:
                comma = end
            equals = <const char *>memchr(p, 61, comma - p)
            if equals == NULL:
                p = comma + 1
                continue
            value = equals + 1
            sub = -1
            for i in range(pattern.subs_n):
                if pattern.subs[i].n == <size_t>(equals - p) and memcmp(pattern.subs[i].p, p, pattern.subs[i].n) == 0:
                    sub = i
                    break
            if j < 24 and value - p <= 31 and j <= pattern.shape_n:
                memcpy(shape.key, p, value - p)
                shape.key_n = <uint8_t>(value - p)
                shape.sub = <int8_t>sub
                if j == pattern.shape_n:
                    pattern.shape_n += 1
        comma = number_span(value, end, &form)
        if comma < end and comma[0] != 44:
            form = F_ANY
            comma = find_byte(comma, end, 44)
        if sub >= 0 and values[sub].p == NULL:
            values[sub].p = value
            values[sub].n = <uint32_t>(comma - value)
            values[sub].form = form
        p = comma + 1
        if j < 23:
            j += 1
        else:
            j = 23

# ----------------------------------------------------------------------------------------------------------------------
# Writing from Python

cdef struct Sample:
    int family
    size_t at
    size_t n

cdef bytes format_value(value):
    """The shortest text that reads back as the same number."""
    cdef double number
    if type(value) is int:
        return b"%d" % value
    if isinstance(value, bytes):
        return value
    if isinstance(value, int):
        return b"%d" % value
    number = value
    if number != number:
        return b"NaN"
    if number == float("inf") or number == float("-inf"):
        return b"+Inf" if number > 0 else b"-Inf"
    if -1e15 < number < 1e15 and number == <int64_t>number:
        return b"%d" % <int64_t>number
    return repr(number).encode()

cdef class Writer:
    cdef object _families
    cdef Labels _labels
    cdef size_t _label_max
    cdef Buffer out
    cdef Buffer samples         # of Sample, in the order they came
    cdef Table seen
    cdef list _merged
    cdef Py_ssize_t series
    cdef Py_ssize_t invalid

    def __cinit__(self, families, Labels labels not None, int label_max=1024):
        self._families = families
        self._labels = labels
        self._label_max = max(label_max, 0)
        self._merged = []
        if table_init(&self.seen, 0x2545F4914F6CDD1D) < 0:
            raise MemoryError

    def __dealloc__(self):
        release(&self.out)
        release(&self.samples)
        table_free(&self.seen)

    def add(self, int family, value, values=(), bytes suffix=b"", extra=None):
        cdef size_t before = self.out.n
        written = format_value(value)
        if self._add_head(family, values, suffix, extra):
            self._append(written)
            self._append(b"\n")
            self._note(family, before, 1)

    def add_histogram(self, int family, bounds, below, count, total, values=()):
        cdef size_t before = self.out.n, head, number
        cdef bytes counted = format_value(count)
        cdef bytes summed = format_value(total)
        cdef Py_ssize_t i, n = len(bounds)
        if len(below) != n:
            raise ValueError("as many counts as bounds")
        for i in range(1, n):
            if not bounds[i - 1] < bounds[i]:
                raise ValueError("the bounds of a histogram rise")
        if not self._add_head(family, values, b"_bucket", (b"le", "")):
            return
        # up to the bound's opening quote it is the same for all buckets
        head = self.out.n - before - 3
        self.out.n = before
        for i in range(n + 1):
            if reserve(&self.out, head) < 0:
                raise MemoryError
            if i:
                memcpy(self.out.p + self.out.n, self.out.p + before, head)
            self.out.n += head
            self._put_number(bounds[i] if i < n else b"+Inf")
            self._append(b'"} ')
            self._put_number(below[i] if i < n else counted)
            self._append(b"\n")
        self._note(family, before, n + 1)
        name, labels = self._families[family]
        for suffix, written in ((b"_sum", summed), (b"_count", counted)):
            number = self.out.n
            self._put_head(family, name, labels, values, suffix, None)
            self._append(written)
            self._append(b"\n")
            self._note(family, number, 1)

    cdef int _put_number(self, value) except -1:
        if type(value) is int and -(1 << 62) < value < 1 << 62:
            if reserve(&self.out, 32) < 0:
                raise MemoryError
            self.out.n = write_int(self.out.p + self.out.n, value) - self.out.p
        else:
            self._append(format_value(value))
        return 0

    cdef bint _add_head(self, int family, values, bytes suffix, extra) except -1:
        """All of a line before its value. False: it was written before, and nothing is added."""
        cdef size_t before = self.out.n
        cdef uint32_t h
        if family < 0:
            raise IndexError("no such family")
        name, labels = self._families[family]
        if len(values) != len(labels):
            raise ValueError(f"{name.decode()} has {len(labels)} labels, not {len(values)}")
        try:
            self._put_head(family, name, labels, values, suffix, extra)
        except BaseException:
            self.out.n = before
            raise
        h = <uint32_t>hash_of(self.out.p + before, self.out.n - before, self.seen.seed ^ <uint64_t>family)
        if table_find(&self.seen, self.out.p + before, self.out.n - before, h) >= 0:
            self.out.n = before
            return False
        if table_add(&self.seen, self.out.p + before, self.out.n - before, h) < 0:
            raise MemoryError
        return True

    cdef int _put_head(self, int family, bytes name, tuple labels, values, bytes suffix, extra) except -1:
        cdef LabelText *text = self._labels.of(family)
        cdef bint any_label = False
        self._append(name)
        self._append(suffix)
        if not labels and extra is None:
            if append(&self.out, text.closed, text.closed_n) < 0:
                raise MemoryError
            return 0
        if append(&self.out, text.open, text.open_n) < 0:
            raise MemoryError
        for label, own in zip(labels, values):
            self._add_label(label, own, any_label)
            any_label = True
        if extra is not None:
            self._add_label(extra[0], extra[1], any_label)
        self._append(b"} ")
        return 0

    cdef int _note(self, int family, size_t at, Py_ssize_t series) except -1:
        """What was written from `at` on is of this family."""
        cdef Sample *sample
        if reserve(&self.samples, sizeof(Sample)) < 0:
            raise MemoryError
        sample = <Sample *>(self.samples.p + self.samples.n)
        sample.family = family
        sample.at = at
        sample.n = self.out.n - at
        self.samples.n += sizeof(Sample)
        self.series += series
        return 0

    cdef int _append(self, bytes text) except -1:
        if append(&self.out, PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text)) < 0:
            raise MemoryError
        return 0

    cdef int _add_label(self, bytes label, value, bint comma) except -1:
        cdef bytes own = value if isinstance(value, bytes) else value.encode("utf-8", "replace")
        if comma:
            self._append(b",")
        self._append(label)
        self._append(b'="')
        if put_escaped(&self.out, PyBytes_AS_STRING(own), PyBytes_GET_SIZE(own), self._label_max) < 0:
            raise MemoryError
        self._append(b'"')
        return 0

    def merge(self, Block block not None):
        if PyBytes_GET_SIZE(block.offsets) != 4 * (len(self._families) + 1):
            raise ValueError("the block is of another part")
        check_offsets(block.samples, block.offsets)
        self._merged.append(block)
        self.series += block.series
        self.invalid += block.invalid

    def block(self):
        """Family by family: what was merged, the newest first, and then what was added, in the order it came."""
        cdef int n = len(self._families), f
        cdef size_t i, count = self.samples.n // sizeof(Sample)
        cdef Sample *samples = <Sample *>self.samples.p
        cdef bytes offsets = PyBytes_FromStringAndSize(NULL, (n + 1) * sizeof(int32_t))
        cdef int32_t *ends = <int32_t *>PyBytes_AS_STRING(offsets)
        cdef const int32_t *theirs
        cdef size_t size = self.out.n
        cdef Block block
        cdef char *to
        cdef int32_t *at = NULL     # of each family, where the next of its samples goes
        for block in self._merged:
            size += PyBytes_GET_SIZE(block.samples)
        if size > <size_t>0x7FFFFFFF:
            raise OverflowError("a block holds 2 GB at most")
        at = <int32_t *>raw_zeros(n + 1, sizeof(int32_t))
        try:
            memset(ends, 0, (n + 1) * sizeof(int32_t))
            for block in self._merged:
                theirs = <const int32_t *>PyBytes_AS_STRING(block.offsets)
                for f in range(n):
                    ends[f + 1] += theirs[f + 1] - theirs[f]
            for i in range(count):
                ends[samples[i].family + 1] += <int32_t>samples[i].n
            for f in range(n):
                at[f] = ends[f]
                ends[f + 1] += ends[f]
            text = <object>new_text(ends[n])
            Py_XDECREF(<PyObject *>text)     # `text` holds it now
            to = PyBytes_AS_STRING(text)
            for block in reversed(self._merged):
                theirs = <const int32_t *>PyBytes_AS_STRING(block.offsets)
                for f in range(n):
                    memcpy(to + at[f], PyBytes_AS_STRING(block.samples) + theirs[f], theirs[f + 1] - theirs[f])
                    at[f] += theirs[f + 1] - theirs[f]
            for i in range(count):
                f = samples[i].family
                memcpy(to + at[f], self.out.p + samples[i].at, samples[i].n)
                at[f] += <int32_t>samples[i].n
        finally:
            PyMem_RawFree(at)
        return Block(text, offsets, self.series, self.invalid, ())

cdef class RepeatedSamples:
    """Whoever writes the same series again and again names them by the same objects: nothing is looked up then."""
    cdef object _families
    cdef Labels _labels
    cdef int _label_max
    # of the newest samples, if none came twice:
    cdef list _keys
    cdef list _texts            # of their values, where those are no integers
    cdef bytes _heads           # one after another
    cdef int32_t *_rows         # for each: where its head ends, and its family
    cdef double *_values        # what the texts are of

    def __cinit__(self, families, Labels labels not None, int label_max=1024):
        self._families = families
        self._labels = labels
        self._label_max = label_max
        self._keys = []

    def __dealloc__(self):
        PyMem_RawFree(self._rows)
        PyMem_RawFree(self._values)

    cdef list _distinct(self, list samples):
        """Those of the samples that count. The memo is of them from now on."""
        cdef list counted = []
        cdef int family = 0, room = len(self._families)
        cdef Py_ssize_t n = 0
        cdef tuple key
        cdef Writer writer = Writer(self._families, self._labels, self._label_max)
        self._keys = []
        PyMem_RawFree(self._rows)
        PyMem_RawFree(self._values)
        self._values = NULL
        self._rows = <int32_t *>PyMem_RawMalloc((2 * len(samples) + 1) * sizeof(int32_t))
        self._values = <double *>PyMem_RawMalloc((len(samples) + 1) * sizeof(double))
        if self._rows == NULL or self._values == NULL:
            raise MemoryError
        for sample in samples:
            key = sample[0]
            if not family <= <int>key[0] < room:
                raise ValueError("samples come in the order of their families")
            family = key[0]
            if writer._add_head(family, key[1], b"", None):
                self._rows[2 * n] = <int32_t>writer.out.n
                self._rows[2 * n + 1] = family
                counted.append(sample)
                n += 1
        self._heads = writer.out.p[: writer.out.n]
        self._texts = [None] * n
        self._keys = [sample[0] for sample in counted]
        return counted

    cdef bint _is_known(self, list samples):
        cdef Py_ssize_t i, n = len(self._keys)
        if len(samples) != n:
            return False
        for i in range(n):
            if (<tuple>samples[i])[0] is not self._keys[i]:
                return False
        return True

    def block(self, list samples not None, Block following=None):
        cdef int n = len(self._families), family = 0
        cdef const int32_t *behind = NULL
        cdef Buffer out
        cdef bytes offsets = PyBytes_FromStringAndSize(NULL, (n + 1) * sizeof(int32_t))
        cdef int32_t *ends = <int32_t *>PyBytes_AS_STRING(offsets)
        cdef const char *heads
        cdef Py_ssize_t i
        cdef int32_t begin = 0
        cdef bytes text
        cdef list counted = samples if self._is_known(samples) else self._distinct(samples)
        memset(&out, 0, sizeof(Buffer))
        ends[0] = 0
        heads = PyBytes_AS_STRING(self._heads) if counted else NULL
        try:
            for i in range(len(counted)):
                while family < self._rows[2 * i + 1]:
                    family += 1
                    ends[family] = <int32_t>out.n
                if append(&out, heads + begin, self._rows[2 * i] - begin) < 0 or reserve(&out, 32) < 0:
                    raise MemoryError
                begin = self._rows[2 * i]
                value = (<tuple>counted[i])[1]
                if type(value) is int and -(1 << 62) < value < 1 << 62:
                    out.n = write_int(out.p + out.n, value) - out.p
                else:
                    text = <bytes>self._texts[i]
                    if text is None or type(value) is not float or <double>value != self._values[i]:
                        text = format_value(value)
                        self._texts[i] = text if type(value) is float else None
                        self._values[i] = <double>value if type(value) is float else 0
                    if append(&out, PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text)) < 0:
                        raise MemoryError
                if append(&out, b"\n", 1) < 0:
                    raise MemoryError
            while family < n:
                family += 1
                ends[family] = <int32_t>out.n
            if following is None:
                return Block(text_of(&out), offsets, len(counted), 0, ())
            check_offsets(following.samples, following.offsets)
            if PyBytes_GET_SIZE(following.offsets) != PyBytes_GET_SIZE(offsets):
                raise ValueError("the block is of another part")
            behind = <const int32_t *>PyBytes_AS_STRING(following.offsets)
            for family in range(1, n + 1):
                if behind[family] and ends[family] != <int32_t>out.n:
                    raise ValueError("the block is of families that do not follow")
                ends[family] += behind[family]
            if append(&out, PyBytes_AS_STRING(following.samples), PyBytes_GET_SIZE(following.samples)) < 0:
                raise MemoryError
            return Block(text_of(&out), offsets, len(counted) + following.series, following.invalid, ())
        finally:
            release(&out)
