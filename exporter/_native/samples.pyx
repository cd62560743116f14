"""Samples written from Python, one by one."""

import struct
import sys

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_Next
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from cpython.object cimport PyObject
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from exporter._native.blocks cimport Block, Written, no_labels, pack, same_labels
from exporter._native.buffers cimport Buffer, append, copy_short, put, raw_zeros, release, reserve
from exporter._native.histograms cimport (
    ODD, ORDINARY, Bucket, RawHistograms, RawRow, begin_raw, free_raw, read_raw, read_sums,
)
from exporter._native.labels cimport Labels
from exporter._native.numbers cimport put_escaped, write_int
from exporter._native.tables cimport Table, hash_of, table_add, table_find, table_free, table_init

cdef enum:
    SETS_MAX = 64

#: id of a set of families → the shapes of its newest blocks. Each is compared, so that it does not matter
#: whose id that was before.
cdef dict recent_shapes = {}

cdef list recent_of(families):
    cdef list found = recent_shapes.get(id(families))
    if found is None:
        if len(recent_shapes) >= SETS_MAX:
            recent_shapes.clear()
        found = recent_shapes[id(families)] = []
    return found

cdef struct Sample:
    int family
    size_t at
    size_t n

cdef enum:
    BUCKET_ROOM = 64            # bytes of a bound and a count, with what stands around them

cdef inline char *put_label(char *to, RawRow *row, const char *closing, size_t closing_n) noexcept nogil:
    """Write the name of a row, and what stands behind it."""
    return put(put(to, row.name, row.name_n), closing, closing_n)

cdef bint is_named(command, RawRow *row) except -1:
    cdef Py_ssize_t n
    cdef const char *name = PyUnicode_AsUTF8AndSize(command, &n)
    return <size_t>n == row.name_n and memcmp(name, row.name, n) == 0

