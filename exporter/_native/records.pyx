"""The second pass over lines of patterns: one sub-field of every line, or every sub-field."""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memcmp, memcpy, memset

from exporter._native.buffers cimport (
    Text, append, before_blanks, find_byte, grow, past_blanks, put, reserve, same, stride,
)
from exporter._native.numbers cimport F_ANY, NUMBER_MAX, number_span, put_sub_name, write_int, write_value
from exporter._native.plan cimport Pattern
from exporter._native.reading cimport (
    Line, Records, SUB_FIELDS_MAX, SUB_INVALID, SUB_LEFT_OUT, SUB_WRITTEN, SubName, SubNames,
)
from exporter._native.sample cimport FULL, SAMPLES_MAX, VALUE_ROOM, append_label, close_labels, commit, finish

cdef enum:
    FILL_MAX = 65536
    SUB_FIELDS_READ_MAX = 16384     # of all lines of one reading, for one family

cdef int write_records(CompiledPlan plan, Reading *r, FamilyRow *row, int64_t now, int fill) noexcept nogil:
    cdef Pattern *pattern = &plan.patterns[row.pattern]
    cdef Line *lines = <Line *>r.records[row.pattern].lines.p
    cdef size_t i, n = r.records[row.pattern].lines.n // sizeof(Line)
    cdef Text *values = <Text *>r.records[row.pattern].values.p
    cdef Text *value
    cdef int rc
    if not has_values(&r.records[row.pattern], row):
        n = 0       # most servers lack the sub-fields of the newest ones
    if row.sub_labels_n or pattern.name_label.n == 0:
        for i in range(n):
            value = &lines[i].value if row.sub < 0 else &values[i * pattern.subs_n + row.sub]
            if value.p == NULL and row.other_sub >= 0:
                value = &values[i * pattern.subs_n + row.other_sub]
            if value.p != NULL:
                rc = write_record_labelled(plan, r, row, &lines[i], &values[i * pattern.subs_n], value, now)
                if rc < 0:
                    return rc
    elif write_named(plan, r, row, lines, n, now) < 0:
        return -1
    if r.out.n > SAMPLES_MAX:
        return FULL
    if row.fill:
        return write_missing(plan, r, row, fill)
    return 0

cdef inline bint has_values(Records *records, FamilyRow *row) noexcept nogil:
    """Whether a line may have the row's sub-field. False is certain."""
    if row.sub < 0 or records.subs_seen >> (row.sub & 63) & 1:
        return True
    return row.other_sub >= 0 and records.subs_seen >> (row.other_sub & 63) & 1

cdef int write_named(
    CompiledPlan plan, Reading *r, FamilyRow *row, Line *lines, size_t n, int64_t now
) noexcept nogil:
    """Records whose labels are rendered already."""
    cdef Pattern *pattern = &plan.patterns[row.pattern]
    cdef Text *values = <Text *>r.records[row.pattern].values.p
    cdef int subs_n = pattern.subs_n, sub = row.sub, transform = row.transform
    cdef const char *last = r.last
    cdef char *start = r.out.p
    cdef char *to = start + r.out.n
    cdef char *stop = start + r.out.room
    cdef char *at
    cdef char *end
    cdef Text *value
    cdef Py_ssize_t series = 0, invalid = 0
    cdef size_t i
    for i in range(n):
        value = &lines[i].value if sub < 0 else &values[i * subs_n + sub]
        if value.p == NULL:
            if row.other_sub < 0:
                continue
            value = &values[i * subs_n + row.other_sub]
            if value.p == NULL:
                continue
        if <size_t>(stop - to) < lines[i].own_n + VALUE_ROOM:
            r.out.n = to - start
            if grow(&r.out, lines[i].own_n + VALUE_ROOM) < 0:
                return -1
            start = r.out.p
            to = start + r.out.n
            stop = start + r.out.room
        to[0] = c'{'
        at = to + 1
        stride(at, lines[i].own, lines[i].own_n)
        at += lines[i].own_n
        at[0] = c'}'
        at[1] = c' '
        at += 2
        end = write_value(at, value, transform, now, last)
        if end == NULL:
            invalid += 1
        elif end != at:
            end[0] = c'\n'
            to = end + 1
            series += 1
    r.out.n = to - start
    r.series += series
    r.invalid += invalid
    return 0

cdef int write_record_labelled(
    CompiledPlan plan, Reading *r, FamilyRow *row, Line *line, Text *values, Text *value, int64_t now
) noexcept nogil:
    """A record whose labels are sub-fields, or that has no labels."""
    cdef size_t before = r.out.n
    cdef Text *label
    cdef int i
    cdef bint any_label = line.own_n > 0
    if append(&r.out, b"{", 1) < 0 or append(&r.out, line.own, line.own_n) < 0:
        return -1
    for i in range(row.sub_labels, row.sub_labels + row.sub_labels_n):
        label = &line.value if plan.numbers[i] < 0 else &values[plan.numbers[i]]
        if append_label(r, &plan.sub_openings[i], label, any_label, plan.label_max) < 0:
            return -1
        any_label = True
    if close_labels(r, before, any_label) < 0:
        return -1
    return finish(r, before, value, row.transform, now, plan.patterns[row.pattern].name_label.n == 0)

