"""Keys of INFO that have been seen: their memory."""

from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree, PyMem_RawMalloc, PyMem_RawRealloc
from libc.string cimport memset

from exporter._native.buffers cimport arena_clear, arena_free
from exporter._native.tables cimport table_add, table_clear, table_free, table_init

cdef int interner_init(Interner *it, uint64_t seed, int32_t entries) noexcept nogil:
    """Up to `entries` can be added while others read. 0, or -1 out of memory."""
    memset(it, 0, sizeof(Interner))
    it.chunks_room = entries // ENTRIES_A_CHUNK + 1
    it.chunks = <Entry **>PyMem_RawCalloc(it.chunks_room, sizeof(Entry *))
    if it.chunks == NULL or table_init(&it.lines, seed) < 0 or table_init(&it.subjects, seed) < 0:
        return -1
    return 0

cdef void interner_clear(Interner *it) noexcept nogil:
    """Forget all keys. The memory stays for the next ones."""
    table_clear(&it.lines)
    table_clear(&it.subjects)
    arena_clear(&it.own)

cdef void interner_free(Interner *it) noexcept nogil:
    cdef int32_t i
    table_free(&it.lines)
    table_free(&it.subjects)
    arena_free(&it.own)
    if it.chunks != NULL:
        for i in range(it.chunks_room):
            PyMem_RawFree(it.chunks[i])
    PyMem_RawFree(it.chunks)
    it.chunks = NULL

cdef int reserve_chunk(Interner *it, int32_t chunk) noexcept nogil:
    cdef Entry **chunks
    cdef int32_t room
    if chunk >= it.chunks_room:
        room = 2 * it.chunks_room
        chunks = <Entry **>PyMem_RawRealloc(it.chunks, room * sizeof(Entry *))
        if chunks == NULL:
            return -1
        memset(chunks + it.chunks_room, 0, (room - it.chunks_room) * sizeof(Entry *))
        it.chunks = chunks
        it.chunks_room = room
    if it.chunks[chunk] == NULL:
        it.chunks[chunk] = <Entry *>PyMem_RawMalloc(ENTRIES_A_CHUNK * sizeof(Entry))
        if it.chunks[chunk] == NULL:
            return -1
    return 0

cdef int32_t interner_add(Interner *it, const char *key, size_t n, uint32_t h, Entry *entry) noexcept nogil:
    """Add a new key with its meaning. Its number, or -1 out of memory."""
    cdef int32_t number = it.lines.count
    if reserve_chunk(it, number // ENTRIES_A_CHUNK) < 0 or table_add(&it.lines, key, n, h) < 0:
        return -1
    entry.key = it.lines.keys[number].p
    entry.key_n = <uint32_t>n
    entry_at(it, number)[0] = entry[0]
    return number
