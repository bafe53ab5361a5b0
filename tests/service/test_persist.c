/* test_persist.c - records as Redis holds them (docs/redis.md): what is whole is read back to the byte, what is damaged in whatever way is
 * refused. */
#include "service/checksum.h"
#include "service/packed.h"
#include "service/worker.h"

#include <criterion/criterion.h>
#include <string.h>

#define VALUE_BYTES (STATE_STORED_HEAD + PACKED_ROOM(sizeof(union any_record)))

struct stored {
    struct rialto_key key;
    size_t bytes;
    unsigned char value[VALUE_BYTES];
};

/* { layout, checksum of the rest }, then the image without its zeros. */
static void store(const void *image, enum state_pool pool, uint32_t layout, struct stored *ret)
{
    size_t bytes = packed_put(image, state_record_bytes(pool), ret->value + STATE_STORED_HEAD);
    uint32_t head[2] = { layout, checksum_short(checksum_add(CHECKSUM_BEGIN, ret->value + STATE_STORED_HEAD, bytes)) };
    memcpy(ret->value, head, sizeof head);
    ret->key = ((const struct state_head *)image)->key;
    ret->bytes = STATE_STORED_HEAD + bytes;
}

static bool reads(const struct stored *stored, size_t bytes, enum state_pool wanted, union any_record *ret)
{
    enum state_pool pool = POOL_COUNT;
    bool read = persist_read(STATE_POOL_LETTER[wanted], stored->key, stored->value, bytes, &pool, ret);
    cr_assert(!read || pool == wanted);
    return read;
}

static struct cell_record cell_example(void)
{
    return (struct cell_record){ .head = { .key = { 11, 12 }, .seq = 327680 },
                                 .product = { 13, 14 },
                                 .zone = "c1/s25",
                                 .list = 1999,
                                 .cost = -1,
                                 .event_count = 3,
                                 .published = 1949,
                                 .factor_micro = { 975000, 1000000 },
                                 .published_currency = 978 };
}

Test(persist, a_whole_record_is_read_back_to_the_byte)
{
    struct cell_record cell = cell_example();
    struct product_record product = { .head = { .key = { 1, 2 }, .seq = 9 }, .sku = "milk-1l", .category = "food/milk" };
    struct stored stored;
    union any_record back;
    store(&cell, POOL_CELLS, STATE_RECORDS, &stored);
    cr_assert(reads(&stored, stored.bytes, POOL_CELLS, &back));
    cr_assert_arr_eq(&back, &cell, sizeof cell);
    store(&product, POOL_PRODUCTS, STATE_RECORDS, &stored);
    cr_assert(reads(&stored, stored.bytes, POOL_PRODUCTS, &back));
    cr_assert_arr_eq(&back, &product, sizeof product);
    cr_assert_not(reads(&stored, stored.bytes, POOL_CELLS, &back), "a product is no price");
    stored.key.lo++;
    cr_assert_not(reads(&stored, stored.bytes, POOL_PRODUCTS, &back), "under another's key");
    store(&product, POOL_PRODUCTS, STATE_RECORDS - 1, &stored);
    cr_assert_not(reads(&stored, stored.bytes, POOL_PRODUCTS, &back), "of another form");
}

/* Goal: any bit that has changed, any end that is missing, and both at once. */
Test(persist, a_damaged_record_is_refused)
{
    struct cell_record cell = cell_example();
    struct stored whole, bad;
    union any_record back;
    store(&cell, POOL_CELLS, STATE_RECORDS, &whole);
    for (size_t bytes = 0; bytes < whole.bytes; bytes++)
        cr_assert_not(reads(&whole, bytes, POOL_CELLS, &back), "%zu of %zu bytes", bytes, whole.bytes);
    for (size_t bit = 0; bit < 8 * whole.bytes; bit++) {
        bad = whole;
        bad.value[bit / 8] ^= (unsigned char)(1u << bit % 8);
        for (size_t bytes = 0; bytes <= bad.bytes; bytes++)
            cr_assert_not(reads(&bad, bytes, POOL_CELLS, &back), "bit %zu, %zu of %zu bytes", bit, bytes, bad.bytes);
    }
}

/* Goal: what an offer's orders used up is read back, and numbers that no signal says are none to reckon with. */
Test(persist, units_of_an_offer_come_back_within_their_bounds)
{
    struct offer_record offer = { .head = { .key = { 1, 2 }, .seq = 9 }, .customer = { 3, 4 }, .sku = "tea", .kind = 2, .value = 2000,
                                  .until_ms = INT64_C(1800000000000), .units_micro = 3000000, .ordered_micro = 2500000, .units_time_ms = INT64_C(1790000000000) };
    struct stored stored;
    union any_record back;
    store(&offer, POOL_OFFERS, STATE_RECORDS, &stored);
    cr_assert(reads(&stored, stored.bytes, POOL_OFFERS, &back));
    cr_assert_arr_eq(&back, &offer, sizeof offer);
    offer.units_micro = INT64_MAX, offer.ordered_micro = INT64_MIN;
    store(&offer, POOL_OFFERS, STATE_RECORDS, &stored);
    cr_assert(reads(&stored, stored.bytes, POOL_OFFERS, &back));
    cr_assert(back.offer.units_micro == RIALTO_BOUND_MAX && back.offer.ordered_micro == 0);
}