cdef int write_missing(CompiledPlan plan, Reading *r, FamilyRow *row, int fill) noexcept nogil:
    """Write 0 for each number below `fill` that has no line."""
    cdef Pattern *pattern = &plan.patterns[row.pattern]
    cdef Line *lines = <Line *>r.records[row.pattern].lines.p
    cdef size_t i, n = r.records[row.pattern].lines.n // sizeof(Line)
    cdef char *seen
    cdef int k
    cdef size_t tail_n
    cdef char *to
    if fill > FILL_MAX:
        fill = FILL_MAX
    if fill <= 0 or pattern.name_label.n == 0:
        return 0
    r.scratch.n = 0
    if reserve(&r.scratch, fill) < 0:
        return -1
    seen = r.scratch.p
    memset(seen, 0, fill)
    for i in range(n):
        if 0 <= lines[i].number < fill:
            seen[lines[i].number] = 1
    r.head.n = 0
    if append(&r.head, b"{", 1) < 0 or append(&r.head, pattern.name_label.p, pattern.name_label.n) < 0:
        return -1
    if pattern.whole and append(&r.head, pattern.prefix.p, pattern.prefix.n) < 0:
        return -1
    if reserve(&r.head, 0) < 0:
        return -1
    tail_n = 6 + pattern.suffix.n + pattern.constant.n
    for k in range(fill):
        if seen[k]:
            continue
        if reserve(&r.out, r.head.n + tail_n + 32) < 0:
            return -1
        to = r.out.p + r.out.n
        stride(to, r.head.p, r.head.n)
        to = write_int(to + r.head.n, k)
        if pattern.whole and pattern.suffix.n:
            to = put(to, pattern.suffix.p, pattern.suffix.n)
        to[0] = c'"'
        to += 1
        if pattern.constant.n:
            to[0] = c','
            to = put(to + 1, pattern.constant.p, pattern.constant.n)
        memcpy(to, b"} 0\n", 4)
        r.out.n = to + 4 - r.out.p
        r.series += 1
    return 0

cdef int write_every(CompiledPlan plan, Reading *r, FamilyRow *row, int64_t now) noexcept nogil:
    cdef Pattern *pattern = &plan.patterns[row.pattern]
    cdef Line *lines = <Line *>r.records[row.pattern].lines.p
    cdef size_t i, n = r.records[row.pattern].lines.n // sizeof(Line)
    cdef int rc, looked_at = 0
    cdef int32_t joined
    for i in range(n):
        if looked_at >= SUB_FIELDS_READ_MAX:
            r.invalid += 1
            continue
        rc = write_every_line(plan, r, row, &lines[i], now)
        if rc < 0:
            return rc
        looked_at += rc
        joined = lines[i].joined
        if joined < 0 or joined >= r.seats_n or r.seats[joined].reading != r.number:
            continue
        joined = r.seats[joined].line
        if row.sum_sub >= 0:
            rc = write_joined(
                plan, r, row, &lines[i], joined, b"_sum", 4, row.sum_sub, row.sum_transform, now
            )
            if rc < 0:
                return rc
        if row.count_sub >= 0:
            rc = write_joined(
                plan, r, row, &lines[i], joined, b"_count", 6, row.count_sub, row.count_transform, now
            )
            if rc < 0:
                return rc
    return 0

