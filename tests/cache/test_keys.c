/* test_keys.c - ids become the same keys on every machine and build. */
#include "cache/keys.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void counting_secret(uint8_t ret[RIALTO_SECRET_BYTES])
{
    for (size_t i = 0; i < RIALTO_SECRET_BYTES; i++)
        ret[i] = (uint8_t)(i * 37 + 11);
}

/* Goal: a cache folder outlives a rebuild against another libxxhash; the vectors are the format. */
Test(keys, hashes_are_those_that_were_recorded)
{
    static const struct {
        const char *id;
        uint64_t lo, hi;
    } known[] = {
        { "", UINT64_C(0x004ED27F7FCCCFE3), UINT64_C(0xF3029DDCE5FB903F) },
        { "a", UINT64_C(0x9C2EFAD54C5E37C2), UINT64_C(0x17CBFA608DCAFFD4) },
        { "C123", UINT64_C(0x6F01F054DB630C0F), UINT64_C(0x09460A302F007B5F) },
        { "milk-1l", UINT64_C(0xA4DD977718355CF3), UINT64_C(0x6EB9E6F9690E6C85) },
        { "gh:u4pru", UINT64_C(0x97DA707016127E76), UINT64_C(0x1DCBEF7EAD444CF8) },
        { "de/south/store:25", UINT64_C(0xDA4B9AC8D34DC53F), UINT64_C(0xEB7B5A93671D64DE) },
        { "customer-00000000000000012345", UINT64_C(0x7D55674FCF6D745D), UINT64_C(0x5E3FEB785EB473B8) },
        { "sku/with/a/name/of/exactly/sixty-three/bytes/0123456789abcdefgh", UINT64_C(0x6D2FAFB42595D9BF),
          UINT64_C(0x8AC18D31CB862624) },
    };
    uint8_t secret[RIALTO_SECRET_BYTES];
    counting_secret(secret);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        struct rialto_key key = key_of_id(secret, known[i].id, strlen(known[i].id));
        cr_expect_eq(key.lo, known[i].lo, "%s lo %016llx", known[i].id, (unsigned long long)key.lo);
        cr_expect_eq(key.hi, known[i].hi, "%s hi %016llx", known[i].id, (unsigned long long)key.hi);
    }
}

Test(keys, pairs_are_those_that_were_recorded)
{
    struct rialto_key a = { .lo = 1, .hi = 2 }, b = { .lo = 3, .hi = 4 };
    struct rialto_key ab = key_pair(a, b);
    cr_expect_eq(ab.lo, UINT64_C(0x910A2DEC89025CC2), "%016llx", (unsigned long long)ab.lo);
    cr_expect_eq(ab.hi, UINT64_C(0x2E00E16EE8E9CC7B), "%016llx", (unsigned long long)ab.hi);
}

Test(keys, another_secret_gives_other_keys)
{
    uint8_t one[RIALTO_SECRET_BYTES], two[RIALTO_SECRET_BYTES];
    counting_secret(one);
    counting_secret(two);
    for (size_t i = 0; i < sizeof two; i++)
        two[i] = (uint8_t)(i * i * 29 + 7);
    cr_assert_not(key_equal(key_of_id(one, "milk-1l", 7), key_of_id(two, "milk-1l", 7)));
}

Test(keys, order_matters_in_a_pair)
{
    uint8_t secret[RIALTO_SECRET_BYTES];
    counting_secret(secret);
    struct rialto_key a = key_of_id(secret, "a", 1), b = key_of_id(secret, "b", 1);
    cr_assert_not(key_equal(key_pair(a, b), key_pair(b, a)));
    cr_assert_not(key_equal(key_pair(a, a), key_pair(b, b)));
}

Test(keys, the_world_is_the_empty_id)
{
    uint8_t secret[RIALTO_SECRET_BYTES];
    counting_secret(secret);
    cr_assert(key_equal(key_of_world(secret), key_of_id(secret, "", 0)));
    cr_assert_not(key_is_none(key_of_world(secret)));
}

/* Goal: no key is ever taken for an empty or a deleted line. The pair below would come out as all zeros or all ones. */
Test(keys, reserved_keys_never_come_out)
{
    struct rialto_key other = { .lo = 5, .hi = 6 };
    struct rialto_key zero = key_pair((struct rialto_key){ 0, 0 }, other);
    struct rialto_key to_none = { .lo = 0 - zero.lo, .hi = 0 - zero.hi };
    struct rialto_key to_ones = { .lo = UINT64_MAX - zero.lo, .hi = UINT64_MAX - zero.hi };

    struct rialto_key none = key_pair(to_none, other), ones = key_pair(to_ones, other);
    cr_assert_not(key_is_none(none));
    cr_assert_not(ones.lo == UINT64_MAX && ones.hi == UINT64_MAX);
    cr_assert(none.hi == 0 && none.lo == 1, "moved to a neighbour");
    cr_assert(ones.hi == UINT64_MAX && ones.lo == UINT64_MAX - 1, "moved to a neighbour");
}

