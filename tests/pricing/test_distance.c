/* test_distance.c - where a cell of a geohash lies: against published cells, and by the way back. */
#include "pricing/distance.h"

#include <criterion/criterion.h>
#include <stdlib.h>

/* The example of the German and English Wikipedia, "Geohash": ezs42 is the cell of 42.583 to 42.627 north, 5.625 to 5.581 west; and the
 * whole world is halved by the first bits: "s" begins at 0 north, 0 east and is 45 degrees wide. */
Test(distance, a_geohash_lies_where_its_letters_say)
{
    int64_t at[2];
    cr_assert(geohash_middle("gh:ezs42", at));
    cr_assert(llabs(at[0] - 42605000) < 1000 && llabs(at[1] + 5603000) < 1000, "%lld %lld", (long long)at[0], (long long)at[1]);
    cr_assert(geohash_middle("gh:s", at));
    cr_assert(at[0] == 22500000 && at[1] == 22500000);
    cr_assert(geohash_middle("gh:0", at));
    cr_assert(at[0] == -67500000 && at[1] == -157500000);
    cr_assert(geohash_middle("gh:zzzzzzzzzzzz", at));
    cr_assert(at[0] == 89999999 && at[1] == 179999999, "rounded down");
}

Test(distance, what_is_no_geohash_lies_nowhere)
{
    static const char *const NONE[] = { "", "gh:", "gh", "de/south", "gh:aaa", "gh:u4pru/x", "gh:U4P", "gh:zzzzzzzzzzzzz" };
    int64_t at[2] = { 1, 2 };
    for (size_t i = 0; i < sizeof NONE / sizeof NONE[0]; i++)
        cr_assert_not(geohash_middle(NONE[i], at), "%s", NONE[i]);
    cr_assert(at[0] == 1 && at[1] == 2);
}

/* Berlin to Munich by the great circle: 504.4 km between 52.52 N 13.405 E and 48.137 N 11.575 E (haversine, 6371.0088 km). */
Test(distance, kilometres_between_cities)
{
    int64_t km = distance_km_micro((int64_t[2]){ 52520000, 13405000 }, (int64_t[2]){ 48137000, 11575000 });
    cr_assert(llabs(km - INT64_C(504400000)) < 2000000, "%lld", (long long)km);
}
