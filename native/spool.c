/* Write the spool file, and wake the drainer. */

#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hook.h"

static const int DIRECTORY = O_RDONLY | O_DIRECTORY;
static const char WAKE[] = "wake";
/* What the drainer may need of the environment. The rest can hold keys: it is not handed on. */
static const char *const drainer_variables[] = {"HOME", "KHIVE_HOME",      "KHIVE_DIR",
                                                "PATH", "LD_LIBRARY_PATH", "TMPDIR"};
enum { VARIABLES = sizeof drainer_variables / sizeof *drainer_variables };

/* Why the event is not kept, where `put` has more to say than errno. */
const char *refusal;

/* Open or make a directory; add the parent of one that is made to those to be synced. */
static int opened_or_made(int folder, const char *path, struct parents *parents) {
    int directory = open_at(folder, path, DIRECTORY, 0);
    if (directory >= 0 || errno != ENOENT) {
        return directory;
    }
    if (mkdirat(folder, path, 0700) == 0) {
        const char *parent = folder == AT_FDCWD ? join(path, "/..", NULL) : ".";
        int opened = open_at(folder, parent, DIRECTORY, 0);
        if (opened < 0) {
            return -1;
        }
        /* Of these two there is always room. */
        parents->folders[parents->count++] = opened;
    } else if (errno != EEXIST) {
        return -1;
    }
    return open_at(folder, path, DIRECTORY, 0);
}

/* Open the spool of a directory; make it where it is missing, and mark a new `.khive` where a
   state folder is named. */
static int open_spool(const char *project, const char *state, struct parents *parents) {
    const char *path = khive_of(project);
    int khive = opened_or_made(AT_FDCWD, path, parents);
    if (khive < 0) {
        return -1;
    }
    if (parents->count > 0 && state[0] != '\0' && strcmp(state, project) != 0) {
        /* Without a mark it is used all the same where it is named; doctor says so. */
        (void)mark(path, state, parents);
    }
    int spool = opened_or_made(khive, "spool", parents);
    int reason = errno;
    close(khive);
    errno = reason;
    return spool;
}

/* Sync a file that is written, give it its name, and sync that. */
enum outcome settle(const struct settling *settling) {
    if (sync_file(settling->file) != 0) {
        return NOT_KEPT;
    }
    int spool = settling->spool;
    if (renameat(spool, settling->temporary, spool, settling->name) != 0) {
        struct stat status;
        /* The one that was late had come so far. */
        if (errno != ENOENT || fstatat(spool, settling->name, &status, 0) != 0) {
            return UNSURE;
        }
    }
    if (sync_file(spool) != 0) {
        return UNSURE;
    }
    for (int index = 0; index < settling->parents->count; index++) {
        int parent = settling->parents->folders[index];
        if (sync_file(parent) != 0 || close(parent) != 0) {
            return UNSURE;
        }
    }
    return KEPT;
}

static int write_all(int file, const char *bytes, size_t size) {
    while (size > 0) {
        ssize_t count = write(file, bytes, size);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            errno = count == 0 ? ENOSPC : errno;
            return -1;
        }
        bytes += count;
        size -= (size_t)count;
    }
    return 0;
}

/* Write one spool file, with a header before the payload; KEPT: it survives a power loss.

   What is synced is never removed: where its name cannot be made durable, a drain finds it. */
static enum outcome keep(const char *project, const char *name, const char *state,
                         const char *header, size_t header_size, const struct payload *payload,
                         bool is_watched, int *spool) {
    struct parents *parents = (struct parents *)(void *)take(sizeof *parents);
    struct settling *settling = (struct settling *)(void *)take(sizeof *settling);
    parents->count = 0;
    *spool = open_spool(project, state, parents);
    if (*spool < 0) {
        return NOT_KEPT;
    }
    *settling = (struct settling){.spool = *spool,
                                  .temporary = join(".", name, ".tmp", NULL),
                                  .name = name,
                                  .parents = parents};
    int file = open_at(*spool, settling->temporary, O_WRONLY | O_CREAT | O_EXCL, 0600);
    settling->file = file;
    enum outcome outcome = NOT_KEPT;
    if (file >= 0) {
        if (is_watched) {
            watch_begun(*spool, settling->temporary);
        }
        if (write_all(file, header, header_size) == 0 &&
            write_all(file, payload->bytes, payload->size) == 0) {
            if (is_watched) {
                watch_written(settling);
            }
            outcome = settle(settling);
        }
    }
    int reason = errno;
    if (outcome == NOT_KEPT) {
        if (is_watched) {
            watch_written(NULL);
        }
        if (file >= 0) {
            unlinkat(*spool, settling->temporary, 0);
        }
        close(*spool);
    }
    if (file >= 0) {
        close(file);
    }
    errno = reason;
    return outcome;
}

/* Write one file into the home's spool, for another project, whose path stands before it. */
static enum outcome keep_away(const char *state, const char *project, const struct event *event,
                              bool is_watched, int *spool) {
    size_t length = strlen(event->name) - strlen(".event");
    char *name = join(event->name, NULL);
    memcpy(name + length, ".away", sizeof ".away");
    return keep(state, name, "", project, strlen(project) + 1, &event->payload, is_watched, spool);
}

/* Keep one payload: in the project's spool, else in that of the home directory; PAUSED: nothing is
   to be recorded of it. */