Test(keys, partitions_are_in_range_and_evenly_used)
{
    uint8_t secret[RIALTO_SECRET_BYTES];
    counting_secret(secret);
    uint32_t count[RIALTO_PARTITIONS] = { 0 };
    for (int i = 0; i < 64000; i++) {
        char id[32];
        int bytes = snprintf(id, sizeof id, "C%d", i);
        uint32_t partition = key_partition(key_of_id(secret, id, (size_t)bytes));
        cr_assert_lt(partition, RIALTO_PARTITIONS);
        count[partition]++;
    }
    for (uint32_t p = 0; p < RIALTO_PARTITIONS; p++) /* 1000 expected; six standard deviations are 190 */
        cr_expect(count[p] > 810 && count[p] < 1190, "partition %u has %u", p, count[p]);
}

/* Goal: pairs of few owners and few others do not meet, as products and zones would if keys were merely added up. */
Test(keys, pairs_of_a_grid_are_all_different)
{
    enum { SIDE = 200 };
    static uint64_t seen[SIDE * SIDE];
    uint8_t secret[RIALTO_SECRET_BYTES];
    counting_secret(secret);
    size_t n = 0;
    for (int i = 0; i < SIDE; i++) {
        for (int j = 0; j < SIDE; j++) {
            char a[16], b[16];
            int a_bytes = snprintf(a, sizeof a, "%d", i), b_bytes = snprintf(b, sizeof b, "%d", j);
            seen[n++] = key_pair(key_of_id(secret, a, (size_t)a_bytes), key_of_id(secret, b, (size_t)b_bytes)).lo >> 16;
        }
    }
    for (size_t i = 0; i < n; i += 97) { /* 48 bits: a chance meeting has odds below 1e-7 */
        for (size_t j = 0; j < n; j++)
            cr_assert(i == j || seen[i] != seen[j]);
    }
}

/* Goal: of ids of any length at any place the same keys come out in bulk as one by one, and no byte is touched in a page of memory that
 * an id does not lie in: its last one is the last that there is. */
Test(keys, of_many_ids_are_those_of_each)
{
    uint8_t secret[RIALTO_SECRET_BYTES];
    counting_secret(secret);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *at = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(at, MAP_FAILED);
    cr_assert_eq(mprotect(at, page, PROT_NONE), 0);
    cr_assert_eq(mprotect(at + 2 * page, page, PROT_NONE), 0);
    char *first = at + page, *end = at + 2 * page;
    for (size_t bytes = 0; bytes < RIALTO_ID_MAX + 8; bytes++) {
        for (size_t place = 0; place < 40; place++) {
            memset(first, 'x', page);
            char *late = end - 1 - bytes - place, *early = first + place;
            late[bytes] = early[bytes] = '\0';
            for (size_t i = 0; i < bytes; i++)
                late[i] = early[i] = (char)('a' + (i * 7 + bytes) % 26);
            const char *ids[4] = { late, NULL, early, "milk-1l" };
            struct rialto_key key[4];
            memset(key, 0xEE, sizeof key);
            key_of_ids(secret, 4, ids, key);
            bool fits = bytes < RIALTO_ID_MAX;
            cr_assert_eq(key_id_bytes(late), fits ? bytes : RIALTO_ID_MAX);
            struct rialto_key wanted = fits ? key_of_id(secret, late, bytes) : (struct rialto_key){ 0, 0 };
            cr_assert(key_equal(key[0], wanted), "%zu bytes at %zu", bytes, place);
            cr_assert(key_equal(key[2], wanted), "%zu bytes at %zu", bytes, place);
            cr_assert(key_is_none(key[1]));
            cr_assert(key_equal(key[3], key_of_id(secret, "milk-1l", 7)));
        }
    }
    /* An id that begins in the last bytes of a page and has no end there is read no further than an id may go. */
    memset(first, 'x', page);
    cr_assert_eq(key_id_bytes(end - RIALTO_ID_MAX), RIALTO_ID_MAX);
    (void)munmap(at, 3 * page);
}
