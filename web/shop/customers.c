/* customers.c - the shop's own records of its customers, and what of them the service may be told. */
#include "web/shop/shop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_BYTES_MAX 65536
#define LEASE_S        43200 /* where a customer is: told for half a day */

__asm__(".pushsection .rodata\n"
        ".global shop_customers_text\n"
        "shop_customers_text:\n"
        ".incbin \"web/shop/customers.json\"\n"
        ".byte 0\n"
        ".popsection\n");
extern const char shop_customers_text[];

static const char *const kinds[] = { "location", "behaviour", "purchases", "profile", "partner" };
#define KINDS   (sizeof kinds / sizeof kinds[0])
#define OPT_OUT "opt_out"

#define CONSENT_TEXT "2026-11-27" /* version of what the switches say in shop.js: another one for other words */

static char *file_text(const char *path)
{
    FILE *file = fopen(path, "re");
    char *text = file != NULL ? malloc(FILE_BYTES_MAX) : NULL;
    size_t bytes = text != NULL ? fread(text, 1, FILE_BYTES_MAX, file) : FILE_BYTES_MAX;
    if (file != NULL)
        (void)fclose(file);
    if (bytes == FILE_BYTES_MAX) { /* none, or too long */
        free(text);
        return NULL;
    }
    text[bytes] = '\0';
    return text;
}

static bool is_id(const cJSON *item)
{
    size_t bytes = cJSON_IsString(item) ? strlen(item->valuestring) : 0;
    return bytes > 0 && bytes < RIALTO_ID_MAX;
}

bool shop_customers_load(struct shop *shop, char *why)
{
    char *text = shop->customers_file == NULL ? strdup(shop_customers_text) : file_text(shop->customers_file);
    shop->customers = text != NULL ? cJSON_Parse(text) : NULL;
    free(text);
    const cJSON *item;
    bool good = cJSON_IsArray(shop->customers) && cJSON_GetArraySize(shop->customers) <= (int)SHOP_CUSTOMERS_MAX;
    if (good)
        cJSON_ArrayForEach(item, shop->customers) good &= is_id(cJSON_GetObjectItemCaseSensitive(item, "id"));
    if (!good)
        (void)snprintf(why, 256, "%.200s: no list of at most %u customers with an \"id\" each",
                       shop->customers_file != NULL ? shop->customers_file : "built in", SHOP_CUSTOMERS_MAX);
    return good;
}

const cJSON *shop_customer(const struct shop *shop, const char *id)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, shop->customers)
    {
        if (strcmp(cJSON_GetObjectItemCaseSensitive(item, "id")->valuestring, id) == 0)
            return item;
    }
    return NULL;
}

cJSON *shop_customers_public(const struct shop *shop)
{
    cJSON *array = cJSON_CreateArray();
    const cJSON *item;
    cJSON_ArrayForEach(item, shop->customers)
    {
        const cJSON *about = cJSON_GetObjectItemCaseSensitive(item, "about");
        cJSON *told = cJSON_CreateObject();
        (void)cJSON_AddStringToObject(told, "id", cJSON_GetObjectItemCaseSensitive(item, "id")->valuestring);
        (void)cJSON_AddStringToObject(told, "about", cJSON_IsString(about) ? about->valuestring : "");
        (void)cJSON_AddItemToArray(array, told);
    }
    return array;
}

static bool is_consent(const cJSON *consent)
{
    const cJSON *item;
    if (!cJSON_IsObject(consent))
        return false;
    cJSON_ArrayForEach(item, consent)
    {
        size_t kind = 0;
        while (kind < KINDS && strcmp(kinds[kind], item->string) != 0)
            kind++;
        if ((kind == KINDS && strcmp(item->string, OPT_OUT) != 0) || !cJSON_IsBool(item))
            return false;
    }
    return true;
}

static bool permits(const cJSON *consent, const char *kind)
{
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(consent, kind));
}

/* Members of the record go into the signal under the same name. */
static void tell(cJSON *signal, const cJSON *customer, const char *member)
{
    const cJSON *known = cJSON_GetObjectItemCaseSensitive(customer, member);
    if (known != NULL)
        (void)cJSON_AddItemToObject(signal, member, cJSON_Duplicate(known, true));
}

