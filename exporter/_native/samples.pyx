"""Samples written from Python: one by one, or the same series again and again with new values."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from cpython.object cimport PyObject
from cpython.ref cimport Py_XDECREF
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from exporter._native.buffers cimport (
    Buffer, append, check_offsets, new_text, raw_zeros, release, reserve, text_of,
)
from exporter._native.labels cimport Block, LabelText, Labels, label_text
from exporter._native.numbers cimport put_escaped, write_int
from exporter._native.tables cimport Table, hash_of, table_add, table_find, table_free, table_init

cdef struct Sample:
    int family
    size_t at
    size_t n

cdef bytes format_value(value):
    """The shortest text that reads back as the same number."""
    cdef double number
    if type(value) is int:
        return b"%d" % value
    if isinstance(value, bytes):
        return value
    if isinstance(value, int):
        return b"%d" % value
    number = value
    if number != number:
        return b"NaN"
    if number == float("inf") or number == float("-inf"):
        return b"+Inf" if number > 0 else b"-Inf"
    if -1e15 < number < 1e15 and number == <int64_t>number:
        return b"%d" % <int64_t>number
    return repr(number).encode()

cdef class Writer:
    cdef object _families
    cdef Labels _labels
    cdef size_t _label_max
    cdef Buffer out
    cdef Buffer samples         # of Sample, in the order they came
    cdef Table seen             # heads
    cdef list _merged
    cdef Py_ssize_t series
    cdef Py_ssize_t invalid

    def __cinit__(self, families, Labels labels not None, Py_ssize_t label_max=1024):
        self._families = families
        self._labels = labels
        self._label_max = max(label_max, 0)
        self._merged = []
        if table_init(&self.seen, 0x2545F4914F6CDD1D) < 0:
            raise MemoryError

    def __dealloc__(self):
        release(&self.out)
        release(&self.samples)
        table_free(&self.seen)

    def add(self, int family, value, values=(), bytes suffix=b"", extra=None):
        cdef size_t before = self.out.n
        written = format_value(value)
        if self._add_head(family, values, suffix, extra):
            self._append(written)
            self._append(b"\n")
            self._note(family, before, 1)

    def add_histogram(self, int family, bounds, below, count, total, values=()):
        cdef size_t before = self.out.n, head, number
        cdef bytes counted = format_value(count)
        cdef bytes summed = format_value(total)
        cdef Py_ssize_t i, n = len(bounds)
        if len(below) != n:
            raise ValueError("a histogram has as many counts as bounds")
        for i in range(1, n):
            if not bounds[i - 1] < bounds[i]:
                raise ValueError("the bounds of a histogram must rise")
        if not self._add_head(family, values, b"_bucket", (b"le", "")):
            return
        # up to the opening quote of the bound, all buckets have the same head
        head = self.out.n - before - 3
        self.out.n = before
        for i in range(n + 1):
            if reserve(&self.out, head) < 0:
                raise MemoryError
            if i:
                memcpy(self.out.p + self.out.n, self.out.p + before, head)
            self.out.n += head
            self._put_number(bounds[i] if i < n else b"+Inf")
            self._append(b'"} ')
            self._put_number(below[i] if i < n else counted)
            self._append(b"\n")
        self._note(family, before, n + 1)
        name, labels = self._families[family]
        for suffix, written in ((b"_sum", summed), (b"_count", counted)):
            number = self.out.n
            self._put_head(family, name, labels, values, suffix, None)
            self._append(written)
            self._append(b"\n")
            self._note(family, number, 1)

    cdef int _put_number(self, value) except -1:
        if type(value) is int and -(1 << 62) < value < 1 << 62:
            if reserve(&self.out, 32) < 0:
                raise MemoryError
            self.out.n = write_int(self.out.p + self.out.n, value) - self.out.p
        else:
            self._append(format_value(value))
        return 0

    cdef bint _add_head(self, int family, values, bytes suffix, extra) except -1:
        """Write what stands before the value. False: the same is written already, and this adds nothing."""
        cdef size_t before = self.out.n
        cdef uint32_t h
        if family < 0:
            raise IndexError("no such family")
        name, labels = self._families[family]
        if len(values) != len(labels):
            raise ValueError(f"{name.decode()} has {len(labels)} labels, not {len(values)}")
        try:
            self._put_head(family, name, labels, values, suffix, extra)
        except BaseException:
            self.out.n = before
            raise
        h = <uint32_t>hash_of(self.out.p + before, self.out.n - before, self.seen.seed ^ <uint64_t>family)
        if table_find(&self.seen, self.out.p + before, self.out.n - before, h) >= 0:
            self.out.n = before
            return False
        if table_add(&self.seen, self.out.p + before, self.out.n - before, h) < 0:
            raise MemoryError
        return True

    cdef int _put_head(self, int family, bytes name, tuple labels, values, bytes suffix, extra) except -1:
        cdef LabelText *text = label_text(self._labels, family)
        cdef bint any_label = False
        self._append(name)
        self._append(suffix)
        if not labels and extra is None:
            if append(&self.out, text.closed, text.closed_n) < 0:
                raise MemoryError
            return 0
        if append(&self.out, text.open, text.open_n) < 0:
            raise MemoryError
        for label, own in zip(labels, values):
            self._add_label(label, own, any_label)
            any_label = True
        if extra is not None:
            self._add_label(extra[0], extra[1], any_label)
        self._append(b"} ")
        return 0

    cdef int _note(self, int family, size_t at, Py_ssize_t series) except -1:
        """Note that what was written from `at` on is of this family."""
        cdef Sample *sample
        if reserve(&self.samples, sizeof(Sample)) < 0:
            raise MemoryError
        sample = <Sample *>(self.samples.p + self.samples.n)
        sample.family = family
        sample.at = at
        sample.n = self.out.n - at
        self.samples.n += sizeof(Sample)
        self.series += series
        return 0

    cdef int _append(self, bytes text) except -1:
        if append(&self.out, PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text)) < 0:
            raise MemoryError
        return 0

    cdef int _add_label(self, bytes label, value, bint comma) except -1:
        cdef bytes own = value if isinstance(value, bytes) else value.encode("utf-8", "replace")
        if comma:
            self._append(b",")
        self._append(label)
        self._append(b'="')
        if put_escaped(&self.out, PyBytes_AS_STRING(own), PyBytes_GET_SIZE(own), self._label_max) < 0:
            raise MemoryError
        self._append(b'"')
        return 0

    def merge(self, Block block not None):
        if PyBytes_GET_SIZE(block.offsets) != 4 * (len(self._families) + 1):
            raise ValueError("the block is of another family set")
        check_offsets(block.samples, block.offsets)
        self._merged.append(block)
        self.series += block.series
        self.invalid += block.invalid

    def block(self):
        """Family by family: first the merged blocks, the newest first, then what was added, in its order."""
        cdef int n = len(self._families), f
        cdef size_t i, count = self.samples.n // sizeof(Sample)
        cdef Sample *samples = <Sample *>self.samples.p
        cdef bytes offsets = PyBytes_FromStringAndSize(NULL, (n + 1) * sizeof(int32_t))
        cdef int32_t *ends = <int32_t *>PyBytes_AS_STRING(offsets)
        cdef const int32_t *theirs
        cdef size_t size = self.out.n
        cdef Block block
        cdef char *to
        cdef int32_t *at = NULL     # of each family, where the next of its samples goes
        for block in self._merged:
            size += PyBytes_GET_SIZE(block.samples)
        if size > <size_t>0x7FFFFFFF:
            raise OverflowError("a block holds 2 GB at most")
        at = <int32_t *>raw_zeros(n + 1, sizeof(int32_t))
        try:
            memset(ends, 0, (n + 1) * sizeof(int32_t))
            for block in self._merged:
                theirs = <const int32_t *>PyBytes_AS_STRING(block.offsets)
                for f in range(n):
                    ends[f + 1] += theirs[f + 1] - theirs[f]
            for i in range(count):
                ends[samples[i].family + 1] += <int32_t>samples[i].n
            for f in range(n):
                at[f] = ends[f]
                ends[f + 1] += ends[f]
            text = <object>new_text(ends[n])
            Py_XDECREF(<PyObject *>text)     # `text` holds it now
            to = PyBytes_AS_STRING(text)
            for block in reversed(self._merged):
                theirs = <const int32_t *>PyBytes_AS_STRING(block.offsets)
                for f in range(n):
                    size = theirs[f + 1] - theirs[f]
                    memcpy(to + at[f], PyBytes_AS_STRING(block.samples) + theirs[f], size)
                    at[f] += <int32_t>size
            for i in range(count):
                f = samples[i].family
                memcpy(to + at[f], self.out.p + samples[i].at, samples[i].n)
                at[f] += <int32_t>samples[i].n
        finally:
            PyMem_RawFree(at)
        return Block(text, offsets, self.series, self.invalid, ())

cdef class RepeatedSamples:
    """A caller that names the same series by the same objects each time costs no look-up."""

    cdef object _families
    cdef Labels _labels
    cdef Py_ssize_t _label_max
    # of the newest samples, without repeated ones
    cdef list _keys
    cdef list _texts            # of values that are floats
    cdef bytes _heads           # one after another
    cdef int32_t *_rows         # for each: where its head ends, and its family
    cdef double *_values        # parallel to the texts

    def __cinit__(self, families, Labels labels not None, Py_ssize_t label_max=1024):
        self._families = families
        self._labels = labels
        self._label_max = label_max
        self._keys = []

    def __dealloc__(self):
        PyMem_RawFree(self._rows)
        PyMem_RawFree(self._values)

    cdef list _distinct(self, list samples):
        """The samples without repeated ones. What is kept for the next call is of them."""
        cdef list counted = []
        cdef int family = 0, room = len(self._families)
        cdef Py_ssize_t n = 0
        cdef tuple key
        cdef Writer writer = Writer(self._families, self._labels, self._label_max)
        self._keys = []
        PyMem_RawFree(self._rows)
        PyMem_RawFree(self._values)
        self._values = NULL
        self._rows = <int32_t *>PyMem_RawMalloc((2 * len(samples) + 1) * sizeof(int32_t))
        self._values = <double *>PyMem_RawMalloc((len(samples) + 1) * sizeof(double))
        if self._rows == NULL or self._values == NULL:
            raise MemoryError
        for sample in samples:
            key = sample[0]
            if not family <= <int>key[0] < room:
                raise ValueError("samples must be in the order of their families")
            family = key[0]
            if writer._add_head(family, key[1], b"", None):
                self._rows[2 * n] = <int32_t>writer.out.n
                self._rows[2 * n + 1] = family
                counted.append(sample)
                n += 1
        self._heads = writer.out.p[: writer.out.n]
        self._texts = [None] * n
        self._keys = [sample[0] for sample in counted]
        return counted

    cdef bint _is_known(self, list samples):
        cdef Py_ssize_t i, n = len(self._keys)
        if len(samples) != n:
            return False
        for i in range(n):
            if (<tuple>samples[i])[0] is not self._keys[i]:
                return False
        return True

    def block(self, list samples not None, Block following=None):
        cdef int n = len(self._families), family = 0
        cdef const int32_t *later = NULL
        cdef Buffer out
        cdef bytes offsets = PyBytes_FromStringAndSize(NULL, (n + 1) * sizeof(int32_t))
        cdef int32_t *ends = <int32_t *>PyBytes_AS_STRING(offsets)
        cdef const char *heads
        cdef Py_ssize_t i
        cdef int32_t begin = 0
        cdef bytes text
        cdef list counted = samples if self._is_known(samples) else self._distinct(samples)
        memset(&out, 0, sizeof(Buffer))
        ends[0] = 0
        heads = PyBytes_AS_STRING(self._heads) if counted else NULL
        try:
            for i in range(len(counted)):
                while family < self._rows[2 * i + 1]:
                    family += 1
                    ends[family] = <int32_t>out.n
                if append(&out, heads + begin, self._rows[2 * i] - begin) < 0 or reserve(&out, 32) < 0:
                    raise MemoryError
                begin = self._rows[2 * i]
                value = (<tuple>counted[i])[1]
                if type(value) is int and -(1 << 62) < value < 1 << 62:
                    out.n = write_int(out.p + out.n, value) - out.p
                else:
                    text = <bytes>self._texts[i]
                    if text is None or type(value) is not float or <double>value != self._values[i]:
                        text = format_value(value)
                        self._texts[i] = text if type(value) is float else None
                        self._values[i] = <double>value if type(value) is float else 0
                    if append(&out, PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text)) < 0:
                        raise MemoryError
                if append(&out, b"\n", 1) < 0:
                    raise MemoryError
            while family < n:
                family += 1
                ends[family] = <int32_t>out.n
            if following is None:
                return Block(text_of(&out), offsets, len(counted), 0, ())
            check_offsets(following.samples, following.offsets)
            if PyBytes_GET_SIZE(following.offsets) != PyBytes_GET_SIZE(offsets):
                raise ValueError("the block is of another family set")
            later = <const int32_t *>PyBytes_AS_STRING(following.offsets)
            for family in range(1, n + 1):
                if later[family] and ends[family] != <int32_t>out.n:
                    raise ValueError("the families of the block must follow those of the samples")
                ends[family] += later[family]
            if append(&out, PyBytes_AS_STRING(following.samples), PyBytes_GET_SIZE(following.samples)) < 0:
                raise MemoryError
            return Block(text_of(&out), offsets, len(counted) + following.series, following.invalid, ())
        finally:
            release(&out)
