/* test_audit_names.c - names of customers in the audit log: drawn by chance, kept, and nobody's after an erasure. */
#include "cache/keys.h"
#include "service/audit_names.h"
#include "service/data_dir.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DAY_MS (INT64_C(24) * 3600 * 1000)
#define NOW_MS (INT64_C(20000) * DAY_MS)

static struct config config;
static char file[DATA_PATH_MAX];

static void setup(void)
{
    (void)snprintf(config.data_dir, sizeof config.data_dir, "/tmp/audit.names.XXXXXX");
    cr_assert_not_null(mkdtemp(config.data_dir));
    data_path(&config, AUDIT_NAMES_FILE, file);
}

static void teardown(void)
{
    (void)unlink(file);
    (void)rmdir(config.data_dir);
}

TestSuite(audit_names, .init = setup, .fini = teardown);

static struct rialto_key key_of(uint32_t customer)
{
    static const uint8_t secret[RIALTO_SECRET_BYTES] = { 7 };
    char id[24];
    int bytes = snprintf(id, sizeof id, "customer-%u", customer);
    return key_of_id(secret, id, (size_t)bytes);
}

/* Bytes of the key in the file, in the order in which it stands in memory. */
static bool stands_in_file(struct rialto_key key)
{
    static char text[AUDIT_NAMES * 32 + 4096];
    int fd = open(file, O_RDONLY);
    ssize_t bytes = read(fd, text, sizeof text);
    (void)close(fd);
    cr_assert_gt(bytes, 0);
    return memmem(text, (size_t)bytes, &key.lo, sizeof key.lo) != NULL ||
           memmem(text, (size_t)bytes, &key.hi, sizeof key.hi) != NULL;
}

Test(audit_names, a_customer_keeps_a_name_and_no_two_have_the_same)
{
    struct audit_names *names = audit_names_open(&config);
    char a[AUDIT_NAME_MAX], b[AUDIT_NAME_MAX], again[AUDIT_NAME_MAX];
    cr_assert_not_null(names);
    audit_names_take(names, key_of(1), NOW_MS, a);
    audit_names_take(names, key_of(2), NOW_MS, b);
    audit_names_take(names, key_of(1), NOW_MS + 1, again);
    cr_expect_eq(strlen(a), 16);
    cr_expect_str_eq(a, again);
    cr_expect_str_neq(a, b);
    audit_names_close(names);
    names = audit_names_open(&config);
    audit_names_take(names, key_of(1), NOW_MS + 2, again);
    cr_expect_str_eq(a, again, "over a restart");
    cr_expect(audit_names_find(&config, key_of(2), again));
    cr_expect_str_eq(b, again, "by whoever reads the file");
    cr_expect_not(audit_names_find(&config, key_of(3), again));
    audit_names_close(names);
}

Test(audit_names, an_erasure_leaves_no_byte_of_whose_it_was_and_the_next_name_is_another)
{
    struct audit_names *names = audit_names_open(&config);
    char before[AUDIT_NAME_MAX], after[AUDIT_NAME_MAX], other[AUDIT_NAME_MAX], still[AUDIT_NAME_MAX];
    audit_names_take(names, key_of(1), NOW_MS, before);
    audit_names_take(names, key_of(2), NOW_MS, other);
    cr_expect(stands_in_file(key_of(1)), "the search looks in the right place");
    audit_names_forget(names, key_of(1));
    audit_names_forget(names, key_of(77)); /* who never had one */
    cr_expect_not(stands_in_file(key_of(1)));
    cr_expect_not(audit_names_find(&config, key_of(1), after));
    audit_names_take(names, key_of(1), NOW_MS, after);
    cr_expect_str_neq(before, after);
    audit_names_take(names, key_of(2), NOW_MS, still);
    cr_expect_str_eq(other, still);
    audit_names_close(names);
}

Test(audit_names, names_are_bounded_in_number_and_in_age)
{
    struct audit_names *names = audit_names_open(&config);
    char name[AUDIT_NAME_MAX];
    struct stat info;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < 3 * AUDIT_NAMES; i++)
        audit_names_take(names, key_of(i), NOW_MS + i, name);
    cr_assert_eq(stat(file, &info), 0);
    cr_expect_leq(info.st_size, AUDIT_NAMES * 32 + 4096);
    cr_expect(audit_names_find(&config, key_of(3 * AUDIT_NAMES - 1), name), "the last one has a name");
    audit_names_age(names, NOW_MS + AUDIT_NAME_DAYS * DAY_MS);
    cr_expect(audit_names_find(&config, key_of(3 * AUDIT_NAMES - 1), name), "not too old yet");
    audit_names_age(names, NOW_MS + 3 * AUDIT_NAMES + AUDIT_NAME_DAYS * DAY_MS);
    for (uint32_t i = 3 * AUDIT_NAMES - 100; i < 3 * AUDIT_NAMES; i++)
        kept += audit_names_find(&config, key_of(i), name);
    cr_expect_eq(kept, 0);
    audit_names_close(names);
}

Test(audit_names, a_file_of_another_form_is_made_anew_and_none_is_no_crash)
{
    char name[AUDIT_NAME_MAX] = "x";
    FILE *wrong = fopen(file, "we");
    cr_assert_not_null(wrong);
    (void)fputs("not ours", wrong);
    (void)fclose(wrong);
    cr_expect_not(audit_names_find(&config, key_of(1), name));
    struct audit_names *names = audit_names_open(&config);
    cr_assert_not_null(names);
    audit_names_take(names, key_of(1), NOW_MS, name);
    cr_expect(audit_names_find(&config, key_of(1), name));
    audit_names_close(names);
    struct config nowhere = config;
    (void)snprintf(nowhere.data_dir, sizeof nowhere.data_dir, "/tmp/audit.nowhere.%d", (int)getpid());
    cr_expect_null(audit_names_open(&nowhere));
    audit_names_take(NULL, key_of(1), NOW_MS, name);
    cr_expect_str_eq(name, "");
    audit_names_forget(NULL, key_of(1));
    audit_names_age(NULL, NOW_MS);
    audit_names_close(NULL);
}
