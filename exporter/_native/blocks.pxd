"""The samples of one target and family set as they are kept: what targets share, and what only one has."""

from libc.stdint cimport int32_t, uint32_t, uint64_t

from exporter._native.buffers cimport Buffer, Text, stride
from exporter._native.labels cimport LabelText, Labels

cdef extern from *:
    """
    #include <string.h>
    #include <stdint.h>
    #if defined(__SSE2__)
    #include <emmintrin.h>
    #endif
    /* Copy up to the line break, with it, in strides of 16 bytes; both sides are padded. Returns how many
       bytes the line has. */
    static inline size_t redpoll_line(char *to, const char *from) {
        const char *p = from;
        for (;;) {
    #if defined(__SSE2__)
            __m128i x = _mm_loadu_si128((const __m128i *)p);
            int found = _mm_movemask_epi8(_mm_cmpeq_epi8(x, _mm_set1_epi8('\\n')));
            _mm_storeu_si128((__m128i *)to, x);
            if (found) return (size_t)(p - from) + (size_t)__builtin_ctz((unsigned)found) + 1;
            p += 16; to += 16;
    #else
            if ((*to++ = *p++) == '\\n') return (size_t)(p - from);
    #endif
        }
    }
    /* Whether n bytes are the same; both sides are padded. */
    static inline int redpoll_begins(const char *a, const char *b, size_t n) {
    #if defined(__SSE2__)
        size_t i = 0;
        do {
            __m128i x = _mm_loadu_si128((const __m128i *)(a + i));
            __m128i y = _mm_loadu_si128((const __m128i *)(b + i));
            unsigned differs = 0xFFFFU & ~(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(x, y));
            if (differs) return i + (size_t)__builtin_ctz(differs) >= n;
            i += 16;
        } while (i < n);
        return 1;
    #else
        return memcmp(a, b, n) == 0;
    #endif
    }
    """
    bint begins "redpoll_begins"(const char *a, const char *b, size_t n) nogil
    size_t copy_line "redpoll_line"(char *to, const char *src) nogil

cdef enum:
    DATA_PAD = 32               # bytes behind what a block and a shape hold

cdef enum:
    BARE = 0xFFFFFFFF           # in the place of `own_at`: a sample without labels of its own

cdef struct Place:              # what stands before the value of one sample
    uint32_t name_at
    uint32_t name_n
    uint32_t own_at             # its own labels behind the brace: `cmd="get"} `
    uint32_t own_n              # 0: they are in the line

cdef struct FamilyHeads:        # sums over all families before it
    uint32_t places
    uint32_t opened             # places that have labels of their own
    uint32_t bare
    uint32_t size               # of names and own labels

cdef struct Heads:
    FamilyHeads *families       # one more than there are
    Place *places
    char *texts

cdef class Shape:
    cdef Heads heads
    cdef int families
    cdef Py_ssize_t texts_n
    cdef object hash            # its key among all shapes; None: it is not there

cdef class Block:
    # Which families have changed, for `segments`. Blocks that took each other's place are a lineage.
    cdef uint64_t lineage       # 0: it has not been stored yet
    cdef uint32_t step          # how many blocks of its lineage were before it
    cdef bint is_followed
    cdef unsigned char *since   # by family: how many steps ago it changed, at most 255; NULL at step 0
    cdef int families
    cdef Shape shape            # None: the lines are whole samples
    cdef Labels labels
    cdef bint is_view           # the memory behind `ends` belongs to `owner`
    cdef Block owner
    cdef int32_t *ends          # of families, in `lines`; one more than there are
    cdef char *lines            # with a shape the values of all samples, one a line
    cdef readonly Py_ssize_t size       # of the samples
    cdef readonly Py_ssize_t series
    cdef readonly Py_ssize_t invalid
    cdef readonly tuple fields

    cdef bytes text(self, Labels labels)

    cdef bytes text_ends(self, Labels labels)

cdef Labels no_labels()

cdef bint same_labels(Labels one, Labels other) except -1

cdef inline const LabelText *label_text_of(
    const LabelText *texts, const int *special_families, int special_n, int family
) noexcept nogil:
    cdef int i
    for i in range(special_n):
        if special_families[i] == family:
            return &texts[i + 1]
    return texts

cdef inline size_t family_size(
    const Heads *heads, const int32_t *ends, int f, const LabelText *text
) noexcept nogil:
    """The bytes of a family's samples with these labels."""
    cdef const FamilyHeads *family = &heads.families[f]
    return (
        <size_t>(ends[f + 1] - ends[f]) + (family[1].size - family[0].size)
        + (family[1].opened - family[0].opened) * text.open_n
        + (family[1].bare - family[0].bare) * text.closed_n
    )

cdef inline char *write_family(
    const Heads *heads, int f, const char *lines, const LabelText *text, char *to
) noexcept nogil:
    """Write a family's samples with these labels. Up to 32 bytes behind them are written, too."""
    cdef const Place *place = heads.places + heads.families[f].places
    cdef const Place *last = heads.places + heads.families[f + 1].places
    cdef const char *texts = heads.texts
    cdef size_t n
    while place < last:
        stride(to, texts + place.name_at, place.name_n)
        to += place.name_n
        if place.own_at == BARE:
            stride(to, text.closed, text.closed_n)
            to += text.closed_n
        else:
            stride(to, text.open, text.open_n)
            to += text.open_n
            stride(to, texts + place.own_at, place.own_n)
            to += place.own_n
        n = copy_line(to, lines)
        to += n
        lines += n
        place += 1
    return to

cdef struct Written:            # samples without labels of a target, as they were written
    const char *text            # padded
    const int32_t *ends         # of families, in `text`; one more than there are
    int families
    const Text *names           # of families, which `text` leaves out; NULL: it has them
    const char *own_in_line     # by family: whether own labels are of one server only; NULL: none are
    Py_ssize_t series
    Py_ssize_t invalid

cdef Block pack(const Written *written, Labels labels, tuple fields, Shape like, list recent)

cdef Block with_lines(Block block, bytes lines, const int32_t *ends)

cdef Block with_labels(Block block, Labels labels)

cdef Block with_some(Block block, const char *kept, Py_ssize_t series)

cdef int append_sample(
    Buffer *to, const Heads *heads, size_t number, const LabelText *text, const char *line, size_t n
) noexcept
