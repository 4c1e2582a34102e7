/* Run the hook in one process, on a system that answers as the input says.

   Arguments, environment and stdin come from the input, and so does what each call of the system
   returns: what is there, whose it is, which call fails, how much is written. No disk is touched.
   What must hold is checked at the end of each run: see `check`. With libFuzzer it is
   LLVMFuzzerTestOneInput, else `fuzz COUNT [SEED]` makes its own inputs. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { USER = 1000, MOST_BLOCKS = 4096, FIRST_FILE = 10, MOST_WORDS = 12, STDERR_BYTES = 4096 };
enum { FIRST_LINE = 12, LONGEST_LINE = 500 };

static const uint8_t *input;
static size_t input_left;
static jmp_buf ended;
static int exit_code;

static void *blocks[MOST_BLOCKS];
static size_t blocks_count;
char **fuzz_environ;
static size_t stdin_left;
static int next_file;

/* What the run did, as far as `check` wants to know. */
static struct {
    char line[STDERR_BYTES];
    size_t line_bytes;
    int lines;
    int event_file;
    size_t written;
    size_t expected;
    bool wrote_other_streams;
    bool is_file_synced;
    bool is_renamed;
    bool is_name_synced;
    int spool;
    bool is_child;
    int calls;
    int child_at;
    int late_at;
    unsigned good;
    bool is_paused;
    /* Of all bytes that are written: each of them is read for it. */
    unsigned sum;
} run;

static unsigned next(void) {
    if (input_left == 0) {
        return 0;
    }
    input_left--;
    return *input++;
}

static const int errors[] = {ENOENT, EACCES, EEXIST, ENOTDIR, ENOSPC,       EROFS,
                             EIO,    EINTR,  EMFILE, ELOOP,   ENAMETOOLONG, EAGAIN};

static _Noreturn void fuzz_exit(int code) {
    exit_code = code;
    longjmp(ended, 1);
}

char *take(size_t size) {
    if (blocks_count == MOST_BLOCKS) {
        fuzz_exit(1);
    }
    char *block = malloc(size > 0 ? size : 1);
    if (block == NULL) {
        abort();
    }
    /* What is read before it is written is seen. */
    memset(block, 0xee, size);
    return blocks[blocks_count++] = block;
}

void take_anew(void) {}

/* It holds at every time. */
#define PAUSE "00000000000000000000_99999999999999999999"

static const char *const texts_of_input[] = {
    "",
    "/",
    "/home/u",
    "/home/u/",
    "/p",
    "/p/a/b",
    "//",
    ".",
    "a",
    "a/../b",
    "x\ny",
    "\xff\xfe",
    "--tool",
    "--dir",
    "claude-code",
    "codex",
    "gemini-cli",
    "--tell-lost",
    "--exit-zero",
    "--fallback",
    "--tool=claude-code",
    "--dir=/p",
    "--tool=",
    "=",
    "00000000000000000000000000000000",
    "11111111111111111111111111111111-00000000000000000000000000000000",
    "-",
    "a-b-c-d-e-f-g-h-i-j",
    PAUSE,
    "00000000000000000001_00000000000000000002",
    "0",
    "\xe2\x82\xac\xed\xa0\x80\xf4\x90\x80\x80\xc0\x80",
};

/* Return a string of the input: known, of any bytes, or long. */
static char *text(void) {
    unsigned kind = next();
    size_t known = sizeof texts_of_input / sizeof *texts_of_input;
    if (kind < 160) {
        const char *chosen = texts_of_input[kind % known];
        return strcpy(take(strlen(chosen) + 1), chosen);
    }
    size_t length = kind < 250 ? next() % 48 : (next() << 5) + 1;
    unsigned fill = next();
    char *made = take(length + 1);
    for (size_t index = 0; index < length; index++) {
        unsigned byte = length > 64 ? fill : next();
        made[index] = (char)(byte != 0 ? byte : '/');
    }
    made[length] = '\0';
    return made;
}

static void called(void);

/* Return whether a call fails, seldom, with an error of the input's choice. */
static bool fails(void) {
    called();
    unsigned kind = next();
    if (kind < run.good) {
        return false;
    }
    errno = errors[kind % (sizeof errors / sizeof *errors)];
    return true;
}

static int plain(void) { return fails() ? -1 : 0; }

static int opened(const char *path) {
    if (fails()) {
        return -1;
    }
    int file = next_file++;
    size_t length = strlen(path);
    if (length > 4 && strcmp(path + length - 4, ".tmp") == 0) {
        run.event_file = file;
        run.written = 0;
        run.is_file_synced = run.is_renamed = run.is_name_synced = false;
    }
    return file;
}

