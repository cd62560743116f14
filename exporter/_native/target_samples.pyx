"""The series about one target, read off the object that counts them: this happens after every poll."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_Next
from cpython.mem cimport PyMem_RawFree
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_CheckExact
from cpython.object cimport PyObject
from libc.math cimport fabs, floor
from libc.stdint cimport int32_t, int64_t, uint32_t
from libc.string cimport memset

from exporter._native.blocks cimport Written, pack
from exporter._native.buffers cimport Buffer, Text, append, put, raw_zeros, release, reserve
from exporter._native.labels cimport Labels
from exporter._native.numbers cimport put_escaped, write_int
from exporter._native.samples cimport format_value

cdef enum:
    LABEL_MAX = 1024            # bytes of a label value
    KNOWN_MAX = 64              # label values that are kept as text
    ROOM = 4096                 # bytes: most targets have less

cdef enum Kind:
    # the families, in their order
    UP, DOWN, DURATION, CONNECT, PING, ERROR, LAST_SUCCESS, STALE, POLLS, FAILURES, SKIPPED, SERIES, REFUSED
    DROPPED, LAG_BYTES, LAG_SECONDS, RECEIVED, SENT, CONNECTIONS, SERVER_SECONDS, SUCCESS, SUPPORTED, KINDS

cdef struct Head:
    int family
    Text first                  # the first label and its opening quote; the bytes belong to `_kept`
    Text second

cdef struct Page:
    Buffer out
    int32_t *ends
    int family                  # the newest one that has begun
    Py_ssize_t series

cdef char *write_millionths(char *to, int units) noexcept nogil:
    """Less than 100 millionths, with an exponent as Python writes it."""
    if units < 10:
        to[0] = <char>(c'0' + units)
        return put(to + 1, b"e-06", 4)
    to[0] = <char>(c'0' + units // 10)
    to += 1
    if units % 10:
        to[0] = c'.'
        to[1] = <char>(c'0' + units % 10)
        to += 2
    return put(to, b"e-05", 4)

cdef char *write_rounded(char *to, double value, int decimals) noexcept nogil:
    """The text of the value rounded to 3 or 6 decimals, as Python rounds it and writes the result. NULL where
    that needs more care: near the middle of two results."""
    cdef double scaled = value * (1000.0 if decimals == 3 else 1000000.0)
    cdef double whole = floor(scaled)
    cdef int64_t units, part
    cdef int64_t one = 1000 if decimals == 3 else 1000000
    cdef int n = decimals, i
    if not 0 <= scaled < 1e13 or fabs(scaled - whole - 0.5) < 0.01:
        return NULL
    units = <int64_t>whole + (scaled - whole > 0.5)
    if units and units * 10000 < one:
        return write_millionths(to, <int>units)
    to = write_int(to, units // one)
    part = units % one
    if part == 0:
        return to
    while part % 10 == 0:
        part //= 10
        n -= 1
    to[0] = c'.'
    for i in range(n, 0, -1):
        to[i] = <char>(c'0' + part % 10)
        part //= 10
    return to + n + 1

cdef class TargetSamples:
    cdef int _count
    cdef Head _heads[<int>KINDS]
    cdef list _kept
    cdef list _recent           # shapes
    cdef Text *_names           # of all families of the set
    cdef dict _labels           # label values as text, by what they come from

    def __cinit__(self, rows, numbers):
        cdef int i
        if len(numbers) != KINDS or any(b <= a for a, b in zip(numbers, numbers[1:])):
            raise ValueError("the numbers of the families must rise, and be those of all kinds")
        if not 0 <= numbers[0] <= numbers[KINDS - 1] < len(rows):
            raise ValueError("no such family")
        self._count = len(rows)
        self._labels = {}
        self._kept = []
        self._recent = []
        self._names = <Text *>raw_zeros(self._count + 1, sizeof(Text))
        for i, (name, _) in enumerate(rows):
            self._names[i] = self._keep(name)
        for i in range(<int>KINDS):
            _, labels = rows[numbers[i]]
            self._heads[i].family = numbers[i]
            if len(labels) > 0:
                self._heads[i].first = self._keep(labels[0] + b'="')
            if len(labels) > 1:
                self._heads[i].second = self._keep(b'",' + labels[1] + b'="')

    def __dealloc__(self):
        PyMem_RawFree(self._names)

    cdef Text _keep(self, bytes text):
        cdef Text kept
        self._kept.append(text)
        kept.p = PyBytes_AS_STRING(text)
        kept.n = <uint32_t>PyBytes_GET_SIZE(text)
        kept.form = 0
        return kept

    cdef bytes _label(self, key):
        """A label value as text. `key` is a str, or has one as its value."""
        cdef Buffer out
        cdef bytes own
        text = self._labels.get(key)
        if text is not None:
            return <bytes>text
        own = (key if isinstance(key, str) else key.value).encode("utf-8", "replace")
        memset(&out, 0, sizeof(Buffer))
        try:
            if put_escaped(&out, PyBytes_AS_STRING(own), PyBytes_GET_SIZE(own), LABEL_MAX) < 0:
                raise MemoryError
            text = PyBytes_FromStringAndSize(out.p, out.n) if out.n else b""
        finally:
            release(&out)
        if len(self._labels) < KNOWN_MAX:
            self._labels[key] = text
        return text

    cdef int _begin(self, Page *page, Kind kind, bytes own=None, bytes second=None) except -1:
        """Write what stands between name and value."""
        cdef Head *head = &self._heads[<int>kind]
        cdef Buffer *out = &page.out
        cdef size_t size = head.first.n + head.second.n + 8
        cdef char *to
        while page.family < head.family:
            page.family += 1
            page.ends[page.family] = <int32_t>out.n
        if own is not None:
            size += PyBytes_GET_SIZE(own)
        if second is not None:
            size += PyBytes_GET_SIZE(second)
        if reserve(out, size) < 0:
            raise MemoryError
        to = out.p + out.n
        if own is None:
            to[0] = c' '
            to += 1
        else:
            to[0] = c'{'
            to += 1
            to = put(to, head.first.p, head.first.n)
            to = put(to, PyBytes_AS_STRING(own), PyBytes_GET_SIZE(own))
            if second is not None:
                to = put(to, head.second.p, head.second.n)
                to = put(to, PyBytes_AS_STRING(second), PyBytes_GET_SIZE(second))
            to = put(to, b'"} ', 3)
        out.n = to - out.p
        return 0

    cdef int _end(self, Page *page, value, int decimals=0) except -1:
        """Write the value, rounded if it has `decimals`, and end the line."""
        cdef Buffer *out = &page.out
        cdef char *end = NULL
        cdef bytes text
        if reserve(out, 64) < 0:
            raise MemoryError
        if type(value) is int and -(1 << 62) < value < 1 << 62:
            end = write_int(out.p + out.n, value)
        elif decimals and PyFloat_CheckExact(value):
            end = write_rounded(out.p + out.n, PyFloat_AS_DOUBLE(value), decimals)
        if end != NULL:
            out.n = end - out.p
        else:
            text = format_value(round(value, decimals) if decimals else value)
            if reserve(out, PyBytes_GET_SIZE(text) + 8) < 0:
                raise MemoryError
            append(out, PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
        out.p[out.n] = c'\n'       # there is room: `reserve` keeps some bytes more
        out.n += 1
        page.series += 1
        return 0

    cdef int _write_lanes(self, Page *page, series) except -1:
        cdef dict lanes = series.lanes
        cdef list counts = []
        cdef PyObject *key
        cdef PyObject *item
        cdef Py_ssize_t at = 0
        while PyDict_Next(lanes, &at, &key, &item):
            counts.append((self._label(<object>key), <object>item))
        for own, count in counts:
            if count.succeeded_at is not None:
                self._begin(page, LAST_SUCCESS, own)
                self._end(page, count.succeeded_at, 3)
        for own, count in counts:
            if count.succeeded_at is not None:
                self._begin(page, STALE, own)
                self._end(page, 1 if count.stale else 0)
        for own, count in counts:
            self._begin(page, POLLS, own)
            self._end(page, count.polls)
        for reason, failed in (<dict>series.failures).items():
            self._begin(page, FAILURES, self._label(reason))
            self._end(page, failed)
        for own, count in counts:
            if count.skipped:
                self._begin(page, SKIPPED, own)
                self._end(page, count.skipped)
        return 0

    cdef int _write_collectors(self, Page *page, series) except -1:
        cdef dict collectors = series.collectors
        cdef tuple outcome
        cdef bint any_unsupported = False
        for lane_and_source, spent_s in (<dict>series.server_seconds).items():
            lane, source = lane_and_source
            self._begin(page, SERVER_SECONDS, self._label(lane), self._label(source))
            self._end(page, spent_s, 6)
        for name, outcome in collectors.items():
            self._begin(page, SUCCESS, self._label(name))
            self._end(page, 1 if outcome[0] else 0)
            any_unsupported = any_unsupported or not outcome[1]
        if any_unsupported:
            for name, outcome in collectors.items():
                if not outcome[1]:
                    self._begin(page, SUPPORTED, self._label(name))
                    self._end(page, 0)
        return 0

    cdef int _write(self, Page *page, series) except -1:
        cdef bytes reason
        up = series.up
        if up is not None:
            reason = self._label(series.reason)
            self._begin(page, UP)
            self._end(page, 1 if up else 0)
            if not up:
                self._begin(page, DOWN, reason)
                self._end(page, 1)
            self._begin(page, DURATION)
            self._end(page, series.duration_s, 6)
            self._begin(page, CONNECT)
            self._end(page, series.connect_s, 6)
            if series.ping_s is not None:
                self._begin(page, PING)
                self._end(page, series.ping_s, 6)
            self._begin(page, ERROR, reason)
            self._end(page, 0 if up else 1)
        self._write_lanes(page, series)
        self._begin(page, SERIES)
        self._end(page, series.series)
        if series.refused:
            self._begin(page, REFUSED)
            self._end(page, series.refused)
        if series.dropped:
            self._begin(page, DROPPED)
            self._end(page, series.dropped)
        if series.replica_lag is not None:
            behind, seconds, source = series.replica_lag
            self._begin(page, LAG_BYTES, self._label(source))
            self._end(page, behind)
            if seconds is not None:
                self._begin(page, LAG_SECONDS, self._label(source))
                self._end(page, seconds, 3)
        traffic = series.traffic
        if traffic is not None:
            self._begin(page, RECEIVED)
            self._end(page, traffic.received)
            self._begin(page, SENT)
            self._end(page, traffic.sent)
            self._begin(page, CONNECTIONS)
            self._end(page, traffic.connections)
        return self._write_collectors(page, series)

    def block(self, series, Labels labels not None):
        cdef Page page
        cdef bytes offsets
        cdef Written written
        if series.paused_until is not None or series.cuts or series.conflicts or series.strain:
            return None
        memset(&page, 0, sizeof(Page))
        offsets = PyBytes_FromStringAndSize(NULL, (self._count + 1) * sizeof(int32_t))
        page.ends = <int32_t *>PyBytes_AS_STRING(offsets)
        page.ends[0] = 0
        try:
            if reserve(&page.out, ROOM) < 0:
                raise MemoryError
            self._write(&page, series)
            if page.out.n > 0x7FFFFFFF:
                raise OverflowError("a block holds 2 GB at most")
            while page.family < self._count:
                page.family += 1
                page.ends[page.family] = <int32_t>page.out.n
            memset(&written, 0, sizeof(Written))
            written.text, written.ends, written.families = page.out.p, page.ends, self._count
            written.names, written.series = self._names, page.series
            return pack(&written, labels, (), None, self._recent)
        finally:
            release(&page.out)
