/* Time that stands still while a program works, and goes on when somebody else says so.

   Preloaded into a program of one event loop, whose main thread waits in epoll. The file that VIRTUAL_TIME names is
   shared with the driver; a byte in the FIFO VIRTUAL_TIME.wake ends the main thread's wait. Clocks of CPU time are
   the real ones, and so are waits of other threads that are short: CPython passes the GIL on by one of 5 ms.
   Programs with VIRTUAL_TIME_ONLY_READ have the same time, but nobody waits for their waits. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define NS 1000000000LL
#define SHORT_NS 20000000LL
#define NEVER INT64_MAX

/* A turn of the loop takes so long, or one that waits for less than a millisecond would do so for ever: timers of
   loops have milliseconds. */
#define TURN_NS 20000LL

struct shared {
    volatile int64_t now_ns;     /* how far time went since the start; the driver writes it while all sleep */
    volatile int64_t wake_at_ns; /* until when the main thread waits */
    volatile int64_t waiting;    /* whether it does */
    volatile int64_t waits;      /* how often it did */
};

static struct shared *shared;
static int wake = -1;
static int64_t began_ns[16];

static int real_clock(clockid_t clock, struct timespec *to) {
    return (int)syscall(SYS_clock_gettime, clock, to);
}

static int64_t in_ns(const struct timespec *at) { return at->tv_sec * NS + at->tv_nsec; }

static struct timespec as_timespec(int64_t ns) {
    struct timespec to = {ns / NS, ns % NS};
    return to;
}

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("VIRTUAL_TIME");
    if (!path) return;
    char fifo[4096];
    snprintf(fifo, sizeof fifo, "%s.wake", path);
    int file = open(path, O_RDWR | O_CLOEXEC);
    void *place = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (file < 0 || place == MAP_FAILED) abort();
    if (!getenv("VIRTUAL_TIME_ONLY_READ")) {
        wake = open(fifo, O_RDWR | O_CLOEXEC | O_NONBLOCK);
        if (wake < 0) abort();
    }
    close(file);
    for (int clock = 0; clock < 16; clock++) {
        struct timespec now;
        if (real_clock(clock, &now) == 0) began_ns[clock] = in_ns(&now);
    }
    shared = place;
}

static int is_virtual(clockid_t clock) {
    return shared && clock >= 0 && clock < 16 && clock != CLOCK_PROCESS_CPUTIME_ID && clock != CLOCK_THREAD_CPUTIME_ID;
}

static int64_t now_ns(clockid_t clock) { return began_ns[clock] + shared->now_ns; }

int clock_gettime(clockid_t clock, struct timespec *to) {
    if (!is_virtual(clock)) return real_clock(clock, to);
    *to = as_timespec(now_ns(clock));
    return 0;
}

int gettimeofday(struct timeval *restrict to, void *restrict zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    to->tv_sec = now.tv_sec;
    to->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *to) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (to) *to = now.tv_sec;
    return now.tv_sec;
}

static int real_epoll(int epoll, struct epoll_event *events, int most, int timeout_ms, const sigset_t *mask) {
    return (int)syscall(SYS_epoll_pwait, epoll, events, most, timeout_ms, mask, _NSIG / 8);
}

int epoll_pwait(int epoll, struct epoll_event *events, int most, int timeout_ms, const sigset_t *mask) {
    if (wake < 0 || gettid() != getpid()) return real_epoll(epoll, events, most, timeout_ms, mask);
    shared->now_ns += TURN_NS;
    if (timeout_ms == 0) return real_epoll(epoll, events, most, 0, mask);
    shared->wake_at_ns = timeout_ms < 0 ? NEVER : shared->now_ns + timeout_ms * 1000000LL;
    shared->waits++;
    shared->waiting = 1;
    int found = 0;
    while (shared->now_ns < shared->wake_at_ns) {
        struct pollfd both[2] = {{epoll, POLLIN, 0}, {wake, POLLIN, 0}};
        struct timespec *for_ever = NULL;
        found = ppoll(both, 2, for_ever, mask);
        if (found < 0) break;
        char byte[64];
        if (both[1].revents) (void)!read(wake, byte, sizeof byte);
        found = both[0].revents ? real_epoll(epoll, events, most, 0, mask) : 0;
        if (found) break;
    }
    shared->waiting = 0;
    return found;
}

int epoll_wait(int epoll, struct epoll_event *events, int most, int timeout_ms) {
    return epoll_pwait(epoll, events, most, timeout_ms, NULL);
}

/* Waits for a lock until a moment of virtual time: a look at the clock now and then is enough. */
int sem_clockwait(sem_t *restrict semaphore, clockid_t clock, const struct timespec *restrict until) {
    static int (*next)(sem_t *, clockid_t, const struct timespec *);
    if (!next) *(void **)&next = dlsym(RTLD_NEXT, "sem_clockwait");
    if (!is_virtual(clock)) return next(semaphore, clock, until);
    for (;;) {
        int64_t left_ns = in_ns(until) - now_ns(clock);
        struct timespec now;
        if (left_ns <= 0) return sem_trywait(semaphore) == 0 ? 0 : (errno = ETIMEDOUT, -1);
        real_clock(clock, &now);
        struct timespec real = as_timespec(in_ns(&now) + (left_ns < SHORT_NS ? left_ns : 5 * SHORT_NS));
        if (next(semaphore, clock, &real) == 0) return 0;
        if (errno != ETIMEDOUT || left_ns < SHORT_NS) return -1;
    }
}

int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict until) {
    return sem_clockwait(semaphore, CLOCK_REALTIME, until);
}

static int cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, clockid_t clock, const struct timespec *until) {
    static int (*next)(pthread_cond_t *, pthread_mutex_t *, clockid_t, const struct timespec *);
    if (!next) *(void **)&next = dlsym(RTLD_NEXT, "pthread_cond_clockwait");
    if (!is_virtual(clock)) return next(condition, mutex, clock, until);
    int64_t left_ns = in_ns(until) - now_ns(clock);
    struct timespec now;
    if (left_ns <= 0) left_ns = 0;
    real_clock(clock, &now);
    struct timespec real = as_timespec(in_ns(&now) + (left_ns < SHORT_NS ? left_ns : 5 * SHORT_NS));
    int found = next(condition, mutex, clock, &real);
    return found == ETIMEDOUT && left_ns >= SHORT_NS ? 0 : found; /* a condition may wake without a reason */
}

int pthread_cond_clockwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex, clockid_t clock,
                           const struct timespec *restrict until) {
    return cond_wait(condition, mutex, clock, until);
}

/* CPython's conditions, and those of others here, count by the monotonic clock. */
int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict until) {
    int64_t monotonic_ns = shared ? in_ns(until) - now_ns(CLOCK_MONOTONIC) : 0;
    int is_real_time = shared && monotonic_ns > 30 * 86400 * NS;
    return cond_wait(condition, mutex, is_real_time ? CLOCK_REALTIME : CLOCK_MONOTONIC, until);
}
