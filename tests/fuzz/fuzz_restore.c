/* fuzz_restore.c - any records as what Redis holds of a partition: a start takes them into its state or refuses them, and what it has taken is
 * whole, whatever is in them.
 *
 * An input is records one behind the other: a byte of flags, a byte that chooses the kind, one for the key, one for whom it belongs to, the length in
 * two bytes, and so many bytes. FLAG_IMAGE: they are the image behind its head and owner, and the value is made of it as a worker would, with the right
 * checksum; without it they are the value itself. */
#include "service/checksum.h"
#include "service/log.h"
#include "service/packed.h"
#include "service/worker.h"
#include "tests/fuzz/redis_puppet.h"

#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define PARTITION   3u
#define INPUT_MAX   8192u
#define RECORDS_MAX 64u
#define HEAD_BYTES  6u
#define TICK_MS     INT64_C(1796000000000)

enum { FLAG_IMAGE = 1, FLAG_OTHER_PARTITION = 2, FLAG_OTHER_KEY = 4, FLAG_OTHER_LAYOUT = 8, FLAG_ODD_FIELD = 16 };

static struct worker worker; /* of which persist_load() looks at the configuration alone */
static struct config config;
static char said[RECORDS_MAX * (PACKED_ROOM(sizeof(union any_record)) + 128) + INPUT_MAX + 1024];
static size_t said_bytes;

static void require(bool condition, const char *what)
{
    if (!condition) {
        (void)fprintf(stderr, "fuzz_restore: %s\n", what);
        abort();
    }
}

