"""The samples of one target and family set as they are kept: what targets share, and what only one has.

A shape holds the heads of samples: names and own labels, without the labels of the target. Targets whose
samples have the same heads share it, as long as one of them has a block of it, or it is among the few recent
ones that the writers of a family set look at first. The block itself keeps the values, one a line, and pages
write the samples.

What samples say of one server only, such as its version, stands in the line too: `own_in_line` says of which
families the own labels do. A block that was given its samples as text keeps them whole, and has no shape.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from cpython.object cimport PyObject
from libc.string cimport memchr, memcmp, memcpy, memset

from exporter._native.buffers cimport Buffer, append, check_offsets, raw_zeros, release, reserve
from exporter._native.labels cimport label_text
from exporter._native.tables cimport Table, hash_of, table_add, table_find, table_free, table_init

import os
import struct

cdef enum:
    ROOM_STEP_MIN = 64          # bytes
    SCRATCH_KEPT = 1 << 20      # bytes
    RECENT_MAX = 4              # shapes

NO_END = "a sample has no end"
NO_VALUE = "a sample has no value"

cdef uint64_t seed = struct.unpack("=Q", os.urandom(8))[0]
cdef Labels none = Labels(b"")
cdef dict shapes = {}           # hash → address of a shape, which takes its entry off when it goes
cdef Buffer ends_scratch
cdef Buffer lines_scratch

cdef Labels no_labels():
    return none

cdef bint same_labels(Labels one, Labels other) except -1:
    return one is other or (one.text == other.text and one.special == other.special)

@cython.no_gc
cdef class Shape:
    def __dealloc__(self):
        if self.hash is not None and shapes is not None and self.hash in shapes:
            del shapes[self.hash]
        PyMem_RawFree(self.heads.families)
        PyMem_RawFree(self.heads.places)
        PyMem_RawFree(self.heads.texts)

cdef inline size_t places_n(Shape shape) noexcept:
    return shape.heads.families[shape.families].places

cdef bint is_same(Shape one, Shape other) noexcept:
    return (
        one.families == other.families and one.texts_n == other.texts_n
        and memcmp(one.heads.families, other.heads.families, (one.families + 1) * sizeof(FamilyHeads)) == 0
        and memcmp(one.heads.places, other.heads.places, places_n(one) * sizeof(Place)) == 0
        and memcmp(one.heads.texts, other.heads.texts, one.texts_n) == 0
    )

cdef Shape shared(Shape made):
    """The shape that other blocks have already, if there is one with the same heads."""
    cdef uint64_t h = hash_of(<char *>made.heads.families, (made.families + 1) * sizeof(FamilyHeads), seed)
    cdef Shape known
    h = hash_of(<char *>made.heads.places, places_n(made) * sizeof(Place), h)
    found = hash_of(made.heads.texts, made.texts_n, h)
    at = shapes.get(found)
    if at is not None:
        known = <Shape><PyObject *><size_t>at
        if is_same(known, made):
            return known
    made.hash = found
    shapes[found] = <size_t><PyObject *>made
    return made

cdef struct Building:
    Buffer places               # of Place
    Buffer texts
    Buffer own_places           # of uint32_t: where an own text stands, by its number
    Table own
    uint32_t name_at            # the name before
    uint32_t name_n
    FamilyHeads sums

cdef Shape shape_of(const Written *written):
    """The shape of these samples."""
    cdef Building b
    cdef Shape made = Shape.__new__(Shape)
    cdef const int32_t *ends = written.ends
    cdef int f, rc
    made.families = written.families
    made.heads.families = <FamilyHeads *>raw_zeros(made.families + 1, sizeof(FamilyHeads))
    memset(&b, 0, sizeof(Building))
    try:
        if table_init(&b.own, seed) < 0:
            raise MemoryError
        for f in range(made.families):
            if ends[f] < ends[f + 1] and written.text[ends[f + 1] - 1] != c'\n':
                raise ValueError(NO_END)
            made.heads.families[f] = b.sums
            rc = add_family(&b, written, f)
            if rc == -2:
                raise ValueError(NO_VALUE)
            if rc < 0:
                raise MemoryError
        made.heads.families[made.families] = b.sums
        made.heads.places = <Place *>raw_zeros(b.places.n + 1, 1)
        made.heads.texts = <char *>raw_zeros(b.texts.n + DATA_PAD, 1)
        made.texts_n = b.texts.n
        if b.places.n:
            memcpy(made.heads.places, b.places.p, b.places.n)
        if b.texts.n:
            memcpy(made.heads.texts, b.texts.p, b.texts.n)
    finally:
        release(&b.places)
        release(&b.texts)
        release(&b.own_places)
        table_free(&b.own)
    return made

cdef int add_family(Building *b, const Written *written, int f) noexcept:
    """Add the heads of a family's samples. 0; -1 out of memory; -2: a sample has neither label nor value."""
    cdef const char *p = written.text + written.ends[f]
    cdef const char *stop = written.text + written.ends[f + 1]
    cdef const char *end
    cdef const char *name_end
    cdef const Text *name = NULL if written.names == NULL else &written.names[f]
    cdef bint own_in_line = written.own_in_line != NULL and written.own_in_line[f]
    cdef Place place
    while p < stop:
        end = <const char *>memchr(p, c'\n', stop - p)
        name_end = end_of_name(p, end)
        if name_end == end:
            return -2
        if add_name(b, name, p, name_end - p) < 0:
            return -1
        place.name_at, place.name_n, place.own_n = b.name_at, b.name_n, 0
        if name_end[0] == c' ':
            place.own_at = BARE
            b.sums.bare += 1
        else:
            place.own_at = 0
            b.sums.opened += 1
            if not own_in_line and add_own(b, &place, name_end + 1, end) < 0:
                return -1
        if append(&b.places, <char *>&place, sizeof(Place)) < 0:
            return -1
        b.sums.places += 1
        b.sums.size += place.name_n + place.own_n
        p = end + 1
    return 0

