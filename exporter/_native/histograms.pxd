"""LATENCY HISTOGRAM as it comes over the wire: its rows, and the sums that INFO has of them."""

from libc.stdint cimport int64_t

from exporter._native.buffers cimport Buffer
from exporter._native.tables cimport Table

cdef enum:  # what became of a reply
    ORDINARY = 1
    ODD = 0
    NO_MEMORY = -1

cdef struct Bucket:
    int64_t bound
    const char *bound_p         # the digits of both, as they came
    const char *count_p
    int bound_n
    int count_n

cdef struct RawRow:
    const char *name
    size_t name_n
    const char *calls
    int calls_n
    int buckets_n
    size_t first                # of its buckets
    int64_t own                 # microseconds by INFO; -1: not known
    int64_t within              # those of sub-commands without a histogram; -1: there are none

cdef struct RawHistograms:
    Buffer rows                 # of RawRow
    Buffer buckets              # of Bucket
    Table names                 # of the rows, with their numbers; then of the sub-commands that were summed
    size_t rows_n

cdef int begin_raw(RawHistograms *h) noexcept nogil

cdef void free_raw(RawHistograms *h) noexcept nogil

cdef int read_raw(
    RawHistograms *h, const char *p, size_t n, size_t bounds_max, size_t name_max
) noexcept nogil

cdef int read_sums(RawHistograms *h, const char *p, size_t n) noexcept nogil
