"""The second pass over lines of patterns: one sub-field of every line, or every sub-field."""

from libc.stdint cimport int64_t

from exporter._native.plan cimport CompiledPlan, FamilyRow
from exporter._native.reading cimport Reading

cdef int write_records(CompiledPlan plan, Reading *r, FamilyRow *row, int64_t now, int fill) noexcept nogil

cdef int write_every(CompiledPlan plan, Reading *r, FamilyRow *row, int64_t now) noexcept nogil
