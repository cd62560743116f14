"""Where replies end and whether they may be read: a walk over what a server sends, before any object is made
of it.

`engine/plain/frames.py` specifies it. The walk keeps nothing that it passes: it checks type bytes, lengths
and counts, and steps over the content of a bulk.
https://redis.io/docs/latest/develop/reference/protocol-spec/
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memset

cdef enum:  # what is expected next
    S_TYPE = 0
    S_TEXT = 1
    S_NUMBER = 2
    S_NUMBER_LF = 3
    S_BODY = 4
    S_CR = 5
    S_LF = 6

cdef enum:
    ELEMENT_MIN = 3             # bytes that the shortest element takes
    PLAIN_ROOM = 16             # bytes of a number that has no sign and is no larger than most, with its CR

cdef uint64_t NUMBER_MAX = 0x7FFFFFFFFFFFFFFF

MORE, DONE, TOO_LARGE, SKIPPED, BROKEN, HOPELESS = C_MORE, C_DONE, C_TOO_LARGE, C_SKIPPED, C_BROKEN, C_HOPELESS

cdef tuple WHYS = (
    "",
    "a reply of an unknown type",
    "a line that does not end in CR LF",
    "an invalid number",
    "a length or count below zero",
    "lists are nested too deeply",
    "a reply has too many bytes",
    "a reply has too many elements",
    "a line is too long",
    "the replies have too many bytes in all",
    "the replies have too many errors within lists",
)

cdef enum:
    W_TYPE = 1
    W_LINE = 2
    W_NUMBER = 3
    W_NEGATIVE = 4
    W_DEEP = 5
    W_BYTES = 6
    W_ELEMENTS = 7
    W_LONG_LINE = 8
    W_TOTAL = 9
    W_ERRORS = 10

cdef void begin_walk(
    Walk *w, int wanted, int64_t *ends, int64_t bytes_max, int64_t elements_max, int64_t total_max
) noexcept nogil:
    memset(w, 0, sizeof(Walk))
    w.wanted = wanted
    w.ends = ends
    w.bytes_max = bytes_max
    w.elements_max = elements_max
    w.total_max = total_max

cdef inline int fail(Walk *w, int code, int why) noexcept nogil:
    w.why = why
    return code

cdef inline int check_number(Walk *w) noexcept nogil:
    """W_NUMBER or W_NEGATIVE for the digits of a header that may not stand there, else 0."""
    if w.line_n == 0 or (w.negative and w.number == 0):
        return W_NUMBER
    if w.kind != c':' and w.negative and w.number != 1:     # of $ and *: -1 alone
        return W_NEGATIVE
    return 0

cdef inline const char *past_plain_number(Walk *w, const char *p) noexcept nogil:
    """Past the CR of the digits at p, as most numbers are; p where they are not, for the long way. There are
    PLAIN_ROOM bytes."""
    cdef const char *q = p
    cdef uint64_t number = 0
    while c'0' <= q[0] <= c'9' and q - p < PLAIN_ROOM - 1:
        number = 10 * number + <uint64_t>(q[0] - c'0')
        q += 1
    if q == p or q[0] != c'\r' or (p[0] == c'0' and q - p > 1):
        return p
    w.number = number
    w.line_n = <int>(q - p)
    w.state = S_NUMBER_LF
    return q + 1

cdef int walk(Walk *w, const char *p, size_t n, size_t *at, size_t *kept) noexcept nogil:
    """Walk on from p[at[0]]. `at` becomes where it stops, `kept` where the reply under way begins (0: before
    p)."""
    cdef const char *q = p + at[0]
    cdef const char *end = p + n
    cdef const char *begin = q      # of the reply under way; its bytes before these are in frame_n
    cdef int64_t before = w.total - <int64_t>at[0]      # before p
    cdef int64_t size
    cdef int code = C_MORE, why
    cdef bint closes
    cdef char c
    kept[0] = at[0]
    if before + <int64_t>n > w.total_max:
        return fail(w, C_HOPELESS, W_TOTAL)
    while q < end:
        closes = False
        if w.state == S_BODY:
            if w.body > end - q:
                w.body -= end - q
                q = end
                break
            q += w.body
            w.body = 0
            w.state = S_CR
        elif w.state == S_TYPE:
            if w.depth and not w.skipping and w.frame_n + (q - begin) > w.bytes_max:
                w.skipping = True
                code = fail(w, C_TOO_LARGE, W_BYTES)
                break
            w.kind = q[0]
            q += 1
            w.line_n = 0
            if w.kind == c'+' or w.kind == c'-':
                w.state = S_TEXT
                if w.kind == c'-' and w.depth and not w.skipping:
                    w.errors += 1
                    if w.errors > ERRORS_MAX:
                        w.skipping = True
                        code = fail(w, C_TOO_LARGE, W_ERRORS)
                        break
            elif w.kind == c'$' or w.kind == c'*' or w.kind == c':':
                w.state = S_NUMBER
                w.number = 0
                w.negative = False
                if end - q >= PLAIN_ROOM:
                    q = past_plain_number(w, q)
            else:
                code = fail(w, C_BROKEN, W_TYPE)
                break
        elif w.state == S_NUMBER:
            c = q[0]
            q += 1
            if c'0' <= c <= c'9' and w.line_n < 19 and not (w.line_n == 1 and w.number == 0):
                if w.number > (NUMBER_MAX + w.negative - (c - c'0')) // 10:
                    code = fail(w, C_BROKEN, W_NUMBER)
                    break
                w.number = 10 * w.number + (c - c'0')
                w.line_n += 1
            elif c == c'-' and w.line_n == 0 and not w.negative:
                w.negative = True
            elif c == c'\r':
                why = check_number(w)
                if why:
                    code = fail(w, C_BROKEN, why)
                    break
                w.state = S_NUMBER_LF
            else:
                code = fail(w, C_BROKEN, W_NUMBER)
                break
        elif w.state == S_NUMBER_LF:
            if q[0] != c'\n':
                code = fail(w, C_BROKEN, W_LINE)
                break
            q += 1
            w.state = S_TYPE
            if w.kind == c':' or w.negative:
                closes = True
            elif w.kind == c'$':
                w.body = <int64_t>w.number
                w.state = S_BODY if w.body else S_CR
                if w.body > w.total_max - before - (q - p):
                    code = fail(w, C_HOPELESS, W_BYTES)
                    break
                if not w.skipping and w.frame_n + (q - begin) + w.body > w.bytes_max:
                    w.skipping = True
                    code = fail(w, C_TOO_LARGE, W_BYTES)
                    break
            elif w.number == 0:
                closes = True
            else:
                if w.depth == DEPTH_MAX:
                    code = fail(w, C_BROKEN, W_DEEP)
                    break
                size = <int64_t>w.number
                if size > (w.total_max - before - (q - p)) // ELEMENT_MIN:
                    code = fail(w, C_HOPELESS, W_ELEMENTS)
                    break
                w.left[w.depth] = size
                w.depth += 1
                if not w.skipping:  # else nothing bounds the sum
                    w.elements += size
                    if w.elements > w.elements_max:
                        w.skipping = True
                        code = fail(w, C_TOO_LARGE, W_ELEMENTS)
                        break
        elif w.state == S_TEXT:
            while q < end and q[0] != c'\r' and q[0] != c'\n' and w.line_n < LINE_MAX:
                q += 1
                w.line_n += 1
            if q == end:
                break
            if q[0] == c'\r':
                q += 1
                w.state = S_LF
            elif q[0] == c'\n':
                code = fail(w, C_BROKEN, W_LINE)
                break
            else:
                code = fail(w, C_HOPELESS, W_LONG_LINE)
                break
        elif w.state == S_CR:
            if q[0] != c'\r':
                code = fail(w, C_BROKEN, W_LINE)
                break
            q += 1
            w.state = S_LF
        else:
            if q[0] != c'\n':
                code = fail(w, C_BROKEN, W_LINE)
                break
            q += 1
            w.state = S_TYPE
            closes = True
        if closes:
            while w.depth:
                w.left[w.depth - 1] -= 1
                if w.left[w.depth - 1]:
                    break
                w.depth -= 1
            else:
                if w.ends != NULL and w.finished < w.wanted:    # a walk may go on after its end
                    w.ends[w.finished] = before + (q - p)
                w.finished += 1
                w.frame_n = 0
                w.elements = 0
                begin = q
                if w.skipping:
                    w.skipping = False
                    code = C_SKIPPED
                    break
                if w.finished == w.wanted:
                    code = C_DONE
                    break
    at[0] = q - p
    w.total = before + (q - p)
    kept[0] = begin - p
    w.frame_n += q - begin
    return code

cdef class Frames:
    """See `_fastparse.pyi`."""
    cdef Walk w
    cdef readonly Py_ssize_t at
    cdef readonly Py_ssize_t kept
    cdef int64_t *ends_room
    cdef int room               # of `ends_room`

    def __dealloc__(self):
        PyMem_Free(self.ends_room)

    def expect(self, int replies, long long bytes_max, long long elements_max, long long total_max):
        if replies > self.room or self.room > ENDS_KEPT:
            self._make_room(max(replies, 0))
        begin_walk(&self.w, replies, self.ends_room, bytes_max, elements_max, total_max)
        self.at = self.kept = 0

    cdef int _make_room(self, int replies) except -1:
        PyMem_Free(self.ends_room)
        self.room = 0
        self.ends_room = <int64_t *>PyMem_Malloc(max(replies, 1) * sizeof(int64_t))
        if self.ends_room == NULL:
            raise MemoryError
        self.room = replies
        return 0

    def scan(self, bytes data not None, Py_ssize_t begin=0):
        cdef size_t at = max(begin, 0), kept
        cdef int code
        if at > <size_t>PyBytes_GET_SIZE(data):
            raise ValueError("beyond the data")
        code = walk(&self.w, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), &at, &kept)
        self.at = at
        self.kept = kept
        return code

    @property
    def finished(self):
        return self.w.finished

    @property
    def ends(self):
        cdef int i
        return tuple([self.ends_room[i] for i in range(min(self.w.finished, self.room, self.w.wanted))])

    @property
    def skipping(self):
        return self.w.skipping

    @property
    def why(self):
        return WHYS[self.w.why]
