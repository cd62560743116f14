"""The second pass: samples of the values that a scan found, family by family, without names and labels of the
target.

A sample is what follows the name: a suffix, own labels, the value. All that stands before the value is known
already, most often, and goes as it comes (`blocks.pack`). What changes in a loop is a local variable: a
write through a `char *` may change any other memory, as far as the compiler knows.
"""

from libc.stdint cimport int32_t, int64_t

from exporter._native.buffers cimport Text, append, grow
from exporter._native.numbers cimport F_ANY, write_value
from exporter._native.plan cimport FamilyRow, FieldLabel, KIND_EMPTY, KIND_FIELD, KIND_RECORD, PlainRow
from exporter._native.reading cimport GroupValue
from exporter._native.records cimport write_every, write_records
from exporter._native.sample cimport FULL, SAMPLES_MAX, VALUE_ROOM, append_label, close_labels, finish
from exporter._native.tables cimport table_clear

cdef int render(CompiledPlan plan, Reading *r, int64_t now, int fill) noexcept nogil:
    """Write all samples into `out`. 0, or -1 out of memory. What no longer fits in 31 bits of offset is left
    out."""
    cdef int f = 0, rc = 0
    cdef FamilyRow *row
    while f < plan.families:
        if rc != FULL and plan.plain[f].slot >= 0:
            f = write_plain(plan, r, f, now)
            if f < 0:
                return -1
            if r.out.n > SAMPLES_MAX:
                rc = FULL
            continue
        r.offsets[f] = <int32_t>r.out.n
        row = &plan.rows[f]
        if r.seen.count:
            table_clear(&r.seen)
        if rc != FULL:
            if row.kind == KIND_FIELD:
                rc = write_field(plan, r, row, now)
            elif row.kind != KIND_EMPTY and (r.records[row.pattern].lines.n or row.fill):
                if row.kind == KIND_RECORD:
                    rc = write_records(plan, r, row, now, fill)
                else:
                    rc = write_every(plan, r, row, now)
            if rc == -1:
                return -1
        f += 1
    r.offsets[plan.families] = <int32_t>r.out.n
    r.invalid += rc == FULL
    return 0

cdef int write_plain(CompiledPlan plan, Reading *r, int f, int64_t now) noexcept nogil:
    """A run of families that are one field each. Returns the first of another kind, or -1 out of memory."""
    cdef PlainRow *plain = plan.plain
    cdef Text *fields = r.fields
    cdef Text *value
    cdef int families = plan.families
    cdef int32_t *offsets = r.offsets
    cdef const char *last = r.last
    cdef char *start = r.out.p
    cdef char *to = start + r.out.n
    cdef char *stop = start + r.out.room
    cdef char *at
    cdef char *end
    cdef Py_ssize_t series = 0, invalid = 0
    while f < families and plain[f].slot >= 0:
        offsets[f] = <int32_t>(to - start)
        value = &fields[plain[f].slot]
        if value.p == NULL:
            f += 1
            continue
        if <size_t>(stop - to) < VALUE_ROOM:
            r.out.n = to - start
            if grow(&r.out, VALUE_ROOM) < 0:
                return -1
            start = r.out.p
            to = start + r.out.n
            stop = start + r.out.room
        to[0] = c' '
        at = to + 1
        end = write_value(at, value, plain[f].transform, now, last)
        if end == NULL:
            invalid += 1
        elif end != at:
            end[0] = c'\n'
            to = end + 1
            series += 1
        f += 1
    r.out.n = to - start
    r.series += series
    r.invalid += invalid
    return f

cdef inline int write_field(CompiledPlan plan, Reading *r, FamilyRow *row, int64_t now) noexcept nogil:
    cdef int i
    cdef Text *value
    if row.grouped:
        return write_grouped(plan, r, row, now)
    for i in range(row.keys, row.keys + row.keys_n):
        value = &r.fields[plan.numbers[i]]
        if value.p == NULL:
            continue
        return write_labelled(plan, r, row, now, 0, value, i == row.keys)
    return 0

cdef int write_grouped(CompiledPlan plan, Reading *r, FamilyRow *row, int64_t now) noexcept nogil:
    cdef int g, i, rc
    cdef Text value
    for g in range(r.groups_n):
        for i in range(row.keys, row.keys + row.keys_n):
            value = value_of(plan, r, r.groups[g], plan.numbers[i])
            if value.p != NULL:
                rc = write_labelled(plan, r, row, now, r.groups[g], &value, i == row.keys)
                if rc < 0:
                    return rc
                break
    return 0

cdef Text value_of(CompiledPlan plan, Reading *r, int group, int slot) noexcept nogil:
    cdef GroupValue *known = <GroupValue *>r.group_values.p
    cdef size_t i
    if group == 0 or not plan.grouped_slots[slot]:
        return r.fields[slot]
    for i in range(r.group_values.n // sizeof(GroupValue)):
        if known[i].group == group and known[i].slot == slot:
            return known[i].value
    return absent()

cdef inline Text absent() noexcept nogil:
    cdef Text text
    text.p = NULL
    text.n = 0
    text.form = F_ANY
    return text

cdef int write_labelled(
    CompiledPlan plan, Reading *r, FamilyRow *row, int64_t now, int group, Text *value, bint is_first,
) noexcept nogil:
    """A field's sample whose labels are other fields. `is_first`: the value is that of its first key."""
    cdef size_t before = r.out.n
    cdef FieldLabel *label
    cdef Text found
    cdef int i, k
    cdef bint any_label = False
    if append(&r.out, b"{", 1) < 0:
        return -1
    for i in range(row.labels, row.labels + row.labels_n):
        label = &plan.field_labels[i]
        found = absent()
        for k in range(label.keys, label.keys + label.keys_n):
            found = value_of(plan, r, group, plan.numbers[k])
            if found.p != NULL:
                break
        if label.optional and (found.n == 0 or (label.optional == 2 and is_first)):
            continue
        if append_label(r, &label.opening, &found, any_label, plan.label_max) < 0:
            return -1
        any_label = True
    if close_labels(r, before, any_label) < 0:
        return -1
    return finish(r, before, value, row.transform, now, row.grouped)
