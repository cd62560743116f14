"""The TLS of a channel, for the exchange core."""

cdef enum:
    TLS_BYTES = 32768           # what is received at once
    CLEAR_BYTES = 65536         # room for `decrypt`: for what is received at once, and what SSL held of a record

cdef class Tls:
    cdef object session, incoming, outgoing
    cdef bytes unwritten        # clear bytes that wait until the server has renegotiated; None: there are none
    cdef bytes spare            # clear bytes that were received to see whether there are more; None: there are none
    cdef bint has_ended         # nothing comes any longer: the server has said so, or TLS has failed
    cdef object failure         # what it failed with

    cdef bytes encrypt(self, bytes data)
    cdef bint write(self, bytes data) except -1
    cdef Py_ssize_t decrypt(self, const char *p, Py_ssize_t n, char *clear) except -1
    cdef bytes answer(self)

cdef Tls new_tls(object session, object incoming, object outgoing)
