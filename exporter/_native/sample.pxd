"""One sample at the end of a reading's output: labels, value, and whether it stays there."""

from libc.stdint cimport int64_t, uint32_t

from exporter._native.buffers cimport Text, append, reserve
from exporter._native.numbers cimport put_escaped, write_value
from exporter._native.reading cimport Reading
from exporter._native.tables cimport hash_of, table_add, table_find

cdef enum:
    SAMPLES_MAX = 0x70000000        # bytes: offsets have 31 bits
    VALUE_ROOM = 512                # a value takes less, with all that stands between it and the labels
    FULL = -2                       # returned where a block can hold no more

cdef inline int commit(Reading *r, char *value, char *end) noexcept nogil:
    """Keep the sample that stands at the end of `out` if its value is one."""
    if end == NULL:
        r.invalid += 1
    elif end != value:
        end[0] = c'\n'
        r.out.n = end + 1 - r.out.p
        r.series += 1
        if r.out.n > SAMPLES_MAX:
            return FULL
    return 0

cdef inline int append_label(
    Reading *r, Text *opening, Text *value, bint comma, size_t value_max
) noexcept nogil:
    if comma and append(&r.out, b",", 1) < 0:
        return -1
    if append(&r.out, opening.p, opening.n) < 0:
        return -1
    if value.p != NULL and put_escaped(&r.out, value.p, value.n, value_max) < 0:
        return -1
    return append(&r.out, b'"', 1)

cdef inline int close_labels(Reading *r, size_t before, bint any_label) noexcept nogil:
    """End the labels in `out`, which begin at `before`. Without any, the opening brace goes."""
    if any_label:
        return append(&r.out, b"} ", 2)
    r.out.n = before
    return append(&r.out, b" ", 1)

cdef inline int finish(
    Reading *r, size_t before, Text *value, int transform, int64_t now, bint may_repeat
) noexcept nogil:
    """Write the value after the head that stands in `out` from `before` on; without a value, remove that
    head."""
    cdef size_t head_end = r.out.n
    cdef char *to
    cdef char *end
    cdef uint32_t h
    if reserve(&r.out, 256) < 0:
        return -1
    to = r.out.p + r.out.n
    end = write_value(to, value, transform, now, r.last)
    r.out.n = before
    if end != NULL and end != to and may_repeat:
        h = <uint32_t>hash_of(r.out.p + before, head_end - before, r.seen.seed)
        if table_find(&r.seen, r.out.p + before, head_end - before, h) >= 0:
            return 0
        if table_add(&r.seen, r.out.p + before, head_end - before, h) < 0:
            return -1
    return commit(r, to, end)
