"""What channels report of an exchange, and what they count."""

from libc.stdint cimport int64_t

cdef class Traffic:
    """See `_fastparse.pyi`."""
    cdef public int64_t connections
    cdef public int64_t received
    cdef public int64_t sent

cdef class Received:
    """See `_fastparse.pyi`."""
    cdef public bytes data
    cdef public tuple ends
    cdef public Py_ssize_t received
    cdef public object source
    cdef public list replies

cdef Received new_received(type kind)
