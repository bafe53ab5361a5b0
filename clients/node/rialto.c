/* rialto.c - librialto for Node.js: a thin N-API addon. It opens a cache, asks for a quote or a page, and leaves the structs in a
 * buffer that index.js reads. What the structs look like comes from the library too (rialto/bindings.h). Nothing is priced here.
 *
 * Each environment (main thread, worker threads) loads it for itself; a handle belongs to the environment that opened it. */
#include <node_api.h>
#include <rialto/bindings.h>
#include <stdlib.h>
#include <string.h>

#define FOLDER_MAX 4096u

static napi_value undefined(napi_env env)
{
    napi_value value = NULL;
    (void)napi_get_undefined(env, &value);
    return value;
}

static napi_value number(napi_env env, double n)
{
    napi_value value = NULL;
    (void)napi_create_double(env, n, &value);
    return value;
}

static napi_value text(napi_env env, const char *s)
{
    napi_value value = NULL;
    (void)napi_create_string_utf8(env, s, NAPI_AUTO_LENGTH, &value);
    return value;
}

/* What a call needs of its strings: ids of RIALTO_ID_MAX bytes with their 0, and one byte more to see that one is too long. */
struct id {
    char text[RIALTO_ID_MAX + 4];
};

/* take_id - the string `value` as an id; NULL in *ret for undefined, null and "". One that is too long is cut to what is still
 * too long; one with a 0 in it, where C would see another id, is made so. False: no string. */
static bool take_id(napi_env env, napi_value value, struct id *room, const char **ret)
{
    napi_valuetype type;
    size_t length = 0;
    *ret = NULL;
    if (napi_typeof(env, value, &type) != napi_ok)
        return false;
    if (type == napi_undefined || type == napi_null)
        return true;
    if (type != napi_string || napi_get_value_string_utf8(env, value, room->text, sizeof room->text, &length) != napi_ok)
        return false;
    if (strlen(room->text) != length) {
        memset(room->text, 'x', sizeof room->text - 1);
        room->text[sizeof room->text - 1] = '\0';
    }
    *ret = length == 0 ? NULL : room->text;
    return true;
}

static void end_handle(napi_env env, void *data, void *hint)
{
    (void)env, (void)hint;
    struct rialto **held = data;
    rialto_close(*held);
    free(held);
}

/* open(folder or undefined) -> handle, or the number of a status */
static napi_value js_open(napi_env env, napi_callback_info info)
{
    size_t argc = 1, length = 0;
    napi_value argv[1], handle = NULL;
    char folder[FOLDER_MAX];
    napi_valuetype type = napi_undefined;
    if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != napi_ok)
        return undefined(env);
    (void)napi_typeof(env, argv[0], &type);
    if (type == napi_string &&
        (napi_get_value_string_utf8(env, argv[0], folder, sizeof folder, &length) != napi_ok || length + 1 >= sizeof folder))
        return number(env, RIALTO_BAD_INPUT);
    struct rialto **held = calloc(1, sizeof *held);
    if (held == NULL)
        return number(env, RIALTO_NO_MEMORY);
    enum rialto_status s = rialto_open(type == napi_string ? folder : NULL, held);
    if (s != RIALTO_OK) {
        free(held);
        return number(env, s);
    }
    if (napi_create_external(env, held, end_handle, NULL, &handle) != napi_ok) {
        end_handle(env, held, NULL);
        return number(env, RIALTO_NO_MEMORY);
    }
    return handle;
}

/* close(handle) */
static napi_value js_close(napi_env env, napi_callback_info info)
{
    size_t argc = 1;
    napi_value argv[1];
    void *held = NULL;
    if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) == napi_ok &&
        napi_get_value_external(env, argv[0], &held) == napi_ok) {
        rialto_close(*(struct rialto **)held);
        *(struct rialto **)held = NULL;
    }
    return undefined(env);
}

/* The first six arguments of quote() and page(): handle, customer, zone, basis, currency, buffer. */
struct asked {
    const struct rialto *prices;
    struct rialto_request request;
    struct id customer, zone, currency;
    char *buffer;
    size_t bytes;
};

static bool take_asked(napi_env env, const napi_value argv[], struct asked *ret)
{
    void *held = NULL, *buffer = NULL;
    uint32_t basis = 0;
    if (napi_get_value_external(env, argv[0], &held) != napi_ok || *(struct rialto **)held == NULL ||
        !take_id(env, argv[1], &ret->customer, &ret->request.customer) ||
        !take_id(env, argv[2], &ret->zone, &ret->request.zone) || napi_get_value_uint32(env, argv[3], &basis) != napi_ok ||
        !take_id(env, argv[4], &ret->currency, &ret->request.currency) ||
        napi_get_arraybuffer_info(env, argv[5], &buffer, &ret->bytes) != napi_ok)
        return false;
    ret->request.basis = (enum rialto_zone_basis)basis;
    ret->prices = *(struct rialto **)held;
    ret->buffer = buffer;
    return true;
}

/* quote(handle, customer, zone, basis, currency, buffer, sku) -> status; the struct is in the buffer */
static napi_value js_quote(napi_env env, napi_callback_info info)
{
    size_t argc = 7;
    napi_value argv[7];
    struct asked a = { 0 };
    struct id room;
    const char *sku = NULL;
    if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != napi_ok || !take_asked(env, argv, &a) ||
        !take_id(env, argv[6], &room, &sku) || a.bytes < sizeof(struct rialto_quote))
        return number(env, RIALTO_BAD_INPUT);
    return number(env, rialto_quote(a.prices, &a.request, sku == NULL ? "" : sku, (struct rialto_quote *)(void *)a.buffer));
}

