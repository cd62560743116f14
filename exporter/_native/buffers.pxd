"""Buffers that grow, arenas whose texts never move, finding and copying bytes.

Everything here works without the GIL and on plain memory. Copies go in strides of 32 bytes and may read and
write past their end: each source and each buffer that they touch has PAD more bytes. A server's reply has no
such bytes, so copies from it are exact, or end where more bytes are known to follow.
"""

from libc.stdint cimport uint32_t
from libc.string cimport memchr, memcpy

cdef extern from *:
    """
    #include <string.h>
    #include <stdint.h>
    #define REDPOLL_PAD 64
    /* Copy in strides of 32 bytes; both sides are padded. */
    static inline void redpoll_stride(char *to, const char *from, size_t n) {
        memcpy(to, from, 32);
        if (__builtin_expect(n > 32, 0)) {
            size_t i = 32;
            do { memcpy(to + i, from + i, 32); i += 32; } while (i < n);
        }
    }
    static inline int redpoll_same(const char *a, const char *b, size_t n) {
        /* a is a line of a reply: exactly n bytes of it may be read */
        uint64_t x, y;
        if (n >= 8) {
            const char *last_a = a + n - 8, *last_b = b + n - 8;
            while (a < last_a) {
                memcpy(&x, a, 8); memcpy(&y, b, 8);
                if (x != y) return 0;
                a += 8; b += 8;
            }
            memcpy(&x, last_a, 8); memcpy(&y, last_b, 8);
            return x == y;
        }
        if (n >= 4) {
            uint32_t u, v, w, z;
            memcpy(&u, a, 4); memcpy(&v, b, 4); memcpy(&w, a + n - 4, 4); memcpy(&z, b + n - 4, 4);
            return u == v && w == z;
        }
        while (n--) { if (*a++ != *b++) return 0; }
        return 1;
    }
    /* Where the first blank is, or the end. */
    static inline const char *redpoll_blank(const char *p, const char *end) {
    #if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        while (end - p >= 8) {
            uint64_t x;
            memcpy(&x, p, 8);
            x ^= 0x2020202020202020ULL;         /* blanks become 0; the lowest byte that is marked is one */
            x = (x - 0x0101010101010101ULL) & ~x & 0x8080808080808080ULL;
            if (x) return p + ((size_t)__builtin_ctzll(x) >> 3);
            p += 8;
        }
    #endif
        while (p < end && *p != ' ') p++;
        return p;
    }
    static inline int redpoll_lowest(uint32_t bits) { return __builtin_ctz(bits); }
    static inline void redpoll_short(char *to, const char *from, size_t n) {
        /* exact on the side of `from`; `to` is padded */
        if (n <= 16) {
            if (n >= 8) {
                uint64_t a, b;
                memcpy(&a, from, 8); memcpy(&b, from + n - 8, 8);
                memcpy(to, &a, 8); memcpy(to + n - 8, &b, 8);
                return;
            }
            if (n >= 4) {
                uint32_t a, b;
                memcpy(&a, from, 4); memcpy(&b, from + n - 4, 4);
                memcpy(to, &a, 4); memcpy(to + n - 4, &b, 4);
                return;
            }
            while (n--) *to++ = *from++;
            return;
        }
        memcpy(to, from, n);
    }
    #define redpoll_prefetch(p) __builtin_prefetch(p)
    """
    const size_t PAD "REDPOLL_PAD"
    void stride "redpoll_stride"(char *to, const char *src, size_t n) nogil
    bint same "redpoll_same"(const char *a, const char *b, size_t n) nogil
    const char *find_blank "redpoll_blank"(const char *p, const char *end) nogil
    int lowest_bit "redpoll_lowest"(uint32_t bits) nogil
    void copy_short "redpoll_short"(char *to, const char *src, size_t n) nogil
    void prefetch "redpoll_prefetch"(const void *p) nogil

cdef struct Buffer:
    char *p
    size_t n
    size_t room

cdef inline int reserve(Buffer *b, size_t extra) noexcept nogil:
    """Make room for `extra` more bytes and the padding. 0, or -1 out of memory."""
    if b.n + extra + PAD <= b.room:
        return 0
    return grow(b, extra)

cdef int grow(Buffer *b, size_t extra) noexcept nogil

cdef inline int append(Buffer *b, const char *src, size_t n) noexcept nogil:
    """Append exactly n bytes of an unpadded source."""
    if reserve(b, n) < 0:
        return -1
    if n:  # of no bytes `src` may be NULL
        memcpy(b.p + b.n, src, n)
    b.n += n
    return 0

cdef void release(Buffer *b) noexcept nogil

cdef struct ArenaBlock:
    ArenaBlock *before
    size_t room

cdef struct Arena:
    ArenaBlock *newest
    size_t used         # bytes of the newest block

cdef char *arena_put(Arena *a, const char *src, size_t n) noexcept nogil

cdef void arena_clear(Arena *a) noexcept nogil

cdef void arena_free(Arena *a) noexcept nogil

cdef struct Text:
    const char *p       # NULL: not there
    uint32_t n
    int form            # what is known of it: F_ANY, F_DIGITS or F_DECIMAL

cdef inline const char *find_byte(const char *p, const char *end, int byte) noexcept nogil:
    cdef inline const char *found = <const char *>memchr(p, byte, end - p)
    return end if found == NULL else found

cdef inline bint is_blank(char c) noexcept nogil:
    return c == c' ' or c == c'\t'

cdef inline const char *past_blanks(const char *p, const char *end) noexcept nogil:
    while p < end and is_blank(p[0]):
        p += 1
    return p

cdef inline const char *before_blanks(const char *p, const char *end) noexcept nogil:
    while end > p and is_blank((end - 1)[0]):
        end -= 1
    return end

cdef inline char *put(char *to, const char *src, size_t n) noexcept nogil:
    memcpy(to, src, n)
    return to + n

cdef void *raw_zeros(size_t n, size_t size) except NULL

cdef int check_offsets(bytes samples, bytes offsets) except -1
