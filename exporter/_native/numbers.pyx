"""Numbers and label values: what is called too seldom to stand inline in `numbers.pxd`."""

from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy, memset

from exporter._native.buffers cimport copy_short, reserve

cdef inline char lower(char c) noexcept nogil:
    return c | 32

cdef int put_escaped(Buffer *b, const char *src, size_t n, size_t limit) noexcept nogil:
    cdef const unsigned char *p = <const unsigned char *>src
    cdef size_t i = 0, k, length
    cdef char *to
    if n > limit:
        k = limit
        while k > 0 and limit - k < 3 and p[k] & 0xC0 == 0x80:
            k -= 1
        n = k
    if reserve(b, 3 * n) < 0:
        return -1
    to = b.p + b.n
    while i < n:
        while n - i >= 8 and harmless(<const char *>p + i):
            memcpy(to, p + i, 8)
            to += 8
            i += 8
        if i == n:
            break
        if p[i] == c'\\' or p[i] == c'"':
            to[0] = c'\\'
            to[1] = <char>p[i]
            to += 2
            i += 1
        elif p[i] == c'\n':
            to[0] = c'\\'
            to[1] = c'n'
            to += 2
            i += 1
        else:
            length = utf8_length(p + i, n - i)
            if length == 0:
                memcpy(to, b"\xef\xbf\xbd", 3)      # U+FFFD
                to += 3
                i += 1
            else:
                for k in range(length):
                    to[k] = <char>p[i + k]
                to += length
                i += length
    b.n = to - b.p
    return 0

cdef bint parse_number(const char *p, size_t n, Number *out) noexcept nogil:
    """[+-] digits [. digits] [e [+-] one or two digits], and nothing else."""
    cdef size_t k
    cdef bint minus
    if n == 0 or n > NUMBER_MAX:
        return False
    memset(out, 0, sizeof(Number))
    if p[0] == c'-' or p[0] == c'+':
        out.negative = p[0] == c'-'
        p += 1
        n -= 1
    k = digit_span(p, n)
    if k == 0:
        return False
    out.whole = p
    out.whole_n = k
    p += k
    n -= k
    if n and p[0] == c'.':
        k = digit_span(p + 1, n - 1)
        if k == 0:
            return False
        out.fraction = p + 1
        out.fraction_n = k
        p += k + 1
        n -= k + 1
    if n == 0:
        return True
    if p[0] != c'e' and p[0] != c'E':
        return False
    p += 1
    n -= 1
    minus = False
    if n and (p[0] == c'-' or p[0] == c'+'):
        minus = p[0] == c'-'
        p += 1
        n -= 1
    if n < 1 or n > 2 or digit_span(p, n) != n:
        return False
    out.has_exponent = True
    for k in range(n):
        out.exponent = out.exponent * 10 + (p[k] - c'0')
    if minus:
        out.exponent = -out.exponent
    return True

cdef char *write_point(char *to, bint negative, const char *digits, size_t n, size_t decimals) noexcept nogil:
    """`digits` with a point before the last `decimals`, without needless zeros. n and decimals are below 64.
    """
    cdef size_t kept = n, i = 0
    if negative:
        to[0] = c'-'
        to += 1
    while kept and digits[kept - 1] == c'0' and n - kept < decimals:
        kept -= 1               # zeros at the end of the fraction
    if n <= decimals:
        to[0] = c'0'
        to += 1
        if kept:
            to[0] = c'.'
            memset(to + 1, c'0', decimals - n)
            to += 1 + decimals - n
            memcpy(to, digits, kept)
            to += kept
        return to
    while i + decimals + 1 < n and digits[i] == c'0':
        i += 1
    memcpy(to, digits + i, n - decimals - i)
    to += n - decimals - i
    if kept > n - decimals:
        to[0] = c'.'
        memcpy(to + 1, digits + n - decimals, kept - (n - decimals))
        to += 1 + kept - (n - decimals)
    return to

cdef char *write_shifted(char *to, Number *number, int decimals) noexcept nogil:
    """The number divided by ten to the power of `decimals`, by moving the point."""
    cdef char digits[64]
    if number.has_exponent:
        if number.negative:
            to[0] = c'-'
            to += 1
        memcpy(to, number.whole, number.whole_n)
        to += number.whole_n
        if number.fraction_n:
            to[0] = c'.'
            memcpy(to + 1, number.fraction, number.fraction_n)
            to += 1 + number.fraction_n
        to[0] = c'e'
        return write_int(to + 1, number.exponent - decimals)
    memcpy(digits, number.whole, number.whole_n)
    if number.fraction_n:
        memcpy(digits + number.whole_n, number.fraction, number.fraction_n)
    return write_point(
        to, number.negative, digits, number.whole_n + number.fraction_n, decimals + number.fraction_n
    )

cdef int flag_of(const char *p, size_t n) noexcept nogil:
    """1 or 0 for a word that says so, -1 for any other text."""
    if is_word(p, n, b"ok", 2) or is_word(p, n, b"yes", 3) or is_word(p, n, b"true", 4):
        return 1
    if is_word(p, n, b"no", 2) or is_word(p, n, b"err", 3):
        return 0
    if is_word(p, n, b"fail", 4) or is_word(p, n, b"false", 5):
        return 0
    return -1