static int fuzz_openat(int folder, const char *path, int flags, ...) {
    (void)folder, (void)flags;
    return opened(path);
}

static int fuzz_open(const char *path, int flags, ...) {
    (void)flags;
    return opened(path);
}

static int fuzz_close(int file) {
    (void)file;
    return 0;
}

static ssize_t fuzz_read(int file, void *bytes, size_t size) {
    if (fails()) {
        return -1;
    }
    size_t count = next() << (file == 0 ? next() % 12 : 0);
    count = count < size ? count : size;
    if (file == 0) {
        count = count < stdin_left ? count : stdin_left;
        stdin_left -= count;
    }
    uint8_t *to = bytes;
    for (size_t index = 0; index < count; index++) {
        to[index] = index < 256 ? (uint8_t)next() : 'x';
    }
    if (file == 0) {
        run.expected += count;
    }
    return (ssize_t)count;
}

static ssize_t fuzz_write(int file, const void *bytes, size_t size) {
    const uint8_t *from = bytes;
    for (size_t index = 0; index < size; index++) {
        run.sum += from[index];
    }
    if (file == 2) {
        if (size > sizeof run.line) {
            abort();
        }
        memcpy(run.line, bytes, size);
        run.line_bytes = size;
        run.lines++;
        return (ssize_t)size;
    }
    run.wrote_other_streams |= file < FIRST_FILE;
    if (fails()) {
        return -1;
    }
    size_t count = next() % 4 == 0 ? size / 2 : size;
    if (file == run.event_file) {
        run.written += count;
    }
    return (ssize_t)count;
}

static int fuzz_fsync(int file) {
    if (fails()) {
        return -1;
    }
    if (file == run.event_file) {
        run.is_file_synced = true;
    } else if (file == run.spool && run.is_renamed) {
        run.is_name_synced = true;
    }
    return 0;
}

static int stated(struct stat *status) {
    static const mode_t kinds[] = {S_IFDIR, S_IFDIR, S_IFDIR, S_IFREG, S_IFLNK, S_IFIFO, S_IFSOCK};
    if (fails()) {
        return -1;
    }
    unsigned kind = next();
    memset(status, 0, sizeof *status);
    status->st_mode = kinds[kind % 7] | 0700;
    status->st_uid = kind < 224 ? USER : 0;
    status->st_ino = next() % 8;
    return 0;
}

static int fuzz_lstat(const char *path, struct stat *status) {
    (void)strlen(path);
    return stated(status);
}

static int fuzz_fstat(int file, struct stat *status) {
    (void)file;
    return stated(status);
}

static int fuzz_fstatat(int folder, const char *path, struct stat *status, int flags) {
    (void)strlen(path);
    int result = stated(status);
    if (result == 0 && flags == 0 && run.is_file_synced) {
        /* The name is there: another has given it. */
        run.is_renamed = true;
        run.spool = folder;
    }
    return result;
}

static ssize_t fuzz_readlink(const char *path, char *to, size_t size) {
    (void)strlen(path);
    if (fails()) {
        return -1;
    }
    const char *link = text();
    size_t length = strlen(link);
    length = length < size ? length : size;
    memcpy(to, link, length);
    bool is_of_pause = strstr(path, "/.paused") != NULL || strstr(path, "/pauses/all") != NULL;
    run.is_paused |= is_of_pause && strcmp(link, PAUSE) == 0;
    return (ssize_t)length;
}

static char *fuzz_getcwd(char *to, size_t size) {
    if (fails()) {
        return NULL;
    }
    const char *path = text();
    if (path[0] != '/') {
        path = "/p/a";
    }
    if (strlen(path) >= size) {
        errno = ERANGE;
        return NULL;
    }
    return strcpy(to, path);
}

static int fuzz_renameat(int from, const char *old, int to, const char *new) {
    (void)from, (void)strlen(old), (void)strlen(new);
    if (fails()) {
        return -1;
    }
    if (run.is_file_synced && strstr(old, ".tmp") != NULL) {
        run.is_renamed = true;
        run.spool = to;
    }
    return 0;
}

static int fuzz_rename(const char *old, const char *new) {
    return (void)strlen(old), (void)strlen(new), plain();
}

static int fuzz_symlink(const char *to, const char *path) {
    return (void)strlen(to), (void)strlen(path), plain();
}

static int fuzz_path(const char *path) { return (void)strlen(path), plain(); }

static int fuzz_getrandom(unsigned char *to, size_t size) {
    memset(to, (int)next(), size);
    return fails() ? -1 : (int)size;
}

