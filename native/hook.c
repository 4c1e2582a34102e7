/* Take one event in: from stdin into a spool file, then exit.

   Exit 0: the event is on the disk, synced, and survives a kill and a power loss. Exit 1, with one
   line on stderr: it is not kept, or not yet known to be on the disk. No other code, nothing on
   stdout, two seconds at most. Where recording is off, exit 0 in silence, too.
   capture/spool_writer.py says more: both keep to one contract, and
   tests/capture runs over both. */

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "hook.h"

#ifndef KHIVE_VERSION
#define KHIVE_VERSION "0"
#endif
#ifndef ALL_SECONDS
#define ALL_SECONDS 1.9
#endif

extern char **environ;

#define READ_SECONDS 1.3

enum { READ_BYTES = 1 << 20, MAX_BYTES = 64 << 20, FIRST_BYTES = 128 << 10, LATE_AGAIN_US = 20000 };

/* A copy in the state folder is known by it. */
__attribute__((used)) static const char label[] = "\n# khive-persist " KHIVE_VERSION "\n";
/* The lists of capture/spool_writer.py, from compiler.py. */
static const char *const tools[] = {TOOLS, NULL};
/* Who runs Claude Code's hooks besides, by the environment; the payload can say better. */
static const struct {
    const char *start;
    const char *client;
} clients[] = {CLIENTS};

struct options {
    const char *tool;
    const char *directory;
    bool tells_lost;
    bool is_fallback;
};

static char first_bytes[FIRST_BYTES];
static volatile sig_atomic_t is_late;

static void ring(int number) {
    (void)number;
    is_late = 1;
}

static bool has_word(char **words, const char *word) {
    for (; *words != NULL; words++) {
        if (strcmp(*words, word) == 0) {
            return true;
        }
    }
    return false;
}

/* Return the tools' names with a text between two. */
static char *tool_names(const char *between) {
    char *names = join(tools[0], NULL);
    for (const char *const *tool = tools + 1; *tool != NULL; tool++) {
        names = join(names, between, *tool, NULL);
    }
    return names;
}

/* Set the options of a command line; return why not, or NULL. */
static const char *read_options(char **words, struct options *options) {
    *options = (struct options){.tool = "", .directory = ""};
    options->tells_lost = has_word(words, "--tell-lost");
    options->is_fallback = has_word(words, "--fallback");
    failure_code = has_word(words, "--exit-zero") ? 0 : 1;
    while (*words != NULL) {
        const char *word = *words++;
        size_t length = strcspn(word, "=");
        const char *value = word[length] == '=' ? word + length + 1 : NULL;
        char *name = join(word, NULL);
        name[length] = '\0';
        if (strcmp(name, "--tell-lost") == 0 || strcmp(name, "--fallback") == 0 ||
            strcmp(name, "--exit-zero") == 0) {
            continue;
        }
        bool is_tool = strcmp(name, "--tool") == 0;
        if ((!is_tool && strcmp(name, "--dir") != 0) || (value == NULL && *words == NULL)) {
            return join("usage: khive-hook --tool ", tool_names("|"), " [--dir DIR] < payload",
                        NULL);
        }
        if (value == NULL) {
            value = *words++;
        }
        *(is_tool ? &options->tool : &options->directory) = value;
    }
    for (const char *const *tool = tools; *tool != NULL; tool++) {
        if (strcmp(*tool, options->tool) == 0) {
            return NULL;
        }
    }
    return join("--tool ", options->tool, " is none of ", tool_names(", "), NULL);
}

/* Where a stream is closed, see that no file of ours takes its number: the line would go into it.
   Reading from what stands in for stdin fails as before. */
static void fill_streams(void) {
    struct pollfd streams[3] = {{.fd = 0}, {.fd = 1}, {.fd = 2}};
    if (poll(streams, 3, 0) < 0) {
        return;
    }
    for (int stream = 0; stream < 3; stream++) {
        if ((streams[stream].revents & POLLNVAL) &&
            open("/dev/null", O_WRONLY | O_CLOEXEC) < 0) {
            /* Nothing can be read from it either, or written to it. */
            (void)open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        }
    }
}

