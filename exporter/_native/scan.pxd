"""The first pass over a text: what stands where."""

from exporter._native.labels cimport LineOrder
from exporter._native.plan cimport CompiledPlan
from exporter._native.reading cimport Reading

cdef int scan(CompiledPlan plan, Reading *r, const char *p, size_t n, LineOrder order) noexcept nogil