static struct dirent *fuzz_readdir(int *left) {
    static struct dirent entry;
    if ((*left)-- == 0) {
        return NULL;
    }
    const char *name = text();
    size_t length = strlen(name);
    length = length < sizeof entry.d_name ? length : sizeof entry.d_name - 1;
    memcpy(entry.d_name, name, length);
    entry.d_name[length] = '\0';
    return &entry;
}

static int names_left;

static int *fuzz_opendir(const char *path) {
    (void)strlen(path);
    names_left = (int)(next() % 6);
    return fails() ? NULL : &names_left;
}

static int fuzz_clock_gettime(clockid_t clock, struct timespec *now) {
    (void)clock;
    now->tv_sec = (time_t)(next() << 23);
    now->tv_nsec = (long)(next() << 20) % 1000000000;
    return 0;
}

/* Return memory as `mmap` does; what is given back is freed at the end of the run. */
static void *fuzz_mmap(size_t size) {
    if (fails()) {
        return MAP_FAILED;
    }
    void *memory = calloc(1, size);
    if (memory == NULL || blocks_count == MOST_BLOCKS) {
        abort();
    }
    return blocks[blocks_count++] = memory;
}

static int fuzz_poll(struct pollfd *streams, nfds_t count, int wait) {
    (void)wait;
    for (nfds_t index = 0; index < count; index++) {
        streams[index].revents = next() < 16 ? POLLNVAL : 0;
    }
    return plain();
}

#define _exit fuzz_exit
#define openat fuzz_openat
#define open fuzz_open
#define close fuzz_close
#define read fuzz_read
#define write fuzz_write
#define fsync fuzz_fsync
#define lstat fuzz_lstat
#define fstat fuzz_fstat
#define fstatat fuzz_fstatat
#define readlink fuzz_readlink
#define getcwd fuzz_getcwd
#define renameat fuzz_renameat
#define rename fuzz_rename
#define symlink fuzz_symlink
#define access(path, mode) fuzz_path(path)
#define faccessat(folder, path, mode, flags) fuzz_path(path)
#define mkdir(path, mode) fuzz_path(path)
#define mkdirat(folder, path, mode) fuzz_path(path)
#define mkfifoat(folder, path, mode) ((void)(folder), fuzz_path(path))
#define unlink fuzz_path
#define unlinkat(folder, path, flags) fuzz_path(path)
#define chdir fuzz_path
#define getrandom(to, size, flags) fuzz_getrandom((unsigned char *)(to), size)
#define DIR int
#define opendir fuzz_opendir
#define readdir fuzz_readdir
#define closedir(notes) ((void)(notes))
#define clock_gettime fuzz_clock_gettime
#define poll fuzz_poll
#define mmap(at, size, rights, flags, file, offset) fuzz_mmap(size)
#define munmap(memory, size) ((void)(memory))
#define geteuid() ((uid_t)USER)
#define umask(mask) ((void)(mask))
#define sigaction(number, action, old) ((void)(action))
#define sigprocmask(how, set, old) ((void)(set))
#define setitimer(timer, value, old) ((void)(value))
#define pthread_create(thread, attributes, start, word) ((void)(thread), (void)(start), 0)
#define fork() (-1)
#define setsid() ((void)0)
#define dup2(from, to) ((void)(to))
#define nanosleep(wait, left) ((void)(wait), 0)
#define pause() fuzz_exit(0)
#define fcntl(file, command, value) plain()
#define posix_spawn(process, program, streams, attributes, words, environment)                     \
    ((void)(process), (void)strlen(program), (void)(words), (void)(environment), plain())
#define environ fuzz_environ
#define main hook_main

#include "../hook.c"
#include "../lost.c"
#include "../pause.c"
#include "../spool.c"
#include "../system.c"
#include "../text.c"
#include "../trust.c"
#include "../watch.c"

#undef main
#undef sigaction

int failure_code;

/* Come between two calls: the time to read is over; or that to write is, and a child goes on. */
static void called(void) {
    run.calls++;
    if (run.calls == run.late_at) {
        ring(SIGALRM);
    }
    if (run.calls == run.child_at && began_in != NULL && !run.is_child &&
        !atomic_flag_test_and_set(&is_answered)) {
        run.is_child = true;
        finish();
    }
}

static void begin(void) {
    memset(&run, 0, sizeof run);
    run.event_file = run.spool = -1;
    next_file = FIRST_FILE;
    exit_code = -1;
    failure_code = 1;
    is_late = 0;
    refusal = NULL;
    watched = NULL;
    began_in = NULL;
    watched_khive = NULL;
    begun = NULL;
    written = NULL;
    atomic_flag_clear(&is_answered);
}

static void end(void) {
    for (size_t index = 0; index < blocks_count; index++) {
        free(blocks[index]);
    }
    blocks_count = 0;
}

