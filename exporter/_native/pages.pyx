"""Pages from blocks: assembling them, removing labels, keeping some of the samples, adding timestamps and
ages."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_RawFree
from libc.math cimport rint
from libc.stdint cimport int32_t, int64_t, uint32_t
from libc.string cimport memchr, memcmp, memcpy, memset

from exporter._native.blocks cimport (
    BARE, Block, Heads, Place, append_sample, no_labels, with_labels, with_lines, with_some,
    write_family,
)
from exporter._native.buffers cimport (
    Buffer, Text, append, prefetch, raw_zeros, release, reserve, stride,
)
from exporter._native.labels cimport LabelText, Labels, label_text
from exporter._native.numbers cimport write_int

cdef int set_column(Column *column, Block block, int families_min) except -1:
    """Point to what a block holds, which has at least this many families."""
    if block.ends == NULL or block.families < families_min:
        raise ValueError(f"a block has no family {families_min - 1}")
    column.lines = block.lines
    column.ends = block.ends
    column.heads = NULL if block.shape is None else &block.shape.heads
    column.texts = block.labels.texts
    column.special_families = block.labels.special_families
    column.special_n = block.labels.special_n
    return 0

cdef char *copy_family(
    Column *columns, int f, Walk *walk, int end_column, char *to, char *end
) noexcept nogil:
    """Write the samples of a family, from where the walk is to the column `end_column`. Returns where they
    end; there is no room for all of them if `walk.column` is not `end_column` then."""
    cdef const Column *column
    cdef const char *src
    cdef char *at
    cdef size_t n
    cdef int j
    for j in range(walk.column, end_column):
        if j + 4 < end_column:
            prefetch(columns[j + 4].lines + columns[j + 4].ends[f])
        column = &columns[j]
        if column.ends[f + 1] == column.ends[f]:
            continue
        src = column.lines + column.ends[f]
        if column.heads != NULL and walk.within == 0:
            at = write_single(column, f, src, to, end)
            if at != NULL:
                to = at
                continue
        n = column_size(column, f) - walk.within
        if n + SLACK <= <size_t>(end - to) and walk.within == 0:
            if column.heads != NULL:
                to = write_family(column.heads, f, src, column_text(column, f), to)
            elif n <= SHORT_MAX:
                stride(to, src, n)      # past the slice: what follows is written later
                to += n
            else:
                memcpy(to, src, n)
                to += n
            continue
        if n > <size_t>(end - to):
            write_part(column, f, walk.within, to, end)
            walk.within += end - to
            walk.column = j
            return end
        to = write_part(column, f, walk.within, to, to + n)
        walk.within = 0
    walk.column = end_column
    return to

cdef inline char *write_single(
    const Column *column, int f, const char *line, char *to, char *end
) noexcept nogil:
    """The same as `write_family` where there is one sample and room for it: most families are so. NULL: they
    are not."""
    cdef const Heads *heads = column.heads
    cdef const Place *place = heads.places + heads.families[f].places
    cdef const LabelText *text = column_text(column, f)
    cdef size_t line_n = column.ends[f + 1] - column.ends[f]
    if (
        heads.families[f + 1].places - heads.families[f].places != 1
        or place.name_n + text.open_n + text.closed_n + place.own_n + line_n + SLACK > <size_t>(end - to)
    ):
        return NULL
    stride(to, heads.texts + place.name_at, place.name_n)
    to += place.name_n
    if place.own_at == BARE:
        stride(to, text.closed, text.closed_n)
        to += text.closed_n
    else:
        stride(to, text.open, text.open_n)
        to += text.open_n
        stride(to, heads.texts + place.own_at, place.own_n)
        to += place.own_n
    stride(to, line, line_n)
    return to + line_n

cdef struct Part:
    size_t skipped              # bytes that are still to be left out
    char *to
    char *end

cdef char *write_part(const Column *column, int f, size_t skipped, char *to, char *end) noexcept nogil:
    """Write a family's samples without the first `skipped` bytes, up to `end` and not a byte more."""
    cdef const char *src = column.lines + column.ends[f]
    cdef const char *stop = column.lines + column.ends[f + 1]
    cdef const char *line_end
    cdef const LabelText *text = column_text(column, f)
    cdef const Place *place
    cdef const Place *last
    cdef Part part
    part.skipped, part.to, part.end = skipped, to, end
    if column.heads == NULL:
        put_part(&part, src, stop - src)
        return part.to
    place = column.heads.places + column.heads.families[f].places
    last = column.heads.places + column.heads.families[f + 1].places
    while place < last and part.to < end:
        put_part(&part, column.heads.texts + place.name_at, place.name_n)
        if place.own_at == BARE:
            put_part(&part, text.closed, text.closed_n)
        else:
            put_part(&part, text.open, text.open_n)
            put_part(&part, column.heads.texts + place.own_at, place.own_n)
        line_end = <const char *>memchr(src, c'\n', stop - src) + 1
        put_part(&part, src, line_end - src)
        src = line_end
        place += 1
    return part.to

