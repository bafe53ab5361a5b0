/* line.c - every outcome of cache/line.h: what readers may see while its writer publishes, erases, dies anywhere, is
 * repaired, dies in the repair too, and goes on. Lines of three words, of which any two can be torn apart. */
#include "tests/model/views.h"

#define LINE_WORD_BY_WORD /* the model watches loads and stores of words; two at once are as many, in whatever order */
#define LINE_SPINS        1
#define LINE_ATTEMPTS_MAX 3
#include "cache/line.h"

#define WORDS   3u
#define OTHER   1u /* a second line of the segment */
#define COMMITS 8u
#define UNKNOWN UINT32_MAX

static struct {
    struct rialto_segment segment;
    _Atomic uint64_t line[2][4];
} memory;

/* The versions that the line takes in turn, and by which store each is there for whoever comes then. */
static struct {
    uint32_t version, by;
} commit[COMMITS];
static uint32_t commits;

static struct {
    uint64_t torn, lost, back, stuck, left_open, miscounted, busy, reads;
} found;

static void image_of(uint32_t version, uint64_t ret[WORDS])
{
    for (uint32_t i = 0; i < WORDS; i++)
        ret[i] = version == 0 ? 0 : i == 0 ? (uint64_t)version << 32 : version * 10 + i;
}

static struct line_place place_of(uint32_t slot)
{
    return (struct line_place){ .segment = &memory.segment, .word = memory.line[slot], .slot = slot, .words = WORDS };
}

static uint64_t used_now(void)
{
    return memory.segment.used;
}

static void write_line(uint32_t slot, uint32_t version)
{
    uint64_t image[WORDS];
    struct line_place at = place_of(slot);
    image_of(version, image);
    bool fresh = memory.line[slot][1] == 0;
    line_write(&at, &(struct line_version){ .image = image, .used = used_now() + fresh },
               &(struct line_version){ .image = NULL, .used = used_now() });
}

static void erase_line(void)
{
    static const uint64_t empty[WORDS];
    struct line_place at = place_of(0);
    const struct line_version gone = { .image = empty, .used = used_now() - 1 };
    line_write(&at, &gone, &gone);
}

static void repair_line(uint32_t slot)
{
    struct line_place at = place_of(slot);
    line_repair(&at);
}

static void committed(uint32_t version)
{
    if (commits == COMMITS)
        views_stop("versions");
    commit[commits].version = version;
    commit[commits++].by = views.stores;
}

static uint32_t sequence(void)
{
    return (uint32_t)memory.line[0][0];
}

/* ---- what the owner does; each returns whether it came to its end ----------------------------------------- */

static void begin(void)
{
    memset(&memory, 0, sizeof memory);
    views_begin(&memory);
    commits = 0;
    committed(0);
}

static bool publish(int32_t steps, uint32_t version)
{
    uint32_t before = sequence();
    bool ended = VIEWS_RUN(steps, write_line(0, version));
    /* Of a dead owner, whether it made its last store decides. */
    if (ended || ((sequence() & 1u) == 0 && sequence() != before))
        committed(version);
    return ended;
}

static bool erase(int32_t steps)
{
    uint32_t before = sequence();
    bool ended = VIEWS_RUN(steps, erase_line());
    if (sequence() != before) /* open or done: an erasure is rolled forward */
        committed(0);
    return ended;
}

static bool repair(int32_t steps)
{
    return VIEWS_RUN(steps, repair_line(0));
}

/* ---- what readers may see ---------------------------------------------------------------------------------- */

static uint32_t version_of(const uint64_t *image)
{
    for (uint32_t i = 0; i < commits; i++) {
        uint64_t wanted[WORDS];
        image_of(commit[i].version, wanted);
        if (image[0] >> 32 == wanted[0] >> 32 && memcmp(&image[1], &wanted[1], sizeof wanted - 8) == 0)
            return commit[i].version;
    }
    return UNKNOWN;
}

/* The place of a version among the commits, at or behind `from`; COMMITS = it is not there. */
static uint32_t commit_from(uint32_t from, uint32_t version)
{
    while (from < commits && commit[from].version != version)
        from++;
    return from < commits ? from : COMMITS;
}

static void read_twice(uint32_t from, bool twice)
{
    uint64_t image[WORDS];
    for (int i = 0; i < (twice ? 2 : 1); i++) {
        found.reads++;
        if (!line_read(&memory.segment, memory.line[0], 0, WORDS, image)) {
            found.busy++;
            return;
        }
        uint32_t version = version_of(image), place = commit_from(from, version);
        views_fault(&found.torn, version == UNKNOWN);
        if (version != UNKNOWN && place == COMMITS) {
            views_fault(&found.back, true);
            return;
        }
        from = place;
    }
}

