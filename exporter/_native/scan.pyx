"""The first pass over a text: what stands where.

A line is recognised by comparing its key with the one that stood at this place in the target's last reply.
Values are noted as (pointer, length); nothing is copied.
"""

from libc.stdint cimport int8_t, int32_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy, memset

from exporter._native.buffers cimport (
    Text, append, before_blanks, find_byte, is_blank, past_blanks, reserve, same,
)
from exporter._native.interner cimport (
    Entry, GROUP_CURRENT, KEY_OF_FIELD, KEY_OF_RECORD, UNNUMBERED, entry_at,
)
from exporter._native.keys cimport intern
from exporter._native.labels cimport remember_order
from exporter._native.numbers cimport F_ANY, number_span
from exporter._native.plan cimport Pattern
from exporter._native.reading cimport (
    EXPECTED_MAX, ExpectedSub, GROUPS_MAX, GroupValue, Line, Records, Seat, seat_of,
)

cdef enum:
    LOOK_AHEAD = 8              # lines that may vanish at once before hashing takes over for one reply

cdef int scan(CompiledPlan plan, Reading *r, const char *p, size_t n, LineOrder order) noexcept nogil:
    """Note the value of every line that the plan wants. 0, or -1 out of memory."""
    cdef const char *end = p + n
    cdef const char *stop
    cdef const char *colon
    cdef const char *value
    cdef Entry *entry
    cdef Entry *expected
    cdef int32_t id
    cdef int form
    cdef int at = 0, known = order.n if order is not None else 0
    cdef int32_t *ids = order.ids if order is not None else NULL
    cdef bint as_before = True      # every line so far was expected: `ids` up to `at` are this reading's too
    cdef int i
    cdef size_t key_n
    while p < end:
        if <unsigned char>p[0] <= c' ':
            if is_blank(p[0]):
                p += 1
                continue
            if p[0] == c'\n' or (p[0] == c'\r' and (p + 1 == end or p[1] == c'\n')):
                p += 1
                continue
        entry = NULL
        if p[0] == c'#':
            stop = <const char *>memchr(p, c'\n', end - p)
            p = end if stop == NULL else stop + 1
            continue
        if at < known and ids[at] >= 0:
            id = ids[at]
            expected = entry_at(&plan.interned_keys, id)
            if end - p > expected.key_n and p[expected.key_n] == c':':
                if same(p, expected.key, expected.key_n):
                    entry = expected
                    key_n = expected.key_n
                    at += 1
        if entry == NULL:
            stop = find_byte(p, end, c'\n')
            colon = <const char *>memchr(p, c':', stop - p)
            if colon == NULL:
                p = stop + 1
                continue
            key_n = colon - p
            if intern(plan, r, p, key_n, -1, &entry, &id) < 0:
                return -1
            if as_before:
                as_before = False
                if append(&r.ids, <char *>ids, at * sizeof(int32_t)) < 0:
                    return -1
            for i in range(at, min(at + LOOK_AHEAD, known)):
                if ids[i] == id:
                    at = i + 1
                    break
        value = p + key_n + 1
        colon = number_span(value, end, &form)      # the value's end, if the line ends there
        if end - colon >= 2 and colon[0] == c'\r' and colon[1] == c'\n':
            stop = colon + 1
        else:
            form = F_ANY
            stop = find_byte(colon, end, c'\n')
            colon = stop
            if colon > value and (colon - 1)[0] == c'\r':
                colon -= 1
            value = past_blanks(value, colon)
            colon = before_blanks(value, colon)
        if entry.kind == KEY_OF_FIELD:
            take_field(r, entry, value, colon - value, form)
        elif entry.kind == KEY_OF_RECORD:
            if take_record(plan, r, entry, &id, p, value, colon) < 0:
                return -1
            if as_before and id != ids[at - 1]:     # the name holds a colon: another key than expected
                as_before = False
                if append(&r.ids, <char *>ids, (at - 1) * sizeof(int32_t)) < 0:
                    return -1
        if not as_before and append(&r.ids, <char *>&id, sizeof(int32_t)) < 0:
            return -1
        p = stop + 1
    if order is None or (as_before and at == known):
        return 0
    if as_before and append(&r.ids, <char *>ids, at * sizeof(int32_t)) < 0:
        return -1
    return remember_order(order, &r.ids)

cdef inline void take_field(Reading *r, Entry *entry, const char *value, size_t n, int form) noexcept nogil:
    cdef int group = entry.group
    cdef Text *field
    if entry.sets_group or group == GROUP_CURRENT:
        group = enter_group(r, entry)
        if group < 0:
            return
        if group:
            take_group_value(r, group, entry.row, value, n)
            return
    field = &r.fields[entry.row]
    if field.p == NULL:
        field.p = value
        field.n = <uint32_t>n
        field.form = form

cdef int enter_group(Reading *r, Entry *entry) noexcept nogil:
    """The group that a field of a master belongs to; -1 where there are too many."""
    cdef int i, group = entry.group
    if group == GROUP_CURRENT:
        return r.group
    if group == 0:
        if entry.names_master:
            if r.hosts:
                r.unnumbered = UNNUMBERED + r.hosts
            r.hosts += 1
        group = r.unnumbered
    for i in range(r.groups_n):
        if r.groups[i] == group:
            r.group = group
            return group
    if r.groups_n >= GROUPS_MAX:
        return -1
    r.groups[r.groups_n] = group
    r.groups_n += 1
    r.group = group
    return group