cdef void put_part(Part *part, const char *src, size_t n) noexcept nogil:
    if part.skipped >= n:
        part.skipped -= n
        return
    src += part.skipped
    n -= part.skipped
    part.skipped = 0
    if n > <size_t>(part.end - part.to):
        n = part.end - part.to
    if n:
        memcpy(part.to, src, n)
        part.to += n

cdef char *copy_header(Text *header, Walk *walk, char *to, char *end) noexcept nogil:
    """The same for a header: `walk.column` is -1 before its end, and 0 behind it."""
    cdef const char *src = header.p + walk.within
    cdef size_t n = header.n - walk.within
    if n > <size_t>(end - to):
        memcpy(to, src, end - to)
        walk.within += end - to
        return end
    memcpy(to, src, n)
    walk.column = 0
    walk.within = 0
    return to + n

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
    cdef int family             # where the next piece begins
    cdef Walk walk

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
            widest[part] = max(widest[part], family + 1)
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
        self.walk.column = -1

    cdef int _take_part(self, int part, blocks, int widest) except -1:
        cdef Block block
        cdef int i = 0
        self.columns[part] = <Column *>raw_zeros(len(blocks) + 1, sizeof(Column))
        for block in blocks:
            if block is not None:
                set_column(&self.columns[part][i], block, widest)
                self._alive.append(block)
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
                body += <Py_ssize_t>column_size(&columns[j], f)
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
                self._fill(<char *>&room[0], room.shape[0])
            self.size -= n
        return n

    cdef void _fill(self, char *to, size_t room) noexcept nogil:
        """Write the next bytes of the page, `room` of them if it has as many."""
        cdef char *end = to + room
        cdef int part, count
        while self.family < self.families:
            if self.present[self.family]:
                if self.walk.column < 0:
                    to = copy_header(&self.headers[self.family], &self.walk, to, end)
                    if self.walk.column < 0:
                        return
                part = self.cell_parts[self.family]
                count = self.columns_n[part]
                to = copy_family(
                    self.columns[part], self.cell_families[self.family], &self.walk, count, to, end
                )
                if self.walk.column < count:
                    return
            self.family += 1
            self.walk.column = -1
            self.walk.within = 0

def strip_labels(Block block not None, Labels labels not None):
    cdef bytes samples, offsets
    cdef const char *base
    cdef const int32_t *numbers
    cdef bytes ends, opening
    cdef int32_t *end
    cdef int n, f
    cdef Buffer out
    cdef Labels rest
    if block.shape is not None:
        rest = no_labels() if block.labels is labels else without(block.labels, labels)
        if rest is not None:
            return with_labels(block, rest)
    samples, offsets = block.samples, block.offsets
    base, numbers = PyBytes_AS_STRING(samples), <const int32_t *>PyBytes_AS_STRING(offsets)
    n = block.families + 1
    ends = PyBytes_FromStringAndSize(NULL, n * 4)
    end = <int32_t *>PyBytes_AS_STRING(ends)
    memset(&out, 0, sizeof(Buffer))
    end[0] = 0
    try:
        for f in range(n - 1):
            opening = b"{" + labels.special.get(f, labels.text)
            if strip_lines(&out, base + numbers[f], numbers[f + 1] - numbers[f], opening) < 0:
                raise MemoryError
            end[f + 1] = <int32_t>out.n
        return Block(
            PyBytes_FromStringAndSize(out.p, out.n), ends, block.series, block.invalid, block.fields
        )
    finally:
        release(&out)

