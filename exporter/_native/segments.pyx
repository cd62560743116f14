"""Which parts of a page have changed since it was built before.

A segment is one family of one group of targets. Blocks that took each other's place at the same target are a
lineage, and each knows how many steps ago each of its families changed. So a page needs to remember two
numbers of each block that it shows, and no text, to know which of its families have changed since.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_RawFree
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memset

from exporter._native.blocks cimport BARE, Block, Heads, Place, same_labels
from exporter._native.buffers cimport Text, raw_zeros, same
from exporter._native.pages cimport Column, Walk, column_size, copy_family, copy_header, set_column

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    /* How many bytes of two texts are the same, counted from the first one. */
    static inline size_t redpoll_common(const char *a, const char *b, size_t n) {
        size_t i = 0;
        uint64_t x[8], y[8], differ;
        while (n - i >= 512 && memcmp(a + i, b + i, 512) == 0) i += 512;    /* the quickest, but blind */
        while (n - i >= sizeof(x)) {
            memcpy(x, a + i, sizeof(x)); memcpy(y, b + i, sizeof(y));
            differ = 0;
            for (int k = 0; k < 8; k++) differ |= x[k] ^ y[k];
            if (differ) break;
            i += sizeof(x);
        }
        while (n - i >= 8) {
            memcpy(x, a + i, 8); memcpy(y, b + i, 8);
            if (x[0] != y[0]) break;
            i += 8;
        }
        while (i < n && a[i] == b[i]) i++;
        return i;
    }
    /* Each number is one more, up to 255. */
    static inline void redpoll_one_step_on(unsigned char *to, const unsigned char *from, int n) {
        for (int i = 0; i < n; i++) to[i] = from[i] + (from[i] != 255);
    }
    """
    size_t common_bytes "redpoll_common"(const char *a, const char *b, size_t n) nogil
    void one_step_on "redpoll_one_step_on"(unsigned char *to, const unsigned char *since, int n) nogil

cdef enum:
    SINCE_MAX = 255             # as in `one_step_on`
    STEP_MAX = 0x7FFFFFFF

cdef uint64_t last_lineage = 0

def follow(Block block not None, Block before):
    global last_lineage
    cdef int n
    if block.lineage:
        return
    n = block.families
    if (
        before is None or not before.lineage or before.is_followed or before.step == STEP_MAX
        or before.families != n
    ):
        last_lineage += 1
        block.lineage = last_lineage
        return
    block.since = <unsigned char *>raw_zeros(n + 1, 1)
    if (block.shape is None) == (before.shape is None) and same_labels(block.labels, before.labels):
        if before.since == NULL:
            memset(block.since, SINCE_MAX, n)
        else:
            one_step_on(block.since, before.since, n)
        mark_changes(block, before)
    block.lineage = before.lineage
    block.step = before.step + 1
    before.is_followed = True

cdef void mark_changes(Block block, Block before) noexcept:
    """Note the families that differ. Both blocks have a shape, or neither has. Their lines are walked over in
    runs of equal bytes: a family that ends within a run, and is as long as before, has the same lines."""
    cdef const int32_t *ends = block.ends
    cdef const int32_t *ends_before = before.ends
    cdef const char *lines = block.lines
    cdef const char *lines_before = before.lines
    cdef int f = 0, n = block.families, shift, run_end, left
    while f < n:
        shift = ends[f] - ends_before[f]
        left = min(ends[n] - ends[f], ends_before[n] - ends_before[f])
        run_end = ends[f] + <int>common_bytes(lines + ends[f], lines_before + ends_before[f], left)
        while f < n and ends[f + 1] <= run_end and ends[f + 1] - ends_before[f + 1] == shift:
            f += 1
        if f < n:
            block.since[f] = 0
            f += 1
    if block.shape is not before.shape:
        for f in range(n):
            if not same_heads(&block.shape.heads, &before.shape.heads, f):
                block.since[f] = 0

cdef bint same_heads(const Heads *one, const Heads *other, int f) noexcept nogil:
    cdef const Place *a = one.places + one.families[f].places
    cdef const Place *end = one.places + one.families[f + 1].places
    cdef const Place *b = other.places + other.families[f].places
    if end - a != other.families[f + 1].places - other.families[f].places:
        return False
    while a < end:
        if a.name_n != b.name_n or a.own_n != b.own_n or (a.own_at == BARE) != (b.own_at == BARE):
            return False
        if not same(one.texts + a.name_at, other.texts + b.name_at, a.name_n):
            return False
        if a.own_n and not same(one.texts + a.own_at, other.texts + b.own_at, a.own_n):
            return False
        a += 1
        b += 1
    return True

cdef struct Seen:
    uint64_t lineage        # 0: no block
    uint32_t step

cdef struct Part:
    int families_min        # that each block needs
    Column *columns         # of all targets that have a block
    int *column_ends        # by group
    Seen *seen              # of all targets: what was shown of them
    int seen_n
    int *cells              # those of the page that show one of its families
    int cells_n

