/* test_packed.c - images without their zeros: back to the byte, to no byte more than is said, and nothing else is taken for one. */
#include "service/packed.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 200u
#define CANARY    UINT64_C(0xA5A5A5A5A5A5A5A5)

static uint64_t next_random(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random;
}

/* One word in `sparse` says something; sparse 0: none does. */
static size_t fill(uint64_t word[], size_t words, uint64_t sparse, uint64_t *random)
{
    size_t said = 0;
    for (size_t i = 0; i < words; i++) {
        bool says = sparse != 0 && next_random(random) % sparse == 0;
        word[i] = says ? next_random(random) | UINT64_C(1) << next_random(random) % 64 : 0;
        said += says;
    }
    return said;
}

Test(packed, every_image_comes_back_from_a_word_for_each_that_says_something_and_one_for_each_64)
{
    uint64_t random = 88172645463325252u, image[WORDS_MAX], back[WORDS_MAX + 1], packed[PACKED_ROOM(WORDS_MAX * 8) / 8 + 1];
    for (size_t words = 1; words <= WORDS_MAX; words++) {
        for (uint64_t sparse = 0; sparse < 6; sparse++) {
            size_t said = fill(image, words, sparse, &random), bytes = words * 8, room = PACKED_ROOM(bytes) / 8;
            packed[room] = back[words] = CANARY;
            size_t got = packed_put(image, bytes, packed);
            cr_assert_eq(got, 8 * (said + (words + 63) / 64));
            cr_assert_leq(got, PACKED_MAX(bytes));
            cr_assert_eq(packed[room], CANARY, "written behind its room");
            cr_assert(packed_take(packed, got, back, bytes));
            cr_assert_arr_eq(back, image, bytes);
            cr_assert_eq(back[words], CANARY, "written behind the image");
        }
    }
}

/* Goal: what is shorter, longer, of another size or not as it would have been packed is refused. */
Test(packed, whatever_is_not_exactly_one_image_is_refused)
{
    uint64_t random = 1181783497276652981u, image[74], back[WORDS_MAX], packed[PACKED_ROOM(WORDS_MAX * 8) / 8];
    size_t said = fill(image, 74, 2, &random), bytes = packed_put(image, sizeof image, packed);
    cr_assert_gt(said, 20);
    packed[bytes / 8] = 1;
    cr_assert(packed_take(packed, bytes, back, sizeof image));
    for (size_t other = 0; other < bytes + 16; other++)
        cr_assert_eq(packed_take(packed, other, back, sizeof image), other == bytes, "%zu of %zu bytes", other, bytes);
    cr_assert_not(packed_take(packed, bytes, back, 10 * 8), "an image of fewer words");
    cr_assert_not(packed_take(packed, bytes, back, WORDS_MAX * 8), "an image of more groups");

    uint64_t zero[] = { 1, 0 }, beyond[] = { UINT64_C(1) << 10, 7 }, none[] = { 0 };
    cr_assert_not(packed_take(zero, sizeof zero, back, 80), "a word that is zero");
    cr_assert_not(packed_take(beyond, sizeof beyond, back, 80), "a word behind the last");
    cr_assert(packed_take(none, sizeof none, back, 80));
    cr_assert_not(packed_take(none, 0, back, 80));
}

/* Goal: no bytes make it read or write outside (the sanitizers say so), and what it takes packs to the same bytes again. */
Test(packed, any_bytes_are_refused_or_are_the_one_form_of_an_image)
{
    uint64_t random = 3935559000370003845u;
    uint32_t taken = 0;
    for (uint32_t turn = 0; turn < 200000; turn++) {
        size_t words = 1 + next_random(&random) % 4, bytes = 8 * (1 + next_random(&random) % 70);
        uint64_t back[70], again[PACKED_ROOM(70 * 8) / 8], *packed = malloc(words * 8);
        cr_assert_not_null(packed);
        for (size_t i = 0; i < words; i++)
            packed[i] = next_random(&random) % 2 == 0 ? next_random(&random) & next_random(&random) & 7u : next_random(&random) % 3;
        if (packed_take(packed, words * 8, back, bytes)) {
            taken++;
            cr_assert_eq(packed_put(back, bytes, again), words * 8);
            cr_assert_arr_eq(again, packed, words * 8);
        }
        free(packed);
    }
    cr_assert_gt(taken, 1000u, "%u were taken: the bytes are too wild to test anything", taken);
}
