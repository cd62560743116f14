"""The compiled plan: rows from Python become structs."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_RawFree
from cpython.pythread cimport PyThread_allocate_lock, PyThread_free_lock
from libc.string cimport memcmp, memcpy

from exporter._native.buffers cimport PAD, raw_zeros
from exporter._native.interner cimport (
    GROUP_CURRENT, KEY_IGNORED, KEY_OF_FIELD, KEY_OF_RECORD, interner_free, interner_init,
)
from exporter._native.numbers cimport F_ANY, NUMBER_MAX, digit_span
from exporter._native.tables cimport hash_of, table_add, table_find, table_free, table_init

import os
import struct

FIELD, RECORD, EVERY_SUB_FIELD = 0, 1, 2

cdef enum:
    PATTERNS_MAX = 250          # one byte numbers a pattern
    SUB_LABEL_MAX = 64          # bytes

cdef uint64_t plans = 0

cdef class CompiledPlan:
    def __cinit__(self, patterns, families, fields=(), *, int interned_max=16384, Py_ssize_t label_max=1024):
        global plans
        cdef uint64_t seed = struct.unpack("=Q", os.urandom(8))[0]
        plans += 1
        self.number = plans
        self._alive = []
        self.families = len(families)
        self.interned_max = max(interned_max, 0)
        self.subjects_max = 2 * self.interned_max + 64
        self.label_max = max(label_max, 0)
        self.wanted = tuple(fields)
        if table_init(&self.field_keys, seed) < 0:
            raise MemoryError
        if interner_init(&self.interned_keys, seed, self.interned_max) < 0:
            raise MemoryError
        self.interned_keys.lock = PyThread_allocate_lock()
        if self.interned_keys.lock == NULL:
            raise MemoryError
        self._compile_patterns(patterns)
        self._compile_families(families)
        self.wanted_slots = <int *>raw_zeros(len(self.wanted) + 1, sizeof(int))
        for i, key in enumerate(self.wanted):
            self.wanted_slots[i] = self._slot(key)
        self._group_slots(families)
        self._make_plain()

    def __dealloc__(self):
        if self.interned_keys.lock != NULL:
            PyThread_free_lock(self.interned_keys.lock)
        interner_free(&self.interned_keys)
        table_free(&self.field_keys)
        PyMem_RawFree(self.names)
        PyMem_RawFree(self.patterns)
        PyMem_RawFree(self.rows)
        PyMem_RawFree(self.plain)
        PyMem_RawFree(self.own_in_line)
        PyMem_RawFree(self.numbers)
        PyMem_RawFree(self.field_labels)
        PyMem_RawFree(self.sub_openings)
        PyMem_RawFree(self.wanted_slots)
        PyMem_RawFree(self.grouped_slots)

    @property
    def interned(self):
        return self.interned_keys.lines.count

    cdef Text _text(self, bytes value):
        """A padded copy that lives as long as the plan."""
        cdef bytes padded = value + bytes(PAD)
        cdef Text text
        self._alive.append(padded)
        text.p = PyBytes_AS_STRING(padded)
        text.n = <uint32_t>PyBytes_GET_SIZE(value)
        text.form = F_ANY
        return text

    cdef int _slot(self, bytes key) except -1:
        """The place of a field's value in a reading."""
        cdef const char *p = PyBytes_AS_STRING(key)
        cdef size_t n = PyBytes_GET_SIZE(key)
        cdef uint32_t h = <uint32_t>hash_of(p, n, self.field_keys.seed)
        cdef int32_t slot = table_find(&self.field_keys, p, n, h)
        if slot < 0:
            slot = table_add(&self.field_keys, p, n, h)
            if slot < 0:
                raise MemoryError
        return slot

    cdef int _sub(self, int pattern, bytes name) except -2:
        """The place of a sub-field's value in a line; -1: the whole value."""
        cdef Pattern *row
        cdef int i
        if pattern < 0 or pattern >= self.patterns_n:
            raise ValueError(f"there is no pattern {pattern}")
        row = &self.patterns[pattern]
        if not name:
            return -1
        for i in range(row.subs_n):
            if row.subs[i].p[: row.subs[i].n] == name:
                return i
        if row.subs_n == SUBS_MAX:
            raise ValueError(f"a pattern has at most {SUBS_MAX} sub-fields")
        row.subs[row.subs_n] = self._text(name)
        row.subs_n += 1
        return row.subs_n - 1

    def _compile_patterns(self, patterns):
        cdef Pattern *row
        if len(patterns) > PATTERNS_MAX:
            raise ValueError(f"a plan has at most {PATTERNS_MAX} patterns")
        self.patterns = <Pattern *>raw_zeros(len(patterns) + 1, sizeof(Pattern))
        for prefix, suffix, digits, name_label, whole, constant, first in patterns:
            row = &self.patterns[self.patterns_n]
            row.prefix = self._text(prefix)
            row.suffix = self._text(suffix)
            row.digits = digits
            row.name_label = self._text(name_label + b'="' if name_label else b"")
            row.whole = whole
            row.constant = self._text(constant)
            row.first = self._text(b"" if digits else first)    # a number holds no colon
            row.joined = -1
            self.patterns_n += 1

    def _compile_families(self, families):
        cdef int i
        numbers_room = field_room = 1
        for row in families:
            if len(row) > 2 and row[1] == KIND_FIELD:
                field_room += len(row[4])
                numbers_room += len(row[2]) + sum(keys.count(b"|") + 1 for _, keys, _ in row[4])
            elif len(row) > 2 and row[1] == KIND_RECORD:
                numbers_room += len(row[5])
        self.names = <Text *>raw_zeros(self.families + 1, sizeof(Text))
        self.rows = <FamilyRow *>raw_zeros(self.families + 1, sizeof(FamilyRow))
        self.numbers = <int *>raw_zeros(numbers_room, sizeof(int))
        self.sub_openings = <Text *>raw_zeros(numbers_room, sizeof(Text))
        self.field_labels = <FieldLabel *>raw_zeros(field_room, sizeof(FieldLabel))
        for i in range(self.families):
            row = families[i]
            self.names[i] = self._text(row[0])
            self.rows[i].kind = row[1] if len(row) > 2 else KIND_EMPTY
            if self.rows[i].kind == KIND_FIELD:
                self._compile_field(i, row)
            elif self.rows[i].kind == KIND_RECORD:
                self._compile_record(i, row)
            elif self.rows[i].kind == KIND_EVERY_SUB_FIELD:
                self._compile_every(i, row)

    cdef int _compile_field(self, int i, row) except -1:
        cdef FamilyRow *family = &self.rows[i]
        cdef FieldLabel *label
        _, _, keys, family.transform, labels = row
        family.keys = self.numbers_n
        family.keys_n = len(keys)
        for key in keys:
            self.numbers[self.numbers_n] = self._slot(key)
            self.numbers_n += 1
        family.labels = self.field_labels_n
        family.labels_n = len(labels)
        for name, alternatives, optional in labels:
            label = &self.field_labels[self.field_labels_n]
            self.field_labels_n += 1
            label.opening = self._text(name + b'="')
            label.optional = optional
            label.keys = self.numbers_n
            for key in alternatives.split(b"|"):
                self.numbers[self.numbers_n] = self._slot(key)
                self.numbers_n += 1
                label.keys_n += 1
        return 0

    cdef int _compile_record(self, int i, row) except -1:
        cdef FamilyRow *family = &self.rows[i]
        _, _, family.pattern, sub, family.transform, labels, family.fill = row
        sub, _, other = sub.partition(b"|")
        family.sub = self._sub(family.pattern, sub)
        if family.sub < 0:
            self.patterns[family.pattern].any_value = True
        family.other_sub = self._sub(family.pattern, other)
        family.sub_labels = self.numbers_n
        family.sub_labels_n = len(labels)
        for name, key in labels:
            self.numbers[self.numbers_n] = self._sub(family.pattern, key)
            self.sub_openings[self.numbers_n] = self._text(name + b'="')
            self.numbers_n += 1
        return 0

    cdef int _compile_every(self, int i, row) except -1:
        cdef FamilyRow *family = &self.rows[i]
        _, _, family.pattern, label, family.sub_kind, family.transform, total, count, only = row
        self._sub(family.pattern, b"")
        self.patterns[family.pattern].any_value = True
        if len(label) > SUB_LABEL_MAX:
            raise ValueError(f"the label of a sub-field has at most {SUB_LABEL_MAX} characters")
        family.sub_opening = self._text(label + b'="')
        family.only = self._text(b",%s," % b",".join(only) if only else b"")
        family.sub_names = self.sub_names_n
        self.sub_names_n += 1
        family.sum_sub = family.count_sub = -1
        for join in (total, count):
            if join is not None:
                if self.patterns[family.pattern].joined not in (-1, join[0]):
                    raise ValueError("a pattern is joined with one other pattern at most")
                self.patterns[family.pattern].joined = join[0]
        if total is not None:
            family.sum_sub = self._sub(total[0], total[1])
            family.sum_transform = total[2]
        if count is not None:
            family.count_sub = self._sub(count[0], count[1])
            family.count_transform = count[2]
        return 0

    def _group_slots(self, families):
        """Mark the fields that may come once for each master: the keys of families that are labelled by it.
        """
        cdef int i
        grouped = set()
        for row in families:
            if len(row) > 2 and row[1] == KIND_FIELD:
                label_keys = {key for _, keys, _ in row[4] for key in keys.split(b"|")}
                if b"master_host" in label_keys:
                    grouped.update(row[2])
                    grouped.update(key for key in label_keys if key.startswith(b"master_"))
        self.grouped_slots = <bint *>raw_zeros(self.field_keys.count + 1, sizeof(bint))
        for key in grouped:
            self.grouped_slots[self._slot(key)] = True
        for i, row in enumerate(families):
            if len(row) > 2 and row[1] == KIND_FIELD:
                self.rows[i].grouped = any(key in grouped for key in row[2])

    def _make_plain(self):
        cdef int i
        cdef FamilyRow *row
        self.plain = <PlainRow *>raw_zeros(self.families + 1, sizeof(PlainRow))
        self.own_in_line = <char *>raw_zeros(self.families + 1, 1)
        for i in range(self.families):
            row = &self.rows[i]
            self.plain[i].slot = -1
            self.plain[i].transform = row.transform
            self.own_in_line[i] = row.labels_n > 0 or row.sub_labels_n > 0
            if row.kind == KIND_FIELD and row.keys_n == 1 and row.labels_n == 0 and not row.grouped:
                self.plain[i].slot = self.numbers[row.keys]

