/* Call the system: what a signal interrupts is done again. */

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/random.h>

#include "hook.h"

extern char **environ;

enum { LONGEST_DIRECTORY = 1 << 20 };

int open_at(int folder, const char *path, int flags, mode_t mode) {
    int file;
    do {
        file = openat(folder, path, flags | O_NOFOLLOW | O_CLOEXEC, mode);
    } while (file < 0 && errno == EINTR);
    return file;
}

int sync_file(int file) {
    int result;
    do {
        result = fsync(file);
    } while (result != 0 && errno == EINTR);
    return result;
}

/* Return the time in nanoseconds since 1970. */
uint64_t now_ns(void) {
    struct timespec now = {0, 0};
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

int random_bytes(unsigned char *bytes, size_t size) {
#ifdef __APPLE__
    return getentropy(bytes, size);
#else
    ssize_t count;
    do {
        count = getrandom(bytes, size, 0);
    } while (count < 0 && errno == EINTR);
    if (count == (ssize_t)size) {
        return 0;
    }
    /* A kernel that has no such call. */
    int device = open_at(AT_FDCWD, "/dev/urandom", O_RDONLY, 0);
    if (device < 0) {
        return -1;
    }
    count = read(device, bytes, size);
    close(device);
    if (count != (ssize_t)size) {
        errno = EIO;
        return -1;
    }
    return 0;
#endif
}

void write_hex(char *to, const unsigned char *bytes, size_t size) {
    static const char digits[] = "0123456789abcdef";
    for (size_t index = 0; index < size; index++) {
        *to++ = digits[bytes[index] >> 4];
        *to++ = digits[bytes[index] & 15];
    }
    *to = '\0';
}

/* Return an environment variable as NAME=VALUE; NULL where it is not set. */
const char *entry_of(const char *name) {
    size_t length = strlen(name);
    for (char **entry = environ; entry != NULL && *entry != NULL; entry++) {
        if (strncmp(*entry, name, length) == 0 && (*entry)[length] == '=') {
            return *entry;
        }
    }
    return NULL;
}

/* Return an environment variable; an empty string where it is not set. */
const char *variable(const char *name) {
    const char *entry = entry_of(name);
    return entry != NULL ? entry + strlen(name) + 1 : "";
}

/* Return the working directory's physical path; NULL with errno where it cannot be told. */
char *working_directory(void) {
    for (size_t size = PATH_MAX; size <= LONGEST_DIRECTORY; size *= 4) {
        char *path = take(size);
        if (getcwd(path, size) != NULL) {
            return path;
        }
        if (errno != ERANGE) {
            return NULL;
        }
    }
    errno = ENAMETOOLONG;
    return NULL;
}

/* Return the text of a symbolic link; NULL with errno where it is none. */
char *link_text(const char *path) {
    char text[LINK_BYTES];
    ssize_t size = readlink(path, text, sizeof text - 1);
    if (size < 0) {
        return NULL;
    }
    text[size] = '\0';
    return join(text, NULL);
}
