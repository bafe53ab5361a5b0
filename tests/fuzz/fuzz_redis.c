/* fuzz_redis.c - any bytes as what a Redis answers, to each of those who read from it: refused and the link given up, or taken
 * within bounds.
 *
 * The first byte chooses who reads: the greeting of a new link; a mirror that reads state back; one that reads what its transactions
 * came to; a publisher that takes up quotes; who reads entries of the price journal (then the bytes are entries, a line each). */
#include "cache/table.h"
#include "service/mirror_parts.h"
#include "service/publisher_parts.h"
#include "tests/fuzz/redis_puppet.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define INPUT_MAX   4096u
#define ENTRIES_MAX 32u
#define MARK        UINT64_C(327680) /* of the transactions on their way */

static struct config config;
static struct publishing *publishing;
static char folder[96];

static void require(bool condition, const char *what)
{
    if (!condition) {
        (void)fprintf(stderr, "fuzz_redis: %s\n", what);
        abort();
    }
}

/* ---- what everybody needs ------------------------------------------------------------------------------------------- */

static void clean_up(void)
{
    cache_remove(folder);
}

static void make_cache(void)
{
    struct cache_plan plan = { .folder = folder,
                               .instance = "fuzz",
                               .group_id = -1,
                               .lines = { 64, 64, 64, 64, 64 },
                               .workers = 1,
                               .stale_after_ms = 5000,
                               .personal_stale_ms = 5000,
                               .secret = { 1, 2, 3 } };
    bool kept;
    uint64_t missing;
    (void)snprintf(folder, sizeof folder, "%s/rialto-fuzz.XXXXXX",
                   getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
    require(mkdtemp(folder) != NULL && atexit(clean_up) == 0 && cache_create(&plan, &kept, &missing) == RIALTO_OK,
            "the folder cannot be made");
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    struct fault fault;
    config_defaults(&config);
    require(config_finish(&config, &fault) == RIALTO_OK && puppet_start(), "no puppet");
    (void)snprintf(config.redis_url, sizeof config.redis_url, "%s", puppet.url);
    config.workers = 1;
    make_cache();
    publishing = calloc(1, sizeof *publishing);
    require(publishing != NULL && rialto_open(folder, &publishing->prices) == RIALTO_OK, "no prices");
    publishing->config = &config;
    publishing->link =
        (struct redis_link){ .config = &config, .who = "fuzz", .reports = UINT32_MAX }; /* says nothing */
    return 0;
}

static void say(const char *greeting, const uint8_t *bytes, size_t count)
{
    static uint8_t said[INPUT_MAX + sizeof PUPPET_GREETING];
    size_t greeted = strlen(greeting);
    memcpy(said, greeting, greeted);
    memcpy(said + greeted, bytes, count);
    puppet_say(said, greeted + count);
}

/* ---- the readers ---------------------------------------------------------------------------------------------------- */

static void read_greeting(const uint8_t *bytes, size_t count)
{
    struct redis_link link = { .config = &config, .who = "fuzz", .reports = UINT32_MAX };
    say("", bytes, count);
    bool open = redis_link_open(&link);
    require(open == (link.context != NULL), "a link that is neither open nor closed");
    require(redis_state_name(link.state)[0] != '\0', "no state");
    redis_link_close(&link);
}

static void take_record(void *user, char kind, struct rialto_key key, const void *value, size_t bytes)
{
    unsigned *sum = user;
    *sum += (unsigned)kind + (unsigned)key.lo;
    for (size_t i = 0; i < bytes; i++) /* all of it is there */
        *sum += ((const uint8_t *)value)[i];
}

static void read_state(const uint8_t *bytes, size_t count)
{
    unsigned sum = 0;
    uint64_t mark = 0;
    say(PUPPET_GREETING, bytes, count);
    if (mirror_load(&config, 3, 0, take_record, &sum, &mark) == RIALTO_OK)
        require(mark <= MIRROR_SEQ_MAX, "a mark that no batch has");
}

static void read_transactions(const uint8_t *bytes, size_t count)
{
    struct redis_link link = { .config = &config, .who = "fuzz", .reports = UINT32_MAX };
    struct mirror_flush flush = { .count = 2 };
    uint64_t held[MIRROR_SLOTS];
    memset(held, 0xff, sizeof held);
    for (uint32_t t = 0; t < flush.count; t++) {
        flush.transaction[t].mark = MARK;
        flush.transaction[t].partition = t;
        flush.transaction[t].replies = 4;
    }
    say(PUPPET_GREETING, bytes, count);
    if (!redis_link_open(&link))
        return;
    for (uint32_t i = 0; i < 8; i++)
        require(redis_link_append(&link, 1, (const char *[]){ "PING" }, (const size_t[]){ 4 }),
                "no room for a command");
    (void)redis_link_flush(&link);
    bool good = mirror_flush_receive(&link, &flush, held);
    require(good || link.context == NULL, "a doubtful link lives on");
    for (uint32_t p = 0; p < MIRROR_SLOTS; p++)
        require(held[p] == UINT64_MAX || (p < flush.count && held[p] <= MIRROR_SEQ_MAX), "a mark that no batch has");
    redis_link_close(&link);
}

static void read_quotes(const uint8_t *bytes, size_t count)
{
    struct publishing *p = publishing;
    uint32_t commands = 0;
    require(watches_setup(&p->watches, 16, 8, 1000), "out of memory");
    say(PUPPET_GREETING, bytes, count);
    if (redis_link_open(&p->link) && quotes_take_up(p)) {
        require(p->watches.watchers.count <= 16 && p->watches.pairs <= 16 * 8, "more than there may be");
        (void)quotes_append(p, &commands);
        (void)replies_check(&p->link, commands, "writing prices");
    }
    redis_link_close(&p->link);
    watches_teardown(&p->watches);
}

static void check_entry(const struct journal_entry *entry)
{
    char text[JOURNAL_TEXT_MAX];
    struct journal_entry again;
    size_t bytes = journal_entry_write(entry, text);
    require(bytes < sizeof text && journal_entry_read(text, bytes, &again),
            "an entry that was read cannot be read again");
    require(again.amount == entry->amount && again.when_ms == entry->when_ms && strcmp(again.sku, entry->sku) == 0 &&
                again.factor_count == entry->factor_count,
            "an entry changed");
}

static void read_journal(const uint8_t *bytes, size_t count)
{
    static struct journal_entry entry[ENTRIES_MAX];
    uint32_t entries = 0;
    for (size_t at = 0; at < count && entries < ENTRIES_MAX;) {
        const uint8_t *end = memchr(bytes + at, '\n', count - at);
        size_t length = end == NULL ? count - at : (size_t)(end - (bytes + at));
        char *text = malloc(length > 0 ? length : 1); /* of its own, so that one byte read past the end is seen */
        if (text == NULL)
            return;
        memcpy(text, bytes + at, length);
        if (journal_entry_read(text, length, &entry[entries]))
            check_entry(&entry[entries++]);
        free(text);
        at += length + 1;
    }
    entries = journal_sort(entry, entries);
    for (uint32_t i = 0; i < entries; i++) {
        struct journal_price price = journal_price_at(entry, entries, entry[i].when_ms);
        struct journal_lowest lowest =
            journal_lowest(entry, entries, entry[i].when_ms - 30 * JOURNAL_DAY_MS, entry[i].when_ms, entry[i].currency);
        require(i == 0 || entry[i - 1].when_ms <= entry[i].when_ms, "not in order");
        require(price.amount >= 0 && lowest.amount >= 0, "an amount below nothing");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const reader[])(const uint8_t *, size_t) = { read_greeting, read_state, read_transactions,
                                                               read_quotes, read_journal };
    if (size == 0 || size > INPUT_MAX || !puppet_is_modest(data + 1, size - 1))
        return 0;
    reader[data[0] % (sizeof reader / sizeof reader[0])](data + 1, size - 1);
    return 0;
}
