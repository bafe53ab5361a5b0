/* fuzz_config.c - any bytes as a configuration, an assignment of --set, or a file of tokens: refused with a reason, or settings
 * within their bounds that can be written out and read again.
 *
 * The first byte chooses: a configuration, one followed by assignments (a line each), or tokens. */
#include "service/config.h"
#include "service/web_tokens.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition, const char *what)
{
    if (!condition) {
        (void)fprintf(stderr, "fuzz_config: %s\n", what);
        abort();
    }
}

static void check_refused(const struct fault *fault)
{
    require(memchr(fault->reason, '\0', sizeof fault->reason) != NULL && fault->reason[0] != '\0', "no reason");
    require(memchr(fault->pointer, '\0', sizeof fault->pointer) != NULL, "a pointer without an end");
    require(fault->pointer[0] == '\0' || fault->pointer[0] == '/', "a pointer that is none");
}

static void check_bounds(const struct config *config)
{
#define CHECK_TEXT(key, value, unit, text)                                                                             \
    require(memchr(config->key, '\0', sizeof config->key) != NULL, "a text without an end: " #key);                    \
    for (const char *c = config->key; *c != '\0'; c++)                                                                 \
        require((unsigned char)*c >= 0x20 && *c != 0x7f, "a control character in " #key);
    CONFIG_TEXTS(CHECK_TEXT)
#undef CHECK_TEXT
#define CHECK_NUMBER(key, value, low, high, unit, text)                                                                \
    require(config->key + UINT64_C(1) > (low) && config->key <= (high), "out of bounds: " #key);
    CONFIG_NUMBERS(CHECK_NUMBER)
#undef CHECK_NUMBER
}

/* As the service hands its settings to its children: through a file. */
static void check_again(struct config *config)
{
    static char path[96];
    static int file = -1;
    struct config again;
    struct fault fault = { .reason = "" };
    if (file == -1) {
        (void)snprintf(path, sizeof path, "%s/rialto-fuzz.XXXXXX",
                       getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
        file = mkstemp(path);
        require(file != -1, "no folder for the file");
    }
    require(config_save(config, path), "settings cannot be saved");
    require(config_load(path, &again, &fault) == RIALTO_OK, fault.reason);
    (void)unlink(path);
    config->worker_count = config->workers; /* what was worked out is what is saved */
    require(config_finish(&again, &fault) == RIALTO_OK, "what was saved does not hold together");
#define CHECK_TEXT(key, value, unit, text) require(strcmp(config->key, again.key) == 0, "another text: " #key);
    CONFIG_TEXTS(CHECK_TEXT)
#undef CHECK_TEXT
#define CHECK_NUMBER(key, value, low, high, unit, text) require(config->key == again.key, "another number: " #key);
    CONFIG_NUMBERS(CHECK_NUMBER)
#undef CHECK_NUMBER
    require(config->workers == again.workers && strcmp(config->redis_prefix, again.redis_prefix) == 0 &&
                memcmp(config->geohash_length, again.geohash_length, sizeof again.geohash_length) == 0 &&
                memcmp(config->path_depth, again.path_depth, sizeof again.path_depth) == 0,
            "something else is worked out of it");
}

static void check_assignments(struct config *config, char *lines)
{
    char *save = NULL;
    for (char *line = strtok_r(lines, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
        struct fault fault = { .reason = "" };
        if (config_set(config, line, &fault) != RIALTO_OK)
            check_refused(&fault);
    }
}

static void check_config(char *text, size_t bytes, char *assignments)
{
    static struct config config;
    struct fault fault = { .reason = "" };
    memset(&config, 0, sizeof config);
    if (config_parse(text, bytes, &config, &fault) != RIALTO_OK) {
        check_refused(&fault);
        return;
    }
    if (assignments != NULL)
        check_assignments(&config, assignments);
    check_bounds(&config);
    if (config_finish(&config, &fault) != RIALTO_OK) {
        check_refused(&fault);
        return;
    }
    check_again(&config);
}

static void check_tokens(const char *text)
{
    static struct tokens tokens;
    struct fault fault = { .reason = "" };
    if (tokens_parse(text, &tokens, &fault) != RIALTO_OK) {
        check_refused(&fault);
        require(fault.line >= 1, "no line");
        return;
    }
    require(tokens.count <= TOKENS_MAX, "more tokens than there may be");
    for (uint32_t i = 0; i < tokens.count; i++)
        require(tokens.token[i].role >= ROLE_PRODUCER && tokens.token[i].role <= ROLE_ADMIN &&
                    memchr(tokens.token[i].name, '\0', TOKEN_NAME_MAX) != NULL,
                "a token without a role or name");
    require(tokens_find(&tokens, "a token that nobody has been given yet") == NULL, "a stranger was let in");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    size_t bytes = size - 1;
    char *text = malloc(bytes + 1); /* of its own, so that one byte read past the end is seen */
    if (text == NULL)
        return 0;
    memcpy(text, data + 1, bytes);
    text[bytes] = '\0';
    char *behind = strstr(text, "\n--set\n");
    if (data[0] % 3 == 2)
        check_tokens(text);
    else if (data[0] % 3 == 1 && behind != NULL)
        check_config(text, (size_t)(behind - text), behind + strlen("\n--set\n"));
    else
        check_config(text, bytes, NULL);
    free(text);
    return 0;
}