static void demand(bool holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "%s: exit %d, line %.*s\n", what, exit_code, (int)run.line_bytes, run.line);
        abort();
    }
}

static void check(char **words, bool is_empty) {
    bool exits_zero = has_word(words, "--exit-zero");
    demand(exit_code == 0 || (exit_code == 1 && !exits_zero), "a code that blocks");
    demand(!run.wrote_other_streams, "something on stdout");
    if (run.lines > 0) {
        size_t characters = 0, ends = 0;
        for (size_t index = 0; index < run.line_bytes; index++) {
            characters += ((unsigned char)run.line[index] & 0xc0) != 0x80;
            ends += run.line[index] == '\n';
        }
        demand(ends == 1 && run.line[run.line_bytes - 1] == '\n', "more than a line");
        demand(characters <= LONGEST_LINE + 1, "a long line");
        demand(memcmp(run.line, "khive-hook: ", FIRST_LINE) == 0, "another's line");
    }
    if (run.is_child) {
        return;
    }
    const char *off = variable("KHIVE_OFF");
    bool is_silent = run.is_paused || (off[0] != '\0' && strcmp(off, "0") != 0);
    if (is_silent) {
        demand(!run.is_renamed, "kept, and recording is off");
    }
    if (exit_code == 0 && !exits_zero && !is_silent) {
        demand(run.is_renamed && run.is_name_synced, "kept, and not synced");
        demand(run.written >= run.expected, "kept, and not whole");
    }
    if (exit_code == 1) {
        demand(run.lines > 0 || (is_empty && has_word(words, "--fallback")), "failed in silence");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static const char *const names[] = {
        "HOME", "KHIVE_HOME", "KHIVE_DIR", "CLAUDE_PROJECT_DIR", "GEMINI_PROJECT_DIR",
        "COPILOT_CLI", "CURSOR_X", "GROK_", "PATH", "LD_LIBRARY_PATH", "TMPDIR", "KHIVE_OFF",
    };
    static char *entries[MOST_WORDS + 1];
    static char *words[MOST_WORDS + 1];
    input = bytes;
    input_left = size;
    begin();
    /* Some systems fail at nearly nothing, others at every fourth call. */
    run.good = 255 - next() % 64;
    run.child_at = next() % 3 == 0 ? (int)(next() % 96) : 0;
    run.late_at = next() % 8 == 0 ? (int)(next() % 8) : 0;
    stdin_left = next() != 0 ? next() : (size_t)next() << 13;
    size_t count = next() % MOST_WORDS;
    for (size_t index = 0; index < count; index++) {
        size_t name = next() % 13;
        char *value = text();
        entries[index] = name < 12 ? join(names[name], "=", value, NULL) : value;
    }
    entries[count] = NULL;
    fuzz_environ = entries;
    size_t words_count = 0;
    words[words_count++] = next() % 4 == 0 ? text() : strcpy(take(8), "/b/hook");
    if (next() % 4 != 0) {
        words[words_count++] = strcpy(take(7), "--tool");
        words[words_count++] = strcpy(take(12), next() % 2 == 0 ? "claude-code" : "gemini-cli");
    }
    for (size_t left = next() % 4; left > 0; left--) {
        static const char *const options[] = {"--dir", "--tell-lost", "--exit-zero", "--fallback"};
        unsigned kind = next() % 16;
        if (kind < 14) {
            words[words_count++] = join(options[kind % 4], NULL);
        }
        if (kind % 4 == 0 || kind >= 14) {
            words[words_count++] = text();
        }
    }
    words[words_count] = NULL;
    if (setjmp(ended) == 0) {
        hook_main((int)words_count, words);
    }
    check(words + 1, run.expected == 0);
    end();
    return 0;
}

#ifndef KHIVE_LIBFUZZER
int main(int count, char **words) {
    enum { INPUT_BYTES = 384 };
    static uint8_t bytes[INPUT_BYTES];
    unsigned long long inputs = count > 1 ? strtoull(words[1], NULL, 10) : 1000;
    uint64_t state = count > 2 ? strtoull(words[2], NULL, 10) : 1;
    unsigned long long kept = 0;
    for (unsigned long long number = 0; number < inputs; number++) {
        size_t size = 0;
        for (; size < INPUT_BYTES; size += sizeof state) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            uint64_t scrambled = state * UINT64_C(0x2545f4914f6cdd1d);
            memcpy(bytes + size, &scrambled, sizeof scrambled);
        }
        LLVMFuzzerTestOneInput(bytes, (size_t)(bytes[0] * 2) % INPUT_BYTES);
        kept += exit_code == 0 && run.is_name_synced;
    }
    printf("%llu inputs, %llu of them kept an event\n", inputs, kept);
    return 0;
}
#endif
