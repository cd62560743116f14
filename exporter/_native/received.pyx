"""What channels report of an exchange, and what they count."""

from cpython.object cimport PyObject, PyTypeObject

cdef tuple NOTHING = ()

cdef class Traffic:
    pass

cdef class Received:
    pass

cdef Received new_received(type kind):
    """An object of a class below `Received`, without a call of it."""
    cdef PyTypeObject *t = <PyTypeObject *>kind
    return <Received?>t.tp_new(kind, <PyObject *>NOTHING, NULL)
