"""What the key of a line stands for."""

from libc.stdint cimport int32_t

from exporter._native.interner cimport Entry
from exporter._native.plan cimport CompiledPlan
from exporter._native.reading cimport Reading

cdef int intern(
    CompiledPlan plan, Reading *r, const char *p, size_t n, int forced, Entry **entry, int32_t *number
) noexcept nogil
