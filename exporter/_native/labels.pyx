"""What callers hold: the labels of a target, the order of a target's lines."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_RawFree, PyMem_RawRealloc
from libc.string cimport memcmp, memcpy, memset

from exporter._native.buffers cimport PAD, raw_zeros, release
from exporter._native.numbers cimport put_escaped

def escape(value: bytes, limit: int = 1024) -> bytes:
    cdef Buffer b
    memset(&b, 0, sizeof(Buffer))
    if put_escaped(&b, PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value), <size_t>limit) < 0:
        raise MemoryError
    try:
        return PyBytes_FromStringAndSize(b.p, b.n)
    finally:
        release(&b)

cdef int make_label_text(LabelText *out, bytes text) except -1:
    cdef bytes opened = b"{" + text + b"," if text else b"{"
    cdef bytes closed = b"{" + text + b"} " if text else b" "
    out.open_n = PyBytes_GET_SIZE(opened)
    out.closed_n = PyBytes_GET_SIZE(closed)
    out.open = <char *>raw_zeros(out.open_n + out.closed_n + 2 * PAD, 1)
    out.closed = out.open + out.open_n + PAD
    memcpy(out.open, PyBytes_AS_STRING(opened), out.open_n)
    memcpy(out.closed, PyBytes_AS_STRING(closed), out.closed_n)
    return 0

cdef class Labels:
    def __cinit__(self, bytes text not None, special=None):
        cdef int i
        self.text = text
        self.special = dict(special or {})
        self.special_families = <int *>raw_zeros(len(self.special) + 1, sizeof(int))
        self.texts = <LabelText *>raw_zeros(len(self.special) + 1, sizeof(LabelText))
        self.special_n = len(self.special)
        make_label_text(&self.texts[0], text)
        for i, (family, own) in enumerate(sorted(self.special.items())):
            self.special_families[i] = family
            make_label_text(&self.texts[i + 1], own)

    def __dealloc__(self):
        cdef int i
        if self.texts != NULL:
            for i in range(self.special_n + 1):
                PyMem_RawFree(self.texts[i].open)
        PyMem_RawFree(self.texts)
        PyMem_RawFree(self.special_families)

cdef class LineOrder:
    def __dealloc__(self):
        PyMem_RawFree(self.ids)

cdef void forget_order(LineOrder order, uint64_t plan):
    """Another plan reads by this order from now on: nothing that it holds is valid there."""
    order.plan = plan
    order.n = 0
    order.shape = None
    order.fields = None

cdef int remember_order(LineOrder order, Buffer *ids) noexcept nogil:
    """Keep the order of the lines just read. 0, or -1 out of memory."""
    cdef int n = <int>(ids.n // sizeof(int32_t))
    cdef int32_t *room
    if order.n == n and (n == 0 or memcmp(order.ids, ids.p, ids.n) == 0):
        return 0
    if n > order.room or n < order.room // 4:
        room = <int32_t *>PyMem_RawRealloc(order.ids, (n + 1) * sizeof(int32_t))
        if room == NULL:
            return -1
        order.ids = room
        order.room = n
    memcpy(order.ids, ids.p, ids.n)
    order.n = n
    return 0
