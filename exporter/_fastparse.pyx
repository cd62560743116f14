"""The compiled engine. `engine/plain` specifies it, room by room; `_fastparse.pyi` states the types.

How it is fast. The keys of lines are interned in a table that all targets share; each target remembers the
order of its last reply, so a line is recognised by comparing it with the expected one. Values are noted as
(pointer, length); a second pass over the families writes each sample as three or four short copies.

Invariants. No offset, length or count that a server sends is trusted. The plan never changes, its interned
keys never move, and each reading has memory of its own: so several threads read by one plan at once.
`_native` has a room for each step: `plan`, `scan`, `render`; and `pages`, `clients`, `histograms`, `frames`
for what is not INFO.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.tuple cimport PyTuple_GET_ITEM
from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memcmp

from exporter._native.blocks cimport Block as NewBlock, Shape, Written, pack
from exporter._native.buffers cimport Text, release, reserve
from exporter._native.labels cimport Labels as LabelTexts, LineOrder as Order, forget_order
from exporter._native.numbers cimport VALUE_READ
from exporter._native.plan cimport CompiledPlan
from exporter._native.reading cimport Reading, begin_reading, free_reading, new_reading
from exporter._native.render cimport render
from exporter._native.scan cimport scan

from exporter._native.blocks import Block
from exporter._native.clients import client_rows, tally_clients
from exporter._native.exchange import EPOLL, Channel, Exchanger
from exporter._native.frames import BROKEN, DONE, HOPELESS, MORE, SKIPPED, TOO_LARGE, Frames
from exporter._native.histograms import histogram_rows
from exporter._native.labels import Labels, LineOrder, escape
from exporter._native.pages import Assembler, add_timestamps, ages, heads_of, sift, strip_labels
from exporter._native.plan import EVERY_SUB_FIELD, FIELD, RECORD
from exporter._native.received import Received, Traffic
from exporter._native.samples import Writer
from exporter._native.segments import Segments, follow
from exporter._native.target_samples import TargetSamples

ENGINE = "compiled"

cdef enum:
    TEXT_MAX = 0x7FFFFFFF       # bytes of a reply that are read
    WITHOUT_GIL_MIN = 65536     # bytes of a reply: a smaller one costs less than getting the GIL back
    OUT_KEPT = 1 << 20          # bytes of samples that an idle reading keeps room for
    WANTED_MAX = 1000           # bytes of a wanted field

cdef class Plan(CompiledPlan):
    cdef Reading *idle          # memory of readings that have ended
    cdef list recent            # shapes

    def __cinit__(self, *_, **__):
        self.recent = []

    def __dealloc__(self):
        cdef Reading *r
        while self.idle != NULL:
            r = self.idle
            self.idle = r.next_idle
            free_reading(self, r)

    def read(
        self, bytes text not None, LabelTexts labels not None, Order order=None, double now=0.0, int fill=0
    ):
        cdef const char *p = PyBytes_AS_STRING(text)
        cdef size_t n = min(PyBytes_GET_SIZE(text), <Py_ssize_t>TEXT_MAX)
        cdef int rc
        cdef int64_t seconds = <int64_t>now
        cdef Written written
        cdef NewBlock block
        cdef Shape shape = None
        cdef Reading *r = self._begin()
        if order is not None and order.busy:
            order = None        # another thread reads by it: this reading does without
        try:
            if order is not None:
                if order.plan != self.number:
                    forget_order(order, self.number)
                if order.shape is not None:
                    shape = <Shape>order.shape
                order.busy = True
            r.last = p + n - VALUE_READ if n >= VALUE_READ else NULL
            r.with_gil = n < WITHOUT_GIL_MIN
            if r.with_gil:
                rc = read_text(self, r, p, n, order, seconds, fill)
            else:
                with nogil:
                    rc = read_text(self, r, p, n, order, seconds, fill)
            if rc < 0 or reserve(&r.out, 0) < 0:
                raise MemoryError
            written.text, written.ends, written.families = r.out.p, r.offsets, self.families
            written.names, written.own_in_line = self.names, self.own_in_line
            written.series, written.invalid = r.series, r.invalid
            block = pack(&written, labels, self._wanted(r, order), shape, self.recent)
            if order is not None:
                order.shape = block.shape
            return block
        finally:
            if order is not None:
                order.busy = False
            if r.out.room > OUT_KEPT:
                release(&r.out)
            r.next_idle = self.idle
            self.idle = r

    cdef Reading *_begin(self) except NULL:
        """The memory of a reading that has ended, or new memory where others read at the same time."""
        cdef Reading *r = self.idle
        if r == NULL:
            return new_reading(self)
        self.idle = r.next_idle
        return r

    cdef tuple _wanted(self, Reading *r, Order order):
        """The texts of the wanted fields: the same objects as in the reading before, where nothing has
        changed."""
        cdef list found
        cdef Py_ssize_t i, n = len(self.wanted)
        cdef Text *value
        cdef bytes before
        cdef Py_ssize_t value_n
        if order is not None and order.fields is not None:
            for i in range(n):
                value = &r.fields[self.wanted_slots[i]]
                before = <bytes>PyTuple_GET_ITEM(order.fields, i)
                if value.p == NULL or before is None:
                    if value.p != NULL or before is not None:
                        break
                else:
                    value_n = min(value.n, <uint32_t>WANTED_MAX)
                    if value_n != PyBytes_GET_SIZE(before):
                        break
                    if memcmp(value.p, PyBytes_AS_STRING(before), value_n) != 0:
                        break
            else:
                return order.fields
        found = []
        for i in range(n):
            value = &r.fields[self.wanted_slots[i]]
            found.append(None if value.p == NULL else value.p[:min(value.n, <uint32_t>WANTED_MAX)])
        fields = tuple(found)
        if order is not None:
            order.fields = fields
        return fields

cdef int read_text(
    CompiledPlan plan, Reading *r, const char *p, size_t n, Order order, int64_t now, int fill,
) noexcept nogil:
    begin_reading(plan, r)
    if scan(plan, r, p, n, order) < 0:
        return -1
    return render(plan, r, now, fill)
