/* fuzz_json.c - any bytes as JSON: accepted text prints and parses again to the same, refused text has a place.
 *
 * The first byte chooses whether comments are allowed and where the rest is cut into a pointer and a text. */
#include "pricing/json_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition, const char *what)
{
    if (!condition) {
        (void)fprintf(stderr, "fuzz_json: %s\n", what);
        abort();
    }
}

static void check_accepted(cJSON *tree)
{
    char *printed = cJSON_PrintUnformatted(tree);
    require(printed != NULL, "an accepted text does not print");
    struct fault fault;
    cJSON *again = json_parse(printed, strlen(printed), 0, &fault);
    require(again != NULL && cJSON_Compare(tree, again, true), "a printed text reads differently");
    cJSON_Delete(again);
    cJSON_free(printed);
}

static void check_refused(const struct fault *fault, size_t bytes)
{
    require(memchr(fault->reason, '\0', sizeof fault->reason) != NULL && fault->reason[0] != '\0', "no reason");
    require(memchr(fault->pointer, '\0', sizeof fault->pointer) != NULL, "a pointer without an end");
    require(fault->line >= 1 && fault->line <= bytes + 1 && fault->column >= 1 && fault->column <= bytes + 1,
            "no place");
    for (const char *p = fault->pointer; *p != '\0'; p++)
        require((unsigned char)*p >= 0x20 && *p != 0x7F, "a control character in a fault");
}

static void check_place(const char *text, size_t bytes, const uint8_t *pointer, size_t pointer_bytes)
{
    char copy[64];
    memcpy(copy, pointer, pointer_bytes);
    copy[pointer_bytes] = '\0';
    uint32_t line = 0, column = 0;
    if (json_place(text, bytes, copy, &line, &column))
        require(line >= 1 && line <= bytes + 1 && column >= 1 && column <= bytes + 1, "a place outside the text");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    size_t pointer_bytes = (data[0] >> 1) & 31u;
    if (pointer_bytes > size - 1)
        pointer_bytes = size - 1;
    size_t bytes = size - 1 - pointer_bytes;
    char *text = malloc(bytes + 1); /* of its own, so that one byte read past the end is seen */
    if (text == NULL)
        return 0;
    memcpy(text, data + 1 + pointer_bytes, bytes);
    struct fault fault = { .file = "" };
    cJSON *tree = json_parse(text, bytes, data[0] & 1u ? JSON_COMMENTS : 0, &fault);
    if (tree != NULL)
        check_accepted(tree);
    else
        check_refused(&fault, bytes);
    check_place(text, bytes, data + 1, pointer_bytes);
    cJSON_Delete(tree);
    free(text);
    return 0;
}
