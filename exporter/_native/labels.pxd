"""What callers hold: the labels of a target, the order of a target's lines."""

from libc.stdint cimport int32_t, uint64_t

from exporter._native.buffers cimport Buffer

cdef struct LabelText:
    char *open          # `{addr="x",` or `{`
    size_t open_n
    char *closed        # `{addr="x"} ` or ` `
    size_t closed_n

cdef class Labels:
    cdef readonly bytes text
    cdef readonly dict special
    cdef LabelText *texts       # the first for all families but the special ones
    cdef int *special_families
    cdef int special_n

cdef inline LabelText *label_text(Labels labels, int family) noexcept nogil:
    cdef int i
    for i in range(labels.special_n):
        if labels.special_families[i] == family:
            return &labels.texts[i + 1]
    return &labels.texts[0]

cdef class LineOrder:
    cdef uint64_t plan          # the number of the plan that has read by it
    cdef bint busy              # a reading uses it
    cdef int32_t *ids           # of interned keys, in the order of the lines; -1: a key that is not interned
    cdef int n
    cdef int room
    cdef object shape           # of the newest block: that of the next one, most often
    cdef tuple fields

cdef void forget_order(LineOrder order, uint64_t plan)

cdef int remember_order(LineOrder order, Buffer *ids) noexcept nogil