cdef tuple seen_buckets(RawRow *row, Bucket *buckets):
    """The bounds of a row, and its counts."""
    cdef int i
    bounds = tuple([buckets[i].bound for i in range(row.buckets_n)])
    return bounds, [int(buckets[i].count_p[:buckets[i].count_n]) for i in range(row.buckets_n)]

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
    cdef Table seen             # heads
    cdef list _merged
    cdef Py_ssize_t series
    cdef Py_ssize_t invalid

    def __cinit__(self, families, Labels labels not None, Py_ssize_t label_max=1024):
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
            raise ValueError("a histogram has as many counts as bounds")
        for i in range(1, n):
            if not bounds[i - 1] < bounds[i]:
                raise ValueError("the bounds of a histogram must rise")
        if not self._add_head(family, values, b"_bucket", (b"le", "")):
            return
        # up to the opening quote of the bound, all buckets have the same head
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

    def read_histograms(self, int family, bytes reply not None, bytes statistics not None, bounds):
        cdef RawHistograms raw
        cdef int code
        if self.series or self.invalid:
            return False
        try:
            if begin_raw(&raw) < 0:
                raise MemoryError
            code = read_raw(
                &raw, PyBytes_AS_STRING(reply), PyBytes_GET_SIZE(reply), bounds.bounds_max, self._label_max
            )
            if code == ORDINARY:
                code = read_sums(&raw, PyBytes_AS_STRING(statistics), PyBytes_GET_SIZE(statistics))
            if code == ORDINARY:
                self._put_histograms(family, &raw, bounds)
            elif code != ODD:
                raise MemoryError
        finally:
            free_raw(&raw)
        return code == ORDINARY

    cdef int _put_histograms(self, int family, RawHistograms *raw, bounds) except -1:
        """Write the rows whose sums are known. All that could be odd about them has been looked at."""
        cdef dict by_command = bounds.by_command
        cdef bytes opening = self._opening(family, b"_bucket")
        cdef bytes of_sum = self._opening(family, b"_sum"), of_count = self._opening(family, b"_count")
        cdef RawRow *row
        cdef Bucket *buckets
        cdef tuple known
        cdef Py_ssize_t place = 0, series = 0
        cdef PyObject *command = NULL       # the next one in `by_command`: its order is mostly that of the rows
        cdef PyObject *its_bounds = NULL
        cdef bint in_order = True
        cdef size_t i, before = self.out.n
        for i in range(raw.rows_n):
            row = <RawRow *>raw.rows.p + i
            if row.own < 0 and row.within < 0:
                continue
            buckets = <Bucket *>raw.buckets.p + row.first
            if in_order and command == NULL:
                in_order = PyDict_Next(by_command, &place, &command, &its_bounds)
            if in_order and is_named(<object>command, row):
                known = <tuple?><object>its_bounds
                command = NULL
            else:
                known = by_command.get(row.name[:row.name_n].decode(), ())
            if not self._put_buckets(opening, row, buckets, known):
                in_order = False        # the dictionary may change now
                known, _ = bounds.widened(
                    sys.intern(row.name[:row.name_n].decode()), *seen_buckets(row, buckets)
                )
                if not self._put_buckets(opening, row, buckets, known):
                    raise ValueError("widened bounds lack some that were seen")
            self._put_total(of_sum, row, max(row.own, 0) + max(row.within, 0))
            self._put_total(of_count, row, -1)
            series += PyTuple_GET_SIZE(known) + 3
        if series:
            self._note(family, before, series)
        return 0

    cdef bytes _opening(self, int family, bytes suffix):
        """What stands before the value of a family's only label."""
        name, [label] = self._families[family]
        return name + suffix + b"{" + label + b'="'

    cdef bint _put_buckets(self, bytes opening, RawRow *row, Bucket *buckets, tuple known) except -1:
        """Write a bucket for each known bound, and `+Inf`: a bound that a reply leaves out has the count of the
        one before it. False: one that was seen is not known, and nothing is written."""
        cdef size_t before = self.out.n, opening_n = PyBytes_GET_SIZE(opening)
        cdef size_t head = opening_n + row.name_n + 6       # up to the opening quote of the bound
        cdef Py_ssize_t i, n = PyTuple_GET_SIZE(known)
        cdef Bucket *seen = buckets
        cdef Bucket *end = buckets + row.buckets_n
        cdef const char *count = b"0"
        cdef int count_n = 1
        cdef int64_t bound
        cdef char *first
        cdef char *to
        if reserve(&self.out, (n + 1) * (head + BUCKET_ROOM)) < 0:
            raise MemoryError
        first = self.out.p + before
        to = put_label(put(first, PyBytes_AS_STRING(opening), opening_n), row, b'",le="', 6)
        for i in range(n + 1):
            if i:
                to = put(to, first, head)
            if i == n:
                to = put(to, b"+Inf", 4)
                count, count_n = row.calls, row.calls_n
            else:
                bound = <object>PyTuple_GET_ITEM(known, i)
                if seen != end and seen.bound == bound:
                    copy_short(to, seen.bound_p, seen.bound_n)
                    to += seen.bound_n
                    count, count_n = seen.count_p, seen.count_n
                    seen += 1
                else:
                    to = write_int(to, bound)
            to = put(to, b'"} ', 3)
            copy_short(to, count, count_n)
            to += count_n
            to[0] = c'\n'
            to += 1
        if seen != end:
            return False
        self.out.n = to - self.out.p
        return True

    cdef int _put_total(self, bytes opening, RawRow *row, int64_t total) except -1:
        """Write the sum of a histogram; its count where `total` is below zero."""
        cdef size_t opening_n = PyBytes_GET_SIZE(opening)
        cdef char *to
        if reserve(&self.out, opening_n + row.name_n + BUCKET_ROOM) < 0:
            raise MemoryError
        to = put(self.out.p + self.out.n, PyBytes_AS_STRING(opening), opening_n)
        to = put_label(to, row, b'"} ', 3)
        to = put(to, row.calls, row.calls_n) if total < 0 else write_int(to, total)
        to[0] = c'\n'
        self.out.n = to + 1 - self.out.p
        return 0

    cdef int _put_number(self, value) except -1:
        if type(value) is int and -(1 << 62) < value < 1 << 62:
            if reserve(&self.out, 32) < 0:
                raise MemoryError
            self.out.n = write_int(self.out.p + self.out.n, value) - self.out.p
        else:
            self._append(format_value(value))
        return 0

    cdef bint _add_head(self, int family, values, bytes suffix, extra) except -1:
        """Write what stands before the value. False: the same is written already, and this adds nothing."""
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
        cdef bint any_label = False
        self._append(name)
        self._append(suffix)
        if not labels and extra is None:
            self._append(b" ")
            return 0
        self._append(b"{")
        for label, own in zip(labels, values):
            self._add_label(label, own, any_label)
            any_label = True
        if extra is not None:
            self._add_label(extra[0], extra[1], any_label)
        self._append(b"} ")
        return 0

    cdef int _note(self, int family, size_t at, Py_ssize_t series) except -1:
        """Note that what was written from `at` on is of this family."""
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
        if block.ends == NULL or block.families != len(self._families):
            raise ValueError("the block is of another family set")
        self._merged.append(block)
        self.series += block.series
        self.invalid += block.invalid

    def block(self):
        """Family by family: first the merged blocks, the newest first, then what was added, in its order."""
        cdef Block block, added
        for block in self._merged:
            if block.shape is None or not same_labels(block.labels, self._labels):
                break
        else:
            return self._joined(
                [(block.text(no_labels()), block.text_ends(no_labels())) for block in self._merged]
            )
        added = self._joined([])
        parts = [(block.samples, block.offsets) for block in (*reversed(self._merged), added)]
        texts, ends, at = [], [0], 0
        for f in range(len(self._families)):
            for text, offsets in parts:
                numbers = memoryview(offsets).cast("i")
                texts.append(text[numbers[f]:numbers[f + 1]])
                at += numbers[f + 1] - numbers[f]
            ends.append(at)
        return Block(b"".join(texts), struct.pack(f"={len(ends)}i", *ends), self.series, self.invalid, ())

    cdef Block _joined(self, list merged):
        """The block of these samples without labels, and of what was added."""
        cdef int n = len(self._families), f
        cdef size_t i, count = self.samples.n // sizeof(Sample), size = self.out.n
        cdef Sample *samples = <Sample *>self.samples.p
        cdef int32_t *ends = NULL
        cdef int32_t *at            # of each family, where the next of its samples goes
        cdef const int32_t *theirs
        cdef bytes text, offsets
        cdef Buffer out
        cdef Written written
        for text, _ in merged:
            size += PyBytes_GET_SIZE(text)
        if size > <size_t>0x7FFFFFFF:
            raise OverflowError("a block holds 2 GB at most")
        memset(&out, 0, sizeof(Buffer))
        ends = <int32_t *>raw_zeros(2 * (n + 1), sizeof(int32_t))
        at = ends + n + 1
        try:
            if reserve(&out, size) < 0:
                raise MemoryError
            for _, offsets in merged:
                theirs = <const int32_t *>PyBytes_AS_STRING(offsets)
                for f in range(n):
                    ends[f + 1] += theirs[f + 1] - theirs[f]
            for i in range(count):
                ends[samples[i].family + 1] += <int32_t>samples[i].n
            for f in range(n):
                at[f] = ends[f]
                ends[f + 1] += ends[f]
            for text, offsets in reversed(merged):
                theirs = <const int32_t *>PyBytes_AS_STRING(offsets)
                for f in range(n):
                    size = theirs[f + 1] - theirs[f]
                    memcpy(out.p + at[f], PyBytes_AS_STRING(text) + theirs[f], size)
                    at[f] += <int32_t>size
            for i in range(count):
                f = samples[i].family
                memcpy(out.p + at[f], self.out.p + samples[i].at, samples[i].n)
                at[f] += <int32_t>samples[i].n
            memset(&written, 0, sizeof(Written))
            written.text, written.ends, written.families = out.p, ends, n
            written.series, written.invalid = self.series, self.invalid
            return pack(&written, self._labels, (), None, recent_of(self._families))
        finally:
            PyMem_RawFree(ends)
            release(&out)
