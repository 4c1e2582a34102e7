/* Another file in place of /etc/passwd: see test_passwd.py. */

#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

int __real_openat(int folder, const char *path, int flags, mode_t mode);

int __wrap_openat(int folder, const char *path, int flags, mode_t mode) {
    return __real_openat(folder, strcmp(path, "/etc/passwd") == 0 ? getenv("PASSWD") : path, flags,
                         mode);
}
