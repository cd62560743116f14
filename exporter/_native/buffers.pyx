"""Buffers and arenas: what is called too seldom to stand inline in `buffers.pxd`."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc, PyMem_RawRealloc
from libc.stdint cimport int32_t
from libc.string cimport memcpy, memset

cdef int grow(Buffer *b, size_t extra) noexcept nogil:
    cdef size_t room = b.room * 2 if b.room else 4096
    while room < b.n + extra + PAD:
        room *= 2
    cdef char *p = <char *>PyMem_RawRealloc(b.p, room)
    if p == NULL:
        return -1
    b.p = p
    b.room = room
    return 0

cdef void release(Buffer *b) noexcept nogil:
    PyMem_RawFree(b.p)
    b.p = NULL
    b.n = 0
    b.room = 0

cdef enum:
    ARENA_MIN = 4096 - 64       # bytes of the first block: with its header and padding a page

cdef inline char *block_bytes(ArenaBlock *block) noexcept nogil:
    return <char *>block + sizeof(ArenaBlock)

cdef ArenaBlock *new_block(size_t room) noexcept nogil:
    cdef ArenaBlock *block = <ArenaBlock *>PyMem_RawMalloc(sizeof(ArenaBlock) + room + PAD)
    if block != NULL:
        block.before = NULL
        block.room = room
    return block

cdef char *arena_put(Arena *a, const char *src, size_t n) noexcept nogil:
    """Copy n bytes to a place where they stay until the arena is cleared. NULL: out of memory."""
    cdef ArenaBlock *block = a.newest
    cdef char *to
    if block == NULL or n > block.room - a.used:
        block = new_block(max(n, ARENA_MIN if block == NULL else 2 * block.room))
        if block == NULL:
            return NULL
        block.before = a.newest
        a.newest = block
        a.used = 0
    to = block_bytes(block) + a.used
    if n:       # of no bytes `src` may be NULL
        memcpy(to, src, n)
    a.used += n
    return to

cdef void arena_clear(Arena *a) noexcept nogil:
    """Forget all texts. One block remains, as large as all blocks were: the next texts as long need no more
    memory."""
    cdef size_t room = 0
    cdef ArenaBlock *block = a.newest
    if block != NULL and block.before != NULL:
        while block != NULL:
            room += block.room
            block = block.before
        arena_free(a)
        a.newest = new_block(room)
    a.used = 0

cdef void arena_free(Arena *a) noexcept nogil:
    cdef ArenaBlock *block
    while a.newest != NULL:
        block = a.newest
        a.newest = block.before
        PyMem_RawFree(block)
    a.used = 0

cdef void *raw_zeros(size_t n, size_t size) except NULL:
    cdef void *p = PyMem_RawMalloc(n * size)
    if p == NULL:
        raise MemoryError
    memset(p, 0, n * size)
    return p

cdef int check_offsets(bytes samples, bytes offsets) except -1:
    """ValueError for wrong offsets: they would show one target's bytes as another's, or worse."""
    cdef const int32_t *numbers = <const int32_t *>PyBytes_AS_STRING(offsets)
    cdef Py_ssize_t n = PyBytes_GET_SIZE(offsets) // 4, i
    cdef int32_t falling = 0
    if n * 4 != PyBytes_GET_SIZE(offsets) or n == 0:
        raise ValueError("offsets are 4 bytes each, and one at least")
    for i in range(n - 1):
        falling |= numbers[i + 1] < numbers[i]
    if falling or numbers[0] != 0 or numbers[n - 1] != PyBytes_GET_SIZE(samples):
        raise ValueError("offsets do not fit their samples")
    return 0
