/* json_place.c - from a JSON pointer back to line and column, by walking the text again.
 *
 * Only faults need places, so nothing is recorded while parsing. The text is scanned once per level of the pointer at
 * most, and comments are always skipped. Where a key stands twice the last one counts: that is the one a fault is
 * about. */
#include "pricing/json_scan.h"
#include "pricing/json_text.h"

#include <string.h>

#define KEY_BYTES_MAX 512u

/* One token of a pointer, unescaped. */
struct token {
    char key[KEY_BYTES_MAX];
    const char *rest; /* of the pointer */
};

static bool token_next(const char *pointer, struct token *ret)
{
    size_t length = 0;
    const char *p = pointer + 1; /* past the slash */
    for (; *p != '\0' && *p != '/'; p++) {
        char c = *p;
        if (c == '~') {
            p++;
            if (*p != '0' && *p != '1')
                return false;
            c = *p == '0' ? '~' : '/';
        }
        if (length + 1 >= KEY_BYTES_MAX)
            return false;
        ret->key[length++] = c;
    }
    ret->key[length] = '\0';
    ret->rest = p;
    return true;
}

/* Does the JSON string [from, to), quotes included, decode to the key? Rare escapes are left to cJSON. */
static bool key_is(const char *from, const char *to, const char *key)
{
    size_t bytes = (size_t)(to - from);
    if (memchr(from, '\\', bytes) == NULL)
        return strlen(key) == bytes - 2 && memcmp(from + 1, key, bytes - 2) == 0;
    cJSON *decoded = cJSON_ParseWithLength(from, bytes);
    bool same = cJSON_IsString(decoded) && strcmp(decoded->valuestring, key) == 0;
    cJSON_Delete(decoded);
    return same;
}

/* Past the separator; false at the end of the array or object, or where the text is not JSON. */
static bool next_element(struct json_scan *scan)
{
    if (!json_skip_space(scan) || scan->at >= scan->end || *scan->at != ',')
        return false;
    scan->at++;
    return json_skip_space(scan);
}

static const char *find_member(struct json_scan *scan, const char *key)
{
    const char *found = NULL;
    scan->at++;
    if (!json_skip_space(scan))
        return NULL;
    do {
        const char *from = scan->at;
        if (!json_scan_string(scan))
            break;
        bool same = key_is(from, scan->at, key);
        if (!json_skip_space(scan) || scan->at >= scan->end || *scan->at != ':')
            break;
        scan->at++;
        if (!json_skip_space(scan))
            break;
        if (same)
            found = scan->at;
        if (!json_scan_value(scan, 0))
            break;
    } while (next_element(scan));
    return found;
}

static const char *find_element(struct json_scan *scan, const char *key)
{
    size_t wanted = 0;
    if (key[0] == '\0' || (key[0] == '0' && key[1] != '\0') || strlen(key) > 9)
        return NULL;
    for (const char *p = key; *p != '\0'; p++) {
        if (*p < '0' || *p > '9')
            return NULL;
        wanted = wanted * 10 + (size_t)(*p - '0');
    }
    scan->at++;
    if (!json_skip_space(scan))
        return NULL;
    for (size_t i = 0; scan->at < scan->end && *scan->at != ']'; i++) {
        if (i == wanted)
            return scan->at;
        if (!json_scan_value(scan, 0) || !next_element(scan))
            return NULL;
    }
    return NULL;
}

static void place_of(const char *text, const char *at, uint32_t *ret_line, uint32_t *ret_column)
{
    uint32_t line = 1, column = 1;
    for (const char *p = text; p < at; p++) {
        column++;
        if (*p == '\n') {
            line++;
            column = 1;
        }
    }
    *ret_line = line;
    *ret_column = column;
}

bool json_place(const char *text, size_t bytes, const char *pointer, uint32_t *ret_line, uint32_t *ret_column)
{
    struct json_scan scan = { .begin = text, .at = text, .end = text + bytes, .options = JSON_COMMENTS };
    if (!json_skip_space(&scan) || scan.at >= scan.end)
        return false;
    while (*pointer != '\0') {
        struct token token;
        if (*pointer != '/' || !token_next(pointer, &token) || scan.at >= scan.end)
            return false;
        const char *found = *scan.at == '{'   ? find_member(&scan, token.key)
                            : *scan.at == '[' ? find_element(&scan, token.key)
                                              : NULL;
        if (found == NULL || found >= scan.end)
            return false;
        scan.at = found;
        pointer = token.rest;
    }
    place_of(text, scan.at, ret_line, ret_column);
    return true;
}
