/* Make strings, and write the one line. */

#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "hook.h"

enum { LINE_CHARACTERS = 500 };

/* Return strings one after another; the last argument is NULL. */
char *join(const char *first, ...) {
    va_list words;
    size_t size = 1;
    va_start(words, first);
    for (const char *word = first; word != NULL; word = va_arg(words, const char *)) {
        size += strlen(word);
    }
    va_end(words);
    char *joined = take(size);
    char *end = joined;
    va_start(words, first);
    for (const char *word = first; word != NULL; word = va_arg(words, const char *)) {
        size_t length = strlen(word);
        memcpy(end, word, length);
        end += length;
    }
    va_end(words);
    *end = '\0';
    return joined;
}

/* Return how many bytes the character there has in UTF-8; 0 where it is none. */
static size_t character_size(const unsigned char *at) {
    static const struct {
        unsigned char first, last, low, high;
        size_t size;
    } forms[] = {
        {0x01, 0x7f, 0x80, 0xbf, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    for (size_t form = 0; form < sizeof forms / sizeof *forms; form++) {
        if (at[0] < forms[form].first || at[0] > forms[form].last) {
            continue;
        }
        size_t size = forms[form].size;
        if (size > 1 && (at[1] < forms[form].low || at[1] > forms[form].high)) {
            return 0;
        }
        for (size_t index = 2; index < size; index++) {
            if ((at[index] & 0xc0) != 0x80) {
                return 0;
            }
        }
        return size;
    }
    return 0;
}

/* Write one line to stderr: valid UTF-8, no more than 500 characters. */
void complain(const char *message) {
    static const char start[] = "khive-hook: ";
    char line[sizeof start + 4 * LINE_CHARACTERS + 1];
    size_t size = sizeof start - 1;
    memcpy(line, start, size);
    const unsigned char *at = (const unsigned char *)message;
    for (size_t count = size; *at != '\0' && count < LINE_CHARACTERS; count++) {
        size_t length = character_size(at);
        if (length == 0) {
            line[size++] = '?';
            at++;
        } else if (*at == '\n') {
            line[size++] = ' ';
            at++;
        } else {
            memcpy(line + size, at, length);
            size += length;
            at += length;
        }
    }
    line[size++] = '\n';
    /* Nothing is left to be done where nobody reads it. */
    (void)!write(STDERR_FILENO, line, size);
}