cdef const char *end_of_name(const char *p, const char *end) noexcept nogil:
    while p < end and p[0] != c'{' and p[0] != c' ':
        p += 1
    return p

cdef int add_name(Building *b, const Text *name, const char *p, size_t n) noexcept:
    """Note a name, unless it is that of the sample before. `p` has all of it, or what follows `name`."""
    cdef size_t name_n = 0 if name == NULL else name.n
    cdef size_t at = b.texts.n
    if (name_n and append(&b.texts, name.p, name_n) < 0) or append(&b.texts, p, n) < 0:
        return -1
    n += name_n
    if n and b.name_n == n and memcmp(b.texts.p + b.name_at, b.texts.p + at, n) == 0:
        b.texts.n = at
    else:
        b.name_at, b.name_n = <uint32_t>at, <uint32_t>n
    return 0

cdef int add_own(Building *b, Place *place, const char *p, const char *end) noexcept:
    """Note the own labels of a sample, once for all samples that have them. Without an end they stay in the
    line."""
    cdef const char *q = end - 2
    cdef uint32_t h, at
    cdef int32_t number
    cdef size_t n
    while q >= p and not (q[0] == c'}' and q[1] == c' '):
        q -= 1
    if q < p:
        return 0
    n = q + 2 - p
    h = <uint32_t>hash_of(p, n, b.own.seed)
    number = table_find(&b.own, p, n, h)
    if number < 0:
        number = table_add(&b.own, p, n, h)
        at = <uint32_t>b.texts.n
        if number < 0 or append(&b.own_places, <char *>&at, sizeof(uint32_t)) < 0:
            return -1
        if append(&b.texts, p, n) < 0:
            return -1
    place.own_at = (<uint32_t *>b.own_places.p)[number]
    place.own_n = <uint32_t>n
    return 0