static cJSON *signal_of(const cJSON *customer, const char *type)
{
    cJSON *signal = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(signal, "type", type);
    (void)cJSON_AddStringToObject(signal, "customer", cJSON_GetObjectItemCaseSensitive(customer, "id")->valuestring);
    return signal;
}

/* What the shop knows and may tell from now on. */
static void tell_permitted(cJSON *signals, cJSON *signal, const cJSON *customer, const cJSON *consent)
{
    if (permits(consent, "profile")) {
        tell(signal, customer, "tier");
        tell(signal, customer, "segments");
    }
    if (permits(consent, "purchases")) {
        tell(signal, customer, "spend");
        tell(signal, customer, "currency");
    }
    const cJSON *near = cJSON_GetObjectItemCaseSensitive(customer, "near");
    if (permits(consent, "location") && cJSON_IsString(near)) {
        cJSON *location = signal_of(customer, "location");
        (void)cJSON_AddStringToObject(location, "zone", near->valuestring);
        (void)cJSON_AddNumberToObject(location, "lease_s", LEASE_S);
        (void)cJSON_AddItemToArray(signals, location);
    }
}

/* With each answer goes where it was given, and to which wording: that of the switches. */
static cJSON *consent_with_note(const cJSON *consent)
{
    cJSON *noted = cJSON_CreateObject();
    const cJSON *kind;
    cJSON_ArrayForEach(kind, consent)
    {
        cJSON *one = cJSON_AddObjectToObject(noted, kind->string);
        (void)cJSON_AddBoolToObject(one, "granted", cJSON_IsTrue(kind));
        (void)cJSON_AddStringToObject(one, "source", "sample-shop");
        (void)cJSON_AddStringToObject(one, "text", CONSENT_TEXT);
    }
    return noted;
}

cJSON *shop_consent_signals(const cJSON *customer, const cJSON *wanted, bool gpc)
{
    if (!is_consent(wanted) || (wanted->child == NULL && !gpc))
        return NULL;
    cJSON *signals = cJSON_CreateArray(), *signal = signal_of(customer, "customer");
    cJSON *consent = cJSON_Duplicate(wanted, true);
    cJSON *opt_out = cJSON_DetachItemFromObjectCaseSensitive(consent, OPT_OUT);
    bool leaves = gpc || cJSON_IsTrue(opt_out);
    (void)cJSON_AddItemToArray(signals, signal); /* before what rests on it */
    if (opt_out != NULL)
        (void)cJSON_AddItemToObject(signal, OPT_OUT, opt_out);
    if (gpc)
        (void)cJSON_AddTrueToObject(signal, "gpc");
    if (!leaves)
        tell_permitted(signals, signal, customer, consent);
    if (!leaves && consent->child != NULL)
        (void)cJSON_AddItemToObject(signal, "consent", consent_with_note(consent));
    cJSON_Delete(consent);
    return signals;
}

cJSON *shop_consent_of(const cJSON *export)
{
    cJSON *all = cJSON_CreateObject(), *consent = cJSON_AddObjectToObject(all, "consent");
    const cJSON *datum, *kind;
    bool opted_out = false;
    for (size_t i = 0; i < KINDS; i++)
        (void)cJSON_AddBoolToObject(consent, kinds[i], false);
    cJSON_ArrayForEach(datum, cJSON_GetObjectItemCaseSensitive(export, "data"))
    {
        const cJSON *name = cJSON_GetObjectItemCaseSensitive(datum, "name");
        opted_out = opted_out || (cJSON_IsString(name) && strcmp(name->valuestring, OPT_OUT) == 0);
        if (!cJSON_IsString(name) || strcmp(name->valuestring, "consent") != 0)
            continue;
        cJSON_ArrayForEach(kind, cJSON_GetObjectItemCaseSensitive(datum, "value"))
        {
            if (cJSON_IsString(kind) && cJSON_HasObjectItem(consent, kind->valuestring))
                (void)cJSON_ReplaceItemInObjectCaseSensitive(consent, kind->valuestring, cJSON_CreateTrue());
        }
    }
    (void)cJSON_AddBoolToObject(all, OPT_OUT, opted_out);
    return all;
}