cdef void take_group_value(Reading *r, int group, int slot, const char *value, size_t n) noexcept nogil:
    cdef GroupValue *known = <GroupValue *>r.group_values.p
    cdef size_t i, count = r.group_values.n // sizeof(GroupValue)
    for i in range(count):
        if known[i].group == group and known[i].slot == slot:
            return
    if reserve(&r.group_values, sizeof(GroupValue)) < 0:
        return
    known = <GroupValue *>(r.group_values.p + r.group_values.n)
    known.group = group
    known.slot = slot
    known.value.p = value
    known.value.n = <uint32_t>n
    known.value.form = F_ANY
    r.group_values.n += sizeof(GroupValue)

cdef int take_record(
    CompiledPlan plan, Reading *r, Entry *entry, int32_t *id, const char *line, const char *value,
    const char *end,
) noexcept nogil:
    """Note a line of a pattern. `id` becomes that of its true key. 0, or -1 out of memory."""
    cdef Pattern *pattern = &plan.patterns[entry.row]
    cdef Records *records
    cdef const char *name_end
    cdef Line *fresh
    cdef Text *values
    cdef Seat *seat
    cdef size_t first_n = pattern.first.n
    cdef bint ends_elsewhere = entry.holds_colon and memchr(value, c':', end - value) != NULL
    if first_n and (
        ends_elsewhere or <size_t>(end - value) < first_n or not same(value, pattern.first.p, first_n)
    ):
        value = after_last_colon(line + entry.key_n + 1, end)
        name_end = value - 1
        value = past_blanks(value, end)
        while name_end > line and (name_end - 1)[0] == c':':
            name_end -= 1
        if intern(plan, r, line, name_end - line, entry.row, &entry, id) < 0:
            return -1
    if entry.subject < r.seats_n:
        seat = &r.seats[entry.subject]
    else:
        seat = seat_of(r, entry.subject)
        if seat == NULL:
            return -1
    if seat.reading == r.number and pattern.name_label.n:
        return 0
    records = &r.records[entry.row]
    if reserve(&records.lines, sizeof(Line)) < 0:
        return -1
    if reserve(&records.values, pattern.subs_n * sizeof(Text)) < 0:
        return -1
    if pattern.subs_n:
        values = <Text *>(records.values.p + records.values.n)
        memset(values, 0, pattern.subs_n * sizeof(Text))
        if take_subs(pattern, records, value, end, values) == 0 and not pattern.any_value:
            return 0
        records.values.n += pattern.subs_n * sizeof(Text)
    if seat.reading != r.number:
        seat.reading = r.number
        seat.line = <int32_t>(records.lines.n // sizeof(Line))
    fresh = <Line *>(records.lines.p + records.lines.n)
    fresh.value.p = value
    fresh.value.n = <uint32_t>(end - value)
    fresh.value.form = F_ANY
    fresh.own = entry.own
    fresh.own_n = entry.own_n
    fresh.number = entry.number
    fresh.joined = entry.joined
    records.lines.n += sizeof(Line)
    return 0

cdef const char *after_last_colon(const char *p, const char *end) noexcept nogil:
    """What stands behind the last colon between p and `end`; p where there is none."""
    while end > p and (end - 1)[0] != c':':
        end -= 1
    return end

cdef int take_subs(
    Pattern *pattern, Records *records, const char *p, const char *end, Text *values
) noexcept nogil:
    """Note the sub-fields that families use; the first of a name counts. Returns how many there are."""
    cdef int j = 0, sub, found = 0
    cdef int form
    cdef const char *comma
    cdef const char *equals
    cdef const char *name
    cdef const char *value
    cdef const char *value_end
    cdef ExpectedSub *expected
    while p < end:
        expected = &records.expected[j]
        if j < records.expected_n and expected.key_n <= end - p and same(p, expected.key, expected.key_n):
            sub = expected.sub
            value = p + expected.key_n
        else:
            comma = find_byte(p, end, c',')
            equals = <const char *>memchr(p, c'=', comma - p)
            if equals == NULL:
                p = comma + 1
                continue
            value = equals + 1
            name = past_blanks(p, equals)
            sub = sub_of(pattern, name, before_blanks(name, equals) - name)
            if value - p < <Py_ssize_t>sizeof(expected.key) and j <= records.expected_n:
                memcpy(expected.key, p, value - p)
                expected.key_n = <uint8_t>(value - p)
                expected.sub = <int8_t>sub
                if j == records.expected_n:
                    records.expected_n += 1
        comma = value_end = number_span(value, end, &form)
        if comma < end and comma[0] != c',':
            form = F_ANY
            comma = find_byte(comma, end, c',')
            value = past_blanks(value, comma)
            value_end = before_blanks(value, comma)
        if sub >= 0 and values[sub].p == NULL:
            values[sub].p = value
            values[sub].n = <uint32_t>(value_end - value)
            values[sub].form = form
            records.subs_seen |= <uint64_t>1 << (sub & 63)
            found += 1
        p = comma + 1
        if j < EXPECTED_MAX - 1:
            j += 1
    return found

cdef inline int sub_of(Pattern *pattern, const char *name, size_t n) noexcept nogil:
    """Which of the sub-fields that families use has this name, else -1."""
    cdef int i
    for i in range(pattern.subs_n):
        if pattern.subs[i].n == n and memcmp(pattern.subs[i].p, name, n) == 0:
            return i
    return -1