cdef bint take_lines(const Written *written, Shape shape):
    """Copy the samples without their heads into the scratch. False: the shape has other heads."""
    cdef size_t ends_n = (written.families + 1) * sizeof(int32_t)
    if shape.families != written.families:
        return False
    ends_scratch.n = lines_scratch.n = 0
    if reserve(&ends_scratch, ends_n) < 0 or reserve(&lines_scratch, written.ends[written.families]) < 0:
        raise MemoryError
    return copy_lines(written, &shape.heads, <int32_t *>ends_scratch.p, lines_scratch.p)

cdef bint copy_lines(const Written *written, const Heads *heads, int32_t *ends, char *to) noexcept nogil:
    cdef const char *start = to
    cdef const char *text = written.text
    cdef const char *p = text
    cdef const char *stop
    cdef const char *texts = heads.texts
    cdef const int32_t *text_ends = written.ends
    cdef const FamilyHeads *sums = heads.families
    cdef const Place *places = heads.places
    cdef const Place *place = places
    cdef const Place *last
    cdef const Text *names = written.names
    cdef size_t n, known = 0
    cdef int f, families = written.families
    for f in range(families):
        ends[f] = <int32_t>(to - start)
        last = places + sums[f + 1].places
        stop = text + text_ends[f + 1]
        if place == last:
            if p != stop:
                return False
            continue
        if names != NULL:
            known = names[f].n
        while place < last:
            n = place.name_n - known
            if n:       # a suffix only, most often nothing, where the name is known
                if place.name_n < known or stop - p <= <Py_ssize_t>n or not begins(
                    p, texts + place.name_at + known, n
                ):
                    return False
                p += n
            if place.own_at == BARE:
                if p == stop or p[0] != c' ':
                    return False
                p += 1
            else:
                n = place.own_n + 1
                if stop - p <= <Py_ssize_t>n or p[0] != c'{':
                    return False
                if not begins(p + 1, texts + place.own_at, n - 1):
                    return False
                p += n
            if p == stop:
                return False
            n = copy_line(to, p)
            to += n
            p += n
            place += 1
        if p != stop:
            return False
    ends[families] = <int32_t>(to - start)
    return True

cdef size_t data_room(size_t n) noexcept:
    """How much memory `n` bytes take: one of sixteen sizes to each doubling. The next block of the same
    target is about as long: it fits where an earlier one was, and the heap does not fill with gaps that are a
    little too small."""
    cdef size_t step = ROOM_STEP_MIN
    while step * 32 <= n:
        step *= 2
    return (n + 8 + step - 1) // step * step - 8

cdef int give_data(Block block, const int32_t *ends, int families, const char *lines) except -1:
    """Copy this into memory of the block's own."""
    cdef size_t ends_n = (families + 1) * sizeof(int32_t), n = ends[families]
    cdef char *data = <char *>PyMem_RawMalloc(data_room(ends_n + n + DATA_PAD))
    if data == NULL:
        raise MemoryError
    memcpy(data, ends, ends_n)
    if n:
        memcpy(data + ends_n, lines, n)
    memset(data + ends_n + n, 0, DATA_PAD)
    block.families = families
    block.ends = <int32_t *>data
    block.lines = data + ends_n
    return 0

cdef Py_ssize_t size_with(Block block, Labels labels) noexcept:
    """The bytes of all samples with these labels."""
    cdef int families = block.families, i, f
    cdef const LabelText *usual = labels.texts
    cdef const LabelText *special
    cdef const FamilyHeads *sums
    cdef Py_ssize_t size = block.ends[families]
    if block.shape is None:
        return size
    sums = &block.shape.heads.families[families]
    size += sums.size + sums.opened * usual.open_n + sums.bare * usual.closed_n
    for i in range(labels.special_n):
        f = labels.special_families[i]
        if 0 <= f < families:
            special = &labels.texts[i + 1]
            size += family_size(&block.shape.heads, block.ends, f, special)
            size -= family_size(&block.shape.heads, block.ends, f, usual)
    return size

