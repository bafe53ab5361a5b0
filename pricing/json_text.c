/* json_text.c - strict parsing: scan first, let cJSON build the tree, then look at what only the tree can tell.
 *
 *   text --json_scan--> grammar, UTF-8, limits --cJSON--> tree --tree_check--> duplicate keys, finite numbers
 *
 * Comments are blanked out in a copy, so that every byte keeps its line and column; text without the option is parsed
 * in place. */
#include "pricing/json_text.h"
#include "pricing/json_scan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEMBERS_FEW   64u   /* up to here every pair of keys is compared; beyond, they are sorted */
#define POINTER_BYTES 1024u /* full pointer while looking up its place; the fault keeps FAULT_POINTER_MAX of it */

/* ---- pointers out of trees (only on the way to a fault) ------------------------------------------------- */

struct path { /* from the root's child to the value at fault */
    const cJSON *parent[JSON_DEPTH_MAX + 1];
    const cJSON *node[JSON_DEPTH_MAX + 1];
    unsigned count;
};

static void append(char *text, size_t size, size_t *length, char c)
{
    if (*length + 1 < size) {
        text[(*length)++] = c;
        text[*length] = '\0';
    }
}

static void append_token(char *text, size_t size, size_t *length, const char *key)
{
    for (; *key != '\0'; key++) { /* RFC 6901: ~ becomes ~0, / becomes ~1 */
        if (*key == '~' || *key == '/') {
            append(text, size, length, '~');
            append(text, size, length, *key == '~' ? '0' : '1');
        } else {
            append(text, size, length, *key);
        }
    }
}

static size_t index_in(const cJSON *parent, const cJSON *node)
{
    size_t index = 0;
    for (const cJSON *child = parent->child; child != NULL && child != node; child = child->next)
        index++;
    return index;
}

static void path_pointer(const struct path *path, size_t size, char *ret)
{
    size_t length = 0;
    ret[0] = '\0';
    for (unsigned i = 0; i < path->count; i++) {
        append(ret, size, &length, '/');
        if (cJSON_IsArray(path->parent[i])) {
            char digits[24];
            (void)snprintf(digits, sizeof digits, "%zu", index_in(path->parent[i], path->node[i]));
            append_token(ret, size, &length, digits);
        } else {
            append_token(ret, size, &length, path->node[i]->string);
        }
    }
}

/* ---- what the tree can tell ------------------------------------------------------------------------------- */

static int compare_keys(const void *a, const void *b)
{
    return strcmp((*(const cJSON *const *)a)->string, (*(const cJSON *const *)b)->string);
}

static const cJSON *duplicate_among_few(const cJSON *object)
{
    for (const cJSON *a = object->child; a != NULL; a = a->next)
        for (const cJSON *b = object->child; b != a; b = b->next)
            if (strcmp(a->string, b->string) == 0)
                return a;
    return NULL;
}

/* The later member of two with one key, in *ret; NULL if there is none. False when memory ran out. */
static bool duplicate_key(const cJSON *object, const cJSON **ret)
{
    size_t count = 0;
    for (const cJSON *child = object->child; child != NULL; child = child->next)
        count++;
    *ret = NULL;
    if (count <= MEMBERS_FEW) {
        *ret = duplicate_among_few(object);
        return true;
    }
    const cJSON **sorted = malloc(count * sizeof *sorted);
    if (sorted == NULL)
        return false;
    size_t filled = 0;
    for (const cJSON *child = object->child; child != NULL; child = child->next)
        sorted[filled++] = child;
    qsort(sorted, count, sizeof *sorted, compare_keys);
    for (size_t i = 1; i < count && *ret == NULL; i++)
        if (strcmp(sorted[i - 1]->string, sorted[i]->string) == 0)
            *ret = sorted[i];
    free(sorted);
    return true;
}

/* NULL, or the reason why the value last entered on the path is not acceptable. */
static const char *tree_check(const cJSON *value, struct path *path)
{
    if (cJSON_IsNumber(value) && !isfinite(value->valuedouble))
        return "this number is too large";
    if (cJSON_IsObject(value)) {
        const cJSON *duplicate;
        if (!duplicate_key(value, &duplicate))
            return "out of memory";
        if (duplicate != NULL) {
            path->parent[path->count] = value;
            path->node[path->count++] = duplicate;
            return "this key stands twice in one object";
        }
    }
    for (const cJSON *child = value->child; child != NULL; child = child->next) {
        path->parent[path->count] = value;
        path->node[path->count++] = child;
        const char *reason = tree_check(child, path); /* as deep as the scan allowed: JSON_DEPTH_MAX */
        if (reason != NULL)
            return reason;
        path->count--;
    }
    return NULL;
}

/* ---- parsing ----------------------------------------------------------------------------------------------- */

static void fault_at_offset(struct fault *fault, const char *text, size_t offset, const char *reason)
{
    fault_set(fault, NULL, 0, "", "%s", reason);
    if (fault == NULL)
        return;
    fault->line = 1;
    fault->column = 1;
    for (size_t i = 0; i < offset; i++) {
        fault->column++;
        if (text[i] == '\n') {
            fault->line++;
            fault->column = 1;
        }
    }
}

static bool scan_document(struct json_scan *scan)
{
    if (scan->end - scan->at >= 3 && memcmp(scan->at, "\xEF\xBB\xBF", 3) == 0) {
        scan->reason = "a byte order mark is not allowed";
        return false;
    }
    if (!json_skip_space(scan) || !json_scan_value(scan, 0) || !json_skip_space(scan))
        return false;
    if (scan->at < scan->end)
        scan->reason = "something follows after the end of the value";
    return scan->at == scan->end;
}

static cJSON *parse_checked(const char *plain, const char *text, size_t bytes, struct fault *fault)
{
    cJSON *tree = cJSON_ParseWithLength(plain, bytes);
    if (tree == NULL) { /* the scan accepted it, so what is left is memory */
        fault_set(fault, NULL, 0, "", "out of memory");
        return NULL;
    }
    struct path path = { .count = 0 };
    const char *reason = tree_check(tree, &path);
    if (reason == NULL)
        return tree;
    char pointer[POINTER_BYTES];
    path_pointer(&path, sizeof pointer, pointer);
    fault_set(fault, text, bytes, pointer, "%s", reason);
    cJSON_Delete(tree);
    return NULL;
}

cJSON *json_parse(const char *text, size_t bytes, unsigned options, struct fault *fault)
{
    struct json_scan scan = { .begin = text, .at = text, .end = text + bytes, .options = options };
    if (options & JSON_COMMENTS) {
        scan.blank = malloc(bytes + 1);
        if (scan.blank == NULL) {
            fault_set(fault, NULL, 0, "", "out of memory");
            return NULL;
        }
        memcpy(scan.blank, text, bytes);
    }
    cJSON *tree = NULL;
    if (scan_document(&scan))
        tree = parse_checked(scan.blank != NULL ? scan.blank : text, text, bytes, fault);
    else
        fault_at_offset(fault, text, (size_t)(scan.at - text), scan.reason);
    free(scan.blank);
    return tree;
}
