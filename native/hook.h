/* The parts of the compiled hook. capture/spool_writer.py is the same contract in Python. */

#ifndef KHIVE_HOOK_H
#define KHIVE_HOOK_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

enum { INSTANT_DIGITS = 20, MARK_DIGITS = 32, MARKS_OF_A_PATH = 8, LINK_BYTES = 4096, MOST_PARENTS = 2304 };

/* The answers of who writes: errno says why where it is NOT_KEPT or UNSURE. */
enum outcome { KEPT, NOT_KEPT, UNSURE, PAUSED };

struct payload {
    const char *bytes;
    size_t size;
    bool is_complete;
};

/* What one event is kept by, again in a child where the disk takes too long. */
struct event {
    const char *tool;
    const char *directory;
    const char *name;
    struct payload payload;
};

/* The spool that took an event, its directory, and that of the project that it is meant for and
   that is not trusted, or NULL. */
struct place {
    int spool;
    const char *taker;
    const char *untrusted;
};

/* Folders whose names are synced once the event is written. */
struct parents {
    int count;
    int folders[MOST_PARENTS];
};

struct settling {
    int spool;
    int file;
    const char *temporary;
    const char *name;
    struct parents *parents;
};

/* memory.c: what lasts as long as the process. */
extern int failure_code;
char *take(size_t size);
void take_anew(void);

/* text.c: strings, and the one line. */
char *join(const char *first, ...) __attribute__((sentinel));
void complain(const char *message);

/* system.c: calls that a signal cannot end, the clock, random bytes. */
int open_at(int folder, const char *path, int flags, mode_t mode);
int sync_file(int file);
uint64_t now_ns(void);
int random_bytes(unsigned char *bytes, size_t size);
void write_hex(char *to, const unsigned char *bytes, size_t size);
const char *entry_of(const char *name);
const char *variable(const char *name);
char *working_directory(void);
char *link_text(const char *path);

/* trust.c: which `.khive` takes an event. */
char *khive_of(const char *directory);
const char *home(void);
int mark(const char *khive, const char *state, struct parents *parents);
int choose(const char *directory, const char *tool, const char *state, const char **taker,
           const char **project);

/* pause.c: what is not recorded. */
bool is_off(const struct payload *payload);
bool is_paused(const char *state, const char *taker, const char *project, const char *name);

/* spool.c: the spool file, and the drainer. */
enum outcome settle(const struct settling *settling);
enum outcome put(const struct event *event, bool is_watched, struct place *place);
void wake_drainer(const char *project, int spool, const char *program_path);
extern const char *refusal;

/* watch.c: the deadline. */
void start_watch(double seconds, const struct event *event, bool notes);
void watch_khive(const char *khive);
void watch_begun(int spool, const char *temporary);
void watch_written(const struct settling *settling);
void end_watch(void);

/* lost.c: notes of events that are not kept. */
enum lost { LOST, NOT_KNOWN };
char *note_lost(enum lost status);
void forget(const char *note);
int tell_lost(void);

#endif
