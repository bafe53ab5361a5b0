/* ring.c - every outcome of cache/ring.h over a ring of two entries: followers that are in time, late, or overrun, and
 * a writer that dies at any store and has a successor. */
#include "tests/model/views.h"

#undef RIALTO_RING_ENTRIES
#define RIALTO_RING_ENTRIES 2u
#include "cache/ring.h"

static struct rialto_ring memory;
static uint64_t begun; /* entries, in all */

static struct {
    uint64_t gets, overrun, torn, missing, stale_head;
} found;

/* An entry's words all follow from its position and from who wrote it. */
static void put_entry(uint64_t writer)
{
    union ring_image image = { .word = { 0 } };
    uint64_t position = memory.head;
    begun = position + 1;
    for (uint32_t i = 1; i < RING_WORDS; i++)
        image.word[i] = position * 1000 + writer * 100 + i;
    ring_put(&memory, &image);
}

static bool whole(const union ring_image *image, uint64_t position)
{
    uint64_t writer = image->word[1] / 100 % 10;
    for (uint32_t i = 1; i < RING_WORDS; i++) {
        if (image->word[i] != position * 1000 + writer * 100 + i)
            return false;
    }
    return image->word[0] == position + 1;
}

/* A follower that has seen `seen` stores, and of them `least` entries, wants the entry at a position. */
static void follow(uint64_t position, uint64_t least)
{
    union ring_image image;
    uint64_t head = ring_head(&memory);
    found.gets++;
    views_fault(&found.stale_head, head < least);
    if (position >= head)
        return;
    if (ring_get(&memory, position, &image)) {
        views_fault(&found.torn, !whole(&image, position));
        return;
    }
    found.overrun++;
    views_fault(&found.missing, begun <= position + RIALTO_RING_ENTRIES);
}

static void followers(uint32_t seen, uint64_t least)
{
    for (uint64_t position = 0; position < memory.head; position++)
        VIEWS_ALL(seen, follow(position, least));
}

static void begin(void)
{
    memset(&memory, 0, VIEWS_BYTES_MAX);
    views_begin(&memory);
}

int main(void)
{
    for (uint64_t laps = 1; laps <= 5; laps++) {
        uint32_t seen[8] = { 0 };
        begin();
        for (uint64_t i = 0; i < laps; i++) {
            put_entry(1);
            seen[i + 1] = views.stores;
        }
        for (uint64_t i = 0; i <= laps; i++)
            followers(seen[i], i);
    }
    /* A writer dies at step k of its third entry; its successor writes that entry anew, and one more. */
    bool ended = false;
    for (int32_t k = 0; !ended; k++) {
        begin();
        put_entry(1);
        put_entry(1);
        ended = VIEWS_RUN(k, put_entry(1));
        uint64_t head = memory.head;
        followers(views.stores, head);
        put_entry(2);
        followers(0, 0);
        followers(views.stores, head + 1);
        put_entry(2);
        followers(0, 0);
    }
    int failures = 0;
    views_summary();
    printf("# %lu looks, %lu of them overrun\n", (unsigned long)found.gets, (unsigned long)found.overrun);
    failures += views_report(found.gets > 0 && found.torn == 0, "no follower takes a torn or misplaced entry");
    failures +=
        views_report(found.missing == 0, "an entry below head is there until the next lap begins to write over it");
    failures += views_report(found.stale_head == 0, "head does not go back");
    failures += views_report(views.failures == 0, "no follower stores");
    return failures == 0 ? 0 : 1;
}
