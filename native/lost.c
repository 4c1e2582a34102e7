/* Note in the state folder which events are not kept, and tell of them. */

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hook.h"

/* Of more there would be no time to tell, once they are taken away. */
enum { MOST_TOLD = 10000 };

/* What a link there says of its event. */
static const char *const texts[] = {[LOST] = "-", [NOT_KNOWN] = "?"};

/* Note that an event was not kept, or that this is not known. Return the note's path: a link, as it
   takes no room of a full disk; NULL where it cannot be made, as where nothing can be written at
   all: the line is all there is. */
char *note_lost(enum lost status) {
    const char *folder = join(khive_of(home()), "/lost", NULL);
    unsigned char bits[4];
    char digits[2 * sizeof bits + 1], name[64];
    if ((mkdir(folder, 0700) != 0 && errno != EEXIST) || random_bytes(bits, sizeof bits) != 0) {
        return NULL;
    }
    write_hex(digits, bits, sizeof bits);
    snprintf(name, sizeof name, "/%020" PRIu64 "-%s", now_ns(), digits);
    char *note = join(folder, name, NULL);
    return symlink(texts[status], note) == 0 ? note : NULL;
}

/* Take a note away, if somebody has not told of it meanwhile. */
void forget(const char *note) {
    if (note != NULL) {
        unlink(note);
    }
}

/* Say how many events before this one were not kept; return the exit code for the line. */
int tell_lost(void) {
    const char *folder = join(khive_of(home()), "/lost", NULL);
    DIR *notes = opendir(folder);
    unsigned long lost = 0, unknown = 0;
    if (notes == NULL) {
        return 0;
    }
    for (struct dirent *entry; lost + unknown < MOST_TOLD && (entry = readdir(notes)) != NULL;) {
        const char *path = join(folder, "/", entry->d_name, NULL);
        const char *text = link_text(path);
        /* Where it is gone another hook tells of it, or it has come to the disk. */
        if (text != NULL && unlink(path) == 0) {
            *(strcmp(text, texts[NOT_KNOWN]) == 0 ? &unknown : &lost) += 1;
        }
    }
    closedir(notes);
    if (lost == 0 && unknown == 0) {
        return 0;
    }
    char lost_text[64] = "", unknown_text[96] = "";
    if (lost > 0) {
        snprintf(lost_text, sizeof lost_text, "%lu before it were not", lost);
    }
    if (unknown > 0) {
        snprintf(unknown_text, sizeof unknown_text,
                 "of %lu it is not yet known: the disk takes too long", unknown);
    }
    complain(join("this event is kept; ", lost_text, lost > 0 && unknown > 0 ? ", " : "",
                  unknown_text, ": khive-persist doctor", NULL));
    return 1;
}
