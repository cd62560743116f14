"""CLIENT LIST: rows, and tallies by some of their fields."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int32_t, int64_t, uint32_t
from libc.string cimport memcmp, memcpy, memset

from exporter._native.buffers cimport Buffer, Text, find_blank, find_byte, lowest_bit, release, reserve, same
from exporter._native.tables cimport Table, hash_of, table_add, table_find, table_free, table_init

cdef inline bint ends_address(const char *p, const char *end, bint first) noexcept nogil:
    """Whether the token at p ends an address: `laddr=` (after `addr` only) or `fd=`."""
    if end - p >= 3 and memcmp(p, b"fd=", 3) == 0:
        return True
    return first and end - p >= 6 and memcmp(p, b"laddr=", 6) == 0

cdef const char *value_end(
    const char *name, size_t name_n, const char *value, const char *end
) noexcept nogil:
    """Where the value of a field ends. An address may hold blanks: it ends before `laddr=` or `fd=`. On a line
    without them it ends at a blank: Garnet names no descriptor."""
    cdef bint first
    cdef const char *blank = find_byte(value, end, c' ')
    cdef const char *p = blank
    if name_n == 4 and memcmp(name, b"addr", 4) == 0:
        first = True
    elif name_n == 5 and memcmp(name, b"laddr", 5) == 0:
        first = False
    else:
        return p
    while p < end and not ends_address(p + 1, end, first):
        p = find_byte(p + 1, end, c' ')
    return p if p < end else blank

def client_rows(bytes text not None):
    cdef const char *p = PyBytes_AS_STRING(text)
    cdef const char *end = p + PyBytes_GET_SIZE(text)
    cdef const char *stop
    cdef const char *line_end
    cdef const char *token_end
    cdef const char *equals
    cdef list rows = []
    cdef dict row
    while p <= end:
        stop = find_byte(p, end, c'\n')
        line_end = stop - 1 if stop > p and (stop - 1)[0] == c'\r' else stop
        row = {}
        while p <= line_end:
            token_end = find_byte(p, line_end, c' ')
            equals = find_byte(p, token_end, c'=')
            if equals < token_end:
                name = p[: equals - p]
                if name not in row:
                    token_end = value_end(p, equals - p, equals + 1, line_end)
                    row[name] = equals[1 : token_end - equals]
            p = token_end + 1
        if b"addr" in row:
            rows.append(row)
        p = stop + 1
    return rows

cdef enum:
    BY_MAX = 16
    COUNTED = 4
    NAMES_MAX = 22
    FIELDS_MAX = 64

cdef struct Field:
    const char *name            # within the text that is read
    size_t n                    # 0: not known yet
    uint32_t wanted             # a bit for each of `names` that is its name
    bint is_addr
    bint is_laddr

cdef struct Tally:
    int64_t count
    int64_t omem
    int64_t omem_max
    int64_t memory
    int64_t memory_max
    int64_t idle_max
    int64_t age_max

cdef int64_t small_count(Text text) noexcept nogil:
    cdef int64_t value = 0
    cdef size_t i
    if text.n > 15:
        return 0
    for i in range(text.n):
        if not c'0' <= text.p[i] <= c'9':
            return 0
        value = value * 10 + (text.p[i] - c'0')
    return value

cdef class Tallying:
    """One run over a CLIENT LIST: which fields to look for, and what was found."""

    cdef Text names[NAMES_MAX]      # the counted ones, `addr`, then those to group by
    cdef Text found[NAMES_MAX]
    cdef Field order[FIELDS_MAX]    # of the line before; a line may have more, and share the last place
    cdef int names_n
    cdef Table keys
    cdef Buffer key
    cdef Buffer tallies

    def __cinit__(self):
        memset(self.order, 0, sizeof(self.order))
        if table_init(&self.keys, 0x9E3779B97F4A7C15) < 0:
            raise MemoryError

    def __dealloc__(self):
        table_free(&self.keys)
        release(&self.key)
        release(&self.tallies)

    cdef int run(self, const char *p, const char *end) noexcept nogil:
        cdef const char *stop
        cdef const char *line_end
        while p <= end:
            stop = find_byte(p, end, c'\n')
            line_end = stop - 1 if stop > p and (stop - 1)[0] == c'\r' else stop
            self._read_line(p, line_end)
            if self.found[COUNTED].p != NULL and self._count() < 0:
                return -1
            p = stop + 1
        return 0

    cdef void _read_line(self, const char *p, const char *end) noexcept nogil:
        """Lines of one reply mostly have the same fields in the same order: the field of the line before is
        tried first."""
        cdef const char *value
        cdef const char *token_end
        cdef int place = 0
        cdef uint32_t wanted
        cdef size_t n
        cdef bint laddr_seen = False
        cdef Field *expected
        memset(self.found, 0, self.names_n * sizeof(Text))
        while p < end:
            expected = &self.order[place]
            n = expected.n
            if n == 0 or <size_t>(end - p) <= n or p[n] != c'=' or not same(p, expected.name, n):
                if not self._learn(expected, p, end):
                    p = find_byte(p, end, c' ') + 1  # a token without `=`
                    continue
                n = expected.n
            value = p + n + 1
            if expected.is_addr and self.found[COUNTED].p == NULL:
                token_end = value_end(p, n, value, end)
            elif expected.is_laddr and not laddr_seen:
                laddr_seen = True
                token_end = value_end(p, n, value, end)
            else:
                token_end = find_blank(value, end)
            wanted = expected.wanted
            if wanted:
                self._keep(wanted, value, token_end - value)
            p = token_end + 1
            if place < FIELDS_MAX - 1:
                place += 1

    cdef bint _learn(self, Field *field, const char *p, const char *end) noexcept nogil:
        """Note which field the token at p is. False: it is not a field."""
        cdef const char *token_end = find_byte(p, end, c' ')
        cdef const char *equals = find_byte(p, token_end, c'=')
        cdef int i
        field.n = 0
        if equals == token_end:
            return False
        field.name = p
        field.n = equals - p
        field.wanted = 0
        for i in range(self.names_n):
            if self.names[i].n == field.n and memcmp(self.names[i].p, p, field.n) == 0:
                field.wanted |= <uint32_t>1 << i
        field.is_addr = field.n == 4 and memcmp(p, b"addr", 4) == 0
        field.is_laddr = field.n == 5 and memcmp(p, b"laddr", 5) == 0
        return True

    cdef void _keep(self, uint32_t wanted, const char *value, size_t n) noexcept nogil:
        cdef int i
        while wanted:
            i = lowest_bit(wanted)
            wanted &= wanted - 1
            if self.found[i].p == NULL:
                self.found[i].p = value
                self.found[i].n = n

    cdef int _count(self) noexcept nogil:
        cdef int i
        cdef uint32_t h, n
        cdef int32_t number
        cdef Tally *tally
        cdef int64_t value
        cdef size_t room = 0
        self.key.n = 0
        for i in range(COUNTED + 1, self.names_n):
            room += 4 + self.found[i].n
        if reserve(&self.key, room) < 0:
            return -1
        for i in range(COUNTED + 1, self.names_n):
            n = <uint32_t>self.found[i].n
            memcpy(self.key.p + self.key.n, &n, 4)
            if n:
                memcpy(self.key.p + self.key.n + 4, self.found[i].p, n)
            self.key.n += 4 + n
        h = <uint32_t>hash_of(self.key.p, self.key.n, self.keys.seed)
        number = table_find(&self.keys, self.key.p, self.key.n, h)
        if number < 0:
            number = table_add(&self.keys, self.key.p, self.key.n, h)
            if number < 0 or reserve(&self.tallies, sizeof(Tally)) < 0:
                return -1
            memset(self.tallies.p + self.tallies.n, 0, sizeof(Tally))
            self.tallies.n += sizeof(Tally)
        tally = &(<Tally *>self.tallies.p)[number]
        tally.count += 1
        value = small_count(self.found[0])
        tally.omem += value
        tally.omem_max = max(tally.omem_max, value)
        value = small_count(self.found[1])
        tally.memory += value
        tally.memory_max = max(tally.memory_max, value)
        tally.idle_max = max(tally.idle_max, small_count(self.found[2]))
        tally.age_max = max(tally.age_max, small_count(self.found[3]))
        return 0

    cdef tuple _values(self, int number):
        cdef Text key = self.keys.keys[number]
        cdef list values = []
        cdef uint32_t n
        cdef const char *p = key.p
        for _ in range(COUNTED + 1, self.names_n):
            memcpy(&n, p, 4)
            values.append(PyBytes_FromStringAndSize(p + 4, n))
            p += 4 + n
        return tuple(values)

def tally_clients(bytes text not None, by):
    cdef Tallying run = Tallying()
    cdef int rc, i
    cdef const char *p = PyBytes_AS_STRING(text)
    cdef const char *end = p + PyBytes_GET_SIZE(text)
    cdef Tally *tally
    names = [b"omem", b"tot-mem", b"idle", b"age", b"addr"] + [name.encode() for name in by]
    if len(names) > NAMES_MAX:
        raise ValueError(f"clients are counted by at most {BY_MAX} fields")
    for name in names:
        run.names[run.names_n].p = PyBytes_AS_STRING(name)
        run.names[run.names_n].n = PyBytes_GET_SIZE(name)
        run.names_n += 1
    with nogil:
        rc = run.run(p, end)
    if rc < 0:
        raise MemoryError
    found = []
    for i in range(run.keys.count):
        tally = &(<Tally *>run.tallies.p)[i]
        found.append((
            run._values(i), tally.count, tally.omem, tally.omem_max, tally.memory, tally.memory_max,
            tally.idle_max, tally.age_max,
        ))
    return found
