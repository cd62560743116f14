"""Numbers and label values: reading, converting, escaping their text."""

from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcmp, memcpy

from exporter._native.buffers cimport Buffer, Text

cdef extern from *:
    """
    #include <string.h>
    #include <stdint.h>
    /* How many of the n bytes are digits, counted from the first one. */
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
    /* Whether eight bytes can be copied unescaped: ASCII without quote, backslash and line break. */
    static inline int redpoll_harmless(const char *p) {
        uint64_t x, q, b, l;
        const uint64_t ones = 0x0101010101010101ULL, tops = 0x8080808080808080ULL;
        memcpy(&x, p, 8);
        q = x ^ (ones * '"'); b = x ^ (ones * '\\\\'); l = x ^ (ones * '\\n');
        return !((x | ((q - ones) & ~q) | ((b - ones) & ~b) | ((l - ones) & ~l)) & tops);
    }
    /* n digits, the first of them not 0, divided by a million. 32 bytes may be read at p and written at to. */
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
    """
    size_t digit_span "redpoll_digits"(const char *p, size_t n) nogil
    bint harmless "redpoll_harmless"(const char *p) nogil
    char *write_usec "redpoll_usec"(char *to, const char *p, size_t n) nogil

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
    SIGNED = 10
    RAW = 0
    PERCENTILE = 1
    FRACTION = 2
    SIZE = 3
    NUMBER_MAX = 40
    VALUE_READ = 32             # bytes that `write_value` may read where a value begins
    F_ANY = 0
    F_DIGITS = 1                # one to twenty digits
    F_DECIMAL = 2               # digits, a point, digits; thirty-two characters at most

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
    """The end of the digits at p, or of digits, point and digits. `form` says which (F_ANY: neither, or too
    long)."""
    cdef size_t whole = digit_span(p, end - p), rest
    cdef const char *stop = p + whole
    if stop < end and stop[0] == c'.' and whole:
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
        to[0] = c'-'
        to += 1
        left = <uint64_t>0 - <uint64_t>value
    else:
        left = <uint64_t>value
    while True:
        digits[n] = <char>(c'0' + left % 10)
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

cdef char *convert(char *to, const char *p, size_t n, int transform, int64_t now) noexcept nogil

cdef inline char *write_value(
    char *to, Text *value, int transform, int64_t now, const char *last
) noexcept nogil:
    """`convert`, with short cuts for the most common values. A value that begins up to `last` has 32 readable
    bytes."""
    cdef char *end
    if value.form != F_ANY and value.p <= last:
        if transform == NUM or transform == SIGNED:
            memcpy(to, value.p, VALUE_READ)
            return to + value.n
        if transform == USEC and value.form == F_DIGITS and value.p[0] != c'0':
            end = write_usec(to, value.p, value.n)
            if end != NULL:
                return end
    return convert(to, value.p, value.n, transform, now)

cdef int put_sub_name(Buffer *b, const char *p, size_t n, int kind, size_t limit) noexcept nogil
