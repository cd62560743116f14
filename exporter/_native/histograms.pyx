"""LATENCY HISTOGRAM: its rows, and those of a reply as it came over the wire."""

import os
import struct

from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE, PyList_New, PyList_SET_ITEM
from cpython.long cimport PyLong_AsLongLongAndOverflow, PyLong_CheckExact
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_New, PyTuple_SET_ITEM
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memchr, memcmp, memset

from exporter._native.buffers cimport Buffer, find_byte, release, reserve
from exporter._native.numbers cimport digit_span
from exporter._native.tables cimport Table, hash_of, table_add, table_find, table_free, table_init


cdef int whole(list numbers, Py_ssize_t i, long long *value) except -1:
    """Whether there is an integer in 64 bits."""
    cdef int overflow = 0
    cdef object number = <object>PyList_GET_ITEM(numbers, i)
    if not PyLong_CheckExact(number):
        return False
    value[0] = PyLong_AsLongLongAndOverflow(number, &overflow)
    return overflow == 0

cdef bint is_histogram(list pairs, long long calls, Py_ssize_t bounds_max) except -1:
    """Bounds that rise, each with a count that does not fall and is at most `calls`."""
    cdef Py_ssize_t i, n = PyList_GET_SIZE(pairs)
    cdef long long bound = 0, count = 0, bound_before = 0, count_before = 0
    if n % 2 or n // 2 > bounds_max or calls < 0:
        return False
    for i in range(0, n, 2):
        if not whole(pairs, i, &bound) or not whole(pairs, i + 1, &count):
            return False
        if (i and bound <= bound_before) or count < count_before or count > calls:
            return False
        bound_before = bound
        count_before = count
    return True

cdef tuple histogram(bytes name, list row, Py_ssize_t bounds_max):
    cdef list pairs, below
    cdef tuple bounds
    cdef long long calls = 0
    cdef Py_ssize_t i, n
    if PyList_GET_SIZE(row) != 4 or type(row[3]) is not list or not whole(row, 1, &calls):
        return None
    pairs = row[3]
    if not is_histogram(pairs, calls, bounds_max):
        return None
    n = PyList_GET_SIZE(pairs) // 2
    bounds, below = PyTuple_New(n), PyList_New(n)
    for i in range(n):
        bound, count = pairs[2 * i], pairs[2 * i + 1]
        Py_INCREF(bound)
        PyTuple_SET_ITEM(bounds, i, bound)
        Py_INCREF(count)
        PyList_SET_ITEM(below, i, count)
    return name, row[1], bounds, below

def histogram_rows(reply, Py_ssize_t bounds_max):
    cdef list rows = []
    cdef list items
    cdef Py_ssize_t i
    if not isinstance(reply, list):
        return rows
    items = reply
    for i in range(0, len(items) - 1, 2):
        if type(items[i]) is bytes and type(items[i + 1]) is list:
            row = histogram(items[i], items[i + 1], bounds_max)
            if row is not None:
                rows.append(row)
    return rows

# A reply as it came. `engine/plain/histograms.py` says what is in the ordinary; all else is left to those who
# read the values of the reply.

cdef enum:
    DIGITS_MAX = 18             # of a number: it fits 64 bits, and so does the sum of some

cdef int64_t SUM_MAX = 1000000000000000000

cdef uint64_t SEED = struct.unpack("=Q", os.urandom(8))[0]

cdef int begin_raw(RawHistograms *h) noexcept nogil:
    memset(h, 0, sizeof(RawHistograms))
    return table_init(&h.names, SEED)

cdef void free_raw(RawHistograms *h) noexcept nogil:
    release(&h.rows)
    release(&h.buckets)
    table_free(&h.names)

cdef inline RawRow *row_at(RawHistograms *h, size_t i) noexcept nogil:
    return <RawRow *>h.rows.p + i

cdef inline uint32_t name_hash(RawHistograms *h, const char *p, size_t n) noexcept nogil:
    return <uint32_t>hash_of(p, n, h.names.seed)

