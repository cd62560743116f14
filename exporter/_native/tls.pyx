"""TLS between a socket and its channel, by an `ssl.SSLObject` whose handshake is over.

`engine/plain/tls.py` specifies it. Bytes that have come are put into a memory of SSL that all connections of
an event loop share. SSL takes all of them, records that are incomplete too, so it is empty between two calls.
One for each connection would keep the size of the largest piece that ever came.
"""

from cpython.bytes cimport PyBytes_GET_SIZE
from cpython.memoryview cimport PyMemoryView_FromMemory

cdef extern from "Python.h":
    const int PyBUF_READ, PyBUF_WRITE

cdef enum:
    PIECE_BYTES = 4096          # written at once: the memory for what goes out keeps the size of one

cdef object SSLError = None     # of `ssl`, which is loaded with the first connection that needs it
cdef object SSLWantReadError = None

cdef Tls new_tls(object session, object incoming, object outgoing):
    global SSLError, SSLWantReadError
    cdef Tls made = Tls.__new__(Tls)
    if SSLError is None:
        import ssl
        SSLError, SSLWantReadError = ssl.SSLError, ssl.SSLWantReadError
    made.session, made.incoming, made.outgoing = session, incoming, outgoing
    return made

cdef class Tls:
    cdef bytes encrypt(self, bytes data):
        """What to send for these clear bytes."""
        cdef Py_ssize_t at, n = PyBytes_GET_SIZE(data)
        cdef list pieces
        if self.unwritten is not None:
            self.unwritten += data
            return b""
        if n <= PIECE_BYTES:
            if not self.write(data):
                self.unwritten = data
            return self.outgoing.read()
        pieces = []
        for at in range(0, n, PIECE_BYTES):
            is_written = self.write(data[at : at + PIECE_BYTES])
            pieces.append(self.outgoing.read())
            if not is_written:
                self.unwritten = data[at:]
                break
        return b"".join(pieces)

    cdef bint write(self, bytes data) except -1:
        """Whether SSL has taken them. It does not while the server changes the keys of TLS 1.2."""
        try:
            self.session.write(data)
            return True
        except SSLWantReadError:
            return False
        except SSLError as error:
            self.failure, self.has_ended = error, True
            return False

    cdef Py_ssize_t decrypt(self, const char *p, Py_ssize_t n, char *clear) except -1:
        """Write the clear bytes of these, which are at most `TLS_BYTES`, and return how many there are."""
        cdef Py_ssize_t at = 0, got
        self.incoming.write(PyMemoryView_FromMemory(<char *>p, n, PyBUF_READ))
        try:
            while self.incoming.pending:    # after the last record of these bytes SSL need not be asked
                got = self.session.read(
                    CLEAR_BYTES - at, PyMemoryView_FromMemory(clear + at, CLEAR_BYTES - at, PyBUF_WRITE)
                )
                if got == 0:
                    self.has_ended = True
                    break
                at += got
        except SSLWantReadError:
            pass
        except SSLError as error:
            self.failure, self.has_ended = error, True
        finally:
            if self.incoming.pending:       # nothing of it may meet another connection
                self.incoming.read()
        return at

    cdef bytes answer(self):
        """What to send because of what has come."""
        cdef bytes waiting = self.unwritten
        if waiting is None or self.has_ended:
            return self.outgoing.read()
        self.unwritten = None
        return self.outgoing.read() + self.encrypt(waiting)
