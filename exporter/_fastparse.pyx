"""The compiled engine. `engine/plain` specifies it, room by room; `_fastparse.pyi` states the types.

How it is fast. The keys of lines are interned in a table that all targets share; each target remembers the
order of its last reply, so a line is recognised by comparing it with the expected one. Values are noted as
(pointer, length); a second pass over the families writes each sample as three or four short copies.

Invariants. No offset, length or count that a server sends is trusted. The plan never changes, its interned
keys never move, and each reading has memory of its own: so several threads read by one plan at once.
`_native` has a room for each step: `plan`, `scan`, `render`; and `pages`, `clients`, `histograms`, `frames`
for what is not INFO.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from cpython.ref cimport Py_XDECREF
from cpython.tuple cimport PyTuple_GET_ITEM
from libc.stdint cimport int32_t, int64_t, uint32_t
from libc.string cimport memcmp

from exporter._native.buffers cimport Buffer, Text, cut_text, new_text, release, text_of, text_room
from exporter._native.labels cimport (
    Block as NewBlock, Labels as LabelTexts, LineOrder as Order, forget_order,
)
from exporter._native.numbers cimport VALUE_READ
from exporter._native.plan cimport CompiledPlan
from exporter._native.reading cimport Reading, begin_reading, free_reading, new_reading
from exporter._native.render cimport render
from exporter._native.scan cimport scan

from exporter._native.clients import client_rows, tally_clients
from exporter._native.frames import BROKEN, DONE, HOPELESS, MORE, SKIPPED, TOO_LARGE, Frames
from exporter._native.histograms import histogram_rows
from exporter._native.labels import Block, Labels, LineOrder, escape
from exporter._native.pages import Assembler, add_timestamps, ages, heads_of, sift, strip_labels
from exporter._native.plan import EVERY_SUB_FIELD, FIELD, RECORD
from exporter._native.samples import RepeatedSamples, Writer

ENGINE = "compiled"

cdef enum:
    TEXT_MAX = 0x7FFFFFFF       # bytes of a reply that are read
    WITHOUT_GIL_MIN = 65536     # bytes of a reply: a smaller one costs less than getting the GIL back
    ROOM_MORE = 640             # the next samples may be a little longer, and the last line needs some room
    WANTED_MAX = 1000           # bytes of a wanted field

cdef class Plan(CompiledPlan):
    cdef Reading *idle          # memory of readings that have ended
    cdef Py_ssize_t room_n      # bytes that the samples of another target of the same kind may take; never 0

    def __cinit__(self, *_, **__):
        self.room_n = ROOM_MORE

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
        cdef Py_ssize_t room
        cdef PyObject *samples = NULL
        cdef Reading *r = self._begin()
        if order is not None and order.busy:
            order = None        # another thread reads by it: this reading does without
        try:
            if order is not None:
                if order.plan != self.number:
                    forget_order(order, self.number)
                order.busy = True
            room = text_room(order.room_n if order is not None and order.room_n else self.room_n)
            samples = new_text(room)        # written in place, cut to size in the end
            r.last = p + n - VALUE_READ if n >= VALUE_READ else NULL
            r.out.p = PyBytes_AS_STRING(<object>samples)
            r.out.room = room
            r.out.borrowed = True
            r.with_gil = n < WITHOUT_GIL_MIN
            if r.with_gil:
                rc = read_text(self, r, p, n, labels, order, seconds, fill)
            else:
                with nogil:
                    rc = read_text(self, r, p, n, labels, order, seconds, fill)
            if rc < 0:
                raise MemoryError
            self.room_n = r.out.n + ROOM_MORE
            if order is not None:
                order.room_n = self.room_n
            offsets = PyBytes_FromStringAndSize(<char *>r.offsets, (self.families + 1) * sizeof(int32_t))
            return NewBlock(take_text(&samples, &r.out), offsets, r.series, r.invalid, self._wanted(r, order))
        finally:
            if order is not None:
                order.busy = False
            release(&r.out)
            r.next_idle = self.idle
            self.idle = r
            Py_XDECREF(samples)

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
    CompiledPlan plan, Reading *r, const char *p, size_t n, LabelTexts labels, Order order, int64_t now,
    int fill,
) noexcept nogil:
    begin_reading(plan, r)
    if scan(plan, r, p, n, order) < 0:
        return -1
    return render(plan, r, labels, now, fill)

cdef object take_text(PyObject **written, Buffer *b):
    """The content of `b` as bytes: the object it was written into, cut to size; a copy where that object was
    too small."""
    cdef PyObject *cut
    if not b.borrowed:
        return text_of(b)
    cut = written[0]
    written[0] = NULL
    cut_text(&cut, b.n)
    result = <object>cut
    Py_XDECREF(cut)          # `result` holds it now
    return result
