/* Answer for a disk that takes longer than the deadline.

   A thread of its own waits, as nothing interrupts a sync. When time is over, a child goes on, and
   the process ends, as far as the kernel lets go of it: the child gives what is written its name,
   or begins anew with what was read, under the same name. */

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "hook.h"

/* More than a line has. */
enum { LINE_BYTES = 2560 };

struct begun {
    int spool;
    const char *temporary;
};

static const struct event *watched;
static const char *began_in;
static struct timespec time_left;
static bool notes_late;
static _Atomic(const char *) watched_khive;
static _Atomic(const struct begun *) begun;
static _Atomic(const struct settling *) written;
/* Who comes first answers for the event: the process, or the watch. */
static atomic_flag is_answered = ATOMIC_FLAG_INIT;

void watch_khive(const char *khive) { atomic_store(&watched_khive, khive); }

void watch_begun(int spool, const char *temporary) {
    struct begun *file = (struct begun *)(void *)take(sizeof *file);
    *file = (struct begun){spool, temporary};
    atomic_store(&begun, file);
}

void watch_written(const struct settling *settling) { atomic_store(&written, settling); }

static enum outcome go_on(void) {
    const struct settling *settling = atomic_load(&written);
    if (settling != NULL) {
        enum outcome outcome = settle(settling);
        if (outcome != NOT_KEPT) {
            return outcome;
        }
        /* Not there: then where there is room for it. */
    }
    const struct begun *file = atomic_load(&begun);
    if (file != NULL) {
        unlinkat(file->spool, file->temporary, 0);
    }
    struct place place;
    return chdir(began_in) == 0 ? put(watched, false, &place) : NOT_KEPT;
}

/* Go on in a child, for as long as it takes; the tool does not wait for its streams.

   Nobody may have seen the line. So a note says that it is not known what became of the event,
   until it is. */
static void finish(void) {
    take_anew();
    setsid();
    int nothing = open_at(AT_FDCWD, "/dev/null", O_RDWR, 0);
    for (int stream = 0; stream < 3 && nothing >= 0; stream++) {
        dup2(nothing, stream);
    }
    const char *note = notes_late ? note_lost(NOT_KNOWN) : NULL;
    enum outcome outcome = go_on();
    if (outcome != UNSURE) {
        forget(note);
    }
    if (outcome == NOT_KEPT) {
        note_lost(LOST);
    }
    _exit(0);
}

static void *wait_for_end(void *nothing) {
    struct timespec left = time_left;
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
    if (atomic_flag_test_and_set(&is_answered)) {
        /* It is kept, and its drainer takes long to be started. */
        _exit(0);
    }
    pid_t child = fork();
    if (child == 0) {
        finish();
    }
    /* Not by `join`: the other thread may be at it. */
    char line[LINE_BYTES];
    snprintf(line, sizeof line, "%s: %s takes too long",
             child > 0 ? "event not yet known to be on the disk" : "event not kept",
             atomic_load(&watched_khive));
    complain(line);
    _exit(failure_code);
    return nothing;
}

/* Begin to wait. Where no thread is to be had, the disk is waited for. */
void start_watch(double seconds, const struct event *event, bool notes) {
    seconds = seconds > 0.01 ? seconds : 0.01;
    time_left.tv_sec = (time_t)seconds;
    time_left.tv_nsec = (long)((seconds - (double)time_left.tv_sec) * 1e9);
    watched = event;
    notes_late = notes;
    atomic_store(&watched_khive, "looking for .khive");
    const char *directory = working_directory();
    began_in = directory != NULL ? directory : "/";
    pthread_t thread;
    (void)pthread_create(&thread, NULL, wait_for_end, NULL);
}

/* Answer for the event; where the watch was first, it ends the process. */
void end_watch(void) {
    while (atomic_flag_test_and_set(&is_answered)) {
        pause();
    }
}
