/* test_zone_path.c - zone names: what is valid, where they are cut, what lies around them. */
#include "cache/zone_path.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct zone_levels LEVELS = { .geohash_lengths = { 3, 5 }, .path_depths = { 1, 2, 3 } };

static bool valid(const char *name)
{
    return zone_name_valid(name, strlen(name));
}

static void expect_chain(const struct zone_levels *levels, const char *name, size_t count, const char *const wanted[])
{
    struct zone_chain chain;
    cr_assert(zone_chain_of(levels, name, strlen(name), &chain), "%s", name);
    cr_assert_eq(chain.count, count, "%s has %u levels", name, chain.count);
    for (size_t i = 0; i < count; i++)
        cr_expect_str_eq(chain.name[i], wanted[i]);
}

/* Published examples: the geohash article's 57.64911,10.40744 and 42.6,-5.6. */
Test(zone_path, geohashes_are_the_published_ones)
{
    char name[RIALTO_ID_MAX];
    zone_geohash(&(struct zone_levels){ .geohash_lengths = { 11 } }, 57.64911, 10.40744, name);
    cr_expect_str_eq(name, "gh:u4pruydqqvj");
    zone_geohash(&(struct zone_levels){ .geohash_lengths = { 3, 5 } }, 42.6, -5.6, name);
    cr_expect_str_eq(name, "gh:ezs42");
    zone_geohash(&(struct zone_levels){ .geohash_lengths = { 5, 3 } }, 57.64911, 10.40744, name);
    cr_expect_str_eq(name, "gh:u4pru", "the longest length in use, wherever it stands");
}

/* The first digit has three bits of longitude and two of latitude, so the corners of the earth are known by hand. */
Test(zone_path, corners_of_the_earth)
{
    const struct zone_levels one = { .geohash_lengths = { 1 } };
    char name[RIALTO_ID_MAX];
    zone_geohash(&one, -90, -180, name);
    cr_expect_str_eq(name, "gh:0");
    zone_geohash(&one, 90, 180, name);
    cr_expect_str_eq(name, "gh:z");
    zone_geohash(&one, 0, 0, name);
    cr_expect_str_eq(name, "gh:s");
    zone_geohash(&one, -90, 180, name);
    cr_expect_str_eq(name, "gh:p");
}

Test(zone_path, no_position_no_zone)
{
    char name[RIALTO_ID_MAX] = "x";
    zone_geohash(&LEVELS, 91, 0, name);
    cr_expect_str_eq(name, "");
    zone_geohash(&LEVELS, 0, -180.5, name);
    cr_expect_str_eq(name, "");
    zone_geohash(&LEVELS, __builtin_nan(""), 0, name);
    cr_expect_str_eq(name, "");
    zone_geohash(&(struct zone_levels){ .path_depths = { 1 } }, 10, 10, name);
    cr_expect_str_eq(name, "", "geohash zones are not in use");
}

Test(zone_path, valid_names)
{
    static const char *const good[] = { "",          "world",           "de",
                                        "gh:u",      "gh:u4pruydqqvj0", "de/south/store:25/dairy",
                                        "a.b_c-D:9", "1/2/3/4/5/6/7/8", "ghost",
                                        "world/x" };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        cr_expect(valid(good[i]), "%s", good[i]);
}

Test(zone_path, invalid_names)
{
    static const char *const bad[] = { "/",
                                       "/de",
                                       "de/",
                                       "de//x",
                                       "a b",
                                       "gh:",
                                       "gh:a", /* no such digit */
                                       "gh:U4PRU",
                                       "gh:u4/x",
                                       "m\xC3\xBC",
                                       "a\n",
                                       "1/2/3/4/5/6/7/8/9",
                                       "gh:u4pruydqqvj00" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_not(valid(bad[i]), "%s", bad[i]);
    cr_expect_not(zone_name_valid("a\0b", 3), "a 0 inside");
    cr_expect_not(zone_name_valid("gh:u\0p", 6), "a 0 is no digit");
}

Test(zone_path, length_is_bounded)
{
    char name[RIALTO_ID_MAX + 1];
    memset(name, 'a', sizeof name);
    cr_expect(zone_name_valid(name, RIALTO_ID_MAX - 1));
    cr_expect_not(zone_name_valid(name, RIALTO_ID_MAX));
    struct zone_chain chain;
    cr_expect(zone_chain_of(&LEVELS, name, RIALTO_ID_MAX - 1, &chain));
    cr_expect_eq(strlen(chain.name[0]), RIALTO_ID_MAX - 1);
}

Test(zone_path, finer_positions_are_cut)
{
    expect_chain(&LEVELS, "gh:u4pruydqqvj", 2, (const char *const[]){ "gh:u4pru", "gh:u4p" });
    expect_chain(&LEVELS, "gh:u4pr", 1, (const char *const[]){ "gh:u4p" });
    expect_chain(&LEVELS, "gh:u4", 0, NULL);
    expect_chain(&LEVELS, "de/south/store:25/dairy", 3, (const char *const[]){ "de/south/store:25", "de/south", "de" });
    expect_chain(&LEVELS, "de", 1, (const char *const[]){ "de" });
}

Test(zone_path, depths_that_are_not_in_use_are_skipped)
{
    const struct zone_levels second = { .path_depths = { 2 } };
    expect_chain(&second, "de/south/store:25", 1, (const char *const[]){ "de/south" });
    expect_chain(&second, "de", 0, NULL);
    expect_chain(&second, "gh:u4pru", 0, NULL);
}

Test(zone_path, the_world_is_around_everything_and_not_listed)
{
    expect_chain(&LEVELS, "", 0, NULL);
    expect_chain(&LEVELS, "world", 0, NULL);
}

Test(zone_path, an_invalid_name_has_no_chain)
{
    struct zone_chain chain = { .count = 77 };
    cr_assert_not(zone_chain_of(&LEVELS, "a//b", 4, &chain));
    cr_assert_eq(chain.count, 77, "a failed call must not touch the result");
}
