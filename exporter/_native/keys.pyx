"""What the key of a line stands for: found among the interned keys, or worked out and interned.

Keys that do not fit there are interned for one reading only, in its own memory.
"""

from cpython.pythread cimport PyThread_acquire_lock, PyThread_release_lock, NOWAIT_LOCK, WAIT_LOCK
from libc.stdint cimport uint32_t
from libc.string cimport memchr, memset

from exporter._native.buffers cimport append, arena_put, reserve
from exporter._native.interner cimport (
    Interner, KEY_OF_RECORD, entry_at, interner_add, load_acquire, store_release,
)
from exporter._native.numbers cimport put_escaped
from exporter._native.plan cimport Pattern, classify
from exporter._native.tables cimport hash_of, table_add, table_find

cdef extern from "Python.h":
    ctypedef struct PyThreadState:
        pass
    PyThreadState *PyEval_SaveThread() nogil
    void PyEval_RestoreThread(PyThreadState *state) nogil

cdef enum:
    KEY_INTERNED_MAX = 256      # a longer key is not worth remembering

cdef int intern(
    CompiledPlan plan, Reading *r, const char *p, size_t n, int forced, Entry **entry, int32_t *number
) noexcept nogil:
    """The entry of a key; `number` becomes its number where the plan interns it, else -1. Returns -1 out of
    memory."""
    cdef Interner *shared = &plan.interned_keys
    cdef int rc
    if load_acquire(&shared.full):
        return find_or_add(plan, r, p, n, forced, entry, number)
    take_lock(shared, r)
    rc = find_or_add(plan, r, p, n, forced, entry, number)
    if shared.lines.count >= plan.interned_max:
        store_release(&shared.full, 1)
    PyThread_release_lock(shared.lock)
    return rc

cdef void take_lock(Interner *shared, Reading *r) noexcept nogil:
    """Take the lock. A reading never waits for it with the GIL: the owner may need the GIL to get memory, as
    under tracemalloc."""
    cdef PyThreadState *state
    if not r.with_gil:
        PyThread_acquire_lock(shared.lock, WAIT_LOCK)
    elif not PyThread_acquire_lock(shared.lock, NOWAIT_LOCK):
        state = PyEval_SaveThread()
        PyThread_acquire_lock(shared.lock, WAIT_LOCK)
        PyEval_RestoreThread(state)

cdef int find_or_add(
    CompiledPlan plan, Reading *r, const char *p, size_t n, int forced, Entry **entry, int32_t *number
) noexcept nogil:
    cdef Interner *into = &plan.interned_keys
    cdef uint32_t h = <uint32_t>hash_of(p, n, into.lines.seed)
    cdef int32_t found = table_find(&into.lines, p, n, h)
    cdef Entry fresh
    if found < 0 and (n > KEY_INTERNED_MAX or into.lines.count >= plan.interned_max):
        into = &r.passing
        found = table_find(&into.lines, p, n, h)
    if found < 0:
        memset(&fresh, 0, sizeof(Entry))
        classify(plan, p, n, forced, &fresh)
        fresh.holds_colon = forced >= 0 and memchr(p, c':', n) != NULL
        if fresh.kind == KEY_OF_RECORD and name_record(plan, r, p, n, into, &fresh) < 0:
            return -1
        found = interner_add(into, p, n, h, &fresh)
        if found < 0:
            return -1
    entry[0] = entry_at(into, found)
    number[0] = -1 if into == &r.passing else found
    return 0

cdef int name_record(
    CompiledPlan plan, Reading *r, const char *p, size_t n, Interner *into, Entry *entry
) noexcept nogil:
    """Render the labels of a record's own, and number its subject. -1 out of memory."""
    cdef Pattern *pattern = &plan.patterns[entry.row]
    cdef const char *middle = p + pattern.prefix.n
    cdef size_t middle_n = n - pattern.prefix.n - pattern.suffix.n
    cdef size_t i, name_at
    cdef bint keep = into != &r.passing
    cdef int rc
    if pattern.digits and middle_n < 8 and (middle[0] != c'0' or middle_n == 1):
        entry.number = 0
        for i in range(middle_n):
            entry.number = entry.number * 10 + (middle[i] - c'0')
    r.scratch.n = 1     # before the name: room for the number of the pattern
    if reserve(&r.scratch, 0) < 0 or append(&r.scratch, pattern.name_label.p, pattern.name_label.n) < 0:
        return -1
    name_at = r.scratch.n
    if pattern.whole:
        rc = put_escaped(&r.scratch, p, n, plan.label_max)
    else:
        rc = put_escaped(&r.scratch, middle, middle_n, plan.label_max)
    if rc < 0:
        return -1
    entry.subject = subject_of(plan, r, entry.row, name_at, keep)
    if pattern.joined >= 0:
        entry.joined = subject_of(plan, r, pattern.joined, name_at, keep)
    if entry.subject < 0 or (pattern.joined >= 0 and entry.joined < 0):
        return -1
    if pattern.name_label.n == 0:
        r.scratch.n = name_at
    elif append(&r.scratch, b'"', 1) < 0:
        return -1
    if pattern.constant.n:
        if pattern.name_label.n and append(&r.scratch, b",", 1) < 0:
            return -1
        if append(&r.scratch, pattern.constant.p, pattern.constant.n) < 0:
            return -1
    entry.own_n = <uint32_t>(r.scratch.n - 1)
    entry.own = arena_put(&into.own, r.scratch.p + 1, entry.own_n)
    return -1 if entry.own == NULL else 0

cdef int32_t subject_of(CompiledPlan plan, Reading *r, int pattern, size_t name_at, bint keep) noexcept nogil:
    """The number of (pattern, name), where the name stands in `scratch` from `name_at` on. -1 out of memory.
    """
    cdef Interner *shared = &plan.interned_keys
    cdef char *key = r.scratch.p + name_at - 1
    cdef size_t n = r.scratch.n - name_at + 1
    cdef char before = key[0]
    cdef uint32_t h
    cdef int32_t found
    key[0] = <char>pattern
    h = <uint32_t>hash_of(key, n, shared.subjects.seed)
    found = table_find(&shared.subjects, key, n, h)
    if found < 0 and keep and shared.subjects.count < plan.subjects_max:
        found = table_add(&shared.subjects, key, n, h)
    elif found < 0:
        found = table_find(&r.passing.subjects, key, n, h)
        if found < 0:
            found = table_add(&r.passing.subjects, key, n, h)
        if found >= 0:
            found += plan.subjects_max
    key[0] = before
    return found
