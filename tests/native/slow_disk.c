/* The system's own calls, but for how long they take or how they end: see test_slow_disk.py. */

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int __real_fsync(int file);
int __real_lstat(const char *path, struct stat *status);
int __real_renameat(int from, const char *old, int to, const char *new);
int __real_posix_spawn(pid_t *process, const char *path, const posix_spawn_file_actions_t *actions,
                       const posix_spawnattr_t *attributes, char *const words[],
                       char *const environment[]);

static pid_t begin;
static int syncs;

__attribute__((constructor)) static void remember(void) { begin = getpid(); }

static const char *word(const char *name) {
    const char *text = getenv(name);
    return text != NULL ? text : "";
}

static void wait_seconds(double seconds) {
    struct timespec left = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&left, NULL);
}

/* A call takes long; then, in the child that goes on, another one waits for a word, or fails. */
static int enter(const char *name) {
    if (getpid() == begin) {
        if (strcmp(word("SLOW_CALL"), name) == 0) {
            wait_seconds(8);
        }
        return 0;
    }
    if (strcmp(word("SLOW_THEN"), name) != 0) {
        return 0;
    }
    char words[16];
    bool is_said = false;
    int gate = open(word("SLOW_GATE"), O_RDONLY | O_CLOEXEC);
    for (ssize_t count; (count = read(gate, words, sizeof words)) > 0;) {
        is_said = true;
    }
    close(gate);
    errno = EIO;
    return is_said ? -1 : 0;
}

int __wrap_fsync(int file) {
    if (getpid() == begin && ++syncs == atoi(word("SLOW_NUMBER"))) {
        wait_seconds(atof(word("SLOW_SECONDS")));
        if (strcmp(word("SLOW_ENDS"), "error") == 0) {
            errno = EIO;
            return -1;
        }
    }
    return enter("fsync") != 0 ? -1 : __real_fsync(file);
}

int __wrap_lstat(const char *path, struct stat *status) {
    return enter("lstat") != 0 ? -1 : __real_lstat(path, status);
}

int __wrap_renameat(int from, const char *old, int to, const char *new) {
    return enter("rename") != 0 ? -1 : __real_renameat(from, old, to, new);
}

int __wrap_posix_spawn(pid_t *process, const char *path, const posix_spawn_file_actions_t *actions,
                       const posix_spawnattr_t *attributes, char *const words[],
                       char *const environment[]) {
    return enter("posix_spawn") != 0
               ? EIO
               : __real_posix_spawn(process, path, actions, attributes, words, environment);
}
