"""Tables: each key (bytes) has a small number. A key never moves until its table is cleared."""

from libc.stdint cimport int32_t, uint32_t, uint64_t

from exporter._native.buffers cimport Arena, Text

cdef extern from *:
    """
    #include <string.h>
    #include <stdint.h>
    static inline uint64_t redpoll_hash(const char *p, size_t n, uint64_t seed) {
        uint64_t h = seed ^ (n * 0x9E3779B97F4A7C15ULL), v;
        while (n >= 8) { memcpy(&v, p, 8); h = (h ^ v) * 0xD6E8FEB86659FD93ULL; h ^= h >> 32; p += 8; n -= 8; }
        if (n) { v = 0; memcpy(&v, p, n); h = (h ^ v) * 0xD6E8FEB86659FD93ULL; h ^= h >> 32; }
        h *= 0xD6E8FEB86659FD93ULL;
        return h ^ (h >> 29);
    }
    """
    uint64_t hash_of "redpoll_hash"(const char *p, size_t n, uint64_t seed) nogil

cdef struct Slot:
    uint32_t hash
    int32_t number      # -1: free

cdef struct Table:
    Arena bytes         # of all keys
    Slot *slots
    uint32_t slots_n    # a power of two
    Text *keys          # by number
    int32_t count
    int32_t room
    uint64_t seed

cdef int table_init(Table *t, uint64_t seed) noexcept nogil

cdef int table_resize(Table *t, uint32_t slots_n) noexcept nogil

cdef void table_clear(Table *t) noexcept nogil

cdef void table_free(Table *t) noexcept nogil

cdef int32_t table_find(Table *t, const char *p, size_t n, uint32_t h) noexcept nogil

cdef int32_t table_add(Table *t, const char *p, size_t n, uint32_t h) noexcept nogil
