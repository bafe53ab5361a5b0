/* test_csv.c - rows of comma-separated text, well formed and not. */
#include "demo/csv.h"
#include "tests/demo/files.h"

#include <zlib.h>

static char folder[128], path[192];
static struct fault fault;
static const char *const columns[] = { "name", "price" };

static void setup(void)
{
    folder_make(folder);
}

static void teardown(void)
{
    folder_remove(folder);
}

TestSuite(csv, .init = setup, .fini = teardown);

static struct csv *open_text(const char *text)
{
    struct csv *csv = NULL;
    cr_assert_eq(csv_open(file_make(folder, "a.csv", text, path), 2, columns, &csv, &fault), RIALTO_OK, "%s",
                 fault.reason);
    return csv;
}

static void expect_row(struct csv *csv, const char *name, const char *price)
{
    const char *field[2];
    cr_assert_eq(csv_next(csv, field, &fault), CSV_ROW);
    cr_assert_str_eq(field[0], name);
    cr_assert_str_eq(field[1], price);
}

Test(csv, columns_are_found_by_name_wherever_they_stand)
{
    struct csv *csv = open_text("price,other,name\n1,x,a\n2,,\n");
    expect_row(csv, "a", "1");
    cr_assert_eq(csv_row(csv), 1);
    expect_row(csv, "", "2");
    const char *field[2];
    cr_assert_eq(csv_next(csv, field, &fault), CSV_END);
    cr_assert_eq(csv_row(csv), 2);
    csv_close(csv);
}

Test(csv, quoted_fields_may_hold_commas_quotes_and_line_ends)
{
    struct csv *csv = open_text("name,price\r\n\"a, \"\"b\"\"\nc\",\"1\"\r\n\"\",2\r\nlast,3");
    expect_row(csv, "a, \"b\"\nc", "1");
    expect_row(csv, "", "2");
    expect_row(csv, "last", "3");
    csv_close(csv);
}

Test(csv, a_byte_order_mark_is_no_part_of_the_first_name)
{
    struct csv *csv = open_text("\xEF\xBB\xBFname,price\na,1\n");
    expect_row(csv, "a", "1");
    csv_close(csv);
}

Test(csv, a_row_of_another_width_is_malformed_and_the_next_one_is_read)
{
    struct csv *csv = open_text("name,price\na\nb,2,3\nc,3\n");
    const char *field[2];
    cr_assert_eq(csv_next(csv, field, &fault), CSV_MALFORMED);
    cr_assert_eq(csv_next(csv, field, &fault), CSV_MALFORMED);
    expect_row(csv, "c", "3");
    cr_assert_eq(csv_row(csv), 3);
    csv_close(csv);
}

Test(csv, a_row_that_is_too_long_costs_only_itself)
{
    char *text = malloc(3 * CSV_ROW_MAX);
    strcpy(text, "name,price\n");
    size_t head = strlen(text);
    memset(text + head, 'x', 2 * CSV_ROW_MAX);
    strcpy(text + head + 2 * CSV_ROW_MAX, ",1\nb,2\n");
    struct csv *csv = open_text(text);
    const char *field[2];
    cr_assert_eq(csv_next(csv, field, &fault), CSV_MALFORMED);
    expect_row(csv, "b", "2");
    csv_close(csv);
    free(text);
}

Test(csv, a_zero_byte_does_not_end_the_file)
{
    snprintf(path, sizeof path, "%s/z.csv", folder);
    FILE *file = fopen(path, "w");
    fwrite("name,price\n\0,1\na\0b,2\nc,3\n", 1, 26, file);
    fclose(file);
    struct csv *csv = NULL;
    cr_assert_eq(csv_open(path, 2, columns, &csv, &fault), RIALTO_OK);
    const char *field[2];
    cr_assert_eq(csv_next(csv, field, &fault), CSV_MALFORMED);
    cr_assert_eq(csv_next(csv, field, &fault), CSV_MALFORMED);
    expect_row(csv, "c", "3");
    csv_close(csv);
}

Test(csv, what_is_wrong_with_a_file_is_said)
{
    struct csv *csv = NULL;
    cr_assert_eq(csv_open("/nowhere/a.csv", 2, columns, &csv, &fault), RIALTO_REFUSED);
    cr_assert_str_eq(fault.file, "/nowhere/a.csv");
    cr_assert_eq(csv_open(file_make(folder, "b.csv", "name,cost\n", path), 2, columns, &csv, &fault), RIALTO_REFUSED);
    cr_assert_str_eq(fault.reason, "there is no column price");
    cr_assert_eq(csv_open(file_make(folder, "c.csv", "", path), 2, columns, &csv, &fault), RIALTO_REFUSED);
    cr_assert_null(csv, "a failed open must not touch the result");
}

Test(csv, a_gzip_file_that_was_cut_off_is_broken_not_short)
{
    snprintf(path, sizeof path, "%s/d.csv.gz", folder);
    gzFile file = gzopen(path, "wb");
    gzputs(file, "name,price\n");
    for (int i = 0; i < 100000; i++)
        gzprintf(file, "n%d,%d\n", i * 7919, i);
    gzclose(file);
    struct csv *csv = NULL;
    cr_assert_eq(csv_open(path, 2, columns, &csv, &fault), RIALTO_OK);
    csv_close(csv);
    cr_assert_eq(truncate(path, 100000), 0);
    cr_assert_eq(csv_open(path, 2, columns, &csv, &fault), RIALTO_OK);
    const char *field[2];
    enum csv_next got;
    while ((got = csv_next(csv, field, &fault)) == CSV_ROW)
        continue;
    cr_assert_eq(got, CSV_BROKEN);
    cr_assert_neq(fault.reason[0], 0);
    csv_close(csv);
}

Test(csv, a_file_is_found_plain_or_packed)
{
    char found[192];
    file_make(folder, "e.csv.gz", "", path);
    cr_assert(csv_find(folder, "e.csv", sizeof found, found));
    cr_assert_str_eq(found, path);
    file_make(folder, "e.csv", "", path);
    cr_assert(csv_find(folder, "e.csv", sizeof found, found));
    cr_assert_str_eq(found, path, "the plain one goes first");
    cr_assert_not(csv_find(folder, "f.csv", sizeof found, found));
}