cdef const char *number_line(const char *p, const char *end, char kind, int64_t *value) noexcept nogil:
    """Past the line of a number at p: `kind`, its digits, CR LF. NULL: there is none, or a longer one."""
    cdef bint minus
    cdef const char *digits
    cdef int64_t found = 0
    if p == end or p[0] != kind:
        return NULL
    p += 1
    minus = p < end and p[0] == c'-'
    digits = p + minus
    p = digits
    while p < end and c'0' <= p[0] <= c'9' and p - digits < DIGITS_MAX:
        found = 10 * found + (p[0] - c'0')
        p += 1
    if p == digits or end - p < 2 or p[0] != c'\r' or p[1] != c'\n':
        return NULL
    if digits[0] == c'0' and (minus or p - digits > 1):
        return NULL
    value[0] = -found if minus else found
    return p + 2

cdef inline const char *past(const char *p, const char *end, const char *text, size_t n) noexcept nogil:
    """Past a text that stands at p. NULL: another one does."""
    return p + n if <size_t>(end - p) >= n and memcmp(p, text, n) == 0 else NULL

cdef inline bint is_plain_name(const char *p, size_t n) noexcept nogil:
    """Whether INFO and samples write a name as it is."""
    cdef size_t i
    for i in range(n):
        if not c'!' <= p[i] <= c'~' or p[i] == c'"' or p[i] == c'#' or p[i] == c':' or p[i] == c'\\':
            return False
    return n > 0

cdef int read_raw(
    RawHistograms *h, const char *p, size_t n, size_t bounds_max, size_t name_max
) noexcept nogil:
    """Read all rows. ORDINARY, ODD or NO_MEMORY. Room is taken for what is there, not for what is announced.
    """
    cdef const char *end = p + n
    cdef int64_t items = 0
    cdef int code
    p = number_line(p, end, c'*', &items)
    if p == NULL or items < 0 or items % 2:
        return ODD
    while p < end:
        code = read_row(h, &p, end, bounds_max, name_max)
        if code != ORDINARY:
            return code
    return ORDINARY if h.rows_n == <size_t>items // 2 else ODD

cdef int read_row(
    RawHistograms *h, const char **at, const char *end, size_t bounds_max, size_t name_max
) noexcept nogil:
    cdef const char *p = at[0]
    cdef RawRow *row
    cdef int64_t size = 0, calls = 0
    cdef uint32_t hash
    cdef int code
    if reserve(&h.rows, sizeof(RawRow)) < 0:
        return NO_MEMORY
    row = row_at(h, h.rows_n)
    p = number_line(p, end, c'$', &size)
    if p == NULL or size < 1 or size > end - p or <size_t>size > name_max or not is_plain_name(p, size):
        return ODD
    row.name, row.name_n = p, size
    p = past(p + size, end, b"\r\n*4\r\n$5\r\ncalls\r\n", 17)
    if p == NULL:
        return ODD
    row.calls = p + 1
    p = number_line(p, end, c':', &calls)
    if p == NULL or calls < 0:
        return ODD
    row.calls_n = <int>(p - 2 - row.calls)
    p = past(p, end, b"$14\r\nhistogram_usec\r\n", 21)
    if p == NULL:
        return ODD
    hash = name_hash(h, row.name, row.name_n)
    if table_find(&h.names, row.name, row.name_n, hash) >= 0:
        return ODD
    if table_add(&h.names, row.name, row.name_n, hash) < 0:
        return NO_MEMORY
    row.own = row.within = -1
    at[0] = p
    code = read_buckets(h, row, at, end, calls, bounds_max)
    if code == ORDINARY:
        h.rows_n += 1
        h.rows.n += sizeof(RawRow)
    return code