cdef int write_every_line(
    CompiledPlan plan, Reading *r, FamilyRow *row, Line *line, int64_t now
) noexcept nogil:
    """Write a sample for each sub-field. How many there are, or -1 out of memory."""
    cdef SubNames *known = &r.sub_names[row.sub_names]
    cdef SubName *name
    cdef const char *p = line.value.p
    cdef const char *end = p + line.value.n
    cdef const char *comma
    cdef const char *equals
    cdef const char *value_end
    cdef bint may_repeat = plan.patterns[row.pattern].name_label.n == 0
    cdef int j = 0, more = 0, rc
    cdef size_t before
    cdef char *to
    cdef Text value
    while p < end:
        name = &known.names[j] if j < SUB_FIELDS_MAX else NULL
        if (
            j < known.n and name.raw_n < end - p and p[name.raw_n] == c'='
            and name.raw_n <= NUMBER_MAX and same(p, name.raw, name.raw_n)
        ):
            equals = p + name.raw_n
            comma = number_span(equals + 1, end, &value.form)
            if comma < end and comma[0] != c',':
                value.form = F_ANY
                comma = find_byte(comma, end, c',')
        else:
            value.form = F_ANY
            comma = find_byte(p, end, c',')
            equals = find_byte(p, comma, c'=')
            if equals == comma:
                p = comma + 1
                continue
            if name == NULL:
                r.invalid += 1
                more += 1
                p = comma + 1
                continue
            if learn_name(plan, r, row, j, p, equals - p) < 0:
                return -1
        j += 1
        if name.state == SUB_INVALID:
            r.invalid += 1
        elif name.state == SUB_WRITTEN:
            if reserve(&r.out, line.own_n + name.label_n + 320) < 0:
                return -1
            to = r.out.p + r.out.n
            to[0] = c'{'
            to += 1
            if line.own_n:
                stride(to, line.own, line.own_n)
                to += line.own_n
                to[0] = c','
                to += 1
            stride(to, name.label, name.label_n)
            to += name.label_n
            value.p = equals + 1
            value_end = comma
            if value.form == F_ANY:
                value.p = past_blanks(value.p, comma)
                value_end = before_blanks(value.p, comma)
            value.n = <uint32_t>(value_end - value.p)
            if may_repeat:
                before = r.out.n
                r.out.n = to - r.out.p
                rc = finish(r, before, &value, row.transform, now, True)
            else:
                rc = commit(r, to, write_value(to, &value, row.transform, now, r.last))
            if rc < 0:
                return rc
        p = comma + 1
    return j + more

cdef int learn_name(
    CompiledPlan plan, Reading *r, FamilyRow *row, int j, const char *p, size_t n
) noexcept nogil:
    """Work out the label of the j-th sub-field. What was known of later ones is forgotten: a name there may
    now be the second of its kind."""
    cdef SubNames *known = &r.sub_names[row.sub_names]
    cdef SubName *name = &known.names[j]
    cdef const char *plain = past_blanks(p, p + n)
    cdef size_t plain_n = before_blanks(plain, p + n) - plain
    cdef int i, rc
    known.n = j
    if n <= NUMBER_MAX:
        name.raw_n = <uint8_t>n
        memcpy(name.raw, p, n)
    else:
        name.raw_n = NUMBER_MAX + 1     # fits no name, so the next one at this place is worked out again
    if plain_n > NUMBER_MAX:
        name.state = SUB_INVALID
        known.n = j + 1
        return 0
    r.scratch.n = 0
    if append(&r.scratch, row.sub_opening.p, row.sub_opening.n) < 0:
        return -1
    rc = put_sub_name(&r.scratch, plain, plain_n, row.sub_kind, plan.label_max)
    if rc < 0:
        return -1
    if rc == 0 and append(&r.scratch, b'"} ', 3) < 0:
        return -1
    name.state = <uint8_t>rc
    if rc == 0:
        name.label_n = <uint16_t>r.scratch.n
        memcpy(name.label, r.scratch.p, r.scratch.n)
        for i in range(j):
            if known.names[i].state == SUB_WRITTEN and known.names[i].label_n == name.label_n:
                if memcmp(known.names[i].label, name.label, name.label_n) == 0:
                    name.state = SUB_LEFT_OUT
                    break
        if row.only.n and not is_listed(&row.only, plain, plain_n):
            name.state = SUB_LEFT_OUT
    known.n = j + 1
    return 0

cdef bint is_listed(const Text *names, const char *p, size_t n) noexcept nogil:
    """Whether one of the names is these bytes. A comma stands before and behind each name."""
    cdef const char *at = names.p
    cdef const char *end = names.p + names.n
    cdef const char *comma
    while at + 1 < end:
        comma = find_byte(at + 1, end, c',')
        if <size_t>(comma - at - 1) == n and memcmp(at + 1, p, n) == 0:
            return True
        at = comma
    return False

cdef int write_joined(
    CompiledPlan plan, Reading *r, FamilyRow *row, Line *line, int32_t joined, const char *suffix,
    size_t suffix_n, int sub, int transform, int64_t now,
) noexcept nogil:
    cdef int other = plan.patterns[row.pattern].joined
    cdef Text *value = &(<Text *>r.records[other].values.p)[joined * plan.patterns[other].subs_n + sub]
    cdef size_t before = r.out.n
    cdef char *to
    if value.p == NULL:
        return 0
    if reserve(&r.out, line.own_n + VALUE_ROOM) < 0:
        return -1
    to = r.out.p + r.out.n
    to = put(to, suffix, suffix_n)
    if line.own_n:
        to[0] = c'{'
        to += 1
        stride(to, line.own, line.own_n)
        to += line.own_n
        to[0] = c'}'
        to[1] = c' '
        to += 2
    else:
        to[0] = c' '
        to += 1
    r.out.n = to - r.out.p
    return finish(r, before, value, transform, now, plan.patterns[row.pattern].name_label.n == 0)
