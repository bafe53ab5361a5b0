/* fuzz_scan.c - the fast reader of common signals and the strict one: what the first accepts the second accepts too, and both
 * make the same signal of it, to the byte.
 *
 * A scanner reads several lines, as in the gateway, so that what it remembers of one is met by the next. */
#include "service/signal_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition, const char *what)
{
    if (!condition) {
        (void)fprintf(stderr, "fuzz_scan: %s\n", what);
        abort();
    }
}

static void compare(struct signal_scanner *scanner, const char *text, size_t bytes)
{
    static struct signal fast, strict; /* as the line before left them */
    struct fault fault;
    bool scanned = signal_scan(scanner, text, bytes, &fast);
    cJSON *value = json_parse(text, bytes, 0, &fault);
    if (!scanned) { /* as in the gateway: into the same place */
        (void)(value != NULL && signal_parse(value, scanner->rules, &fast, &fault));
        cJSON_Delete(value);
        return;
    }
    require(value != NULL, "what is no JSON was accepted");
    require(!signal_is_event(value), "an event was read as a signal");
    require(signal_parse(value, scanner->rules, &strict, &fault) == REASON_none, "what is refused was accepted");
    require(memcmp(&fast, &strict, sizeof fast) == 0, "another signal was read");
    cJSON_Delete(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct signal_rules rules = { .levels = { { 3, 5 }, { 1, 2, 3 } },
                                  .now_ms = INT64_C(1767225600000),
                                  .age_max_ms = INT64_C(604800000),
                                  .future_max_ms = 60000 };
    static struct signal_scanner scanner;
    if (size == 0)
        return 0;
    if (data[0] & 1u)
        memset(rules.levels.geohash_lengths, 0, sizeof rules.levels.geohash_lengths);
    if (data[0] & 2u)
        memset(rules.levels.path_depths, 0, sizeof rules.levels.path_depths);
    signal_scanner_init(&scanner, &rules);
    for (size_t at = 1; at < size;) {
        const uint8_t *end = memchr(data + at, '\n', size - at);
        size_t bytes = end == NULL ? size - at : (size_t)(end - (data + at));
        char *text = malloc(bytes > 0 ? bytes : 1); /* of its own, so that one byte read past the end is seen */
        if (text == NULL)
            return 0;
        memcpy(text, data + at, bytes);
        compare(&scanner, text, bytes);
        free(text);
        at += bytes + 1;
    }
    return 0;
}