cdef int read_buckets(
    RawHistograms *h, RawRow *row, const char **at, const char *end, int64_t calls, size_t bounds_max
) noexcept nogil:
    """Bounds that rise, each with a count that does not fall and is at most `calls`."""
    cdef const char *p = at[0]
    cdef Bucket *bucket
    cdef int64_t items = 0, bound_before = 0, count_before = 0, count = 0
    cdef int i
    p = number_line(p, end, c'*', &items)
    if p == NULL or items < 0 or items % 2 or <size_t>items // 2 > bounds_max:
        return ODD
    row.buckets_n = <int>(items // 2)
    row.first = h.buckets.n // sizeof(Bucket)
    for i in range(row.buckets_n):
        if reserve(&h.buckets, sizeof(Bucket)) < 0:
            return NO_MEMORY
        bucket = <Bucket *>(h.buckets.p + h.buckets.n)
        bucket.bound_p = p + 1
        p = number_line(p, end, c':', &bucket.bound)
        if p == NULL or (i and bucket.bound <= bound_before):
            return ODD
        bucket.bound_n = <int>(p - 2 - bucket.bound_p)
        bucket.count_p = p + 1
        p = number_line(p, end, c':', &count)
        if p == NULL or count < count_before or count > calls:
            return ODD
        bucket.count_n = <int>(p - 2 - bucket.count_p)
        bound_before, count_before = bucket.bound, count
        h.buckets.n += sizeof(Bucket)
    at[0] = p
    return ORDINARY

cdef int read_sums(RawHistograms *h, const char *p, size_t n) noexcept nogil:
    """Take the microseconds of the rows from INFO commandstats. ORDINARY, ODD or NO_MEMORY."""
    cdef const char *end = p + n
    cdef const char *stop
    cdef size_t expected = 0    # most lines are in the order of the rows
    cdef int code
    while p < end:
        stop = find_byte(p, end, c'\n')
        if past(p, stop, b"cmdstat_", 8) != NULL:
            code = read_sum(h, p + 8, stop, &expected)
            if code != ORDINARY:
                return code
        p = stop + 1
    return ORDINARY

cdef int read_sum(
    RawHistograms *h, const char *name, const char *stop, size_t *expected
) noexcept nogil:
    """Read `name:calls=1,usec=2,…`, which ends at `stop`."""
    cdef const char *colon
    cdef const char *p
    cdef size_t digits, i
    cdef int64_t usec = 0
    if name == stop:
        return ODD
    colon = find_byte(name + 1, stop, c':')
    p = past(colon, stop, b":calls=", 7)
    if p == NULL:
        return ODD
    digits = digit_span(p, stop - p)
    p = past(p + digits, stop, b",usec=", 6)
    if p == NULL or digits == 0:
        return ODD
    digits = digit_span(p, stop - p)
    if digits == 0 or digits > DIGITS_MAX:
        return ODD
    for i in range(digits):
        usec = 10 * usec + (p[i] - c'0')
    p += digits
    if p < stop and p[0] != c',' and p[0] != c'\r':
        return ODD
    return put_sum(h, name, colon - name, usec, expected)

cdef int put_sum(
    RawHistograms *h, const char *name, size_t name_n, int64_t usec, size_t *expected
) noexcept nogil:
    """Add to the row of a command, or to that of its container."""
    cdef RawRow *row
    cdef const char *bar
    cdef uint32_t hash
    cdef int64_t i = expected[0]
    if i < <int64_t>h.rows_n:
        row = row_at(h, i)
        if row.name_n != name_n or memcmp(row.name, name, name_n) != 0:
            i = -1
    else:
        i = -1
    hash = 0
    if i < 0:
        hash = name_hash(h, name, name_n)
        i = table_find(&h.names, name, name_n, hash)
    if i >= <int64_t>h.rows_n:      # a sub-command that is there twice
        return ODD
    if i >= 0:
        row = row_at(h, i)
        expected[0] = i + 1
        if row.own >= 0:
            return ODD
        row.own = usec
        return ORDINARY
    bar = <const char *>memchr(name, c'|', name_n)
    if bar == NULL:
        return ORDINARY
    i = table_find(&h.names, name, bar - name, name_hash(h, name, bar - name))
    if i < 0:
        return ORDINARY
    if table_add(&h.names, name, name_n, hash) < 0:
        return NO_MEMORY
    row = row_at(h, i)
    row.within = usec + max(row.within, 0)
    return ORDINARY if row.within <= SUM_MAX else ODD
