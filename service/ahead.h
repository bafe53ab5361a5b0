/* ahead.h - pages of mapped files that a thread makes writable just before their owner writes to them.
 *
 * The first store to a page since the kernel wrote it to disk is a fault, in which the file system hears that the page will be written again: half of the
 * time of whoever gives three million prices other models. The owner goes by steps, and says when one ends:
 *
 *   owner    | step 0 | step 1 | step 2 | ...
 *   thread   | 1 2      | 3      | 4 ...            AHEAD_STEPS ahead and no further; what the owner has begun is left out
 *
 * Just before  and not as soon as it is known: while much is written, the kernel writes pages to disk again at once, and makes them read-only for that.
 * Advice       nothing rests on it: where the kernel does not do it (before Linux 5.14), or somebody was faster, the owner's stores are faults as ever. */
#ifndef SERVICE_AHEAD_H
#define SERVICE_AHEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AHEAD_STEPS       2u
#define AHEAD_STEPS_MAX   64u
#define AHEAD_PARTS       3u /* of a step */
#define AHEAD_SLICE_BYTES ((size_t)2 << 20)

struct pages { /* all that some of these bytes lie on */
    void *start;
    size_t bytes;
};
struct ahead_step {
    struct pages part[AHEAD_PARTS];
};

/* ahead_make_writable - without a change of what is in them. False: the kernel does not do it. */
bool ahead_make_writable(struct pages pages);

/* ahead_start - for an owner that is in step 0; the pages stay mapped until ahead_end(). NULL: no thread, which the others take for none. ahead_next - its
 * next step begins. ahead_end - waits for a slice of AHEAD_SLICE_BYTES at most. */
struct ahead;
struct ahead *ahead_start(const struct ahead_step *step, uint32_t count);
void ahead_next(struct ahead *ahead);
void ahead_end(struct ahead *ahead);
#endif