static void clean_up(void)
{
    char path[CONFIG_TEXT_MAX + 32];
    (void)snprintf(path, sizeof path, "%s/state/p%02u.v%u", config.data_dir, PARTITION, STATE_LAYOUT);
    (void)unlink(path);
    (void)snprintf(path, sizeof path, "%s/state", config.data_dir);
    (void)rmdir(path);
    (void)rmdir(config.data_dir);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    struct fault fault;
    log_setup("fuzz", "error", "text");
    config_defaults(&config);
    config.worker_count = 1;
    config.products_max = config.cells_max = config.customers_max = config.offers_max = config.zones_max = 64;
    config.cells_per_product_max = 16;
    config.sources_max = 16;
    config.ids_max = 64;
    config.batch_signals_max = 16;
    require(config_finish(&config, &fault) == RIALTO_OK && puppet_start(), "no puppet");
    (void)snprintf(config.redis_url, sizeof config.redis_url, "%s", puppet.url);
    (void)snprintf(config.data_dir, sizeof config.data_dir, "%s/rialto-fuzz.XXXXXX",
                   getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
    require(mkdtemp(config.data_dir) != NULL && atexit(clean_up) == 0, "the folder cannot be made");
    worker.config = &config;
    return 0;
}

/* ---- what Redis says ------------------------------------------------------------------------------------------------------ */

static void say(const void *bytes, size_t count)
{
    require(said_bytes + count <= sizeof said, "no room for what is said");
    memcpy(said + said_bytes, bytes, count);
    said_bytes += count;
}

static void say_text(const char *text)
{
    say(text, strlen(text));
}

static void say_bulk(const void *bytes, size_t count)
{
    char head[24];
    (void)snprintf(head, sizeof head, "$%zu\r\n", count);
    say_text(head);
    say(bytes, count);
    say_text("\r\n");
}

static struct rialto_key key_for(uint8_t number, bool elsewhere)
{
    uint64_t partition = elsewhere ? PARTITION + 1 : PARTITION;
    return (struct rialto_key){ .lo = UINT64_C(0x0101010101010101) * number + 1, .hi = partition << 58 | number };
}

/* As put() in persist.c does. Returns its bytes. */
static size_t value_of(enum state_pool pool, const union any_record *record, uint32_t layout, unsigned char *ret)
{
    uint32_t head[2];
    size_t bytes = packed_put(record, state_record_bytes(pool), ret + sizeof head);
    head[0] = layout;
    head[1] = checksum_short(checksum_add(CHECKSUM_BEGIN, ret + sizeof head, bytes));
    memcpy(ret, head, sizeof head);
    return sizeof head + bytes;
}

static size_t image_said(const uint8_t *head, const uint8_t *bytes, size_t count, unsigned char *ret)
{
    enum state_pool pool = (enum state_pool)(head[1] % POOL_COUNT);
    union any_record record;
    memset(&record, 0, sizeof record);
    size_t room = state_record_bytes(pool) - sizeof record.head;
    memcpy((char *)&record + sizeof record.head, bytes, count < room ? count : room);
    record.head.key =
        key_for((head[0] & FLAG_OTHER_KEY) != 0 ? head[2] ^ 1 : head[2], (head[0] & FLAG_OTHER_PARTITION) != 0);
    record.head.seq = head[3];
    if (pool == POOL_CELLS)
        record.cell.product = key_for(head[3] % 4, (head[0] & FLAG_OTHER_PARTITION) != 0);
    if (pool == POOL_OFFERS)
        record.offer.customer = key_for(head[3] % 4, (head[0] & FLAG_OTHER_PARTITION) != 0);
    return value_of(pool, &record, (head[0] & FLAG_OTHER_LAYOUT) != 0 ? STATE_RECORDS - 1 : STATE_RECORDS, ret);
}

static void record_said(const uint8_t *head, const uint8_t *bytes, size_t count)
{
    static unsigned char value[8 + PACKED_ROOM(sizeof(union any_record)) + INPUT_MAX];
    struct rialto_key key = key_for(head[2], (head[0] & FLAG_OTHER_PARTITION) != 0);
    char field[48];
    (void)snprintf(field, sizeof field, "%c%c%016llx%016llx", STATE_POOL_LETTER[head[1] % POOL_COUNT],
                   (head[0] & FLAG_ODD_FIELD) != 0 ? ';' : ':', (unsigned long long)key.hi, (unsigned long long)key.lo);
    say_bulk(field, strlen(field));
    if ((head[0] & FLAG_IMAGE) == 0)
        say_bulk(bytes, count);
    else
        say_bulk(value, image_said(head, bytes, count, value));
}

/* Returns how many records there are. */
static uint32_t all_said(const uint8_t *data, size_t size)
{
    const uint8_t *record[RECORDS_MAX];
    size_t bytes[RECORDS_MAX];
    uint32_t count = 0;
    for (size_t at = 0; at + HEAD_BYTES <= size && count < RECORDS_MAX; count++) {
        record[count] = data + at;
        at += HEAD_BYTES;
        size_t wanted = (size_t)record[count][4] | (size_t)record[count][5] << 8;
        bytes[count] = wanted < size - at ? wanted : size - at;
        at += bytes[count];
    }
    char list[64];
    said_bytes = 0;
    say_text(PUPPET_GREETING "$1\r\n7\r\n"); /* the mark */
    (void)snprintf(list, sizeof list, "*2\r\n$1\r\n0\r\n*%u\r\n", 2 * count);
    say_text(list);
    for (uint32_t i = 0; i < count; i++)
        record_said(record[i], record[i] + HEAD_BYTES, bytes[i]);
    say_text("$-1\r\n$-1\r\n"); /* no ids */
    return count;
}

/* ---- what must hold of what was taken --------------------------------------------------------------------------------------- */

#define ENDS(text) require(memchr(text, 0, sizeof(text)) != NULL, "a text without an end: " #text)

static void texts_check(enum state_pool pool, const union any_record *r)
{
    if (pool == POOL_PRODUCTS) {
        ENDS(r->product.sku), ENDS(r->product.category), ENDS(r->product.title), ENDS(r->product.attributes.names);
    } else if (pool == POOL_CELLS) {
        ENDS(r->cell.zone);
    } else if (pool == POOL_CUSTOMERS) {
        ENDS(r->customer.id), ENDS(r->customer.tier), ENDS(r->customer.zone);
        require(r->customer.segment_count <= TERMS_SEGMENTS_MAX, "more segments than there is room for");
        for (unsigned i = 0; i < TERMS_SEGMENTS_MAX; i++)
            ENDS(r->customer.segment[i]);
        for (unsigned i = 0; i < CONSENT_KINDS; i++)
            ENDS(r->customer.note[i].source), ENDS(r->customer.note[i].text);
    } else if (pool == POOL_OFFERS) {
        ENDS(r->offer.sku);
        require(r->offer.units_micro >= 0 && r->offer.units_micro <= RIALTO_BOUND_MAX, "units of an offer that nobody can have said");
        require(r->offer.ordered_micro >= 0 && r->offer.ordered_micro <= RIALTO_BOUND_MAX, "units ordered that nobody can have");
    }
}

/* Every member of an owner's list belongs to it, and the list ends where its count says. */
static uint32_t list_check(const struct state *state, enum state_pool members, uint32_t owner)
{
    uint32_t count = 0;
    for (uint32_t at = state_first(state, members, owner); at != STATE_NONE; at = state_next(state, members, at)) {
        require(state_owner(state, members, at) == owner, "a member of another's list");
        require(++count <= state_used(state, members), "a list without an end");
    }
    require(count == state_count(state, members, owner), "a list is not as long as it says");
    return count;
}

static void state_check(const struct state *state, uint32_t most)
{
    uint32_t used = 0;
    for (int p = 0; p < POOL_COUNT; p++) {
        enum state_pool pool = (enum state_pool)p;
        uint32_t there = 0;
        for (uint32_t i = 0; i < state_end(state, pool); i++) {
            const union any_record *record = state_at(state, pool, i);
            if (record->head.key.lo == 0 && record->head.key.hi == 0)
                continue;
            there++;
            require(state_find(state, pool, record->head.key) == i, "a record that is not found");
            require(pool == POOL_SOURCES || record->head.key.hi >> 58 == PARTITION || pool == POOL_CELLS ||
                        pool == POOL_OFFERS,
                    "a record of another partition");
            texts_check(pool, record);
            if (pool == POOL_PRODUCTS)
                (void)list_check(state, POOL_CELLS, i);
            if (pool == POOL_CUSTOMERS)
                require(list_check(state, POOL_OFFERS, i) == record->customer.offer_count, "offers are miscounted");
            if (pool == POOL_OFFERS)
                require(state_owner(state, pool, i) != STATE_NONE, "an offer that is nobody's");
        }
        require(there == state_used(state, pool), "records are miscounted");
        used += there;
    }
    require(used <= most, "more records than Redis holds");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct state *state;
    struct restored restored;
    bool fresh;
    if (size > INPUT_MAX)
        return 0;
    uint32_t most = all_said(data, size);
    puppet_say((const uint8_t *)said, said_bytes);
    require(state_open(&config, PARTITION, 0, &state, &fresh) == RIALTO_OK && fresh, "no fresh state");
    enum rialto_status status = persist_load(&worker, PARTITION, state, TICK_MS, &restored);
    require(status == RIALTO_OK, "what is damaged keeps a start from going on");
    require(restored.mark == 7, "another mark");
    state_check(state, most);
    state_close(state); /* it was never filled: the next input finds it fresh */
    return 0;
}
