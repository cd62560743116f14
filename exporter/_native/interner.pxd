"""Keys of INFO that have been seen, each with its meaning. What is interned never moves and never changes.

So a line is recognised without a lock: only adding a key, or finding one by its bytes, takes it.
"""

from cpython.pythread cimport PyThread_type_lock
from libc.stdint cimport int8_t, int32_t, uint32_t, uint64_t

from exporter._native.buffers cimport Arena
from exporter._native.tables cimport Table

cdef extern from *:
    """
    #define redpoll_load_acquire(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
    #define redpoll_store_release(p, value) __atomic_store_n(p, value, __ATOMIC_RELEASE)
    """
    int load_acquire "redpoll_load_acquire"(int *p) nogil
    void store_release "redpoll_store_release"(int *p, int value) nogil

cdef enum:
    ENTRIES_A_CHUNK = 256

cdef enum:
    KEY_IGNORED = 0
    KEY_OF_FIELD = 1
    KEY_OF_RECORD = 2
    GROUP_CURRENT = -1
    UNNUMBERED = 20000      # further masters without a number are the groups from here on

cdef struct Entry:
    const char *key
    const char *own         # the rendered labels of its own
    uint32_t key_n
    uint32_t own_n
    int32_t row             # slot of a field, pattern of a record
    int32_t group           # of a field: 0, N + 1 of master_N_…, or that of the lines before
    int32_t number          # of a numbered record, else -1
    int32_t subject         # of (pattern, name)
    int32_t joined          # the subject in the joined pattern, else -1
    int8_t kind
    int8_t sets_group
    int8_t names_master     # `master_host`: each further one begins a group
    int8_t holds_colon      # of a record: its name ends at the last colon of a line, not at the first

cdef struct Interner:
    Table lines
    Table subjects          # pattern (one byte) and name
    Entry **chunks
    int32_t chunks_room
    Arena own
    PyThread_type_lock lock
    int full                # no key can be added, so finding one needs no lock

cdef inline Entry *entry_at(Interner *it, int32_t number) noexcept nogil:
    return &it.chunks[<uint32_t>number // ENTRIES_A_CHUNK][<uint32_t>number % ENTRIES_A_CHUNK]

cdef int interner_init(Interner *it, uint64_t seed, int32_t entries) noexcept nogil

cdef void interner_clear(Interner *it) noexcept nogil

cdef void interner_free(Interner *it) noexcept nogil

cdef int32_t interner_add(Interner *it, const char *key, size_t n, uint32_t h, Entry *entry) noexcept nogil