enum outcome put(const struct event *event, bool is_watched, struct place *place) {
    const char *state = home();
    const char *taker, *project;
    refusal = NULL;
    if (choose(event->directory, event->tool, state, &taker, &project) != 0) {
        return NOT_KEPT;
    }
    if (is_paused(state, taker, project, event->name)) {
        return PAUSED;
    }
    if (is_watched) {
        watch_khive(khive_of(taker));
    }
    if (taker[0] == '\0') {
        refusal = join(khive_of(project),
                       " is not trusted, and there is no home to keep it in:"
                       " set KHIVE_DIR or KHIVE_HOME",
                       NULL);
        return NOT_KEPT;
    }
    bool is_state = strcmp(taker, state) == 0;
    bool is_away = is_state && strcmp(state, project) != 0;
    enum outcome outcome =
        is_away ? keep_away(state, project, event, is_watched, &place->spool)
                : keep(taker, event->name, state, "", 0, &event->payload, is_watched,
                       &place->spool);
    if (outcome == NOT_KEPT) {
        refusal = join(khive_of(taker), ": ", strerror(errno), NULL);
        if (state[0] != '\0' && !is_state) {
            outcome = keep_away(state, taker, event, is_watched, &place->spool);
            if (outcome == NOT_KEPT) {
                refusal = join(refusal, "; ", khive_of(state), ": ", strerror(errno), NULL);
            }
            taker = state;
        }
    }
    place->taker = taker;
    place->untrusted = is_away ? project : NULL;
    return outcome;
}

static int make_pipe(int spool) {
#ifdef __APPLE__
    /* mkfifoat came with macOS 13. Nothing relative is used after the event is kept. */
    return fchdir(spool) == 0 ? mkfifo(WAKE, 0600) : -1;
#else
    return mkfifoat(spool, WAKE, 0600);
#endif
}

static bool is_pipe(int file) {
    struct stat status;
    return fstat(file, &status) == 0 && S_ISFIFO(status.st_mode);
}

/* Open the pipe that wakes the drainer for reading and writing; make it where it is missing, and
   in place of whatever else stands there: nobody would ever be woken. */
static int open_wake(int spool) {
    for (int attempt = 0;; attempt++) {
        if (make_pipe(spool) != 0 && errno != EEXIST) {
            return -1;
        }
        int pipe = open_at(spool, WAKE, O_RDWR | O_NONBLOCK, 0);
        if (pipe >= 0) {
            if (attempt > 0 || is_pipe(pipe)) {
                return pipe;
            }
            close(pipe);
        } else {
            int reason = errno;
            struct stat status;
            if (fstatat(spool, WAKE, &status, AT_SYMLINK_NOFOLLOW) != 0) {
                return -1;
            }
            bool is_ours = status.st_uid == geteuid() &&
                           faccessat(spool, WAKE, R_OK | W_OK, 0) == 0;
            if (attempt > 0 || (is_ours && S_ISFIFO(status.st_mode))) {
                errno = reason;
                return -1;
            }
        }
        if (unlinkat(spool, WAKE, 0) != 0) {
            /* A folder: doctor names it. */
            char other[sizeof WAKE + 24];
            snprintf(other, sizeof other, "%s.%" PRIu64, WAKE, now_ns());
            if (renameat(spool, WAKE, spool, other) != 0) {
                return -1;
            }
        }
    }
}

/* Return whether a drainer listens and has been woken. */
static bool is_woken(int spool) {
    int pipe = open_at(spool, WAKE, O_WRONLY | O_NONBLOCK, 0);
    if (pipe < 0) {
        return false;
    }
    /* Where it is full, whoever reads it is awake; EPIPE: it has ended since. */
    bool is_awake = is_pipe(pipe) && (write(pipe, "\n", 1) >= 0 || errno == EAGAIN);
    close(pipe);
    return is_awake;
}

/* Wake the drainer that listens at the spool, or start one, which inherits the reading end.

   Whatever fails: the event is kept, and the next hook, or the next reader, drains it. */
void wake_drainer(const char *project, int spool, const char *program_path) {
    if (is_woken(spool)) {
        return;
    }
    int pipe = open_wake(spool);
    if (pipe < 0) {
        return;
    }
    /* The interpreter that has khive-persist: the link `python` beside this program names it. */
    const char *last = strrchr(program_path, '/');
    char *folder = join(program_path, NULL);
    folder[last != NULL ? (size_t)(last - program_path) : 0] = '\0';
    char *program = link_text(join(folder, "/python", NULL));
    if (program == NULL) {
        return;
    }
    const char *environment[VARIABLES + 1];
    size_t count = 0;
    for (size_t index = 0; index < VARIABLES; index++) {
        environment[count] = entry_of(drainer_variables[index]);
        count += environment[count] != NULL;
    }
    environment[count] = NULL;
    char number[16];
    snprintf(number, sizeof number, "%d", pipe);
    const char *words[] = {program, "-E",    "-P",   "-m", "khive_persist.capture.drainer",
                           project, number, NULL};
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t streams;
    if (posix_spawnattr_init(&attributes) != 0) {
        return;
    }
    if (posix_spawn_file_actions_init(&streams) == 0) {
        int failed = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
        for (int stream = 0; stream < 3 && !failed; stream++) {
            failed = posix_spawn_file_actions_addopen(&streams, stream, "/dev/null", O_RDWR, 0);
        }
        if (!failed && fcntl(pipe, F_SETFD, 0) == 0) {
            pid_t drainer;
            (void)posix_spawn(&drainer, program, &streams, &attributes,
                              (char *const *)(uintptr_t)words,
                              (char *const *)(uintptr_t)environment);
        }
        posix_spawn_file_actions_destroy(&streams);
    }
    posix_spawnattr_destroy(&attributes);
}
