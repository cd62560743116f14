"""The second pass: samples of the values that a scan found, family by family, without their names."""

from libc.stdint cimport int64_t

from exporter._native.plan cimport CompiledPlan
from exporter._native.reading cimport Reading

cdef int render(CompiledPlan plan, Reading *r, int64_t now, int fill) noexcept nogil
