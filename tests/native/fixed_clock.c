/* A clock that stands, and random bytes that are known: see test_hooks_agree.py. */

#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>

int __real_clock_gettime(clockid_t clock, struct timespec *now);

int __wrap_clock_gettime(clockid_t clock, struct timespec *now) {
    if (clock != CLOCK_REALTIME) {
        return __real_clock_gettime(clock, now);
    }
    unsigned long long time = strtoull(getenv("FIXED_TIME"), NULL, 10);
    now->tv_sec = (time_t)(time / 1000000000);
    now->tv_nsec = (long)(time % 1000000000);
    return 0;
}

ssize_t __wrap_getrandom(void *bytes, size_t size, unsigned flags) {
    (void)flags;
    memset(bytes, 0xa5, size);
    return (ssize_t)size;
}

/* No drainer: it would take away what is to be compared. */
int __wrap_posix_spawn(pid_t *process, const char *path, const posix_spawn_file_actions_t *actions,
                       const posix_spawnattr_t *attributes, char *const words[],
                       char *const environment[]) {
    (void)process, (void)path, (void)actions, (void)attributes, (void)words, (void)environment;
    return 0;
}