/* page(handle, customer, zone, basis, currency, buffer, skus) -> status; n structs are in the buffer, then n 32-bit statuses */
static napi_value js_page(napi_env env, napi_callback_info info)
{
    static _Thread_local struct id room[RIALTO_PAGE_MAX];
    const char *sku[RIALTO_PAGE_MAX];
    size_t argc = 7;
    napi_value argv[7], item;
    struct asked a = { 0 };
    uint32_t n = 0;
    if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != napi_ok || !take_asked(env, argv, &a) ||
        napi_get_array_length(env, argv[6], &n) != napi_ok || n > RIALTO_PAGE_MAX ||
        a.bytes < n * (sizeof(struct rialto_quote) + sizeof(enum rialto_status)))
        return number(env, RIALTO_BAD_INPUT);
    for (uint32_t i = 0; i < n; i++) {
        if (napi_get_element(env, argv[6], i, &item) != napi_ok || !take_id(env, item, &room[i], &sku[i]))
            return number(env, RIALTO_BAD_INPUT);
        if (sku[i] == NULL)
            sku[i] = "";
    }
    struct rialto_quote *quote = (struct rialto_quote *)(void *)a.buffer;
    return number(env, rialto_quote_page(a.prices, &a.request, n, sku, quote, (enum rialto_status *)(void *)(quote + n)));
}

static napi_value js_now(napi_env env, napi_callback_info info)
{
    size_t argc = 1;
    napi_value argv[1];
    void *held = NULL;
    if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != napi_ok ||
        napi_get_value_external(env, argv[0], &held) != napi_ok || *(struct rialto **)held == NULL)
        return undefined(env);
    return number(env, (double)rialto_now_ms(*(struct rialto **)held));
}

/* words(handle, rule, disclosure) -> what a policy asks to be said beside such a price */
static napi_value js_words(napi_env env, napi_callback_info info)
{
    size_t argc = 3;
    napi_value argv[3];
    void *held = NULL;
    uint32_t rule = 0, disclosure = 0;
    char words[RIALTO_DISCLOSURE_MAX];
    if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != napi_ok || napi_get_value_external(env, argv[0], &held) != napi_ok ||
        *(struct rialto **)held == NULL || napi_get_value_uint32(env, argv[1], &rule) != napi_ok ||
        napi_get_value_uint32(env, argv[2], &disclosure) != napi_ok)
        return text(env, "");
    (void)rialto_disclosure_text(*(struct rialto **)held, (uint16_t)rule, (uint16_t)disclosure, sizeof words, words);
    return text(env, words);
}

static void set(napi_env env, napi_value object, const char *name, napi_value value)
{
    (void)napi_set_named_property(env, object, name, value);
}

/* [{name, offset, bytes, kind}, ...] and the size of the struct */
static void describe(napi_env env, napi_value exports)
{
    napi_value fields = NULL;
    const struct rialto_field *f = rialto_quote_fields();
    (void)napi_create_array(env, &fields);
    for (uint32_t i = 0; f->name != NULL; i++, f++) {
        napi_value row = NULL;
        (void)napi_create_object(env, &row);
        set(env, row, "name", text(env, f->name));
        set(env, row, "offset", number(env, f->offset));
        set(env, row, "bytes", number(env, f->bytes));
        set(env, row, "kind", text(env, (char[]){ f->kind, 0 }));
        (void)napi_set_element(env, fields, i, row);
    }
    set(env, exports, "fields", fields);
    set(env, exports, "quoteBytes", number(env, f->offset));
}

static napi_value bits(napi_env env, const struct rialto_bit *b)
{
    napi_value rows = NULL;
    (void)napi_create_array(env, &rows);
    for (uint32_t i = 0; b->name != NULL; i++, b++) {
        napi_value row = NULL;
        (void)napi_create_object(env, &row);
        set(env, row, "name", text(env, b->name));
        set(env, row, "bit", number(env, b->bit));
        (void)napi_set_element(env, rows, i, row);
    }
    return rows;
}

static napi_value status_names(napi_env env)
{
    napi_value rows = NULL;
    (void)napi_create_array(env, &rows);
#define ROW(name, code, sentence)                                                                                      \
    {                                                                                                                  \
        napi_value row = NULL;                                                                                         \
        (void)napi_create_object(env, &row);                                                                           \
        set(env, row, "name", text(env, rialto_status_name((enum rialto_status)(code))));                              \
        set(env, row, "text", text(env, rialto_status_text((enum rialto_status)(code))));                              \
        (void)napi_set_element(env, rows, code, row);                                                                  \
    }
    RIALTO_STATUSES(ROW)
#undef ROW
    return rows;
}

static napi_value init(napi_env env, napi_value exports)
{
    static const struct {
        const char *name;
        napi_callback call;
    } calls[] = { { "open", js_open }, { "close", js_close }, { "quote", js_quote }, { "page", js_page }, { "words", js_words }, { "now", js_now } };
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        napi_value function = NULL;
        (void)napi_create_function(env, calls[i].name, NAPI_AUTO_LENGTH, calls[i].call, NULL, &function);
        set(env, exports, calls[i].name, function);
    }
    describe(env, exports);
    set(env, exports, "flags", bits(env, rialto_flag_names()));
    set(env, exports, "kinds", bits(env, rialto_kind_names()));
    set(env, exports, "statuses", status_names(env));
    return exports;
}

NAPI_MODULE(NODE_GYP_MODULE_NAME, init)
