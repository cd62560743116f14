"""One reading: its memory."""

from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree, PyMem_RawRealloc
from libc.string cimport memset

from exporter._native.buffers cimport release
from exporter._native.interner cimport interner_clear, interner_free, interner_init
from exporter._native.tables cimport table_clear, table_free, table_init

cdef Reading *new_reading(CompiledPlan plan) except NULL:
    cdef Reading *r = <Reading *>PyMem_RawCalloc(1, sizeof(Reading))
    if r == NULL:
        raise MemoryError
    r.fields = <Text *>PyMem_RawCalloc(plan.field_keys.count + 1, sizeof(Text))
    r.records = <Records *>PyMem_RawCalloc(plan.patterns_n + 1, sizeof(Records))
    r.sub_names = <SubNames *>PyMem_RawCalloc(plan.sub_names_n + 1, sizeof(SubNames))
    r.offsets = <int32_t *>PyMem_RawCalloc(plan.families + 1, sizeof(int32_t))
    if (
        r.fields == NULL or r.records == NULL or r.sub_names == NULL or r.offsets == NULL
        or table_init(&r.seen, plan.field_keys.seed) < 0
        or interner_init(&r.passing, plan.field_keys.seed, 0) < 0
    ):
        free_reading(plan, r)
        raise MemoryError
    return r

cdef void free_reading(CompiledPlan plan, Reading *r) noexcept:
    cdef int i
    if r.records != NULL:
        for i in range(plan.patterns_n):
            release(&r.records[i].lines)
            release(&r.records[i].values)
    PyMem_RawFree(r.fields)
    PyMem_RawFree(r.records)
    PyMem_RawFree(r.sub_names)
    PyMem_RawFree(r.offsets)
    PyMem_RawFree(r.seats)
    interner_free(&r.passing)
    table_free(&r.seen)
    release(&r.group_values)
    release(&r.ids)
    release(&r.scratch)
    release(&r.out)
    release(&r.head)
    PyMem_RawFree(r)

cdef void begin_reading(CompiledPlan plan, Reading *r) noexcept nogil:
    """Forget the reading before."""
    cdef int i
    memset(r.fields, 0, plan.field_keys.count * sizeof(Text))
    r.group_values.n = r.ids.n = r.out.n = 0
    r.groups[0] = 0
    r.groups_n = 1
    r.group = r.unnumbered = r.hosts = 0
    r.series = r.invalid = 0
    for i in range(plan.patterns_n):
        r.records[i].lines.n = r.records[i].values.n = 0
        r.records[i].subs_seen = 0
    if r.passing.lines.count or r.passing.subjects.count:
        interner_clear(&r.passing)
        if r.seats_n > plan.subjects_max:
            memset(r.seats + plan.subjects_max, 0, (r.seats_n - plan.subjects_max) * sizeof(Seat))
    if r.seen.count:
        table_clear(&r.seen)
    r.number += 1
    if r.number == 0:       # after 2^32 readings
        memset(r.seats, 0, r.seats_n * sizeof(Seat))
        r.number = 1

cdef Seat *seat_of(Reading *r, int32_t subject) noexcept nogil:
    """What this reading knows of a subject. NULL: out of memory."""
    cdef Seat *seats
    cdef int32_t n
    if subject >= r.seats_n:
        n = subject + 1 + subject // 2 + 256
        seats = <Seat *>PyMem_RawRealloc(r.seats, n * sizeof(Seat))
        if seats == NULL:
            return NULL
        memset(seats + r.seats_n, 0, (n - r.seats_n) * sizeof(Seat))
        r.seats = seats
        r.seats_n = n
    return &r.seats[subject]
