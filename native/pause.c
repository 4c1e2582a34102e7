/* Tell whether recording is off, and count what is not recorded.

   No `.khive` of a project says so: the environment does, or a link of the state folder. */

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hook.h"

enum { MOST_SESSION_CHARACTERS = 200 };

static const char PAUSES[] = "/pauses";
static const char OFF_FOLDER[] = "/off";
static const char UNKNOWN_SESSION[] = "unknown.session";
static const char BLANKS[] = " \t\r\n";
static const char DIGITS[] = "0123456789";
static const char SESSION_CHARACTERS[] =
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_";
/* What clients call a session's id, where nothing is parsed. */
static const char *const session_names[] = {SESSION_NAMES, NULL};

/* Add an event that is not recorded to a file below `pauses`, whose size is their count. Where that
   fails it is not recorded all the same. */
static void count_unrecorded(const char *state, const char *name, const char *arrival) {
    enum { FLAGS = O_WRONLY | O_CREAT | O_APPEND };
    if (state[0] == '\0') {
        return;
    }
    const char *folder = join(khive_of(state), PAUSES, NULL);
    const char *path = join(folder, name, NULL);
    int file = open_at(AT_FDCWD, path, FLAGS, 0600);
    if (file < 0 && errno == ENOENT) {
        const char *folders[] = {folder, join(folder, OFF_FOLDER, NULL)};
        for (size_t index = 0; index < sizeof folders / sizeof *folders; index++) {
            if (mkdir(folders[index], 0700) != 0 && errno != EEXIST) {
                return;
            }
        }
        file = open_at(AT_FDCWD, path, FLAGS, 0600);
    }
    if (file >= 0) {
        char line[INSTANT_DIGITS + 1];
        memcpy(line, arrival, INSTANT_DIGITS);
        line[INSTANT_DIGITS] = '\n';
        (void)!write(file, line, sizeof line);
        close(file);
    }
}

/* Return where a word begins in some bytes; their size where it does not stand there. */
static size_t find(const char *bytes, size_t size, const char *word) {
    size_t length = strlen(word);
    for (size_t at = 0; at + length <= size; at++) {
        const char *first = memchr(bytes + at, word[0], size - length + 1 - at);
        if (first == NULL) {
            break;
        }
        at = (size_t)(first - bytes);
        if (memcmp(first, word, length) == 0) {
            return at;
        }
    }
    return size;
}

/* Return the session that a payload names, as far as that can be told without parsing it. */
static const char *session_in(const struct payload *payload) {
    for (const char *const *name = session_names; *name != NULL; name++) {
        const char *key = join("\"", *name, "\"", NULL);
        size_t at = find(payload->bytes, payload->size, key);
        if (at == payload->size) {
            continue;
        }
        at += strlen(key);
        size_t left = payload->size - at;
        char value[MOST_SESSION_CHARACTERS + 1];
        size_t size = left < MOST_SESSION_CHARACTERS ? left : MOST_SESSION_CHARACTERS;
        memcpy(value, payload->bytes + at, size);
        value[size] = '\0';
        char *text = value + strspn(value, BLANKS);
        if (*text++ != ':') {
            continue;
        }
        text += strspn(text, BLANKS);
        if (*text++ != '"') {
            continue;
        }
        size_t length = strspn(text, SESSION_CHARACTERS);
        if (length > 0 && text[length] == '"') {
            text[length] = '\0';
            return join(text, NULL);
        }
    }
    return UNKNOWN_SESSION;
}

/* Return whether the environment says that nothing is recorded; count the event for its session. */
bool is_off(const struct payload *payload) {
    const char *off = variable("KHIVE_OFF");
    if (off[0] == '\0' || strcmp(off, "0") == 0) {
        return false;
    }
    char arrival[INSTANT_DIGITS + 1];
    snprintf(arrival, sizeof arrival, "%0*" PRIu64, INSTANT_DIGITS, now_ns());
    count_unrecorded(home(), join(OFF_FOLDER, "/", session_in(payload), NULL), arrival);
    return true;
}

/* Return when a pause began that holds at an arrival; NULL for none. Times are so many digits, as
   in the name of a spool file: nothing is parsed. */
static const char *paused_since(const char *link, const char *arrival) {
    char *since = link_text(link);
    if (since == NULL || strspn(since, DIGITS) != INSTANT_DIGITS || since[INSTANT_DIGITS] != '_') {
        return NULL;
    }
    const char *until = since + INSTANT_DIGITS + 1;
    if (strspn(until, DIGITS) != INSTANT_DIGITS || until[INSTANT_DIGITS] != '\0') {
        return NULL;
    }
    since[INSTANT_DIGITS] = '\0';
    bool holds = strncmp(since, arrival, INSTANT_DIGITS) <= 0 &&
                 strncmp(arrival, until, INSTANT_DIGITS) < 0;
    return holds ? since : NULL;
}

/* Return whether a pause holds of all, or of who takes an event, and count it; its name begins with
   its arrival. */
bool is_paused(const char *state, const char *taker, const char *project, const char *name) {
    if (state[0] == '\0') {
        return false;
    }
    const char *khive = khive_of(state);
    const char *since = paused_since(join(khive, PAUSES, "/all", NULL), name);
    const char *projects[] = {taker, strcmp(project, taker) == 0 ? NULL : project};
    for (size_t index = 0; index < 2 && since == NULL && projects[index] != NULL; index++) {
        since = paused_since(join(khive, "/marks", projects[index], "/.paused", NULL), name);
    }
    if (since == NULL) {
        return false;
    }
    count_unrecorded(state, join("/", since, NULL), name);
    return true;
}
