"""The longer pieces of `_text.pxd`: those that are called seldom enough not to stand inline."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc, PyMem_RawRealloc
from cpython.object cimport PyObject
from cpython.ref cimport Py_XDECREF
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

# ----------------------------------------------------------------------------------------------------------------------
# Buffers

cdef int grow(Buffer *b, size_t extra) noexcept nogil:
    cdef size_t room = b.room * 2 if b.room else 4096
    while room < b.n + extra + PAD:
        room *= 2
    cdef char *p = <char *>PyMem_RawRealloc(NULL if b.borrowed else b.p, room)
    if p == NULL:
        return -1
    if b.borrowed:
        memcpy(p, b.p, b.n)
        b.borrowed = False
    b.p = p
    b.room = room
    return 0

cdef void release(Buffer *b) noexcept nogil:
    if not b.borrowed:
        PyMem_RawFree(b.p)
    b.borrowed = False
    b.p = NULL
    b.n = 0
    b.room = 0

# ----------------------------------------------------------------------------------------------------------------------
# Texts that are kept

cdef extern from "Python.h":
    PyObject *PyBytes_FromStringAndSize_raw "PyBytes_FromStringAndSize"(const char *p, Py_ssize_t n)
    int _PyBytes_Resize(PyObject **object, Py_ssize_t n) except -1
    void Py_SET_SIZE(PyObject *object, Py_ssize_t n)

cdef enum:
    EXACT_MAX = 1024        # what is smaller takes as much as it needs
    BYTES_HEAD = 41         # what the object and the allocator put before and behind the text

cdef Py_ssize_t text_room(Py_ssize_t n) noexcept:
    """How much memory a text of `n` bytes takes: one of sixteen sizes to each doubling. The next text of the same target is about as
    long: so it fits where an earlier one was, and the heap does not fill with gaps that are a little too small."""
    cdef Py_ssize_t step = EXACT_MAX // 16
    if n < EXACT_MAX:
        return n
    while step * 32 <= n + BYTES_HEAD:
        step *= 2
    return (n + BYTES_HEAD + step - 1) // step * step - BYTES_HEAD

cdef PyObject *new_text(Py_ssize_t n) except NULL:
    """Bytes that nothing was written to yet. The caller owns them, unless they are none: those are the same object everywhere."""
    cdef PyObject *text = PyBytes_FromStringAndSize_raw(NULL, text_room(n))
    if text == NULL:
        raise MemoryError
    cut_text(&text, n)
    return text

cdef int cut_text(PyObject **text, Py_ssize_t n) except -1:
    """Make a text that nobody else holds `n` bytes long: by its size alone, unless that would waste a fourth of its memory."""
    cdef Py_ssize_t room = PyBytes_GET_SIZE(<object>text[0])
    if n < room - room // 4:
        _PyBytes_Resize(text, text_room(n))
    if n == 0:
        return 0
    Py_SET_SIZE(text[0], n)
    PyBytes_AS_STRING(<object>text[0])[n] = 0
    return 0

cdef object text_of(Buffer *b):
    cdef PyObject *text = new_text(b.n)
    if b.n:     # an empty buffer has no memory
        memcpy(PyBytes_AS_STRING(<object>text), b.p, b.n)
    result = <object>text
    Py_XDECREF(text)        # `result` holds it now
    return result

# ----------------------------------------------------------------------------------------------------------------------
# Interning: bytes to small numbers

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

# ----------------------------------------------------------------------------------------------------------------------
# Text: escaping, numbers

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
        if p[i] == 92 or p[i] == 34:
            to[0] = 92
            to[1] = <char>p[i]
            to += 2
            i += 1
        elif p[i] == 10:
            to[0] = 92
            to[1] = 110
            to += 2
            i += 1
        else:
            length = utf8_length(p + i, n - i)
            if length == 0:
                to[0] = <char>0xEF
                to[1] = <char>0xBF
                to[2] = <char>0xBD
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
    if p[0] == 45 or p[0] == 43:
        out.negative = p[0] == 45
        p += 1
        n -= 1
    k = digit_span(p, n)
    if k == 0:
        return False
    out.whole = p
    out.whole_n = k
    p += k
    n -= k
    if n and p[0] == 46:
        k = digit_span(p + 1, n - 1)
        if k == 0:
            return False
        out.fraction = p + 1
        out.fraction_n = k
        p += k + 1
        n -= k + 1
    if n == 0:
        return True
    if p[0] != 101 and p[0] != 69:
        return False
    p += 1
    n -= 1
    minus = False
    if n and (p[0] == 45 or p[0] == 43):
        minus = p[0] == 45
        p += 1
        n -= 1
    if n < 1 or n > 2 or digit_span(p, n) != n:
        return False
    out.has_exponent = True
    for k in range(n):
        out.exponent = out.exponent * 10 + (p[k] - 48)
    if minus:
        out.exponent = -out.exponent
    return True

cdef char *write_point(char *to, bint negative, const char *digits, size_t n, size_t decimals) noexcept nogil:
    """`digits` with a point before the last `decimals`, without needless zeros. n and decimals are below 64."""
    cdef size_t kept = n, i = 0
    if negative:
        to[0] = 45
        to += 1
    while kept and digits[kept - 1] == 48 and n - kept < decimals:
        kept -= 1               # zeros at the end of the fraction
    if n <= decimals:
        to[0] = 48
        to += 1
        if kept:
            to[0] = 46
            memset(to + 1, 48, decimals - n)
            to += 1 + decimals - n
            memcpy(to, digits, kept)
            to += kept
        return to
    while i + decimals + 1 < n and digits[i] == 48:
        i += 1
    memcpy(to, digits + i, n - decimals - i)
    to += n - decimals - i
    if kept > n - decimals:
        to[0] = 46
        memcpy(to + 1, digits + n - decimals, kept - (n - decimals))
        to += 1 + kept - (n - decimals)
    return to

cdef char *write_shifted(char *to, Number *number, int decimals) noexcept nogil:
    """The number divided by ten to the power of `decimals`, by moving the point."""
    cdef char digits[64]
    if number.has_exponent:
        if number.negative:
            to[0] = 45
            to += 1
        memcpy(to, number.whole, number.whole_n)
        to += number.whole_n
        if number.fraction_n:
            to[0] = 46
            memcpy(to + 1, number.fraction, number.fraction_n)
            to += 1 + number.fraction_n
        to[0] = 101
        return write_int(to + 1, number.exponent - decimals)
    memcpy(digits, number.whole, number.whole_n)
    if number.fraction_n:
        memcpy(digits + number.whole_n, number.fraction, number.fraction_n)
    return write_point(to, number.negative, digits, number.whole_n + number.fraction_n, decimals + number.fraction_n)

cdef int flag_of(const char *p, size_t n) noexcept nogil:
    """1 or 0 for a word that says so, -1 for any other text."""
    if is_word(p, n, b"ok", 2) or is_word(p, n, b"yes", 3) or is_word(p, n, b"true", 4):
        return 1
    if is_word(p, n, b"no", 2) or is_word(p, n, b"err", 3) or is_word(p, n, b"fail", 4) or is_word(p, n, b"false", 5):
        return 0
    return -1

cdef char *write_infinity(char *to, const char *p, size_t n) noexcept nogil:
    """+Inf or -Inf where the text says so, NULL where it does not."""
    cdef bint minus = False
    if n and (p[0] == 45 or p[0] == 43):
        minus = p[0] == 45
        p += 1
        n -= 1
    if n != 3 or (p[0] | 32) != 105 or (p[1] | 32) != 110 or (p[2] | 32) != 102:
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
        value = value * 10 + <uint64_t>(number.whole[i] - 48)
    for i in range(number.fraction_n):
        value = value * 10 + <uint64_t>(number.fraction[i] - 48)
    end = write_int(digits, <int64_t>(value * 1024))
    return write_point(to, number.negative, digits, end - digits, number.fraction_n)

cdef char *write_ago(char *to, Number *number, int64_t now) noexcept nogil:
    cdef int64_t value = 0
    cdef size_t i
    if number.has_exponent or number.fraction_n or number.negative or number.whole_n > 15:
        return NULL
    for i in range(number.whole_n):
        value = value * 10 + (number.whole[i] - 48)
    return write_int(to, now - value)

cdef char *convert(char *to, const char *p, size_t n, int how, int64_t now) noexcept nogil:
    """Write the sample's value at `to` (160 bytes are enough). Returns its end; `to` itself where the value is left out
    uncounted; NULL where the text is none. The source is read exactly."""
    cdef Number number
    cdef int flag
    cdef size_t whole, rest
    if how == NUM and n <= 40:
        whole = digit_span(p, n)
        if whole == n and n:
            copy_short(to, p, n)
            return to + n
        if whole and p[whole] == 46:
            rest = digit_span(p + whole + 1, n - whole - 1)
            if rest and whole + 1 + rest == n:
                copy_short(to, p, n)
                return to + n
    if how == ONE:
        to[0] = 49
        return to + 1 if n else to
    if how == UP:
        to[0] = 49 if is_word(p, n, b"up", 2) else 48
        return to + 1
    if how == STATUS:
        to[0] = 49 if is_word(p, n, b"ok", 2) else 48
        return to + 1
    if how == FLAG:
        flag = flag_of(p, n)
        if flag >= 0:
            to[0] = <char>(48 + flag)
            return to + 1
    elif how == PERCENT and n and p[n - 1] == 37:
        n -= 1
    elif how == NATURAL and n and p[0] == 45:
        return to
    if not parse_number(p, n, &number):
        if how == NUM or how == FLAG or how == NATURAL:
            return write_infinity(to, p, n)
        return NULL
    # parse_number has it that a number begins with a sign or a digit
    if how == USEC:
        return write_shifted(to, &number, 6)
    if how == MSEC:
        return write_shifted(to, &number, 3)
    if how == PERCENT:
        return write_shifted(to, &number, 2)
    if how == KIB:
        return write_kib(to, &number)
    if how == AGO:
        return write_ago(to, &number, now)
    if p[0] == 43:
        p += 1
        n -= 1
    memcpy(to, p, n)
    return to + n

cdef int put_sub_name(Buffer *b, const char *p, size_t n, int kind, size_t limit) noexcept nogil:
    """The label value that a sub-field's name stands for. 0; 1 where the name is of another form; -1 out of memory."""
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
            value = value * 10 + <uint64_t>(p[i] - 48)
        if n == k + 1:
            while power < 4 and powers[power] != p[k]:
                power += 1
            if power == 4:
                return 1
            power = 10 * power + 10
        b.n = write_int(b.p + b.n, <int64_t>(value << power)) - b.p
        return 0
    if n < 2 or p[0] != 112 or p[1] == 45 or p[1] == 43 or not parse_number(p + 1, n - 1, &number) or number.has_exponent:
        return 1
    if kind == PERCENTILE:
        memcpy(b.p + b.n, p + 1, n - 1)
        b.n += n - 1
    else:
        b.n = write_shifted(b.p + b.n, &number, 2) - b.p
    return 0

# ----------------------------------------------------------------------------------------------------------------------
# Finding and copying

cdef void *raw_zeros(size_t n, size_t size) except NULL:
    cdef void *p = PyMem_RawMalloc(n * size)
    if p == NULL:
        raise MemoryError
    memset(p, 0, n * size)
    return p

cdef int check_offsets(bytes samples, bytes offsets) except -1:
    """Offsets are trusted by nobody: one that lies would show one target's bytes as another's, or worse."""
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
