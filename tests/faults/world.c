/* The world of a program as a test wants it: a shift of its wall clock, and a disk that takes no more bytes.

   Preloaded into the program. The file that FAULTS_WORLD names is shared with the test (see world.py). */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define NS 1000000000LL

struct world {
    volatile int64_t shift_ns; /* of the wall clock, from the true time */
    volatile int64_t is_full;  /* whether files take no more bytes */
};

static struct world *world;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("FAULTS_WORLD");
    if (!path) return;
    int file = open(path, O_RDWR | O_CLOEXEC);
    void *place = mmap(NULL, sizeof *world, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (file < 0 || place == MAP_FAILED) abort();
    close(file);
    world = place;
}

int clock_gettime(clockid_t clock, struct timespec *to) {
    int outcome = (int)syscall(SYS_clock_gettime, clock, to);
    if (outcome == 0 && world && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t now_ns = to->tv_sec * NS + to->tv_nsec + world->shift_ns;
        to->tv_sec = now_ns / NS;
        to->tv_nsec = now_ns % NS;
    }
    return outcome;
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

/* Pipes and sockets go on: only files are on the disk. */
static int is_refused(int descriptor) {
    struct stat of;
    if (!world || !world->is_full || fstat(descriptor, &of) != 0 || !S_ISREG(of.st_mode)) return 0;
    errno = ENOSPC;
    return 1;
}

ssize_t write(int descriptor, const void *bytes, size_t count) {
    return is_refused(descriptor) ? -1 : syscall(SYS_write, descriptor, bytes, count);
}

ssize_t writev(int descriptor, const struct iovec *pieces, int count) {
    return is_refused(descriptor) ? -1 : syscall(SYS_writev, descriptor, pieces, count);
}

ssize_t pwrite(int descriptor, const void *bytes, size_t count, off_t at) {
    return is_refused(descriptor) ? -1 : syscall(SYS_pwrite64, descriptor, bytes, count, at);
}

ssize_t pwrite64(int descriptor, const void *bytes, size_t count, off64_t at) {
    return is_refused(descriptor) ? -1 : syscall(SYS_pwrite64, descriptor, bytes, count, at);
}
