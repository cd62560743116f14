"""What pages are put together with: the blocks of a family set, one column for each target."""

from libc.stdint cimport int32_t

from exporter._native.blocks cimport Block, Heads, family_size, label_text_of
from exporter._native.buffers cimport Text
from exporter._native.labels cimport LabelText

cdef enum:
    SHORT_MAX = 256             # memcpy copies a longer slice
    SLACK = 64                  # bytes behind a family that a copy in strides may write

cdef struct Column:
    const char *lines
    const int32_t *ends
    const Heads *heads          # NULL: the lines are whole samples
    const LabelText *texts      # as of `Labels`
    const int *special_families
    int special_n

cdef struct Walk:
    int column              # the next one of a family; -1: its header
    size_t within           # how many bytes of it have been written

cdef inline const LabelText *column_text(const Column *column, int f) noexcept nogil:
    return label_text_of(column.texts, column.special_families, column.special_n, f)

cdef inline size_t column_size(const Column *column, int f) noexcept nogil:
    """The bytes of a family's samples."""
    if column.heads == NULL:
        return column.ends[f + 1] - column.ends[f]
    if column.ends[f + 1] == column.ends[f]:    # no value, no sample
        return 0
    return family_size(column.heads, column.ends, f, column_text(column, f))

cdef int set_column(Column *column, Block block, int families_min) except -1

cdef char *copy_family(Column *columns, int f, Walk *walk, int end_column, char *to, char *end) noexcept nogil

cdef char *copy_header(Text *header, Walk *walk, char *to, char *end) noexcept nogil
