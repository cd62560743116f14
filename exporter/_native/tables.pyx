"""Tables: what is called too seldom to stand inline in `tables.pxd`."""

from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc, PyMem_RawRealloc
from libc.stdint cimport int32_t, uint32_t, uint64_t
from libc.string cimport memcmp, memset

from exporter._native.buffers cimport Text, arena_clear, arena_free, arena_put

cdef enum:
    KEY_MAX = 0xFFFFFF          # bytes

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
    arena_clear(&t.bytes)
    for i in range(t.slots_n):
        t.slots[i].number = -1

cdef void table_free(Table *t) noexcept nogil:
    arena_free(&t.bytes)
    PyMem_RawFree(t.slots)
    PyMem_RawFree(t.keys)
    t.slots = NULL
    t.keys = NULL

cdef int32_t table_find(Table *t, const char *p, size_t n, uint32_t h) noexcept nogil:
    """The number of a key, -1 where it is not there."""
    cdef uint32_t i = h & (t.slots_n - 1)
    cdef Text *key
    while t.slots[i].number >= 0:
        if t.slots[i].hash == h:
            key = &t.keys[t.slots[i].number]
            if key.n == n and memcmp(key.p, p, n) == 0:
                return t.slots[i].number
        i = (i + 1) & (t.slots_n - 1)
    return -1

cdef int32_t table_add(Table *t, const char *p, size_t n, uint32_t h) noexcept nogil:
    """The number of a new key; -1 where memory is out or the key is too long."""
    cdef int32_t room
    cdef Text *keys
    cdef char *key
    cdef uint32_t i
    if n > KEY_MAX:
        return -1
    if t.count * 2 >= <int32_t>t.slots_n and table_resize(t, t.slots_n * 2) < 0:
        return -1
    if t.count >= t.room:
        room = t.room * 2 if t.room else 64
        keys = <Text *>PyMem_RawRealloc(t.keys, room * sizeof(Text))
        if keys == NULL:
            return -1
        t.keys = keys
        t.room = room
    key = arena_put(&t.bytes, p, n)
    if key == NULL:
        return -1
    t.keys[t.count].p = key
    t.keys[t.count].n = <uint32_t>n
    i = h & (t.slots_n - 1)
    while t.slots[i].number >= 0:
        i = (i + 1) & (t.slots_n - 1)
    t.slots[i].hash = h
    t.slots[i].number = t.count
    t.count += 1
    return t.count - 1
