/* Find the `.khive` that takes an event: one that is marked as this user's. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hook.h"

static const struct {
    const char *tool;
    const char *variable;
} project_variables[] = {PROJECT_VARIABLES};

char *khive_of(const char *directory) {
    size_t length = strlen(directory);
    while (length > 0 && directory[length - 1] == '/') {
        length--;
    }
    char *khive = take(length + sizeof "/.khive");
    memcpy(khive, directory, length);
    memcpy(khive + length, "/.khive", sizeof "/.khive");
    return khive;
}

static bool is_own(const struct stat *status, uid_t user) {
    return status->st_uid == user && S_ISDIR(status->st_mode);
}

static bool is_same(const struct stat *one, const struct stat *other) {
    return one->st_ino == other->st_ino && one->st_dev == other->st_dev;
}

/* Return a home whose `.khive` is this user's and can be written, or made; an empty string where
   something of the user's own is in the way, NULL where it is no home. */
static const char *usable(const char *directory, uid_t user) {
    if (directory[0] != '/') {
        return NULL;
    }
    const char *khive = khive_of(directory);
    struct stat status;
    if (lstat(khive, &status) != 0) {
        bool can_be_made = errno == ENOENT && access(directory, W_OK | X_OK) == 0;
        return can_be_made ? directory : NULL;
    }
    if (status.st_uid != user) {
        return NULL;
    }
    return is_own(&status, user) && access(khive, W_OK | X_OK) == 0 ? directory : "";
}

/* Return the home directory in a line of /etc/passwd that is this user's, or NULL. */
static const char *home_in_line(char *line, uid_t user) {
    char *fields[7];
    int count = 0;
    for (char *field = line; field != NULL && count < 7; count++) {
        fields[count] = field;
        field = strchr(field, ':');
        if (field != NULL) {
            *field++ = '\0';
        }
    }
    if (count < 6 || line[0] == '#') {
        return NULL;
    }
    char *end = NULL;
    errno = 0;
    unsigned long long number = strtoull(fields[2], &end, 10);
    bool is_number = fields[2][0] >= '0' && fields[2][0] <= '9' && *end == '\0' && errno == 0;
    return is_number && number == (unsigned long long)user ? join(fields[5], NULL) : NULL;
}

/* Return the home directory of the passwd entry; an empty string without one. getpwuid could load
   other code and ask the network. */
static const char *passwd_home(uid_t user) {
    enum { BLOCK = 16 << 10 };
    char *text = take(BLOCK + 1);
    size_t size = 0;
    const char *found = NULL;
    /* It may be a link, as in images that Nix makes. */
    int file = openat(AT_FDCWD, "/etc/passwd", O_RDONLY | O_CLOEXEC);
    while (file >= 0 && found == NULL) {
        ssize_t count = read(file, text + size, BLOCK - size);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        size += count > 0 ? (size_t)count : 0;
        text[size] = '\0';
        char *line = text;
        for (char *end; found == NULL && (end = strchr(line, '\n')) != NULL; line = end + 1) {
            *end = '\0';
            found = home_in_line(line, user);
        }
        if (count <= 0) {
            found = found != NULL ? found : home_in_line(line, user);
            break;
        }
        /* A line longer than the block is none that names a home. */
        size = line == text && size == BLOCK ? 0 : size - (size_t)(line - text);
        memmove(text, line, size);
    }
    if (file >= 0) {
        close(file);
    }
    return found != NULL ? found : "";
}

/* Return the directory whose `.khive` is the user's state folder; an empty string without any. */
const char *home(void) {
    uid_t user = geteuid();
    const char *khive_home = variable("KHIVE_HOME");
    const char *directory = usable(khive_home[0] != '\0' ? khive_home : variable("HOME"), user);
    if (directory == NULL && khive_home[0] == '\0') {
        directory = usable(passwd_home(user), user);
    }
    return directory != NULL ? directory : "";
}

/* Return whether a `.khive` is marked as this user's, who is known to own it: one of the digits of
   its id stands in the text of the mark. */
static bool is_trusted(const char *khive, const char *state) {
    const char *text = link_text(join(khive_of(state), "/marks", khive, NULL));
    char *digits = text != NULL ? link_text(join(khive, "/id", NULL)) : NULL;
    while (digits != NULL) {
        char *end = strchr(digits, '-');
        if (end != NULL) {
            *end++ = '\0';
        }
        if (strlen(digits) == MARK_DIGITS && strstr(text, digits) != NULL) {
            return true;
        }
        digits = end;
    }
    return false;
}

static int add_parent(struct parents *parents, int folder) {
    if (folder < 0) {
        return -1;
    }
    if (parents->count == MOST_PARENTS) {
        close(folder);
        errno = EMFILE;
        return -1;
    }
    parents->folders[parents->count++] = folder;
    return 0;
}

/* Make the folders of a mark; return the path of the last one, or NULL with errno. */
static char *make_folders(const char *khive, const char *state, struct parents *parents) {
    char *path = join(khive_of(state), "/marks", khive, NULL);
    char *at = path + strlen(path) - strlen(khive);
    *strrchr(path, '/') = '\0';
    for (;; at++) {
        /* Each folder from `marks` on: the path is cut there. */
        while (*at != '\0' && *at != '/') {
            at++;
        }
        char cut = *at;
        *at = '\0';
        if (mkdir(path, 0700) == 0) {
            int parent = open_at(AT_FDCWD, join(path, "/..", NULL), O_RDONLY | O_DIRECTORY, 0);
            if (add_parent(parents, parent) != 0) {
                return NULL;
            }
        } else if (errno != EEXIST) {
            return NULL;
        }
        *at = cut;
        if (cut == '\0') {
            return path;
        }
    }
}

