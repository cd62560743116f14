"""What the compiled engine is made of: buffers that grow, tables that intern, and the text of labels and numbers.

All of it works without the GIL and on plain memory. Copies go in strides of 32 bytes and may write, and read, past their
end: every source and every buffer that they touch is padded by PAD bytes. Replies of servers are not padded, so they are
copied exactly, or not beyond what is known to follow.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc, PyMem_RawRealloc
from cpython.object cimport PyObject
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy, memset

cdef extern from *:
    """
    #include <string.h>
    #include <stdint.h>
    #define REDPOLL_PAD 64
    /* In strides of 32 bytes; both sides are padded. */
    static inline void redpoll_stride(char *to, const char *from, size_t n) {
        memcpy(to, from, 32);
        if (__builtin_expect(n > 32, 0)) {
            size_t i = 32;
            do { memcpy(to + i, from + i, 32); i += 32; } while (i < n);
        }
    }
    static inline int redpoll_same(const char *a, const char *b, size_t n) {
        /* a is a line of a reply, exactly n bytes of it may be read */
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
    /* How many of the n bytes are digits, from the first on. */
    static inline size_t redpoll_digits(const char *p, size_t n) {
        size_t i = 0;
    #if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        while (n - i >= 8) {
            uint64_t x;
            memcpy(&x, p + i, 8);
            x ^= 0x3030303030303030ULL;         /* digits become 0 to 9 */
            x = (x | ((x & 0x7F7F7F7F7F7F7F7FULL) + 0x7676767676767676ULL)) & 0x8080808080808080ULL;
            if (x) return i + ((size_t)__builtin_ctzll(x) >> 3);
            i += 8;
        }
    #endif
        while (i < n && (unsigned char)(p[i] - '0') < 10) i++;
        return i;
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
    /* Whether none of eight bytes needs a look when it is escaped: all ASCII, no quote, backslash or line break. */
    static inline int redpoll_harmless(const char *p) {
        uint64_t x, q, b, l;
        const uint64_t ones = 0x0101010101010101ULL, tops = 0x8080808080808080ULL;
        memcpy(&x, p, 8);
        q = x ^ (ones * '"'); b = x ^ (ones * '\\\\'); l = x ^ (ones * '\\n');
        return !((x | ((q - ones) & ~q) | ((b - ones) & ~b) | ((l - ones) & ~l)) & tops);
    }
    static inline void redpoll_short(char *to, const char *from, size_t n) {
        /* exact on the side of `from`; `to` is padded */
        if (n <= 16) {
            if (n >= 8) { uint64_t a, b; memcpy(&a, from, 8); memcpy(&b, from + n - 8, 8); memcpy(to, &a, 8); memcpy(to + n - 8, &b, 8); return; }
            if (n >= 4) { uint32_t a, b; memcpy(&a, from, 4); memcpy(&b, from + n - 4, 4); memcpy(to, &a, 4); memcpy(to + n - 4, &b, 4); return; }
            while (n--) *to++ = *from++;
            return;
        }
        memcpy(to, from, n);
    }
    static inline uint64_t redpoll_hash(const char *p, size_t n, uint64_t seed) {
        uint64_t h = seed ^ (n * 0x9E3779B97F4A7C15ULL), v;
        while (n >= 8) { memcpy(&v, p, 8); h = (h ^ v) * 0xD6E8FEB86659FD93ULL; h ^= h >> 32; p += 8; n -= 8; }
        if (n) { v = 0; memcpy(&v, p, n); h = (h ^ v) * 0xD6E8FEB86659FD93ULL; h ^= h >> 32; }
        h *= 0xD6E8FEB86659FD93ULL;
        return h ^ (h >> 29);
    }
    /* n digits, the first of them not 0, divided by a million. 32 bytes can be read at p, and written at to. */
    static inline char *redpoll_usec(char *to, const char *p, size_t n) {
    #if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        const uint64_t zeros = 0x303030303030ULL;       /* six digits, the first one lowest */
        uint64_t six, rest;
        if (n > 6) {
            memcpy(&six, p + n - 6, 8);
            six &= 0xFFFFFFFFFFFFULL;
            memcpy(to, p, 16);
            to += n - 6;
        } else {
            memcpy(&six, p, 8);
            six <<= 64 - 8 * n;                         /* n is 1 to 6: what follows the digits falls off */
            six = (six >> 16) | (n == 6 ? 0 : zeros & ((1ULL << (48 - 8 * n)) - 1));
            *to++ = '0';
        }
        *to = '.';
        memcpy(to + 1, &six, 8);
        rest = six ^ zeros;
        return rest ? to + 2 + ((63 - __builtin_clzll(rest)) >> 3) : to;
    #else
        (void)to; (void)p; (void)n;
        return 0;                                       /* the long way, then */
    #endif
    }
    #define redpoll_prefetch(p) __builtin_prefetch(p)
    """
    const size_t PAD "REDPOLL_PAD"
    void stride "redpoll_stride"(char *to, const char *src, size_t n) nogil
    bint same "redpoll_same"(const char *a, const char *b, size_t n) nogil
    size_t digit_span "redpoll_digits"(const char *p, size_t n) nogil
    const char *find_blank "redpoll_blank"(const char *p, const char *end) nogil
    int lowest_bit "redpoll_lowest"(uint32_t bits) nogil
    void copy_short "redpoll_short"(char *to, const char *src, size_t n) nogil
    bint harmless "redpoll_harmless"(const char *p) nogil
    uint64_t hash_of "redpoll_hash"(const char *p, size_t n, uint64_t seed) nogil
    char *write_usec "redpoll_usec"(char *to, const char *p, size_t n) nogil
    void prefetch "redpoll_prefetch"(const void *p) nogil

cdef enum:
    NUM = 0
    USEC = 1
    MSEC = 2
    PERCENT = 3
    KIB = 4
    FLAG = 5
    UP = 6
    STATUS = 7
    ONE = 8
    AGO = 9
    NATURAL = 10
    RAW = 0
    PERCENTILE = 1
    FRACTION = 2
    SIZE = 3
    NUMBER_MAX = 40
    F_ANY = 0
    F_DIGITS = 1                # one to twenty digits
    F_DECIMAL = 2               # digits, a point, digits; thirty-two characters at most

# ----------------------------------------------------------------------------------------------------------------------
# Buffers

cdef struct Buffer:
    char *p
    size_t n
    size_t room
    bint borrowed       # p is another's: it is left behind when it does not suffice

cdef inline int reserve(Buffer *b, size_t extra) noexcept nogil:
    """Room for `extra` more bytes and the padding. 0, or -1 where memory is out."""
    if b.n + extra + PAD <= b.room:
        return 0
    return grow(b, extra)

cdef int grow(Buffer *b, size_t extra) noexcept nogil

cdef inline int append(Buffer *b, const char *src, size_t n) noexcept nogil:
    """Exactly n bytes of an unpadded source."""
    if reserve(b, n) < 0:
        return -1
    if n:  # of no bytes `src` may be NULL
        memcpy(b.p + b.n, src, n)
    b.n += n
    return 0

cdef void release(Buffer *b) noexcept nogil

# ----------------------------------------------------------------------------------------------------------------------
# Texts that are kept: bytes of a target, replaced at each of its polls

cdef Py_ssize_t text_room(Py_ssize_t n) noexcept
cdef PyObject *new_text(Py_ssize_t n) except NULL
cdef int cut_text(PyObject **text, Py_ssize_t n) except -1
cdef object text_of(Buffer *b)

cdef struct Text:
    const char *p       # NULL: not there
    uint32_t n
    int form            # what is known of it: F_ANY, F_DIGITS or F_DECIMAL

# ----------------------------------------------------------------------------------------------------------------------
# Interning: bytes to small numbers

cdef struct Slot:
    uint32_t hash
    int32_t number      # -1: free

cdef struct Table:
    Buffer keys         # the bytes of all keys, one after the other, padded at the end
    Slot *slots
    uint32_t slots_n    # a power of two
    uint64_t *at        # offset << 24 | length, by number
    int32_t count
    int32_t room
    uint64_t seed

cdef int table_init(Table *t, uint64_t seed) noexcept nogil
cdef int table_resize(Table *t, uint32_t slots_n) noexcept nogil
cdef void table_clear(Table *t) noexcept nogil
cdef void table_free(Table *t) noexcept nogil

cdef inline Text table_key(Table *t, int32_t number) noexcept nogil:
    cdef Text key
    key.p = t.keys.p + (t.at[number] >> 24)
    key.n = t.at[number] & 0xFFFFFF
    return key

cdef int32_t table_find(Table *t, const char *p, size_t n, uint32_t h) noexcept nogil
cdef int32_t table_add(Table *t, const char *p, size_t n, uint32_t h) noexcept nogil

# ----------------------------------------------------------------------------------------------------------------------
# Text: escaping, numbers

cdef inline size_t utf8_length(const unsigned char *p, size_t n) noexcept nogil:
    """Length of the well-formed sequence at p (Unicode, table 3-7), 0 where it is broken."""
    cdef unsigned char a = p[0], b
    if a < 0x80:
        return 1
    if a < 0xC2 or a > 0xF4 or n < 2:
        return 0
    b = p[1]
    if a < 0xE0:
        return 2 if b & 0xC0 == 0x80 else 0
    if a < 0xF0:
        if n < 3 or p[2] & 0xC0 != 0x80 or b & 0xC0 != 0x80:
            return 0
        if (a == 0xE0 and b < 0xA0) or (a == 0xED and b > 0x9F):
            return 0
        return 3
    if n < 4 or p[3] & 0xC0 != 0x80 or p[2] & 0xC0 != 0x80 or b & 0xC0 != 0x80:
        return 0
    if (a == 0xF0 and b < 0x90) or (a == 0xF4 and b > 0x8F):
        return 0
    return 4

cdef int put_escaped(Buffer *b, const char *src, size_t n, size_t limit) noexcept nogil

cdef inline const char *number_span(const char *p, const char *end, int *form) noexcept nogil:
    """The end of the digits, or digits, point and digits, at p, and which of them it is (F_ANY: neither, or too long)."""
    cdef size_t whole = digit_span(p, end - p), rest
    cdef const char *stop = p + whole
    if stop < end and stop[0] == 46 and whole:
        rest = digit_span(stop + 1, end - stop - 1)
        form[0] = F_DECIMAL if rest and whole + rest < 32 else F_ANY
        return stop + 1 + rest
    form[0] = F_DIGITS if 0 < whole <= 20 else F_ANY
    return stop

cdef struct Number:
    bint negative
    const char *whole
    size_t whole_n
    const char *fraction
    size_t fraction_n
    bint has_exponent
    int exponent

cdef bint parse_number(const char *p, size_t n, Number *out) noexcept nogil

cdef inline char *write_int(char *to, int64_t value) noexcept nogil:
    cdef char digits[24]
    cdef int n = 0
    cdef uint64_t left
    if value < 0:
        to[0] = 45
        to += 1
        left = <uint64_t>0 - <uint64_t>value
    else:
        left = <uint64_t>value
    while True:
        digits[n] = <char>(48 + left % 10)
        n += 1
        left = left // 10
        if left == 0:
            break
    while n:
        n -= 1
        to[0] = digits[n]
        to += 1
    return to

cdef char *write_point(char *to, bint negative, const char *digits, size_t n, size_t decimals) noexcept nogil
cdef char *write_shifted(char *to, Number *number, int decimals) noexcept nogil

cdef inline bint is_word(const char *p, size_t n, const char *word, size_t word_n) noexcept nogil:
    return n == word_n and memcmp(p, word, n) == 0

cdef int flag_of(const char *p, size_t n) noexcept nogil
cdef char *write_infinity(char *to, const char *p, size_t n) noexcept nogil
cdef char *write_kib(char *to, Number *number) noexcept nogil
cdef char *write_ago(char *to, Number *number, int64_t now) noexcept nogil
cdef char *convert(char *to, const char *p, size_t n, int how, int64_t now) noexcept nogil

cdef inline char *write_value(char *to, Text *value, int how, int64_t now, const char *last) noexcept nogil:
    """`convert`, with short ways for what comes most often. Up to `last`, 32 bytes can be read wherever a value begins."""
    cdef char *end
    if value.form != F_ANY and value.p <= last:
        if how == NUM or how == NATURAL:
            memcpy(to, value.p, 32)
            return to + value.n
        if how == USEC and value.form == F_DIGITS and value.p[0] != 48:
            end = write_usec(to, value.p, value.n)
            if end != NULL:
                return end
    return convert(to, value.p, value.n, how, now)

cdef int put_sub_name(Buffer *b, const char *p, size_t n, int kind, size_t limit) noexcept nogil

# ----------------------------------------------------------------------------------------------------------------------
# Finding and copying

cdef inline const char *find_byte(const char *p, const char *end, int byte) noexcept nogil:
    cdef inline const char *found = <const char *>memchr(p, byte, end - p)
    return end if found == NULL else found

cdef inline char *put(char *to, const char *src, size_t n) noexcept nogil:
    memcpy(to, src, n)
    return to + n

cdef void *raw_zeros(size_t n, size_t size) except NULL
cdef int check_offsets(bytes samples, bytes offsets) except -1
