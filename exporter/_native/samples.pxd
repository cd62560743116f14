"""Samples written from Python: what other modules use of it."""

cdef bytes format_value(value)
