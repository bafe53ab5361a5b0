/* tree.c - what pricing/ needs of cJSON, for builds for a machine whose cJSON is not at hand. Only for texts that json_scan.c has
 * accepted, which is all that pricing/ ever hands over. test_same_bits.py compares a native build with it to one with cJSON. */
#include <cjson/cJSON.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct text {
    const char *at, *end;
    bool failed; /* memory ran out */
};

static cJSON *parse_value(struct text *t);

static char peek(struct text *t)
{
    while (t->at < t->end && strchr(" \t\r\n", *t->at) != NULL)
        t->at++;
    return t->at < t->end ? *t->at : '\0';
}

static size_t put_utf8(unsigned code, char *to)
{
    if (code < 0x80) {
        to[0] = (char)code;
        return 1;
    }
    size_t tail = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const unsigned head[] = { 0, 0xC0, 0xE0, 0xF0 };
    to[0] = (char)(head[tail] | code >> 6 * tail);
    for (size_t i = 1; i <= tail; i++)
        to[i] = (char)(0x80 | (code >> 6 * (tail - i) & 0x3F));
    return tail + 1;
}

static unsigned hex4(const char *at)
{
    char digits[5] = { at[0], at[1], at[2], at[3], '\0' };
    return (unsigned)strtoul(digits, NULL, 16);
}

static size_t put_escape(struct text *t, char *to)
{
    static const char from[] = "\"\\/bfnrt", what[] = "\"\\/\b\f\n\r\t";
    char c = *t->at++;
    if (c != 'u') {
        *to = what[strchr(from, c) - from];
        return 1;
    }
    unsigned code = hex4(t->at);
    t->at += 4;
    if (code >= 0xD800 && code < 0xDC00) { /* with its second half behind it */
        code = 0x10000 + ((code - 0xD800) << 10) + (hex4(t->at + 2) - 0xDC00);
        t->at += 6;
    }
    return put_utf8(code, to);
}

static char *parse_text(struct text *t)
{
    const char *begin = ++t->at, *end = begin;
    for (; *end != '"'; end++)
        end += *end == '\\';
    char *text = malloc((size_t)(end - begin) + 1), *to = text;
    t->failed = t->failed || text == NULL;
    if (text == NULL)
        return NULL;
    while (t->at < end) {
        if (*t->at == '\\') {
            t->at++;
            to += put_escape(t, to);
        } else
            *to++ = *t->at++;
    }
    *to = '\0';
    t->at = end + 1;
    return text;
}

static void parse_children(struct text *t, cJSON *parent, char close)
{
    cJSON *last = NULL;
    t->at++;
    while (peek(t) != close && !t->failed) {
        char *name = close == '}' ? parse_text(t) : NULL;
        if (close == '}' && peek(t) == ':')
            t->at++;
        cJSON *child = t->failed ? NULL : parse_value(t);
        if (child == NULL) {
            free(name);
            t->failed = true;
            return;
        }
        child->string = name;
        child->prev = last;
        if (last != NULL)
            last->next = child;
        else
            parent->child = child;
        last = child;
        if (peek(t) == ',')
            t->at++;
    }
    t->at++;
}

static cJSON *parse_value(struct text *t)
{
    cJSON *value = calloc(1, sizeof *value);
    t->failed = t->failed || value == NULL;
    if (value == NULL)
        return NULL;
    char *end;
    switch (peek(t)) {
    case '{':
        value->type = cJSON_Object;
        parse_children(t, value, '}');
        break;
    case '[':
        value->type = cJSON_Array;
        parse_children(t, value, ']');
        break;
    case '"':
        value->type = cJSON_String;
        value->valuestring = parse_text(t);
        break;
    case 't':
        value->type = cJSON_True;
        t->at += 4;
        break;
    case 'f':
        value->type = cJSON_False;
        t->at += 5;
        break;
    case 'n':
        value->type = cJSON_NULL;
        t->at += 4;
        break;
    default:
        value->type = cJSON_Number;
        value->valuedouble = strtod(t->at, &end);
        t->at = end;
    }
    return value;
}

cJSON *cJSON_ParseWithLength(const char *value, size_t buffer_length)
{
    struct text t = { .at = value, .end = value + buffer_length };
    cJSON *tree = parse_value(&t);
    if (!t.failed)
        return tree;
    cJSON_Delete(tree);
    return NULL;
}

void cJSON_Delete(cJSON *item)
{
    while (item != NULL) {
        cJSON *next = item->next;
        cJSON_Delete(item->child);
        free(item->valuestring);
        free(item->string);
        free(item);
        item = next;
    }
}

int cJSON_GetArraySize(const cJSON *array)
{
    int count = 0;
    for (const cJSON *child = array->child; child != NULL; child = child->next)
        count++;
    return count;
}

cJSON *cJSON_GetArrayItem(const cJSON *array, int index)
{
    cJSON *child = array->child;
    while (child != NULL && index-- > 0)
        child = child->next;
    return child;
}

cJSON *cJSON_GetObjectItemCaseSensitive(const cJSON *const object, const char *const string)
{
    cJSON *child = object->child;
    while (child != NULL && strcmp(child->string, string) != 0)
        child = child->next;
    return child;
}

/* Out of its siblings; as in cJSON the list is walked by `next`, and the first child's `prev` is of no use here. */
cJSON *cJSON_DetachItemFromObjectCaseSensitive(cJSON *object, const char *string)
{
    cJSON *child = cJSON_GetObjectItemCaseSensitive(object, string);
    if (child == NULL)
        return NULL;
    if (child == object->child)
        object->child = child->next;
    else
        child->prev->next = child->next;
    if (child->next != NULL)
        child->next->prev = child->prev;
    child->prev = child->next = NULL;
    return child;
}

cJSON_bool cJSON_InsertItemInArray(cJSON *array, int which, cJSON *newitem)
{
    if (which != 0) /* pricing/ puts nothing elsewhere */
        return 0;
    newitem->next = array->child;
    if (array->child != NULL)
        array->child->prev = newitem;
    array->child = newitem;
    return 1;
}

#define IS(kind, bits)                                                                                                 \
    cJSON_bool cJSON_Is##kind(const cJSON *const item)                                                                 \
    {                                                                                                                  \
        return item != NULL && (item->type & (bits)) != 0;                                                             \
    }
IS(Array, cJSON_Array)
IS(Object, cJSON_Object)
IS(String, cJSON_String)
IS(Number, cJSON_Number)
IS(True, cJSON_True)
IS(Bool, cJSON_True | cJSON_False)
