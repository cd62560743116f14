"""The epoll of Linux, and sockets that do not block. Where there is no epoll, making one fails."""

from libc.stdint cimport uint32_t, uint64_t

cdef extern from *:
    """
    #include <sys/socket.h>
    #if defined(__linux__)
    #include <sys/epoll.h>
    #define HAS_EPOLL 1
    #else
    #include <errno.h>
    #include <stdint.h>
    #define HAS_EPOLL 0
    enum { EPOLLIN = 1, EPOLLOUT = 4, EPOLL_CTL_ADD = 1, EPOLL_CTL_DEL = 2, EPOLL_CTL_MOD = 3, EPOLL_CLOEXEC = 0 };
    struct epoll_event { uint32_t events; union { uint64_t u64; } data; };
    static int epoll_create1(int flags) { errno = ENOSYS; return -1; }
    static int epoll_ctl(int epoll, int op, int fd, struct epoll_event *event) { errno = ENOSYS; return -1; }
    static int epoll_wait(int epoll, struct epoll_event *events, int n, int ms) { errno = ENOSYS; return -1; }
    #endif
    #ifndef MSG_NOSIGNAL
    #define MSG_NOSIGNAL 0
    #endif
    """
    ctypedef union epoll_data_t:
        uint64_t u64
    cdef struct epoll_event:
        uint32_t events
        epoll_data_t data
    const int HAS_EPOLL
    enum:
        EPOLLIN
        EPOLLOUT
        EPOLL_CTL_ADD
        EPOLL_CTL_DEL
        EPOLL_CTL_MOD
        EPOLL_CLOEXEC
        MSG_DONTWAIT
        MSG_NOSIGNAL
        MSG_PEEK
    int epoll_create1(int flags) nogil
    int epoll_ctl(int epoll, int op, int fd, epoll_event *event) nogil
    int epoll_wait(int epoll, epoll_event *events, int n, int timeout_ms) nogil
    ssize_t recv(int fd, void *p, size_t n, int flags) nogil
    ssize_t send(int fd, const void *p, size_t n, int flags) nogil
