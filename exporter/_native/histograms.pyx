"""LATENCY HISTOGRAM: its rows."""

from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE, PyList_New, PyList_SET_ITEM
from cpython.long cimport PyLong_AsLongLongAndOverflow, PyLong_CheckExact
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_New, PyTuple_SET_ITEM


cdef int whole(list numbers, Py_ssize_t i, long long *value) except -1:
    """Whether there is an integer in 64 bits."""
    cdef int overflow = 0
    cdef object number = <object>PyList_GET_ITEM(numbers, i)
    if not PyLong_CheckExact(number):
        return False
    value[0] = PyLong_AsLongLongAndOverflow(number, &overflow)
    return overflow == 0

cdef bint is_histogram(list pairs, long long calls, Py_ssize_t bounds_max) except -1:
    """Bounds that rise, each with a count that does not fall and is at most `calls`."""
    cdef Py_ssize_t i, n = PyList_GET_SIZE(pairs)
    cdef long long bound = 0, count = 0, bound_before = 0, count_before = 0
    if n % 2 or n // 2 > bounds_max or calls < 0:
        return False
    for i in range(0, n, 2):
        if not whole(pairs, i, &bound) or not whole(pairs, i + 1, &count):
            return False
        if (i and bound <= bound_before) or count < count_before or count > calls:
            return False
        bound_before = bound
        count_before = count
    return True

cdef tuple histogram(bytes name, list row, Py_ssize_t bounds_max):
    cdef list pairs, below
    cdef tuple bounds
    cdef long long calls = 0
    cdef Py_ssize_t i, n
    if PyList_GET_SIZE(row) != 4 or type(row[3]) is not list or not whole(row, 1, &calls):
        return None
    pairs = row[3]
    if not is_histogram(pairs, calls, bounds_max):
        return None
    n = PyList_GET_SIZE(pairs) // 2
    bounds, below = PyTuple_New(n), PyList_New(n)
    for i in range(n):
        bound, count = pairs[2 * i], pairs[2 * i + 1]
        Py_INCREF(bound)
        PyTuple_SET_ITEM(bounds, i, bound)
        Py_INCREF(count)
        PyList_SET_ITEM(below, i, count)
    return name, row[1], bounds, below

def histogram_rows(reply, Py_ssize_t bounds_max):
    cdef list rows = []
    cdef list items
    cdef Py_ssize_t i
    if not isinstance(reply, list):
        return rows
    items = reply
    for i in range(0, len(items) - 1, 2):
        if type(items[i]) is bytes and type(items[i + 1]) is list:
            row = histogram(items[i], items[i + 1], bounds_max)
            if row is not None:
                rows.append(row)
    return rows