/* Mark a `.khive` that has no id as this user's. What is added to the parents is synced later, also
   where the rest fails. Return 0, or -1 with errno. */
int mark(const char *khive, const char *state, struct parents *parents) {
    unsigned char bits[MARK_DIGITS / 2];
    char digits[MARK_DIGITS + 1];
    if (random_bytes(bits, sizeof bits) != 0) {
        return -1;
    }
    write_hex(digits, bits, sizeof bits);
    char *folder = make_folders(khive, state, parents);
    if (folder == NULL ||
        add_parent(parents, open_at(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY, 0)) != 0) {
        return -1;
    }
    char *path = join(folder, strrchr(khive, '/'), NULL);
    char *earlier = link_text(path);
    char *text = digits;
    if (earlier != NULL) {
        int count = 1;
        for (char *at = earlier; *at != '\0'; at++) {
            if (*at == '-' && ++count == MARKS_OF_A_PATH) {
                *at = '\0';
                break;
            }
        }
        text = join(digits, "-", earlier, NULL);
    }
    char *temporary = join(path, ".", digits, NULL);
    return symlink(text, temporary) != 0 || rename(temporary, path) != 0
               ? -1
               : symlink(digits, join(khive, "/id", NULL));
}

/* Set a directory's path without links, and go there; -1 with errno where the working directory,
   from which a relative path begins, cannot be told. */
static int physical(const char *path, const char **resolved) {
    if (path[0] != '/') {
        const char *begin = working_directory();
        if (begin == NULL) {
            return -1;
        }
        path = join(begin, "/", path, NULL);
    }
    *resolved = path;
    if (chdir(path) == 0) {
        const char *directory = working_directory();
        *resolved = directory != NULL ? directory : path;
    }
    return 0;
}

/* Look upward for the directory whose `.khive` takes an event, passing over what is not trusted. */
static void search(const char *start, const char *state, const char **taker, const char **passed) {
    static const char name[] = "/.khive";
    uid_t user = geteuid();
    struct stat of_state, status;
    bool has_state = lstat(khive_of(state), &of_state) == 0;
    /* One path for all: what comes after a directory's end is not needed any more. */
    size_t end = strlen(start);
    char *path = take(end + sizeof name);
    memcpy(path, start, end + 1);
    *passed = NULL;
    *taker = state;
    for (;;) {
        size_t length = end;
        while (length > 0 && path[length - 1] == '/') {
            length--;
        }
        memcpy(path + length, name, sizeof name);
        if (lstat(path, &status) == 0) {
            if (has_state && is_same(&status, &of_state)) {
                break;
            }
            bool is_taker = is_own(&status, user) && is_trusted(path, state);
            char *directory = take(end + 1);
            memcpy(directory, path, length);
            memset(directory + length, '/', end - length);
            directory[end] = '\0';
            if (is_taker) {
                *taker = directory;
                break;
            }
            if (status.st_uid == user && *passed == NULL) {
                *passed = directory;
            }
        }
        path[length] = '\0';
        if (length == 0) {
            break;
        }
        char *last = strrchr(path, '/');
        end = last == NULL ? 0 : last == path ? 1 : (size_t)(last - path);
    }
    *passed = *passed != NULL ? *passed : *taker;
}

/* Return whether a named directory takes an event: one without `.khive` gets one. */
static bool accepts(const char *project, const char *state, bool is_meant) {
    const char *khive = khive_of(project);
    struct stat status, of_state;
    if (lstat(khive, &status) != 0) {
        return true;
    }
    if (!is_own(&status, geteuid())) {
        return false;
    }
    if (is_meant || state[0] == '\0' || is_trusted(khive, state)) {
        return true;
    }
    return lstat(khive_of(state), &of_state) == 0 && is_same(&status, &of_state);
}

/* Set the directory whose spool takes an event, and the one that it is meant for; -1 with errno
   where a named one cannot be told. `directory` only names; KHIVE_DIR is meant. */
int choose(const char *directory, const char *tool, const char *state, const char **taker,
           const char **project) {
    const char *khive_dir = variable("KHIVE_DIR");
    if (directory[0] != '\0' || khive_dir[0] != '\0') {
        bool is_named = directory[0] != '\0';
        if (physical(is_named ? directory : khive_dir, project) != 0) {
            return -1;
        }
        *taker = accepts(*project, state, !is_named) ? *project : state;
        return 0;
    }
    const char *start = "";
    size_t count = sizeof project_variables / sizeof *project_variables;
    for (size_t index = 0; index < count; index++) {
        if (strcmp(tool, project_variables[index].tool) == 0) {
            start = variable(project_variables[index].variable);
        }
    }
    const char *at;
    while (physical(start[0] != '\0' ? start : ".", &at) != 0) {
        /* Of a path that no call takes, what is above it is looked at. */
        if (errno != ENAMETOOLONG || start[0] != '\0' || chdir("..") != 0) {
            *taker = *project = state;
            return 0;
        }
    }
    search(at, state, taker, project);
    return 0;
}
