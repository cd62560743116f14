"""The walk over replies, for those who read them without the GIL."""

from libc.stdint cimport int64_t, uint64_t

cdef enum:                      # how a walk stops
    C_MORE = 0
    C_DONE = 1
    C_TOO_LARGE = 2
    C_SKIPPED = 3
    C_BROKEN = 4
    C_HOPELESS = 5

cdef enum:
    ENDS_KEPT = 1024            # replies that room is kept for from one exchange to the next
    DEPTH_MAX = 32              # lists within lists; the deepest reply on record has 6
    LINE_MAX = 65536            # bytes of a status or an error
    ERRORS_MAX = 100            # errors within lists of all replies: each becomes a Python object

cdef struct Walk:
    int64_t bytes_max           # of one reply
    int64_t elements_max        # announced by one reply, all its lists together
    int64_t total_max           # bytes of all replies of an exchange
    int64_t total               # bytes walked over before these
    int64_t frame_n             # bytes of the reply under way that came before these
    int64_t elements            # what the reply under way has announced
    int64_t errors              # within lists so far
    int64_t body                # bytes of a bulk that are still to come
    uint64_t number             # of a header, without its sign
    int64_t left[DEPTH_MAX]     # elements that are still to come, by depth
    int64_t *ends               # where each reply ended, in bytes walked over; room for `wanted`, or NULL
    int line_n                  # of a header or a text, as far as it came
    int depth
    int wanted
    int finished
    int state
    int why
    char kind
    bint negative
    bint skipping

cdef void begin_walk(
    Walk *w, int wanted, int64_t *ends, int64_t bytes_max, int64_t elements_max, int64_t total_max
) noexcept nogil
cdef int walk(Walk *w, const char *p, size_t n, size_t *at, size_t *kept) noexcept nogil
