/* test_web_tokens.c - a file of tokens is taken whole or not at all, and only the one whose hash stands there opens. */
#include "service/web_tokens.h"

#include "service/data_dir.h"

#include <criterion/criterion.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* SHA-256 of "abcdefghijklmnopqrstuvwxyz012345" and of the same without its last letter, by sha256sum(1). */
#define TOKEN      "abcdefghijklmnopqrstuvwxyz012345"
#define TOKEN_HASH "653bb1245e828fcda4fa53fcd5a3def5bd7654e651f54b4132b73d74e64435c4"
#define SHORT_HASH "306e28edf0240c12ad50d0ae81b0b810134a4a002f9553691fc8fac590735547"

static struct tokens tokens;
static struct fault fault;

/* In place of libsodium's, in this program: it compares the same, and counts. */
static unsigned compared;
int sodium_memcmp(const void *const a, const void *const b, size_t bytes)
{
    volatile unsigned char differ = 0;
    for (size_t i = 0; i < bytes; i++)
        differ |= (unsigned char)(((const unsigned char *)a)[i] ^ ((const unsigned char *)b)[i]);
    compared++;
    return differ == 0 ? 0 : -1;
}

Test(web_tokens, the_token_of_a_line_is_found_with_its_role_and_name)
{
    cr_assert_eq(
        tokens_parse("# nobody\n\n  admin\talice  " TOKEN_HASH " \r\nshop till-7 " SHORT_HASH, &tokens, &fault),
        RIALTO_OK);
    cr_assert_eq(tokens.count, 2);
    const struct token *token = tokens_find(&tokens, TOKEN);
    cr_assert_not_null(token);
    cr_expect_eq(token->role, ROLE_ADMIN);
    cr_expect_str_eq(token->name, "alice");
    cr_expect_str_eq(role_name(tokens.token[1].role), "shop");
    cr_assert_eq(tokens_parse("producer erp " TOKEN_HASH, &tokens, &fault), RIALTO_OK);
    cr_expect(tokens.token[0].role == ROLE_PRODUCER && tokens.token[0].role < ROLE_SHOP);
}

Test(web_tokens, nothing_else_opens)
{
    char long_one[TOKEN_CHARS_MAX + 2];
    memset(long_one, 'a', sizeof long_one);
    long_one[sizeof long_one - 1] = '\0';
    cr_assert_eq(tokens_parse("admin alice " TOKEN_HASH "\nshop short " SHORT_HASH "\n", &tokens, &fault), RIALTO_OK);
    const char *const wrong[] = { NULL,
                                  "",
                                  TOKEN "6",
                                  "Abcdefghijklmnopqrstuvwxyz012345",
                                  TOKEN_HASH,
                                  long_one,
                                  "abcdefghijklmnopqrstuvwxyz01234" /* in the file, and too short to be taken */ };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        cr_expect_null(tokens_find(&tokens, wrong[i]), "%s", wrong[i] != NULL ? wrong[i] : "none");
    cr_assert_eq(tokens_parse("", &tokens, &fault), RIALTO_OK);
    cr_expect_null(tokens_find(&tokens, TOKEN));
}

Test(web_tokens, a_fault_is_told_at_its_line)
{
    static const char *const bad[] = { "root x " TOKEN_HASH,
                                       "none x " TOKEN_HASH,
                                       "admin",
                                       "admin x",
                                       "admin a/b " TOKEN_HASH,
                                       "admin x 00",
                                       "admin x " TOKEN_HASH "00",
                                       "admin x " TOKEN_HASH " more",
                                       "admin abcdefghijklmnopqrstuvwxyzabcdef " TOKEN_HASH,
                                       "admin x zz" TOKEN_HASH };
    char text[512];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        (void)snprintf(text, sizeof text, "shop fine %s\n%s\n", TOKEN_HASH, bad[i]);
        cr_expect_eq(tokens_parse(text, &tokens, &fault), RIALTO_REFUSED, "%s", bad[i]);
        cr_expect_eq(fault.line, 2, "%s: line %u", bad[i], fault.line);
    }
    memset(text, 'a', 300);
    text[300] = '\0';
    cr_expect_eq(tokens_parse(text, &tokens, &fault), RIALTO_REFUSED);
}

Test(web_tokens, there_are_at_most_64)
{
    static char text[(TOKENS_MAX + 1) * 128];
    size_t used = 0;
    for (unsigned i = 0; i < TOKENS_MAX; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "shop s%u %s\n", i, TOKEN_HASH);
    cr_expect_eq(tokens_parse(text, &tokens, &fault), RIALTO_OK);
    (void)snprintf(text + used, sizeof text - used, "shop more %s\n", TOKEN_HASH);
    cr_expect_eq(tokens_parse(text, &tokens, &fault), RIALTO_REFUSED);
    cr_expect_eq(fault.line, TOKENS_MAX + 1);
}

/* Goal: how long an answer takes says nothing of what is in the file: all hashes are compared, each in constant time, whichever fits. */
Test(web_tokens, every_token_is_compared_in_constant_time)
{
    cr_assert_eq(tokens_parse("admin alice " TOKEN_HASH "\nshop till " SHORT_HASH "\nproducer erp " SHORT_HASH "\n",
                              &tokens, &fault),
                 RIALTO_OK);
    const char *const shown[] = { TOKEN, TOKEN "6", "Abcdefghijklmnopqrstuvwxyz012345" };
    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++) {
        compared = 0;
        (void)tokens_find(&tokens, shown[i]);
        cr_expect_eq(compared, 3, "%s: %u", shown[i], compared);
    }
}

/* Goal: so is the key of the data folder; a file without a key opens for nobody. */
Test(web_tokens, the_key_of_the_data_folder_is_compared_in_constant_time)
{
    struct config config = { .data_dir = "/tmp/rialto-key.XXXXXX" };
    char path[CONFIG_TEXT_MAX + 8], key[DATA_KEY_MAX];
    cr_assert_not_null(mkdtemp(config.data_dir));
    cr_assert(!data_key_fits(&config, ""), "there is none");
    cr_assert(data_key(&config, true, key));
    (void)snprintf(path, sizeof path, "%s/key", config.data_dir);
    struct stat info;
    cr_assert(stat(path, &info) == 0 && (info.st_mode & 0777) == 0600);
    compared = 0;
    cr_expect(data_key_fits(&config, key));
    key[0] = key[0] == '0' ? '1' : '0';
    cr_expect(!data_key_fits(&config, key));
    cr_expect_eq(compared, 2);
    cr_expect(!data_key_fits(&config, NULL) && !data_key_fits(&config, ""));
    FILE *file = fopen(path, "we");
    cr_assert(file != NULL && fprintf(file, "\n%s", key) > 32 && fclose(file) == 0);
    cr_expect(!data_key_fits(&config, ""), "an empty line");
    cr_assert(unlink(path) == 0 && rmdir(config.data_dir) == 0);
}
