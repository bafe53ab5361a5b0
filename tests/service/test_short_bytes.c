/* Texts of a few bytes, compared, copied and looked at by words: as byte by byte, for every length and every byte, and not one byte beside. */
#include "service/short_bytes.h"

#include <criterion/criterion.h>

#define BYTES 40u

static bool printable_one_by_one(const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if ((unsigned char)text[i] < 0x20 || (unsigned char)text[i] >= 0x7F)
            return false;
    return true;
}

Test(short_bytes, every_byte_is_looked_at)
{
    char text[BYTES];
    for (size_t bytes = 1; bytes <= BYTES; bytes++)
        for (size_t at = 0; at < bytes; at++)
            for (unsigned byte = 0; byte < 256; byte++) {
                memset(text, byte % 2 ? '~' : ' ', sizeof text); /* the neighbours of what is not printable */
                text[at] = (char)byte;
                cr_assert_eq(is_printable(text, bytes), printable_one_by_one(text, bytes), "byte %u at %zu of %zu",
                             byte, at, bytes);
            }
    memset(text, 0, sizeof text);
    cr_assert(is_printable(text, 0));
}

Test(short_bytes, a_difference_is_seen_wherever_it_is)
{
    char a[BYTES + 1], b[BYTES + 1];
    for (size_t bytes = 0; bytes <= BYTES; bytes++) {
        memset(a, 'x', sizeof a);
        memset(b, 'x', sizeof b);
        b[bytes] = 'y'; /* behind them */
        cr_assert(same_bytes(a, b, bytes), "%zu", bytes);
        for (size_t at = 0; at < bytes; at++) {
            b[at] = 'y';
            cr_assert_not(same_bytes(a, b, bytes), "%zu of %zu", at, bytes);
            b[at] = 'x';
        }
    }
}

Test(short_bytes, as_many_bytes_as_were_asked_for_are_copied)
{
    char from[BYTES], to[BYTES + 2], wanted[BYTES + 2];
    for (size_t i = 0; i < BYTES; i++)
        from[i] = (char)('A' + i);
    for (size_t bytes = 0; bytes <= BYTES; bytes++) {
        memset(to, '.', sizeof to);
        memset(wanted, '.', sizeof wanted);
        for (size_t i = 0; i < bytes; i++)
            wanted[i + 1] = from[i];
        copy_bytes(to + 1, from, bytes);
        cr_assert_eq(memcmp(to, wanted, sizeof to), 0, "%zu", bytes);
    }
}