cdef void classify(CompiledPlan plan, const char *p, size_t n, int forced, Entry *entry) noexcept nogil:
    """Fill in kind, row, group and number for a key; `forced` is the pattern where that is known already."""
    cdef int32_t slot
    cdef int i
    entry.kind = KEY_IGNORED
    entry.number = entry.subject = entry.joined = -1
    if forced < 0:
        slot = table_find(&plan.field_keys, p, n, <uint32_t>hash_of(p, n, plan.field_keys.seed))
        if slot >= 0:
            entry.kind = KEY_OF_FIELD
            entry.row = slot
            if plan.grouped_slots[slot]:
                if n >= 7 and memcmp(p, b"master_", 7) == 0:
                    entry.sets_group = True
                    entry.names_master = n == 11 and memcmp(p + 7, b"host", 4) == 0
                else:
                    entry.group = GROUP_CURRENT
            return
        if is_of_a_numbered_master(plan, p, n, entry):
            return
    for i in range(plan.patterns_n):
        if (forced < 0 and fits(&plan.patterns[i], p, n)) or forced == i:
            entry.kind = KEY_OF_RECORD
            entry.row = i
            return

cdef bint is_of_a_numbered_master(CompiledPlan plan, const char *p, size_t n, Entry *entry) noexcept nogil:
    """Whether the key is `master_N_…` (KeyDB) or `masterN_…` with a grouped field behind the number: then the
    entry says so."""
    cdef char plain[NUMBER_MAX + 64]
    cdef size_t digits, i, at
    cdef int32_t slot
    if n < 9 or n >= sizeof(plain) or memcmp(p, b"master", 6) != 0:
        return False
    at = 7 if p[6] == c'_' else 6
    digits = digit_span(p + at, n - at)
    if not (0 < digits <= 4 and at + digits + 1 < n and p[at + digits] == c'_'):
        return False
    memcpy(plain, b"master_", 7)
    memcpy(plain + 7, p + at + digits + 1, n - at - digits - 1)
    n += 6 - at - digits
    slot = table_find(&plan.field_keys, plain, n, <uint32_t>hash_of(plain, n, plan.field_keys.seed))
    if slot < 0 or n <= 7 or not plan.grouped_slots[slot]:
        return False
    entry.kind = KEY_OF_FIELD
    entry.row = slot
    entry.sets_group = True
    for i in range(digits):
        entry.group = entry.group * 10 + (p[at + i] - c'0')
    entry.group += 1
    return True

cdef bint fits(Pattern *pattern, const char *p, size_t n) noexcept nogil:
    cdef size_t middle
    if n <= pattern.prefix.n + pattern.suffix.n or memcmp(p, pattern.prefix.p, pattern.prefix.n) != 0:
        return False
    if memcmp(p + n - pattern.suffix.n, pattern.suffix.p, pattern.suffix.n) != 0:
        return False
    middle = n - pattern.prefix.n - pattern.suffix.n
    return not pattern.digits or (middle <= 18 and digit_span(p + pattern.prefix.n, middle) == middle)
