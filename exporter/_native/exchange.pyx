"""Exchanges with many servers: sockets in an epoll of our own, drained by one wakeup of the event loop.

`engine/plain/exchange.py` specifies it. A reply is received into one buffer that all channels share, and
walked over there (see `frames`): if all replies of the exchange are in it, as nearly always, they become one
object. Incomplete replies get memory of their own, for what has come and no more. Whatever is out of the
ordinary is handed on as bytes: too large, too much, no reply at all.

Invariants. A place of the table is used again with another generation, so an event of a channel that was
closed meanwhile finds nobody. A callback may begin the next exchange, and close or abort any channel: nothing
of a channel is kept in local variables over a callback.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcpy
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec
from posix.types cimport pid_t
from posix.unistd cimport close, getpid

from exporter._native.epoll cimport (
    EPOLLIN, EPOLLOUT, EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, HAS_EPOLL, MSG_DONTWAIT,
    MSG_NOSIGNAL, MSG_PEEK, epoll_create1, epoll_ctl, epoll_event, epoll_wait, recv, send,
)
from exporter._native.frames cimport C_DONE, C_MORE, ENDS_KEPT, Walk, begin_walk, walk
from exporter._native.received cimport Received, Traffic, new_received
from exporter._native.tls cimport CLEAR_BYTES, TLS_BYTES, Tls, new_tls

cdef enum:
    HOT_BYTES = 65536           # what is received at once; replies that take more are handed on
    EVENTS_MAX = 64             # of one look at the epoll

EPOLL = bool(HAS_EPOLL)

cdef class Exchanger:
    """See `_fastparse.pyi`."""
    cdef int epoll
    cdef pid_t owner            # a forked child must not change the epoll, which it shares
    cdef double turn_s
    cdef char *hot
    cdef char *clear            # what was received, without its TLS; NULL before there is a channel that has TLS
    cdef list table             # channels by place; None: the place is free
    cdef list free_places
    cdef object __weakref__
    cdef readonly Py_ssize_t channels

    def __cinit__(self, double turn_s):
        self.epoll = epoll_create1(EPOLL_CLOEXEC)
        if self.epoll < 0:
            raise OSError(errno, "epoll_create1")
        self.owner = getpid()
        self.turn_s = turn_s
        self.table, self.free_places = [], []
        self.hot = <char *>PyMem_Malloc(HOT_BYTES)
        if self.hot == NULL:
            raise MemoryError

    def __dealloc__(self):
        if self.epoll >= 0:
            close(self.epoll)
        PyMem_Free(self.hot)
        PyMem_Free(self.clear)

    def fileno(self):
        return self.epoll

    def close(self):
        if self.epoll >= 0:
            close(self.epoll)
            self.epoll = -1

    def drain(self):
        cdef epoll_event events[EVENTS_MAX]
        cdef int i, found
        cdef uint32_t place
        cdef double until = now() + self.turn_s
        cdef Channel channel
        while self.epoll >= 0:
            found = epoll_wait(self.epoll, events, EVENTS_MAX, 0)
            if found <= 0:      # nothing, or a signal
                return
            for i in range(found):
                place = <uint32_t>events[i].data.u64
                channel = self.table[place] if place < <uint32_t>len(self.table) else None
                if channel is None or channel.generation != <uint32_t>(events[i].data.u64 >> 32):
                    continue
                channel.on_event(events[i].events)
                if now() >= until or self.epoll < 0:    # the epoll names the others again
                    return

    cdef int add(self, Channel channel) except -1:
        cdef uint32_t place
        if self.free_places:
            place = self.free_places.pop()
            self.table[place] = channel
        else:
            place = <uint32_t>len(self.table)
            self.table.append(channel)
        self.channels += 1
        channel.place = place
        channel.generation = next_generation()
        return 0

    cdef int remove(self, Channel channel) except -1:
        self.table[channel.place] = None
        self.free_places.append(channel.place)
        self.channels -= 1
        return 0

    cdef bint control(self, int op, Channel channel, uint32_t wanted):
        cdef epoll_event event
        event.events = wanted
        event.data.u64 = (<uint64_t>channel.generation << 32) | channel.place
        if self.epoll < 0 or self.owner != getpid():
            return False
        return epoll_ctl(self.epoll, op, channel.fd, &event) == 0

cdef uint32_t generations = 0

cdef uint32_t next_generation() noexcept:
    global generations
    generations += 1
    return generations

cdef inline double now() noexcept nogil:
    cdef timespec t
    clock_gettime(CLOCK_MONOTONIC, &t)
    return t.tv_sec + t.tv_nsec * 1e-9

cdef class Channel:
    """See `_fastparse.pyi`. The short way of an exchange for raw replies is here too: it does what the methods of
    these names in `connection/link.py` and `connection/burst.py` do, in a tenth of their instructions."""
    cdef Exchanger exchanger
    cdef int fd                 # -1: closed, or not open yet
    cdef uint32_t place, generation
    cdef bint is_watched        # whether its bytes are waited for
    cdef bint asking            # whether what comes is walked over here
    cdef Walk walk
    cdef int64_t *ends
    cdef int room               # of `ends`
    cdef int64_t bytes_max, elements_max, total_max
    cdef char *held             # the beginning of replies that are incomplete
    cdef size_t held_n, held_room
    cdef Tls tls                # None: it has no TLS
    cdef bytes unsent           # None: everything is sent
    cdef Py_ssize_t sent_n
    cdef public bint began_reply
    # what a connection keeps of itself
    cdef public bint closed
    cdef public bint _raw, _exchanged
    cdef public int _count
    cdef public Py_ssize_t received
    cdef public object _done
    cdef public Traffic traffic
    cdef public type raw_kind       # a class below Received; None: each exchange goes the long way
    cdef public object raw_source

    def __cinit__(self, *_, **__):
        self.fd = -1

    def __dealloc__(self):
        if self.fd >= 0:
            close(self.fd)
        PyMem_Free(self.held)
        PyMem_Free(self.ends)

    def open(self, Exchanger exchanger not None, int fd, limits):
        """Take a connected socket that does not block."""
        if self.fd >= 0:
            raise ValueError("it is open already")
        self.fd = fd                # it is ours from here on, whatever fails
        self.bytes_max, self.elements_max, self.total_max = limits
        self.exchanger = exchanger
        exchanger.add(self)
        self.watch()

    def secure(self, session, incoming, outgoing, bytes early not None):
        """From now on bytes go through TLS."""
        if self.fd < 0:
            raise ValueError("it is not open")
        if self.exchanger.clear == NULL:
            self.exchanger.clear = <char *>PyMem_Malloc(CLEAR_BYTES)
            if self.exchanger.clear == NULL:
                raise MemoryError
        self.tls = new_tls(session, incoming, outgoing)
        self.hear_secret(PyBytes_AS_STRING(early), PyBytes_GET_SIZE(early))

    @property
    def is_secured(self):
        return self.tls is not None

    @property
    def failure(self):
        """What TLS failed with; None: it has not."""
        return self.tls.failure if self.tls is not None else None

    def shut(self):
        """Close the socket. Nothing is reported from now on."""
        if self.fd < 0:
            return
        self.unwatch()
        close(self.fd)
        self.fd = -1
        self.asking = False
        self.unsent = self.tls = None
        self.release_held()
        self.exchanger.remove(self)
        self.exchanger = None

    def watch(self):
        """Report what comes."""
        if self.fd >= 0 and not self.is_watched:
            self.is_watched = True
            if not self.exchanger.control(EPOLL_CTL_ADD, self, self.interest()):
                raise OSError(errno, "epoll_ctl")

    def unwatch(self):
        """Report nothing until `watch`: what comes stays in the socket."""
        if self.fd >= 0 and self.is_watched:
            self.is_watched = False
            self.exchanger.control(EPOLL_CTL_DEL, self, 0)

    cdef uint32_t interest(self):
        cdef bint ends = self.tls is not None and self.tls.has_ended    # it is reported by the next event
        return EPOLLIN | (EPOLLOUT if self.unsent is not None or ends else 0)

    def exchange_raw(self, bytes payload not None, int count, done):
        """The short way, where nothing is in doubt."""
        if self._done is not None or self.closed or self.fd < 0 or self.traffic is None:
            self._begin(payload, count, done, raw=True)
            return
        self._done = done
        self._raw = True
        self._count = count
        self.traffic.sent += PyBytes_GET_SIZE(payload)
        self.begin(payload, count)

    def ask(self, bytes payload not None, int count):
        self.begin(payload, count)

    cdef int begin(self, bytes payload, int count) except -1:
        if count <= 0:
            raise ValueError("no commands")
        if count > self.room or self.room > ENDS_KEPT:
            self.make_room(count)
        begin_walk(&self.walk, count, self.ends, self.bytes_max, self.elements_max, self.total_max)
        self.asking = True
        self.began_reply = False
        self.put(payload)
        return 0

    cdef int make_room(self, int count) except -1:
        PyMem_Free(self.ends)
        self.room = 0
        self.ends = <int64_t *>PyMem_Malloc(count * sizeof(int64_t))
        if self.ends == NULL:
            raise MemoryError
        self.room = count
        return 0

    def send(self, bytes data not None):
        """Send, what does not fit into the socket later."""
        if self.fd >= 0:
            self.put(data)

    cdef int put(self, bytes data) except -1:
        if self.tls is not None:
            data = self.tls.encrypt(data)
            if self.tls.has_ended and self.is_watched:
                self.exchanger.control(EPOLL_CTL_MOD, self, self.interest())
        return self.put_as_it_is(data)

    cdef int put_as_it_is(self, bytes data) except -1:
        if self.unsent is not None:
            self.unsent = self.unsent[self.sent_n:] + data
            self.sent_n = 0
            return 0
        self.unsent = data
        self.sent_n = 0
        self.send_rest()
        if self.unsent is not None and self.is_watched:
            self.exchanger.control(EPOLL_CTL_MOD, self, self.interest())
        return 0

    cdef void send_rest(self):
        """An error is not reported here: the socket comes to its end, and what the server sent before counts."""
        cdef Py_ssize_t n = PyBytes_GET_SIZE(self.unsent)
        cdef ssize_t sent
        while self.sent_n < n:
            sent = send(
                self.fd, PyBytes_AS_STRING(self.unsent) + self.sent_n, n - self.sent_n, MSG_DONTWAIT | MSG_NOSIGNAL
            )
            if sent < 0:
                if errno == EINTR:
                    continue
                if errno == EAGAIN:
                    return
                break
            self.sent_n += sent
        self.unsent = None

    def receive(self, Py_ssize_t most):
        """Up to that many bytes; b"" at the end of the connection, None if there are none now."""
        cdef ssize_t n
        if self.fd < 0:
            return b""
        if self.tls is not None:
            return self.receive_secret(most)
        n = recv(self.fd, self.exchanger.hot, min(most, <Py_ssize_t>HOT_BYTES), MSG_DONTWAIT)
        if n < 0:
            return None if errno in (EAGAIN, EINTR) else b""
        return PyBytes_FromStringAndSize(self.exchanger.hot, n)

    @property
    def has_more(self):
        """Whether a byte waits in the socket."""
        cdef char c
        if self.tls is not None:
            return self.has_more_secret()
        return self.fd >= 0 and recv(self.fd, &c, 1, MSG_DONTWAIT | MSG_PEEK) > 0

    cdef int on_event(self, uint32_t events) except -1:
        cdef ssize_t n
        if events & EPOLLOUT and self.unsent is not None:
            self.send_rest()
            if self.unsent is None:
                self.exchanger.control(EPOLL_CTL_MOD, self, self.interest())
            if events == EPOLLOUT and self.tls is None:
                return 0
        if self.tls is not None:
            return self.hear_secret(NULL, 0)
        n = recv(self.fd, self.exchanger.hot, HOT_BYTES, MSG_DONTWAIT)
        if n < 0 and (errno == EAGAIN or errno == EINTR):
            return 0
        try:
            if n <= 0:
                self.unwatch()
                self.ended()
            else:
                self.hear(self.exchanger.hot, n, n == HOT_BYTES)
        except Exception as error:
            self.failed(error)
        return 0

    cdef int hear_secret(self, const char *p, Py_ssize_t n) except -1:
        """Take bytes of TLS, or what can be received if `p` is NULL, and the end if it has come."""
        cdef Tls tls = self.tls
        cdef Py_ssize_t clear_n
        try:
            self.hear_spare(tls)
            if p == NULL and self.is_watched:
                p, n = self.exchanger.hot, self.receive_as_it_is()
            if n:
                clear_n = self.decrypt(p, n)
                if clear_n:
                    self.hear(self.exchanger.clear, clear_n, n == TLS_BYTES)
                    self.hear_spare(tls)
            if tls.has_ended and self.is_watched:
                self.unwatch()
                self.ended()
        except Exception as error:
            self.failed(error)
        return 0

    cdef int hear_spare(self, Tls tls) except -1:
        """A callback may look for more again and again."""
        cdef bytes spare
        while tls.spare is not None and self.is_watched:
            spare, tls.spare = tls.spare, None
            self.hear(PyBytes_AS_STRING(spare), PyBytes_GET_SIZE(spare), False)
        return 0

    cdef Py_ssize_t decrypt(self, const char *p, Py_ssize_t n) except -1:
        """Write what it is in clear into the memory for that, and answer as TLS asks."""
        cdef Py_ssize_t clear_n = self.tls.decrypt(p, n, self.exchanger.clear)
        cdef bytes answer = self.tls.answer()
        if answer:
            self.put_as_it_is(answer)
        return clear_n

    cdef Py_ssize_t receive_as_it_is(self):
        """How many bytes of TLS were received. 0: there are none now, or it has ended."""
        cdef ssize_t n
        if self.tls.has_ended:
            return 0
        n = recv(self.fd, self.exchanger.hot, TLS_BYTES, MSG_DONTWAIT)
        if n > 0:
            return n
        if n == 0 or (errno != EAGAIN and errno != EINTR):
            self.tls.has_ended = True
        return 0

    cdef bytes receive_secret(self, Py_ssize_t most):
        cdef bytes data
        if not self.has_more_secret():
            return b"" if self.tls.has_ended else None
        data = self.tls.spare
        self.tls.spare = data[most:] or None
        return data[:most]

    cdef bint has_more_secret(self) except -1:
        """What waits in the socket may be nothing in clear, so some of it is received."""
        cdef Py_ssize_t n
        if self.tls.spare is None:
            n = self.receive_as_it_is()
            if n:
                n = self.decrypt(self.exchanger.hot, n)
            if n:
                self.tls.spare = PyBytes_FromStringAndSize(self.exchanger.clear, n)
        return self.tls.spare is not None

    cdef int hear(self, const char *p, size_t n, bint is_full) except -1:
        """Take bytes of the server. `is_full`: they filled the room for them, so more may wait in the socket."""
        if self.asking:
            self.walk_over(p, n, is_full)
        else:
            self.came(PyBytes_FromStringAndSize(p, n))
        return 0

    cdef int walk_over(self, const char *p, size_t n, bint is_full) except -1:
        """Walk over what came for the running exchange."""
        cdef size_t at = 0, kept = 0
        cdef int code, i
        cdef bytes data
        self.began_reply = True
        if self.held_n + n <= HOT_BYTES:
            code = walk(&self.walk, p, n, &at, &kept)
            if code == C_DONE and at == n and not is_full:
                data = self.with_held(p, n)
                self.asking = False
                ends = tuple([self.ends[i] for i in range(self.walk.wanted)])
                return self.complete(data, ends)
            if code == C_MORE and self.held_n + n < HOT_BYTES:
                return self.hold(p, n)
        data = self.with_held(p, n)
        self.asking = False
        self.came(data)
        return 0

    cdef int complete(self, bytes data, tuple ends) except -1:
        cdef Received raw
        if not self._raw or self._done is None or self.raw_kind is None or self.traffic is None:
            self.answered(data, ends)
            return 0
        raw = new_received(self.raw_kind)
        raw.data, raw.ends, raw.received, raw.source = data, ends, PyBytes_GET_SIZE(data), self.raw_source
        self.received = raw.received
        self.traffic.received += raw.received
        self._exchanged = True
        done, self._done = self._done, None     # idle before the callback, which may begin the next one
        try:
            done(raw)
        except Exception as error:
            self.note_fault(error)
        return 0

    cdef int hold(self, const char *p, size_t n) except -1:
        cdef size_t room = self.held_room
        cdef char *larger
        if self.held_n + n > room:
            room = min(max(2 * room, self.held_n + n), <size_t>HOT_BYTES)
            larger = <char *>PyMem_Realloc(self.held, room)
            if larger == NULL:
                raise MemoryError
            self.held, self.held_room = larger, room
        memcpy(self.held + self.held_n, p, n)
        self.held_n += n
        return 0

    cdef bytes with_held(self, const char *p, size_t n):
        """What was held, and these bytes. Nothing is held then."""
        cdef bytes data
        cdef char *to
        if self.held_n == 0:
            return PyBytes_FromStringAndSize(p, n)
        data = PyBytes_FromStringAndSize(NULL, self.held_n + n)
        to = PyBytes_AS_STRING(data)
        memcpy(to, self.held, self.held_n)
        if n:       # of no bytes `p` may be NULL
            memcpy(to + self.held_n, p, n)
        self.release_held()
        return data

    cdef void release_held(self):
        PyMem_Free(self.held)
        self.held = NULL
        self.held_n = self.held_room = 0

    def take_held(self):
        """What came of replies that are incomplete. What comes after it is handed on."""
        self.asking = False
        return self.with_held(NULL, 0)

    def answered(self, bytes data, tuple ends):
        raise NotImplementedError

    def came(self, bytes data):
        raise NotImplementedError

    def ended(self):
        raise NotImplementedError

    def failed(self, error):
        raise NotImplementedError