/* Readers that start after each commit, and read once or twice. */
static void all_readers(bool twice)
{
    for (uint32_t i = 0; i < commits; i++)
        VIEWS_ALL(commit[i].by, read_twice(i, twice));
}

/* A reader that has seen everything and meets a writer that does not move: it must get the last version. */
static void read_standing(void)
{
    uint64_t image[WORDS];
    VIEWS_ALL(views.stores, {
        if (!line_read(&memory.segment, memory.line[0], 0, WORDS, image))
            views_fault(&found.stuck, true);
        else
            views_fault(&found.lost, version_of(image) != commit[commits - 1].version);
    });
}

static void expect_repaired(void)
{
    uint64_t image[WORDS];
    line_peek(memory.line[0], WORDS, image);
    views_fault(&found.left_open, (image[0] & 1u) != 0 || version_of(image) != commit[commits - 1].version);
    uint64_t live = (memory.line[0][1] != 0 ? 1u : 0u) + (memory.line[OTHER][1] != 0 ? 1u : 0u);
    views_fault(&found.miscounted, used_now() != live);
}

/* ---- scenarios ------------------------------------------------------------------------------------------------ */

static void writer_lives(void)
{
    begin();
    (void)publish(-1, 1);
    (void)publish(-1, 2);
    all_readers(true);
    (void)erase(-1);
    (void)publish(-1, 3);
    all_readers(false);

    begin(); /* the side line serves another line in between */
    (void)publish(-1, 1);
    write_line(OTHER, 7);
    (void)publish(-1, 2);
    write_line(OTHER, 8);
    all_readers(true);
}

/* Die at step k of a publication or an erasure, at step j of the repair, repair, go on. */
static void writer_dies(bool erasing, bool insert)
{
    bool ended = false;
    for (int32_t k = 0; !ended; k++) {
        bool repaired = false;
        for (int32_t j = 0; !repaired; j++) {
            begin();
            if (!insert)
                (void)publish(-1, 1);
            ended = erasing ? erase(k) : publish(k, 2);
            read_standing();
            repaired = repair(j);
            read_standing();
            (void)repair(-1);
            read_standing();
            expect_repaired();
            all_readers(true);
            (void)publish(-1, 3);
            read_standing();
            all_readers(false);
        }
    }
}

/* Die, be repaired, die again at any step of the next publication, be repaired. */
static void successor_dies_too(void)
{
    bool ended = false;
    for (int32_t k = 0; !ended; k++) {
        bool again = false;
        for (int32_t j = 0; !again; j++) {
            begin();
            (void)publish(-1, 1);
            ended = publish(k, 2);
            (void)repair(-1);
            again = publish(j, 3);
            read_standing();
            (void)repair(-1);
            read_standing();
            expect_repaired();
            all_readers(false);
        }
    }
}

/* Nobody repairs, and the successor publishes over the open line; it may die, too. */
static void successor_does_not_repair(void)
{
    bool ended = false;
    for (int32_t k = 0; !ended; k++) {
        bool again = false;
        for (int32_t j = 0; !again; j++) {
            begin();
            (void)publish(-1, 1);
            ended = publish(k, 2);
            again = publish(j, 3);
            read_standing();
            (void)repair(-1);
            expect_repaired();
            all_readers(false);
        }
    }
}

int main(void)
{
    int failures = 0;
    writer_lives();
    writer_dies(false, false);
    writer_dies(false, true);
    writer_dies(true, false);
    successor_dies_too();
    successor_does_not_repair();
    views_summary();
    printf("# %lu reads, %lu of them busy after %d looks\n", (unsigned long)found.reads, (unsigned long)found.busy,
           LINE_ATTEMPTS_MAX);
    failures += views_report(found.reads > 0 && found.torn == 0, "no reader takes a torn line");
    failures += views_report(found.back == 0, "no reader sees an older version than it must");
    failures += views_report(found.stuck == 0, "a line whose writer stands still is read in bounded steps");
    failures += views_report(found.lost == 0, "and as its last good version");
    failures += views_report(found.left_open == 0, "repair closes the line with that version");
    failures += views_report(found.miscounted == 0, "and makes the count of live lines right");
    failures += views_report(views.failures == 0, "no reader stores");
    return failures == 0 ? 0 : 1;
}
