"""One reading: the values found in a text, and the memory that the next reading of the same plan uses again.
"""

from libc.stdint cimport int8_t, int32_t, uint8_t, uint16_t, uint32_t, uint64_t

from exporter._native.buffers cimport Buffer, Text
from exporter._native.interner cimport Interner
from exporter._native.numbers cimport NUMBER_MAX
from exporter._native.plan cimport CompiledPlan
from exporter._native.tables cimport Table

cdef enum:
    GROUPS_MAX = 64             # masters of one KeyDB server
    SUB_FIELDS_MAX = 256        # of one line, for families of every sub-field
    EXPECTED_MAX = 24           # sub-fields of one line that are remembered by their place

cdef struct Line:
    Text value
    const char *own             # its rendered labels
    uint32_t own_n
    int32_t number
    int32_t joined

cdef struct Seat:
    uint32_t reading            # the number of the last reading with a line of this subject
    int32_t line                # the first such line

cdef struct ExpectedSub:
    char key[32]                # `calls=`
    uint8_t key_n
    int8_t sub

cdef struct Records:
    Buffer lines                # of Line
    Buffer values               # of Text, subs_n a line
    ExpectedSub expected[EXPECTED_MAX]      # the sub-fields of the line before, by their place
    int expected_n
    uint64_t subs_seen          # sub-fields that some line has: bit number modulo 64

cdef enum SubNameState:
    SUB_WRITTEN = 0
    SUB_INVALID = 1             # of another form
    SUB_LEFT_OUT = 2            # the family has others only, or an earlier sub-field has the same label

cdef struct SubName:
    uint8_t raw_n
    uint8_t state
    uint16_t label_n
    char raw[NUMBER_MAX]
    char label[256]             # `quantile="0.5"} `

cdef struct SubNames:           # of one family, by the place of the sub-field
    int n
    SubName names[SUB_FIELDS_MAX]

cdef struct GroupValue:
    int group
    int slot
    Text value

cdef struct Reading:
    Reading *next_idle
    bint with_gil               # its thread has the GIL
    const char *last            # up to here, 32 bytes of the text can be read
    Text *fields                # by slot, group 0
    Buffer group_values         # of GroupValue
    int groups[GROUPS_MAX]
    int groups_n
    int group
    int unnumbered              # the group of the master without a number that came last
    int hosts                   # masters without a number so far
    Records *records            # by pattern
    SubNames *sub_names
    Interner passing            # the keys that the plan does not intern
    Seat *seats                 # by subject
    int32_t seats_n
    uint32_t number             # of the readings with this memory
    Buffer ids                  # of int32_t: the line order of this reading
    Buffer scratch
    Buffer out
    Buffer head
    Table seen                  # own labels that may come twice in one family
    int32_t *offsets
    Py_ssize_t series
    Py_ssize_t invalid

cdef Reading *new_reading(CompiledPlan plan) except NULL

cdef void free_reading(CompiledPlan plan, Reading *r) noexcept

cdef void begin_reading(CompiledPlan plan, Reading *r) noexcept nogil

cdef Seat *seat_of(Reading *r, int32_t subject) noexcept nogil
