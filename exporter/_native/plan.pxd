"""The compiled plan: what each line of INFO is, and which family is written from it. Nothing changes it
afterwards."""

from libc.stdint cimport int8_t, int32_t, uint8_t, uint32_t, uint64_t

from exporter._native.buffers cimport Text
from exporter._native.interner cimport Entry, Interner
from exporter._native.tables cimport Table

cdef enum:
    KIND_FIELD = 0
    KIND_RECORD = 1
    KIND_EVERY_SUB_FIELD = 2
    KIND_EMPTY = 3              # written by a collector, or hidden

cdef enum:
    SUBS_MAX = 16               # sub-fields of one pattern that families use

cdef struct Pattern:
    Text prefix
    Text suffix
    Text name_label         # `cmd="`; empty: the name is no label
    Text constant
    Text first
    bint digits
    bint whole
    bint any_value          # a line need not have a sub-field that families read
    int joined              # the pattern whose record of the same name is joined, else -1
    Text subs[SUBS_MAX]
    int subs_n

cdef struct FieldLabel:
    Text opening            # `role="`
    int keys
    int keys_n
    int optional            # 1: left out where its key is missing; 2: and where the first key is there

cdef struct FamilyRow:
    int kind
    int transform
    bint grouped
    int keys                # into `numbers`: slots; the first that is there counts
    int keys_n
    int labels              # into `field_labels`
    int labels_n
    int pattern
    int sub                 # -1: the whole value
    int other_sub           # where the line lacks `sub`; -1: none
    bint fill
    int sub_labels          # into `numbers`: sub-fields, -1: the whole value; their openings are in `sub_openings`
    int sub_labels_n
    int sub_kind
    Text sub_opening        # `quantile="`
    int sub_names           # which of the reading's `SubNames`
    Text only               # `,p50,p99,`: the sub-fields that are written; empty: all
    int sum_sub             # -1: no sum
    int sum_transform
    int count_sub           # -1: no count
    int count_transform

cdef struct PlainRow:
    int32_t slot            # of a field with one key and no labels; -1: see the full row
    int32_t transform

cdef class CompiledPlan:
    cdef readonly int families
    cdef uint64_t number        # of all plans of this process
    cdef size_t label_max
    cdef int interned_max
    cdef int subjects_max
    cdef list _alive            # the Python objects that the Texts below point into
    cdef tuple wanted
    cdef int *wanted_slots
    cdef Table field_keys       # key → slot
    cdef bint *grouped_slots
    cdef Pattern *patterns
    cdef int patterns_n
    cdef FamilyRow *rows
    cdef PlainRow *plain        # parallel to rows: all that the most common kind needs, close together
    cdef Text *names            # of the families
    cdef char *own_in_line      # by family: whether its own labels say something of one server only
    cdef int *numbers
    cdef int numbers_n
    cdef FieldLabel *field_labels
    cdef int field_labels_n
    cdef Text *sub_openings     # parallel to numbers
    cdef int sub_names_n
    cdef Interner interned_keys # shared by all readings, and the one thing that grows

    cdef Text _text(self, bytes value)
    cdef int _slot(self, bytes key) except -1
    cdef int _sub(self, int pattern, bytes name) except -2
    cdef int _compile_field(self, int i, row) except -1
    cdef int _compile_record(self, int i, row) except -1
    cdef int _compile_every(self, int i, row) except -1

cdef void classify(CompiledPlan plan, const char *p, size_t n, int forced, Entry *entry) noexcept nogil