cdef class Segments:
    cdef readonly int count
    cdef readonly Py_ssize_t left
    cdef int groups
    cdef int cells_n
    cdef int parts_n
    cdef Part *parts
    cdef int *cell_parts
    cdef int *cell_families
    cdef Text *headers
    cdef char *headed           # by cell: whether its header is shown
    cdef int *ends              # of groups, among all targets
    cdef int64_t *sizes         # by segment, without headers
    cdef char *changed          # by segment
    cdef unsigned char *families        # by family of one part and group: whether it has changed
    cdef int families_max
    cdef list headers_shown
    cdef object alive           # the blocks that columns point into
    cdef int segment            # where the walk is
    cdef int last
    cdef Walk walk

    def __cinit__(self, cells, int parts, int groups):
        cdef int i, part, family
        cdef Part *of
        if parts < 0 or groups < 1:
            raise ValueError("a page has one group of targets at least")
        self.groups = groups
        self.cells_n = len(cells)
        self.count = self.cells_n * groups
        self.parts = <Part *>raw_zeros(parts + 1, sizeof(Part))
        self.parts_n = parts
        self.cell_parts = <int *>raw_zeros(self.cells_n + 1, sizeof(int))
        self.cell_families = <int *>raw_zeros(self.cells_n + 1, sizeof(int))
        self.headers = <Text *>raw_zeros(self.cells_n + 1, sizeof(Text))
        self.headed = <char *>raw_zeros(self.cells_n + 1, 1)
        self.ends = <int *>raw_zeros(groups + 1, sizeof(int))
        self.sizes = <int64_t *>raw_zeros(self.count + 1, sizeof(int64_t))
        self.changed = <char *>raw_zeros(self.count + 1, 1)
        self.headers_shown = [None] * self.cells_n
        for i, (part, family) in enumerate(cells):
            if part < 0 or part >= parts or family < 0:
                raise ValueError(f"cell {i} names part {part}, family {family}")
            of = &self.parts[part]
            of.families_min = max(of.families_min, family + 1)
            of.cells_n += 1
            self.families_max = max(self.families_max, family + 1)
            self.cell_parts[i] = part
            self.cell_families[i] = family
        self.families = <unsigned char *>raw_zeros(self.families_max + 1, 1)
        for part in range(parts):
            of = &self.parts[part]
            of.cells = <int *>raw_zeros(of.cells_n + 1, sizeof(int))
            of.column_ends = <int *>raw_zeros(groups + 1, sizeof(int))
            of.cells_n = 0
        for i in range(self.cells_n):
            of = &self.parts[self.cell_parts[i]]
            of.cells[of.cells_n] = i
            of.cells_n += 1

    def __dealloc__(self):
        cdef int part
        if self.parts != NULL:
            for part in range(self.parts_n):
                PyMem_RawFree(self.parts[part].columns)
                PyMem_RawFree(self.parts[part].column_ends)
                PyMem_RawFree(self.parts[part].seen)
                PyMem_RawFree(self.parts[part].cells)
        PyMem_RawFree(self.parts)
        PyMem_RawFree(self.cell_parts)
        PyMem_RawFree(self.cell_families)
        PyMem_RawFree(self.headers)
        PyMem_RawFree(self.headed)
        PyMem_RawFree(self.ends)
        PyMem_RawFree(self.sizes)
        PyMem_RawFree(self.changed)
        PyMem_RawFree(self.families)

    def take(self, headers, blocks, ends):
        cdef int part
        if len(headers) != self.cells_n or len(blocks) != self.parts_n or len(ends) != self.groups:
            raise ValueError("a page keeps its cells, its parts and the number of its groups")
        memset(self.changed, 0, self.count)
        self.alive = blocks
        for part in range(self.parts_n):
            self._take_part(part, blocks[part], ends)
        for i, end in enumerate(ends):
            self.ends[i] = end
        self._take_headers(headers)
        return PyBytes_FromStringAndSize(self.changed, self.count)

    cdef int _take_part(self, int part, list blocks, ends) except -1:
        """Compare the blocks of a part with what was shown, group by group."""
        cdef Part *of = &self.parts[part]
        cdef int n = len(blocks), group, begin = 0, end, begin_before = 0, column = 0, i
        cdef Seen *seen
        cdef Seen *before
        cdef Block block
        cdef bint all_changed, comparable = of.seen_n and n and of.seen_n == self.ends[self.groups - 1]
        if n == 0 and of.seen_n == 0:
            return 0
        PyMem_RawFree(of.columns)
        of.columns = NULL
        of.columns = <Column *>raw_zeros(n + 1, sizeof(Column))
        seen = <Seen *>raw_zeros(n + 1, sizeof(Seen))
        before, of.seen = of.seen, seen
        of.seen_n = n
        try:
            for group in range(self.groups):
                end = ends[group] if n else 0
                if end < begin or end > n:
                    raise ValueError("the groups do not fit the blocks")
                all_changed = not comparable or self.ends[group] - begin_before != end - begin
                memset(self.families, 0, self.families_max)
                for i in range(begin, end):
                    block = blocks[i]
                    if block is not None:
                        set_column(&of.columns[column], block, of.families_min)
                        column += 1
                        seen[i].lineage = block.lineage
                        seen[i].step = block.step
                    if not all_changed:
                        all_changed = compare(
                            block, &before[begin_before + i - begin], self.families, of.families_min
                        )
                of.column_ends[group] = column
                self._mark(of, group, all_changed)
                begin_before = self.ends[group]
                begin = end
            if n != begin:
                raise ValueError("the groups do not fit the blocks")
        finally:
            PyMem_RawFree(before)
        return 0

    cdef void _mark(self, Part *of, int group, bint all_changed) noexcept nogil:
        """Mark the segments of the changed families, and measure them again."""
        cdef int i, f, column, segment
        cdef int column_begin = of.column_ends[group - 1] if group else 0
        cdef int64_t size
        for i in range(of.cells_n):
            f = self.cell_families[of.cells[i]]
            if all_changed or self.families[f]:
                size = 0
                for column in range(column_begin, of.column_ends[group]):
                    size += <int64_t>column_size(&of.columns[column], f)
                segment = of.cells[i] * self.groups + group
                if size or self.sizes[segment]:
                    self.changed[segment] = 1
                self.sizes[segment] = size

    cdef int _take_headers(self, headers) except -1:
        """A header stands before the first samples of its cells: it is part of the first segment of the cell
        that has it."""
        cdef int i, group, heading = 0
        cdef bytes header
        cdef char *shown = <char *>raw_zeros(self.cells_n + 1, 1)
        try:
            for i, header in enumerate(headers):
                self.headers[i].p = PyBytes_AS_STRING(header)
                self.headers[i].n = <uint32_t>PyBytes_GET_SIZE(header)
                if header:
                    heading = i
                for group in range(self.groups):
                    if self.sizes[i * self.groups + group]:
                        shown[heading] = 1
                        break
            for i in range(self.cells_n):
                if shown[i] != self.headed[i] or (shown[i] and headers[i] != self.headers_shown[i]):
                    self.changed[i * self.groups] = 1
                self.headed[i] = shown[i]
        finally:
            PyMem_RawFree(shown)
        self.headers_shown = list(headers)
        return 0

    cdef Py_ssize_t _size(self, int first, int end) noexcept nogil:
        cdef Py_ssize_t size = 0
        cdef int segment
        for segment in range(first, end):
            size += self.sizes[segment]
            if segment % self.groups == 0 and self.headed[segment // self.groups]:
                size += self.headers[segment // self.groups].n
        return size

    def size(self, int first, int end):
        if first < 0 or end > self.count:
            raise ValueError("there are no such segments")
        return self._size(first, end)

    def start(self, int first, int end):
        if self.alive is None:
            raise ValueError("the page has let go of its blocks")
        self.left = self.size(first, end)
        self.segment = first
        self.last = end
        self._enter()

    def fill(self, unsigned char[::1] room not None):
        cdef Py_ssize_t n = min(self.left, room.shape[0])
        if room.shape[0] == 0:
            raise ValueError("a piece needs room for at least one byte")
        if n and self.alive is not None:
            with nogil:
                self._fill(<char *>&room[0], room.shape[0])
            self.left -= n
        return n

    def release(self):
        cdef int part
        for part in range(self.parts_n):
            PyMem_RawFree(self.parts[part].columns)
            self.parts[part].columns = NULL
        self.alive = None
        self.left = 0

    cdef void _enter(self) noexcept nogil:
        """Stand before the segment: before its header, if it has one."""
        cdef int cell = self.segment // self.groups, group = self.segment % self.groups
        cdef Part *of = &self.parts[self.cell_parts[cell]]
        self.walk.within = 0
        if group == 0 and self.headed[cell]:
            self.walk.column = -1
        else:
            self.walk.column = of.column_ends[group - 1] if group else 0

    cdef void _fill(self, char *to, size_t room) noexcept nogil:
        """Write the next bytes of the walk, `room` of them if there are as many."""
        cdef char *end = to + room
        cdef int cell, column_end
        cdef Part *of
        while self.segment < self.last:
            cell = self.segment // self.groups
            of = &self.parts[self.cell_parts[cell]]
            if self.walk.column < 0:
                to = copy_header(&self.headers[cell], &self.walk, to, end)
                if self.walk.column < 0:
                    return
            column_end = of.column_ends[self.segment % self.groups]
            if self.sizes[self.segment]:
                to = copy_family(of.columns, self.cell_families[cell], &self.walk, column_end, to, end)
                if self.walk.column < column_end:
                    return
            self.segment += 1
            if self.segment < self.last:
                self._enter()

cdef bint compare(Block block, Seen *before, unsigned char *families, int n) noexcept:
    """Mark the families that differ from what was shown of a target. True: all of them may."""
    cdef int f
    cdef uint32_t steps
    cdef unsigned char *since
    if block is None:
        return before.lineage != 0
    if block.lineage == 0 or block.lineage != before.lineage or block.step < before.step:
        return True
    steps = block.step - before.step
    if steps == 0:
        return False
    if steps > SINCE_MAX or block.since == NULL:
        return True
    since = block.since
    for f in range(n):
        families[f] |= since[f] < steps
    return False