cdef class Block:
    def __cinit__(self, *_, **__):
        self.labels = none

    def __init__(
        self, bytes samples not None, bytes offsets not None, Py_ssize_t series, Py_ssize_t invalid,
        tuple fields,
    ):
        if self.ends != NULL:
            raise TypeError("a block never changes")
        check_offsets(samples, offsets)
        give_data(
            self, <const int32_t *>PyBytes_AS_STRING(offsets), <int>(PyBytes_GET_SIZE(offsets) // 4 - 1),
            PyBytes_AS_STRING(samples),
        )
        self.size = PyBytes_GET_SIZE(samples)
        self.series = series
        self.invalid = invalid
        self.fields = fields

    def __dealloc__(self):
        PyMem_RawFree(self.since)
        if not self.is_view:
            PyMem_RawFree(self.ends)

    @property
    def samples(self):
        return self.text(self.labels)

    @property
    def offsets(self):
        return self.text_ends(self.labels)

    cdef bytes text(self, Labels labels):
        """All samples with these labels. Whole samples are as they are."""
        cdef Py_ssize_t size
        cdef char *start
        cdef char *to
        cdef int f
        if self.ends == NULL:
            raise ValueError("a block is missing")
        if self.shape is None:
            return PyBytes_FromStringAndSize(self.lines, self.ends[self.families])
        size = size_with(self, labels)
        start = to = <char *>raw_zeros(size + 2 * DATA_PAD, 1)
        for f in range(self.families):
            to = write_family(&self.shape.heads, f, self.lines + self.ends[f], label_text(labels, f), to)
        try:
            return PyBytes_FromStringAndSize(start, size)
        finally:
            PyMem_RawFree(start)

    cdef bytes text_ends(self, Labels labels):
        """Where the families end in that text."""
        cdef bytes ends
        cdef int32_t *end
        cdef size_t at = 0
        cdef int f
        if self.ends == NULL:
            raise ValueError("a block is missing")
        ends = PyBytes_FromStringAndSize(<char *>self.ends, (self.families + 1) * sizeof(int32_t))
        end = <int32_t *>PyBytes_AS_STRING(ends)
        if self.shape is None:
            return ends
        for f in range(self.families):
            at += family_size(&self.shape.heads, self.ends, f, label_text(labels, f))
            if at > <size_t>0x7FFFFFFF:
                raise OverflowError("a block shows 2 GB at most")
            end[f + 1] = <int32_t>at
        return ends

cdef int give_rest(
    Block block, Shape shape, Labels labels, Py_ssize_t series, Py_ssize_t invalid, tuple fields
) except -1:
    block.shape = shape
    block.labels = labels
    block.series = series
    block.invalid = invalid
    block.fields = fields
    block.size = size_with(block, labels)
    return 0

cdef Block pack(const Written *written, Labels labels, tuple fields, Shape like, list recent):
    """The block of samples that get these labels. `like` and the `recent` ones are shapes that may fit. They
    were made for the same families. A new one is added to the recent ones."""
    cdef Block block = Block.__new__(Block)
    cdef size_t n = written.ends[written.families]
    cdef Shape shape = like, other
    if n and written.text[n - 1] != c'\n':
        raise ValueError(NO_END)
    # from a fit to `give_data` no other thread may come in: all blocks use the same scratch
    if shape is None or not take_lines(written, shape):
        shape = None
        for other in recent:
            if take_lines(written, other):
                shape = other
                break
        if shape is None:
            shape = shared(shape_of(written))
            recent.insert(0, shape)
            del recent[RECENT_MAX:]
            if not take_lines(written, shape):
                raise AssertionError("a shape fits the samples that it was made of")
    give_data(block, <int32_t *>ends_scratch.p, written.families, lines_scratch.p)
    if lines_scratch.room > SCRATCH_KEPT:
        release(&lines_scratch)
    give_rest(block, shape, labels, written.series, written.invalid, fields)
    return block

cdef Block with_lines(Block block, bytes lines, const int32_t *ends):
    """The same heads before other lines."""
    cdef Block made = Block.__new__(Block)
    give_data(made, ends, block.families, PyBytes_AS_STRING(lines))
    give_rest(made, block.shape, block.labels, block.series, block.invalid, block.fields)
    return made

cdef Block with_labels(Block block, Labels labels):
    """The same samples with other labels. Both share their memory."""
    cdef Block made = Block.__new__(Block)
    made.families = block.families
    made.ends = block.ends
    made.lines = block.lines
    made.is_view = True
    made.owner = block if block.owner is None else block.owner
    give_rest(made, block.shape, labels, block.series, block.invalid, block.fields)
    return made

cdef Block with_some(Block block, const char *kept, Py_ssize_t series):
    """Only the samples that are marked, by their number."""
    cdef Block made = Block.__new__(Block)
    cdef Shape shape = None if block.shape is None else empty_like(block.shape)
    cdef const char *line = block.lines
    cdef const char *line_end
    cdef const char *stop
    cdef int32_t *ends = <int32_t *>raw_zeros(block.families + 1, sizeof(int32_t))
    cdef int f
    cdef Buffer lines
    cdef size_t number = 0
    memset(&lines, 0, sizeof(Buffer))
    try:
        for f in range(block.families):
            stop = block.lines + block.ends[f + 1]
            while line < stop:
                line_end = <const char *>memchr(line, c'\n', stop - line)
                line_end = stop if line_end == NULL else line_end + 1
                if kept[number]:
                    if append(&lines, line, line_end - line) < 0:
                        raise MemoryError
                    if shape is not None:
                        add_place(
                            &shape.heads.families[f + 1], &shape.heads, &block.shape.heads.places[number]
                        )
                number += 1
                line = line_end
            ends[f + 1] = <int32_t>lines.n
            if shape is not None and f + 1 < block.families:
                shape.heads.families[f + 2] = shape.heads.families[f + 1]
        give_data(made, ends, block.families, lines.p)
    finally:
        PyMem_RawFree(ends)
        release(&lines)
    give_rest(
        made, None if shape is None else shared(shape), block.labels, series, block.invalid, block.fields
    )
    return made

cdef Shape empty_like(Shape shape):
    """One with room for the same places, but none of them."""
    cdef Shape made = Shape.__new__(Shape)
    made.families = shape.families
    made.heads.families = <FamilyHeads *>raw_zeros(shape.families + 1, sizeof(FamilyHeads))
    made.heads.places = <Place *>raw_zeros(places_n(shape) + 1, sizeof(Place))
    made.heads.texts = <char *>raw_zeros(shape.texts_n + DATA_PAD, 1)
    made.texts_n = shape.texts_n
    memcpy(made.heads.texts, shape.heads.texts, shape.texts_n)
    return made

cdef void add_place(FamilyHeads *sums, Heads *heads, const Place *place) noexcept nogil:
    heads.places[sums.places] = place[0]
    sums.places += 1
    sums.bare += place.own_at == BARE
    sums.opened += place.own_at != BARE
    sums.size += place.name_n + place.own_n

cdef int append_sample(
    Buffer *to, const Heads *heads, size_t number, const LabelText *text, const char *line, size_t n
) noexcept:
    """Append one sample. 0, or -1 out of memory."""
    cdef const Place *place = &heads.places[number]
    if append(to, heads.texts + place.name_at, place.name_n) < 0:
        return -1
    if place.own_at == BARE:
        if append(to, text.closed, text.closed_n) < 0:
            return -1
    else:
        if append(to, text.open, text.open_n) < 0 or append(to, heads.texts + place.own_at, place.own_n) < 0:
            return -1
    return append(to, line, n)