cdef char *write_infinity(char *to, const char *p, size_t n) noexcept nogil:
    """Write +Inf or -Inf for a text that says so. NULL for any other."""
    cdef bint minus = False
    if n and (p[0] == c'-' or p[0] == c'+'):
        minus = p[0] == c'-'
        p += 1
        n -= 1
    if n != 3 or lower(p[0]) != c'i' or lower(p[1]) != c'n' or lower(p[2]) != c'f':
        return NULL
    memcpy(to, b"-Inf" if minus else b"+Inf", 4)
    return to + 4

cdef char *write_kib(char *to, Number *number) noexcept nogil:
    cdef size_t n = number.whole_n + number.fraction_n, i
    cdef uint64_t value = 0
    cdef char digits[32]
    cdef char *end
    if number.has_exponent or n > 15:
        return NULL
    for i in range(number.whole_n):
        value = value * 10 + <uint64_t>(number.whole[i] - c'0')
    for i in range(number.fraction_n):
        value = value * 10 + <uint64_t>(number.fraction[i] - c'0')
    end = write_int(digits, <int64_t>(value * 1024))
    return write_point(to, number.negative, digits, end - digits, number.fraction_n)

cdef char *write_ago(char *to, Number *number, int64_t now) noexcept nogil:
    cdef int64_t value = 0
    cdef size_t i
    if number.has_exponent or number.fraction_n or number.negative or number.whole_n > 15:
        return NULL
    for i in range(number.whole_n):
        value = value * 10 + (number.whole[i] - c'0')
    return write_int(to, now - value)

cdef bint is_zero(Number *number) noexcept nogil:
    cdef size_t i
    for i in range(number.whole_n):
        if number.whole[i] != c'0':
            return False
    for i in range(number.fraction_n):
        if number.fraction[i] != c'0':
            return False
    return True

cdef char *convert(char *to, const char *p, size_t n, int transform, int64_t now) noexcept nogil:
    """Write the sample's value at `to` (160 bytes are enough). Returns its end; `to` itself for a value to
    leave out uncounted; NULL for a text that is not a value. No byte beyond the source is read."""
    cdef Number number
    cdef char *end
    cdef int flag
    cdef size_t whole, rest
    if transform == NUM and n <= NUMBER_MAX:
        whole = digit_span(p, n)
        if whole == n and n:
            copy_short(to, p, n)
            return to + n
        if whole and p[whole] == c'.':
            rest = digit_span(p + whole + 1, n - whole - 1)
            if rest and whole + 1 + rest == n:
                copy_short(to, p, n)
                return to + n
    if transform == ONE:
        to[0] = c'1'
        return to + 1 if n else to
    if transform == UP:
        to[0] = c'1' if is_word(p, n, b"up", 2) else c'0'
        return to + 1
    if transform == STATUS:
        to[0] = c'1' if is_word(p, n, b"ok", 2) else c'0'
        return to + 1
    if transform == FLAG:
        flag = flag_of(p, n)
        if flag >= 0:
            to[0] = <char>(c'0' + flag)
            return to + 1
    elif transform == PERCENT and n and p[n - 1] == c'%':
        n -= 1
    if not parse_number(p, n, &number):
        if transform == NUM or transform == FLAG or transform == SIGNED:
            end = write_infinity(to, p, n)
            return to if end != NULL and to[0] == c'-' and transform != SIGNED else end
        return NULL
    if number.negative and transform != SIGNED and not is_zero(&number):
        return to
    # here a number begins with a sign or a digit: parse_number checks it
    if transform == USEC:
        return write_shifted(to, &number, 6)
    if transform == MSEC:
        return write_shifted(to, &number, 3)
    if transform == PERCENT:
        return write_shifted(to, &number, 2)
    if transform == KIB:
        return write_kib(to, &number)
    if transform == AGO:
        return write_ago(to, &number, now)
    if p[0] == c'+':
        p += 1
        n -= 1
    memcpy(to, p, n)
    return to + n

cdef int put_sub_name(Buffer *b, const char *p, size_t n, int kind, size_t limit) noexcept nogil:
    """Append the label value that a sub-field's name stands for. 0; 1 for a name of another form; -1 out of
    memory."""
    cdef Number number
    cdef uint64_t value = 0
    cdef size_t k, i
    cdef int power = 0
    cdef const char *powers = b"KMGT"
    if n > NUMBER_MAX:
        return 1
    if kind == RAW:
        return put_escaped(b, p, n, limit)
    if reserve(b, 192) < 0:
        return -1
    if kind == SIZE:
        k = digit_span(p, n)
        if k == 0 or k > 6 or n > k + 1:
            return 1
        for i in range(k):
            value = value * 10 + <uint64_t>(p[i] - c'0')
        if n == k + 1:
            while power < 4 and powers[power] != p[k]:
                power += 1
            if power == 4:
                return 1
            power = 10 * power + 10
        b.n = write_int(b.p + b.n, <int64_t>(value << power)) - b.p
        return 0
    if n < 2 or p[0] != c'p' or p[1] == c'-' or p[1] == c'+':
        return 1
    if not parse_number(p + 1, n - 1, &number) or number.has_exponent:
        return 1
    if kind == PERCENTILE:
        memcpy(b.p + b.n, p + 1, n - 1)
        b.n += n - 1
    else:
        b.n = write_shifted(b.p + b.n, &number, 2) - b.p
    return 0
