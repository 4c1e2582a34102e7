/* Hand out memory that lasts as long as the process: nothing is ever given back. */

#include <sys/mman.h>
#include <unistd.h>

#include "hook.h"

enum { BLOCK_BYTES = 64 << 10, MORE_BYTES = 1 << 20 };

/* The exit code where an event is not kept. */
int failure_code = 1;

static char first_block[BLOCK_BYTES];
static char *block = first_block;
static size_t block_left = BLOCK_BYTES;

/* Begin with memory of its own, as in a child that was made while another thread took some. */
void take_anew(void) { block_left = 0; }

/* Return memory that is never given back. Without any the process says so and ends. */
char *take(size_t size) {
    size = (size + 15) & ~(size_t)15;
    if (size > block_left) {
        size_t wanted = size > MORE_BYTES ? size : MORE_BYTES;
        void *more = mmap(NULL, wanted, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (more == MAP_FAILED) {
            static const char line[] = "khive-hook: event not kept: no memory is left\n";
            (void)!write(STDERR_FILENO, line, sizeof line - 1);
            _exit(failure_code);
        }
        block = more;
        block_left = wanted;
    }
    char *taken = block;
    block += size;
    block_left -= size;
    return taken;
}
