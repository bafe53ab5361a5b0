/* sample.c - append-only lists with one writer. */
#include "demo/sample.h"

#include "demo/names.h"
#include "demo/shoppers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NEAR_ZONE "c1/s25" /* the shop that the bundled model prices lower for those who are there */

static bool list_setup(struct sample_list *list)
{
    list->text = calloc(SAMPLE_MAX, sizeof *list->text);
    list->known = names_create();
    return list->text != NULL && list->known != NULL;
}

static void list_teardown(struct sample_list *list)
{
    free(list->text);
    names_destroy(list->known);
}

static void list_add(struct sample_list *list, const char *text)
{
    bool is_new;
    if (list->added == SAMPLE_MAX)
        return;
    names_add(list->known, text, &is_new);
    if (is_new)
        snprintf(list->text[list->added++], RIALTO_ID_MAX, "%s", text);
}

/* Release pairs with a reader's load of count: the texts below it are whole. */
static void list_publish(struct sample_list *list)
{
    atomic_store_explicit(&list->count, list->added, memory_order_release);
}

bool sample_setup(struct sample *sample)
{
    memset(sample, 0, sizeof *sample);
    bool good = list_setup(&sample->products);
    good &= list_setup(&sample->groceries);
    good &= list_setup(&sample->stores);
    return list_setup(&sample->customers) && good;
}

void sample_teardown(struct sample *sample)
{
    list_teardown(&sample->customers);
    list_teardown(&sample->stores);
    list_teardown(&sample->groceries);
    list_teardown(&sample->products);
}

static void person_set(struct sample_person *person, const struct recorded *item)
{
    if (person->found)
        return;
    memcpy(person->id, item->customer, sizeof person->id);
    memcpy(person->zone, item->zone, sizeof person->zone);
    person->found = true;
}

static void see_customer(struct sample *sample, const struct recorded *item)
{
    struct shopper shopper = shopper_of(item->customer);
    bool profile = shopper.consent & RIALTO_KIND_PROFILE, location = shopper.consent & RIALTO_KIND_LOCATION;
    if (item->rank == RANK_CUSTOMER && profile && !location && strcmp(shopper.tier, "gold") == 0)
        person_set(&sample->gold, item);
    if (item->rank == RANK_CUSTOMER && shopper.consent == 0)
        person_set(&sample->nobody, item);
    if (item->rank == RANK_LOCATION && strcmp(item->zone, NEAR_ZONE) == 0)
        person_set(&sample->near, item);
    list_add(&sample->customers, item->customer);
}

void sample_seen(void *user, const struct recorded *item)
{
    struct sample *sample = user;
    if (item->rank == RANK_PRODUCT) {
        list_add(&sample->products, item->sku);
        if (item->sku[0] == 'F')
            list_add(&sample->groceries, item->sku);
    } else if (item->rank == RANK_ZONE && strchr(item->zone, '/') != NULL) {
        list_add(&sample->stores, item->zone);
    } else if (item->rank == RANK_CUSTOMER || item->rank == RANK_LOCATION) {
        see_customer(sample, item);
    }
}

void sample_acknowledged(void *user)
{
    struct sample *sample = user;
    list_publish(&sample->products);
    list_publish(&sample->groceries);
    list_publish(&sample->stores);
    list_publish(&sample->customers);
}

void sample_add_product(struct sample *sample, const char *sku, const char *category)
{
    list_add(&sample->products, sku);
    if (strncmp(category, "fresh/", 6) == 0)
        list_add(&sample->groceries, sku);
    sample_acknowledged(sample);
}