/* Return room for more bytes than there were, with those in it; NULL where there is none. */
static char *grown(char *bytes, size_t size, size_t *room) {
    size_t more = *room * 8 < READ_BYTES ? 2 * READ_BYTES : *room * 8;
    /* One that is just as long as allowed needs room for one byte more, to see its end. */
    more = more <= MAX_BYTES ? more : MAX_BYTES + 1;
    char *moved = mmap(NULL, more, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (moved == MAP_FAILED) {
        return NULL;
    }
    memcpy(moved, bytes, size);
    if (bytes != first_bytes) {
        munmap(bytes, *room);
    }
    *room = more;
    return moved;
}

/* Read stdin to its end, for as long as time and memory allow: a stalled or closed stdin, or a
   longer payload, is what did come, marked as cut. */
static struct payload read_payload(void) {
    char *bytes = first_bytes;
    size_t size = 0, room = FIRST_BYTES;
    bool is_complete = false;
    /* Again and again, as the first one may come between the look and the call. */
    struct itimerval timer = {
        .it_interval = {0, LATE_AGAIN_US},
        .it_value = {(time_t)READ_SECONDS, (suseconds_t)(READ_SECONDS * 1e6) % 1000000},
    };
    setitimer(ITIMER_REAL, &timer, NULL);
    while (size <= MAX_BYTES && !is_late) {
        if (size == room) {
            char *more = grown(bytes, size, &room);
            if (more == NULL) {
                break;
            }
            bytes = more;
        }
        size_t wanted = MAX_BYTES + 1 - size;
        wanted = wanted < room - size ? wanted : room - size;
        ssize_t count = read(STDIN_FILENO, bytes + size, wanted < READ_BYTES ? wanted : READ_BYTES);
        if (count > 0) {
            size += (size_t)count;
        } else if (count == 0 || errno != EINTR) {
            is_complete = count == 0;
            break;
        }
    }
    timer = (struct itimerval){.it_value = {0, 0}};
    setitimer(ITIMER_REAL, &timer, NULL);
    return (struct payload){bytes, size, is_complete};
}

/* Return which client runs Claude Code's hooks in its place, as the environment tells. */
static const char *client(void) {
    for (char **entry = environ; entry != NULL && *entry != NULL; entry++) {
        for (size_t index = 0; index < sizeof clients / sizeof *clients; index++) {
            size_t length = strlen(clients[index].start);
            const char *equals = strchr(*entry, '=');
            if (equals != NULL && (size_t)(equals - *entry) >= length &&
                strncmp(*entry, clients[index].start, length) == 0) {
                return clients[index].client;
            }
        }
    }
    return "";
}

/* Return a spool file's name: arrival in ns, the event's id (a UUID version 7), tool, marks; NULL
   with errno where no random bytes are to be had. */
static char *file_name(const char *tool, bool is_complete, const char *by) {
    unsigned char bits[10];
    char h[2 * sizeof bits + 1], milliseconds[24], start[96];
    uint64_t arrival = now_ns();
    if (random_bytes(bits, sizeof bits) != 0) {
        return NULL;
    }
    bits[0] = (unsigned char)((bits[0] & 0x0f) | 0x70);
    bits[2] = (unsigned char)((bits[2] & 0x3f) | 0x80);
    write_hex(h, bits, sizeof bits);
    snprintf(milliseconds, sizeof milliseconds, "%012" PRIx64, arrival / 1000000);
    snprintf(start, sizeof start, "%020" PRIu64 "_%.8s-%.4s-%.4s-%.4s-%s_", arrival, milliseconds,
             milliseconds + 8, h, h + 4, h + 8);
    return join(start, tool, is_complete ? "" : ".cut", by[0] != '\0' ? ".by-" : "", by, ".event",
                NULL);
}

static double monotonic(void) {
    struct timespec now = {0, 0};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Return this program's path, as far as it can be told. */
static const char *program_path(const char *word) {
    if (word != NULL && word[0] == '/') {
        return word;
    }
    const char *path = link_text("/proc/self/exe");
    return path != NULL ? path : "";
}

/* Say why an event is not kept, and note it where it was one; return the exit code. */
static int fail(enum outcome outcome, const char *reason, const struct options *options,
                bool is_event) {
    if (is_event && !options->tells_lost) {
        (void)note_lost(outcome == UNSURE ? NOT_KNOWN : LOST);
    }
    const char *start =
        outcome == UNSURE ? "event not yet known to be on the disk: " : "event not kept: ";
    complain(join(start, reason, NULL));
    return failure_code;
}

/* Read one payload and keep it; return the exit code. */
static int record(const char *program, const struct options *options) {
    double began = monotonic();
    struct event event = {.tool = options->tool, .directory = options->directory};
    event.payload = read_payload();
    if (options->is_fallback && event.payload.size == 0) {
        /* The hook before this one has read it, and has said what became of it. */
        return failure_code;
    }
    if (is_off(&event.payload)) {
        return 0;
    }
    double taken = monotonic() - began;
    event.name = file_name(event.tool, event.payload.is_complete,
                           strcmp(event.tool, tools[0]) == 0 ? client() : "");
    if (event.name == NULL) {
        return fail(NOT_KEPT, strerror(errno), options, true);
    }
    /* What reading has left over: a disk that many write to can take its time to sync. */
    start_watch(ALL_SECONDS - (taken < READ_SECONDS ? taken : READ_SECONDS), &event,
                !options->tells_lost);
    struct place place;
    enum outcome outcome = put(&event, true, &place);
    if (outcome == PAUSED) {
        return 0;
    }
    if (outcome != KEPT) {
        bool is_refused = outcome == NOT_KEPT && refusal != NULL;
        return fail(outcome, is_refused ? refusal : strerror(errno), options, true);
    }
    end_watch();
    if (place.untrusted != NULL && options->directory[0] != '\0') {
        complain(join(khive_of(place.untrusted), " is not trusted; the event waits in ",
                      khive_of(place.taker), "/spool: khive-persist --dir ", place.untrusted,
                      " trust", NULL));
    }
    wake_drainer(place.taker, place.spool, program_path(program));
    return options->tells_lost && tell_lost() != 0 ? failure_code : 0;
}

int main(int count, char **words) {
    struct sigaction ringing = {.sa_handler = ring}, ignoring = {.sa_handler = SIG_IGN};
    sigset_t alarm;
    /* Kimi Code ends the group of a hook that it does not wait for, within 200 ms of the call's
       end. In front of a terminal a group of its own could not read from it. */
    if (isatty(0) == 0) {
        (void)setpgid(0, 0);
    }
    sigaction(SIGALRM, &ringing, NULL);
    sigaction(SIGINT, &ignoring, NULL);
    sigaction(SIGPIPE, &ignoring, NULL);
    /* A file that may grow no more is a write that fails. */
    sigaction(SIGXFSZ, &ignoring, NULL);
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    sigprocmask(SIG_UNBLOCK, &alarm, NULL);
    umask(077);
    fill_streams();
    struct options options;
    const char *reason = read_options(count > 0 ? words + 1 : words, &options);
    /* Nothing that exit() would do is left to be done. */
    _exit(reason != NULL ? fail(NOT_KEPT, reason, &options, false)
                         : record(words[0], &options));
}
