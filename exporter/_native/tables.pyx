"""Interning: bytes to small numbers."""

from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc, PyMem_RawRealloc
from libc.stdint cimport int32_t, uint32_t, uint64_t
from libc.string cimport memcmp, memset

from exporter._native.buffers cimport append, release

cdef int table_init(Table *t, uint64_t seed) noexcept nogil:
    memset(t, 0, sizeof(Table))
    t.seed = seed
    return table_resize(t, 64)

cdef int table_resize(Table *t, uint32_t slots_n) noexcept nogil:
    cdef Slot *fresh = <Slot *>PyMem_RawMalloc(slots_n * sizeof(Slot))
    cdef uint32_t i, j
    if fresh == NULL:
        return -1
    for i in range(slots_n):
        fresh[i].number = -1
    for i in range(t.slots_n):
        if t.slots[i].number >= 0:
            j = t.slots[i].hash & (slots_n - 1)
            while fresh[j].number >= 0:
                j = (j + 1) & (slots_n - 1)
            fresh[j] = t.slots[i]
    PyMem_RawFree(t.slots)
    t.slots = fresh
    t.slots_n = slots_n
    return 0

cdef void table_clear(Table *t) noexcept nogil:
    cdef uint32_t i
    t.count = 0
    t.keys.n = 0
    for i in range(t.slots_n):
        t.slots[i].number = -1

cdef void table_free(Table *t) noexcept nogil:
    release(&t.keys)
    PyMem_RawFree(t.slots)
    PyMem_RawFree(t.at)
    t.slots = NULL
    t.at = NULL

cdef int32_t table_find(Table *t, const char *p, size_t n, uint32_t h) noexcept nogil:
    """The number of a key, -1 where it is not there."""
    cdef uint32_t i = h & (t.slots_n - 1)
    cdef Text key
    while t.slots[i].number >= 0:
        if t.slots[i].hash == h:
            key = table_key(t, t.slots[i].number)
            if key.n == n and memcmp(key.p, p, n) == 0:
                return t.slots[i].number
        i = (i + 1) & (t.slots_n - 1)
    return -1

cdef int32_t table_add(Table *t, const char *p, size_t n, uint32_t h) noexcept nogil:
    """A number for a key that is not there; -1 where memory is out or the key is beyond all bounds."""
    cdef int32_t room
    cdef uint64_t *at
    cdef uint32_t i
    if n > 0xFFFFFF:
        return -1
    if t.count * 2 >= <int32_t>t.slots_n and table_resize(t, t.slots_n * 2) < 0:
        return -1
    if t.count >= t.room:
        room = t.room * 2 if t.room else 64
        at = <uint64_t *>PyMem_RawRealloc(t.at, room * sizeof(uint64_t))
        if at == NULL:
            return -1
        t.at = at
        t.room = room
    t.at[t.count] = <uint64_t>t.keys.n << 24 | n
    if append(&t.keys, p, n) < 0:
        return -1
    i = h & (t.slots_n - 1)
    while t.slots[i].number >= 0:
        i = (i + 1) & (t.slots_n - 1)
    t.slots[i].hash = h
    t.slots[i].number = t.count
    t.count += 1
    return t.count - 1
