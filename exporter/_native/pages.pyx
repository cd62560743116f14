"""Pages from blocks: assembling them, removing labels, keeping some of the samples, adding timestamps and
ages."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_RawFree
from libc.math cimport rint
from libc.stdint cimport int32_t, int64_t, uint32_t
from libc.string cimport memchr, memcmp, memcpy, memset

from exporter._native.buffers cimport (
    Buffer, Text, append, check_offsets, prefetch, raw_zeros, release, reserve, stride,
)
from exporter._native.numbers cimport write_int

cdef enum:
    SHORT_MAX = 256             # memcpy copies a longer slice

cdef struct Column:
    const char *samples
    const int32_t *offsets
    int32_t strides_to      # up to this offset a short slice can be copied in strides

cdef class Assembler:
    cdef readonly Py_ssize_t size
    cdef list _alive
    cdef int families
    cdef Text *headers
    cdef int *cell_parts
    cdef int *cell_families
    cdef Column **columns       # by part
    cdef int *columns_n
    cdef int parts
    cdef char *present          # whether a cell has samples, or the header of samples that follow
    # where the next piece begins
    cdef int family
    cdef int column             # -1: within the header
    cdef size_t within

    def __cinit__(self, headers, cells, blocks):
        cdef int i, part, family
        cdef Py_ssize_t size = 0
        self._alive = []
        self.families = len(headers)
        if len(cells) != self.families:
            raise ValueError("a page has as many cells as headers")
        self.parts = len(blocks)
        self.headers = <Text *>raw_zeros(self.families + 1, sizeof(Text))
        self.cell_parts = <int *>raw_zeros(self.families + 1, sizeof(int))
        self.cell_families = <int *>raw_zeros(self.families + 1, sizeof(int))
        self.columns = <Column **>raw_zeros(self.parts + 1, sizeof(Column *))
        self.columns_n = <int *>raw_zeros(self.parts + 1, sizeof(int))
        self.present = <char *>raw_zeros(self.families + 1, 1)
        widest = [0] * self.parts
        for i, (part, family) in enumerate(cells):
            if part < 0 or part >= self.parts or family < 0:
                raise ValueError(f"cell {i} names part {part}, family {family}")
            widest[part] = max(widest[part], family + 2)
            self.cell_parts[i] = part
            self.cell_families[i] = family
            header = headers[i]
            self._alive.append(header)
            self.headers[i].p = PyBytes_AS_STRING(header)
            self.headers[i].n = <uint32_t>PyBytes_GET_SIZE(header)
        for part in range(self.parts):
            self._take_part(part, blocks[part], widest[part])
        with nogil:
            size = self._measure()
        self.size = size
        self.column = -1

    cdef int _take_part(self, int part, blocks, Py_ssize_t widest) except -1:
        cdef bytes samples, offsets
        cdef Column *column
        cdef int i = 0
        self.columns[part] = <Column *>raw_zeros(len(blocks) + 1, sizeof(Column))
        for samples, offsets in blocks:
            check_offsets(samples, offsets)
            if PyBytes_GET_SIZE(offsets) // 4 < widest:
                raise ValueError(f"a block of part {part} has no family {widest - 2}")
            column = &self.columns[part][i]
            column.samples = PyBytes_AS_STRING(samples)
            column.offsets = <const int32_t *>PyBytes_AS_STRING(offsets)
            column.strides_to = <int32_t>(PyBytes_GET_SIZE(samples) - SHORT_MAX - 32)
            self._alive.append(samples)
            self._alive.append(offsets)
            i += 1
        self.columns_n[part] = i
        return 0

    def __dealloc__(self):
        cdef int i
        if self.columns != NULL:
            for i in range(self.parts):
                PyMem_RawFree(self.columns[i])
        PyMem_RawFree(self.columns)
        PyMem_RawFree(self.columns_n)
        PyMem_RawFree(self.headers)
        PyMem_RawFree(self.cell_parts)
        PyMem_RawFree(self.cell_families)
        PyMem_RawFree(self.present)

    cdef Py_ssize_t _measure(self) noexcept nogil:
        cdef Py_ssize_t size = 0, body
        cdef int i, j, f, headed = 0     # the cell that has the header
        cdef Column *columns
        for i in range(self.families):
            if self.headers[i].n:
                headed = i
            columns = self.columns[self.cell_parts[i]]
            f = self.cell_families[i]
            body = 0
            for j in range(self.columns_n[self.cell_parts[i]]):
                body += columns[j].offsets[f + 1] - columns[j].offsets[f]
            if body:
                if not self.present[headed]:
                    self.present[headed] = 1
                    size += <Py_ssize_t>self.headers[headed].n
                self.present[i] = 1
                size += body
        return size

    def fill(self, unsigned char[::1] room not None):
        cdef Py_ssize_t n = min(self.size, room.shape[0])
        if room.shape[0] == 0:
            raise ValueError("a piece needs room for at least one byte")
        if n:
            with nogil:
                self._fill(<char *>&room[0], n)
            self.size -= n
        return n

    cdef void _fill(self, char *to, size_t room) noexcept nogil:
        """Copy the next `room` bytes of the page. The caller makes sure that the page has them."""
        cdef char *end = to + room
        cdef const char *src
        cdef size_t n
        cdef Column *columns
        cdef int f, count, j
        cdef int32_t begin
        while self.family < self.families:
            if self.present[self.family]:
                if self.column < 0:
                    src = self.headers[self.family].p + self.within
                    n = self.headers[self.family].n - self.within
                    if n > <size_t>(end - to):
                        memcpy(to, src, end - to)
                        self.within += end - to
                        return
                    memcpy(to, src, n)
                    to += n
                    self.column = 0
                    self.within = 0
                columns = self.columns[self.cell_parts[self.family]]
                count = self.columns_n[self.cell_parts[self.family]]
                f = self.cell_families[self.family]
                for j in range(self.column, count):
                    if j + 4 < count:
                        prefetch(columns[j + 4].samples + columns[j + 4].offsets[f])
                    begin = columns[j].offsets[f] + <int32_t>self.within
                    src = columns[j].samples + begin
                    n = columns[j].offsets[f + 1] - begin
                    if n <= SHORT_MAX and begin <= columns[j].strides_to and end - to > SHORT_MAX + 32:
                        if n:
                            stride(to, src, n)      # past the slice: what follows is written later
                            to += n
                        self.within = 0
                        continue
                    if n > <size_t>(end - to):
                        memcpy(to, src, end - to)
                        self.within += end - to
                        self.column = j
                        return
                    memcpy(to, src, n)
                    to += n
                    self.within = 0
            self.family += 1
            self.column = -1
            self.within = 0

def strip_labels(bytes samples not None, bytes offsets not None, labels not None):
    cdef const int32_t *numbers = <const int32_t *>PyBytes_AS_STRING(offsets)
    cdef const char *base = PyBytes_AS_STRING(samples)
    cdef bytes text = labels.text
    cdef dict special = dict(labels.special)
    cdef bytes ends, opening
    cdef int32_t *end
    cdef int n, f
    cdef Buffer out
    check_offsets(samples, offsets)
    n = PyBytes_GET_SIZE(offsets) // 4
    ends = PyBytes_FromStringAndSize(NULL, n * 4)
    end = <int32_t *>PyBytes_AS_STRING(ends)
    memset(&out, 0, sizeof(Buffer))
    end[0] = 0
    try:
        for f in range(n - 1):
            opening = b"{" + (special.get(f, text) if special else text)
            if strip_lines(&out, base + numbers[f], numbers[f + 1] - numbers[f], opening) < 0:
                raise MemoryError
            end[f + 1] = <int32_t>out.n
        return PyBytes_FromStringAndSize(out.p, out.n), ends
    finally:
        release(&out)

cdef int strip_lines(Buffer *out, const char *p, size_t n, bytes text) noexcept:
    """Copy lines without the target's labels, which `text` holds after a brace. Lines without them stay as
    they are."""
    cdef const char *opening = PyBytes_AS_STRING(text)
    cdef size_t opening_n = PyBytes_GET_SIZE(text)
    cdef const char *end = p + n
    cdef const char *stop
    cdef const char *brace
    cdef const char *rest
    if opening_n == 1:
        return append(out, p, n)
    while p < end:
        stop = <const char *>memchr(p, c'\n', end - p)
        stop = end if stop == NULL else stop + 1
        brace = <const char *>memchr(p, c'{', stop - p)
        if brace == NULL or <size_t>(stop - brace) <= opening_n or memcmp(brace, opening, opening_n) != 0:
            if append(out, p, stop - p) < 0:
                return -1
        elif brace[opening_n] == c',':
            rest = brace + opening_n + 1
            if append(out, p, brace + 1 - p) < 0 or append(out, rest, stop - rest) < 0:
                return -1
        else:
            rest = brace + opening_n + 1
            if append(out, p, brace - p) < 0 or append(out, rest, stop - rest) < 0:
                return -1
        p = stop
    return 0

cdef const char *head_end(const char *p, const char *end) noexcept nogil:
    """Where the name and labels of a sample end: after the last brace that a blank follows, or before the
    first blank."""
    cdef const char *q = end - 2
    while q >= p:
        if q[0] == c'}' and q[1] == c' ':
            return q + 1
        q -= 1
    q = <const char *>memchr(p, c' ', end - p)
    return end if q == NULL else q

def heads_of(bytes samples not None, bytes offsets not None):
    cdef const int32_t *numbers = <const int32_t *>PyBytes_AS_STRING(offsets)
    cdef const char *p = PyBytes_AS_STRING(samples)
    cdef const char *stop
    cdef const char *last
    cdef int f
    check_offsets(samples, offsets)
    heads = set()
    counts = []
    for f in range(PyBytes_GET_SIZE(offsets) // 4 - 1):
        last = PyBytes_AS_STRING(samples) + numbers[f + 1]
        counted = 0
        while p < last:
            stop = <const char *>memchr(p, c'\n', last - p)
            stop = last if stop == NULL else stop
            heads.add(PyBytes_FromStringAndSize(p, head_end(p, stop) - p))
            counted += 1
            p = stop + 1
        p = last
        counts.append(counted)
    return heads, counts

def sift(
    bytes samples not None, bytes offsets not None, set heads not None, list counts not None, Py_ssize_t room,
    Py_ssize_t per_family,
):
    cdef const int32_t *numbers = <const int32_t *>PyBytes_AS_STRING(offsets)
    cdef const char *p = PyBytes_AS_STRING(samples)
    cdef const char *stop
    cdef const char *last
    cdef const char *line_end
    cdef const char *from_ = p        # the first byte that is kept and not yet copied
    cdef bytes ends, head
    cdef int32_t *end
    cdef Py_ssize_t series = 0, members
    cdef int f, n
    cdef Buffer out
    check_offsets(samples, offsets)
    n = PyBytes_GET_SIZE(offsets) // 4
    ends = PyBytes_FromStringAndSize(NULL, n * 4)
    end = <int32_t *>PyBytes_AS_STRING(ends)
    end[0] = 0
    memset(&out, 0, sizeof(Buffer))
    try:
        for f in range(n - 1):
            last = PyBytes_AS_STRING(samples) + numbers[f + 1]
            members = counts[f]
            while p < last:
                stop = <const char *>memchr(p, c'\n', last - p)
                stop = last if stop == NULL else stop + 1
                line_end = stop - 1 if (stop - 1)[0] == c'\n' else stop
                head = PyBytes_FromStringAndSize(p, head_end(p, line_end) - p)
                if head not in heads:
                    if len(heads) >= room or members >= per_family:
                        if append(&out, from_, p - from_) < 0:
                            raise MemoryError
                        from_ = p = stop
                        continue
                    heads.add(head)
                    members += 1
                series += 1
                p = stop
            counts[f] = members
            if append(&out, from_, p - from_) < 0:
                raise MemoryError
            from_ = p
            end[f + 1] = <int32_t>out.n
        return PyBytes_FromStringAndSize(out.p, out.n), ends, series
    finally:
        release(&out)

def add_timestamps(bytes samples not None, bytes offsets not None, int64_t at_ms):
    cdef const int32_t *numbers = <const int32_t *>PyBytes_AS_STRING(offsets)
    cdef bytes end = b" %d\n" % at_ms
    cdef bytes stamped, ends
    cdef list texts = []
    cdef int32_t *to
    cdef int n, i
    check_offsets(samples, offsets)
    n = PyBytes_GET_SIZE(offsets) // 4
    ends = PyBytes_FromStringAndSize(NULL, n * 4)
    to = <int32_t *>PyBytes_AS_STRING(ends)
    to[0] = 0
    for i in range(n - 1):
        stamped = samples[numbers[i]:numbers[i + 1]].replace(b"\n", end)
        to[i + 1] = to[i] + <int32_t>PyBytes_GET_SIZE(stamped)
        texts.append(stamped)
    return b"".join(texts), ends

def ages(heads, times, double now):
    cdef char text[48]
    cdef char *to
    cdef int64_t age_ms, left
    cdef bytes head
    cdef double time
    cdef list lines = []
    if len(heads) != len(times):
        raise ValueError("there must be as many times as heads")
    for head, time in zip(heads, times):
        age_ms = <int64_t>rint((now - time) * 1000)
        to = text
        if age_ms < 0:
            to[0] = c'-'
            to += 1
            age_ms = -age_ms
        to = write_int(to, age_ms // 1000)
        left = age_ms % 1000
        to[0] = c'.'
        to[1] = <char>(c'0' + left // 100)
        to[2] = <char>(c'0' + left // 10 % 10)
        to[3] = <char>(c'0' + left % 10)
        to[4] = c'\n'
        lines.append(head)
        lines.append(PyBytes_FromStringAndSize(text, to + 5 - text))
    return b"".join(lines)