cdef Labels without(Labels labels, Labels left_out):
    """The labels that remain if others are left out, with which they begin. None: they do not."""
    cdef bytes text = text_without(labels.text, left_out.text)
    cdef dict special = {}
    if text is None:
        return None
    for family in labels.special.keys() | left_out.special.keys():
        own = text_without(
            labels.special.get(family, labels.text), left_out.special.get(family, left_out.text)
        )
        if own is None:
            return None
        special[family] = own
    return Labels(text, special)

cdef bytes text_without(bytes text, bytes left_out):
    if not left_out:
        return text
    if text == left_out:
        return b""
    return text[len(left_out) + 1:] if text.startswith(left_out + b",") else None

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

def heads_of(Block block not None):
    cdef Walker walker = Walker(block)
    heads = set()
    counts = []
    for f in range(block.families):
        counted = 0
        while walker.go_on(f):
            heads.add(walker.head)
            counted += 1
        counts.append(counted)
    return heads, counts

def sift(
    Block block not None, set heads not None, list counts not None, Py_ssize_t room, Py_ssize_t per_family
):
    cdef Walker walker = Walker(block)
    cdef Py_ssize_t members, series = 0
    cdef int f
    for f in range(block.families):
        members = counts[f]
        while walker.go_on(f):
            if walker.head not in heads:
                if len(heads) >= room or members >= per_family:
                    continue
                heads.add(walker.head)
                members += 1
            walker.kept.p[walker.number] = 1
            series += 1
        counts[f] = members
    return with_some(block, walker.kept.p, series)

@cython.final
cdef class Walker:
    """A walk over the samples of a block, of which some are kept."""

    cdef Block block
    cdef bytes head             # name and labels of the sample that was reached last
    cdef const char *line_end   # where it ends in the block
    cdef Py_ssize_t number      # of this sample
    cdef Buffer sample
    cdef Buffer kept            # by number of a sample: 0

    def __cinit__(self, Block block not None):
        if block.ends == NULL:
            raise ValueError("a block is missing")
        self.block = block
        self.line_end = block.lines
        self.number = -1

    def __dealloc__(self):
        release(&self.sample)
        release(&self.kept)

    cdef bint go_on(self, int f) except -1:
        """Go to the next sample of a family. False: there is none."""
        cdef Block block = self.block
        cdef const char *stop = block.lines + block.ends[f + 1]
        cdef const char *p = self.line_end
        cdef const char *end
        cdef size_t n
        if p == stop:
            return False
        end = <const char *>memchr(p, c'\n', stop - p)
        n = (stop if end == NULL else end) - p
        self.line_end = stop if end == NULL else end + 1
        self.number += 1
        if append(&self.kept, b"\0", 1) < 0:
            raise MemoryError
        if block.shape is not None:
            self.sample.n = 0
            if append_sample(
                &self.sample, &block.shape.heads, self.number, label_text(block.labels, f), p, n
            ) < 0:
                raise MemoryError
            p, n = self.sample.p, self.sample.n
        self.head = PyBytes_FromStringAndSize(p, head_end(p, p + n) - p)
        return True

def add_timestamps(Block block not None, int64_t at_ms):
    cdef bytes end = b" %d\n" % at_ms
    cdef bytes stamped, ends
    cdef list texts = []
    cdef int32_t *to
    cdef int n, i
    n = block.families + 1
    ends = PyBytes_FromStringAndSize(NULL, n * 4)
    to = <int32_t *>PyBytes_AS_STRING(ends)
    to[0] = 0
    for i in range(n - 1):
        stamped = block.lines[block.ends[i]:block.ends[i + 1]].replace(b"\n", end)
        if PyBytes_GET_SIZE(stamped) > 0x7FFFFFFF - to[i]:
            raise OverflowError("a block shows 2 GB at most")
        to[i + 1] = to[i] + <int32_t>PyBytes_GET_SIZE(stamped)
        texts.append(stamped)
    return with_lines(block, b"".join(texts), to)

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
