/* publisher_watches.c - three hash maps and a heap. Chained maps of nodes that live inside what they find; they grow,
 * and never shrink. */
#include "service/publisher_watches.h"

#include "cache/keys.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS_MIN    1024u
#define EXPIRY_LEAD_MS 2000 /* before a key ends in Redis it is given a longer life */

/* ---- maps ------------------------------------------------------------------------------------------------------- */

static bool map_setup(struct map *map)
{
    *map = (struct map){ .bucket = calloc(BUCKETS_MIN, sizeof *map->bucket), .mask = BUCKETS_MIN - 1 };
    return map->bucket != NULL;
}

/* Without memory for more buckets the chains get longer: slower, not wrong. */
static void map_grow(struct map *map)
{
    uint32_t mask = map->mask * 2 + 1;
    struct node **bucket = calloc((size_t)mask + 1, sizeof *bucket);
    if (bucket == NULL)
        return;
    for (uint32_t i = 0; i <= map->mask; i++) {
        for (struct node *node = map->bucket[i], *next; node != NULL; node = next) {
            next = node->next;
            node->next = bucket[node->hash & mask];
            bucket[node->hash & mask] = node;
        }
    }
    free(map->bucket);
    map->bucket = bucket;
    map->mask = mask;
}

static void map_add(struct map *map, struct node *node, uint64_t hash)
{
    if (map->count > map->mask && map->mask < UINT32_MAX / 2)
        map_grow(map);
    node->hash = hash;
    node->next = map->bucket[hash & map->mask];
    map->bucket[hash & map->mask] = node;
    map->count++;
}

static void map_remove(struct map *map, struct node *node)
{
    for (struct node **at = &map->bucket[node->hash & map->mask]; *at != NULL; at = &(*at)->next) {
        if (*at != node)
            continue;
        *at = node->next;
        map->count--;
        return;
    }
}

static struct node *map_first(const struct map *map, uint64_t hash)
{
    return map->bucket[hash & map->mask];
}

/* FNV-1a. Skus are few and our own: nobody gains by making them collide. */
static uint64_t sku_hash(const char *sku)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *sku != '\0'; sku++)
        hash = (hash ^ (unsigned char)*sku) * UINT64_C(0x100000001b3);
    return hash ^ hash >> 32;
}

static struct watched *product_find(const struct watches *watches, const char *sku)
{
    uint64_t hash = sku_hash(sku);
    for (struct node *node = map_first(&watches->products, hash); node != NULL; node = node->next) {
        struct watched *product = (struct watched *)node;
        if (node->hash == hash && strcmp(product->sku, sku) == 0)
            return product;
    }
    return NULL;
}

struct watcher *watches_customer(const struct watches *watches, struct rialto_key key)
{
    for (struct node *node = map_first(&watches->watchers, key.lo); node != NULL; node = node->next) {
        struct watcher *watcher = (struct watcher *)node;
        if (key_equal(watcher->key, key))
            return watcher;
    }
    return NULL;
}

static struct watch *watch_find(const struct watches *watches, struct rialto_key offer)
{
    for (struct node *node = map_first(&watches->offers, offer.lo); node != NULL; node = node->next) {
        struct watch *watch = (struct watch *)node;
        if (key_equal(watch->offer, offer))
            return watch;
    }
    return NULL;
}

/* ---- heap ------------------------------------------------------------------------------------------------------- */

static void heap_place(struct watches *watches, uint32_t index, struct watcher *watcher)
{
    watches->heap[index] = watcher;
    watcher->heap_index = index;
}

static void heap_up(struct watches *watches, uint32_t index)
{
    struct watcher *watcher = watches->heap[index];
    while (index > 0 && watches->heap[(index - 1) / 2]->due_ms > watcher->due_ms) {
        heap_place(watches, index, watches->heap[(index - 1) / 2]);
        index = (index - 1) / 2;
    }
    heap_place(watches, index, watcher);
}

static void heap_down(struct watches *watches, uint32_t index)
{
    struct watcher *watcher = watches->heap[index];
    for (;;) {
        uint32_t child = index * 2 + 1;
        if (child >= watches->heap_count)
            break;
        if (child + 1 < watches->heap_count && watches->heap[child + 1]->due_ms < watches->heap[child]->due_ms)
            child++;
        if (watches->heap[child]->due_ms >= watcher->due_ms)
            break;
        heap_place(watches, index, watches->heap[child]);
        index = child;
    }
    heap_place(watches, index, watcher);
}

static bool heap_add(struct watches *watches, struct watcher *watcher)
{
    if (watches->heap_count == watches->heap_room) {
        uint32_t room = watches->heap_room == 0 ? BUCKETS_MIN : watches->heap_room * 2;
        struct watcher **heap = realloc(watches->heap, room * sizeof(struct watcher *));
        if (heap == NULL)
            return false;
        watches->heap = heap;
        watches->heap_room = room;
    }
    watches->heap[watches->heap_count] = watcher;
    heap_up(watches, watches->heap_count++);
    return true;
}

static void heap_remove(struct watches *watches, struct watcher *watcher)
{
    uint32_t index = watcher->heap_index;
    struct watcher *last = watches->heap[--watches->heap_count];
    if (last == watcher)
        return;
    heap_place(watches, index, last);
    heap_up(watches, index);
    heap_down(watches, last->heap_index);
}

void watches_schedule(struct watches *watches, struct watcher *watcher, int64_t due_ms)
{
    watcher->due_ms = due_ms;
    heap_up(watches, watcher->heap_index);
    heap_down(watches, watcher->heap_index);
}

struct watcher *watches_due(const struct watches *watches, int64_t now)
{
    return watches->heap_count > 0 && watches->heap[0]->due_ms <= now ? watches->heap[0] : NULL;
}

/* ---- adding and removing ---------------------------------------------------------------------------------------- */

bool watches_setup(struct watches *watches, uint32_t customers_max, uint32_t skus_max, uint32_t refresh_ms)
{
    *watches = (struct watches){ .customers_max = customers_max, .skus_max = skus_max, .refresh_ms = refresh_ms };
    (void)pthread_mutex_init(&watches->mutex, NULL); /* of the default kind: it does not fail */
    bool ready = map_setup(&watches->watchers) && map_setup(&watches->products) && map_setup(&watches->offers);
    if (!ready)
        watches_teardown(watches);
    return ready;
}

static void customer_remove(struct watches *watches, struct watcher *watcher);

void watches_teardown(struct watches *watches)
{
    while (watches->heap_count > 0)
        customer_remove(watches, watches->heap[0]);
    (void)pthread_mutex_destroy(&watches->mutex);
    free(watches->heap);
    free(watches->watchers.bucket);
    free(watches->products.bucket);
    free(watches->offers.bucket);
    memset(watches, 0, sizeof *watches);
}

static void id_copy(char to[RIALTO_ID_MAX], const char *from)
{
    size_t length = strnlen(from, RIALTO_ID_MAX - 1);
    memcpy(to, from, length);
    to[length] = '\0';
}

static struct watcher *watcher_get(struct watches *watches, struct rialto_key key, const char *customer, int64_t now)
{
    struct watcher *watcher = watches_customer(watches, key);
    if (watcher != NULL || watches->heap_count >= watches->customers_max)
        return watcher;
    watcher = calloc(1, sizeof *watcher);
    if (watcher == NULL)
        return NULL;
    watcher->key = key;
    watcher->due_ms = now;
    id_copy(watcher->customer, customer);
    if (!heap_add(watches, watcher)) {
        free(watcher);
        return NULL;
    }
    map_add(&watches->watchers, &watcher->node, key.lo);
    return watcher;
}

static struct watched *product_get(struct watches *watches, struct rialto_key key, const char *sku)
{
    struct watched *product = product_find(watches, sku);
    if (product != NULL)
        return product;
    product = calloc(1, sizeof *product);
    if (product != NULL) {
        product->key = key;
        id_copy(product->sku, sku);
        map_add(&watches->products, &product->node, sku_hash(product->sku));
    }
    return product;
}

static void product_release(struct watches *watches, struct watched *product)
{
    if (product->first != NULL)
        return;
    map_remove(&watches->products, &product->node);
    free(product);
}

static void watch_link(struct watches *watches, struct watch *watch, struct watcher *watcher, struct watched *product)
{
    watch->watcher = watcher;
    watch->product = product;
    watch->next_of_watcher = watcher->first;
    watcher->first = watch;
    watcher->count++;
    watch->next_of_product = product->first;
    if (product->first != NULL)
        product->first->before_of_product = watch;
    product->first = watch;
    map_add(&watches->offers, &watch->node, watch->offer.lo);
    watches->pairs++;
}

static void pair_remove(struct watches *watches, struct watch *watch);

/* The product that was looked at longest ago makes room: its watch ends now, and the next refresh takes it out of
 * Redis. */
static void end_oldest(struct watches *watches, struct watcher *watcher)
{
    struct watch *oldest = NULL;
    for (struct watch *watch = watcher->first; watch != NULL; watch = watch->next_of_watcher) {
        if (watch->until_ms > 0 && (oldest == NULL || watch->until_ms < oldest->until_ms))
            oldest = watch;
    }
    if (oldest == NULL)
        return;
    if (!oldest->published) { /* nothing to take out */
        pair_remove(watches, oldest);
        return;
    }
    oldest->until_ms = 0;
    watcher->count--; /* it counts no more, though it is removed only later */
}

static bool make_room(struct watches *watches, struct watcher *watcher)
{
    bool full = watcher->count >= watches->skus_max;
    if (full)
        end_oldest(watches, watcher);
    return full;
}

static struct watch *watch_new(struct watches *watches, struct rialto_key offer, struct watcher *watcher,
                               struct rialto_key sku_key, const char *sku, bool *ret_replaced)
{
    struct watched *product = product_get(watches, sku_key, sku);
    struct watch *watch = product != NULL ? calloc(1, sizeof *watch) : NULL;
    if (watch == NULL) {
        if (product != NULL)
            product_release(watches, product);
        return NULL;
    }
    *ret_replaced = make_room(watches, watcher);
    watch->offer = offer;
    watch->dirty = true;
    watch_link(watches, watch, watcher, product);
    return watch;
}

/* The key in Redis ends before this watch does: see to it in time. */
static void extend_expiry(struct watches *watches, struct watcher *watcher, int64_t until_ms, int64_t now)
{
    if (watcher->expires_ms == 0 || until_ms <= watcher->expires_ms)
        return;
    int64_t due = watcher->expires_ms - EXPIRY_LEAD_MS;
    due = due > now ? due : now;
    if (due < watcher->due_ms)
        watches_schedule(watches, watcher, due);
}

static struct watch *pair_add(struct watches *watches, struct rialto_key customer_key, const char *customer,
                              struct rialto_key sku_key, const char *sku, int64_t until_ms, int64_t now,
                              bool *ret_replaced)
{
    struct rialto_key offer = key_pair(customer_key, sku_key);
    struct watch *watch = watch_find(watches, offer);
    *ret_replaced = false;
    if (watch == NULL) {
        struct watcher *watcher = watcher_get(watches, customer_key, customer, now);
        if (watcher == NULL)
            return NULL;
        watch = watch_new(watches, offer, watcher, sku_key, sku, ret_replaced);
        if (watch == NULL) {
            if (watcher->first == NULL)
                customer_remove(watches, watcher);
            return NULL;
        }
        watches_schedule(watches, watcher, now);
    } else if (watch->until_ms == 0) { /* had to make room, and is looked at again */
        *ret_replaced = make_room(watches, watch->watcher);
        watch->watcher->count++;
    }
    if (until_ms > watch->until_ms)
        watch->until_ms = until_ms;
    extend_expiry(watches, watch->watcher, until_ms, now);
    return watch;
}

static void pair_remove(struct watches *watches, struct watch *watch)
{
    struct watch **at = &watch->watcher->first;
    while (*at != watch)
        at = &(*at)->next_of_watcher;
    *at = watch->next_of_watcher;
    if (watch->until_ms != 0)
        watch->watcher->count--;

    if (watch->before_of_product != NULL)
        watch->before_of_product->next_of_product = watch->next_of_product;
    else
        watch->product->first = watch->next_of_product;
    if (watch->next_of_product != NULL)
        watch->next_of_product->before_of_product = watch->before_of_product;
    product_release(watches, watch->product);

    map_remove(&watches->offers, &watch->node);
    watches->pairs--;
    free(watch);
}

static void customer_remove(struct watches *watches, struct watcher *watcher)
{
    while (watcher->first != NULL)
        pair_remove(watches, watcher->first);
    heap_remove(watches, watcher);
    map_remove(&watches->watchers, &watcher->node);
    free(watcher);
}

/* ---- the same, with nobody else looking -------------------------------------------------------------------------- */

struct watch *watches_add(struct watches *watches, struct rialto_key customer_key, const char *customer,
                          struct rialto_key sku_key, const char *sku, int64_t until_ms, int64_t now, bool *ret_replaced)
{
    (void)pthread_mutex_lock(&watches->mutex);
    struct watch *watch = pair_add(watches, customer_key, customer, sku_key, sku, until_ms, now, ret_replaced);
    (void)pthread_mutex_unlock(&watches->mutex);
    return watch;
}

void watch_remove(struct watches *watches, struct watch *watch)
{
    (void)pthread_mutex_lock(&watches->mutex);
    pair_remove(watches, watch);
    (void)pthread_mutex_unlock(&watches->mutex);
}

void watcher_remove(struct watches *watches, struct watcher *watcher)
{
    (void)pthread_mutex_lock(&watches->mutex);
    customer_remove(watches, watcher);
    (void)pthread_mutex_unlock(&watches->mutex);
}

void watches_tell(struct watches *watches, struct rialto_key key,
                  void (*told)(void *user, const char *sku, int64_t until_ms), void *user)
{
    (void)pthread_mutex_lock(&watches->mutex);
    struct watcher *watcher = watches_customer(watches, key);
    for (struct watch *watch = watcher != NULL ? watcher->first : NULL; watch != NULL; watch = watch->next_of_watcher)
        if (watch->until_ms != 0)
            told(user, watch->product->sku, watch->until_ms);
    (void)pthread_mutex_unlock(&watches->mutex);
}

/* ---- changes ---------------------------------------------------------------------------------------------------- */

int64_t watch_ready_ms(const struct watches *watches, const struct watch *watch)
{
    return watch->refreshed_ms == 0 ? 0 : watch->refreshed_ms + watches->refresh_ms;
}

static void watch_changed(struct watches *watches, struct watch *watch, int64_t now)
{
    if (watch->dirty)
        return;
    watch->dirty = true;
    int64_t ready = watch_ready_ms(watches, watch);
    int64_t due = ready > now ? ready : now;
    if (due < watch->watcher->due_ms)
        watches_schedule(watches, watch->watcher, due);
}

static void product_changed(struct watches *watches, const struct watched *product, int64_t now)
{
    for (struct watch *watch = product->first; watch != NULL; watch = watch->next_of_product)
        watch_changed(watches, watch, now);
}

void watches_product_changed(struct watches *watches, const char *sku, int64_t now)
{
    const struct watched *product = product_find(watches, sku);
    if (product != NULL)
        product_changed(watches, product, now);
}

void watches_products_changed(struct watches *watches, uint32_t partition, int64_t now)
{
    for (uint32_t i = 0; i <= watches->products.mask; i++)
        for (struct node *node = watches->products.bucket[i]; node != NULL; node = node->next)
            if (key_partition(((struct watched *)node)->key) == partition)
                product_changed(watches, (struct watched *)node, now);
}

void watches_customer_changed(struct watches *watches, struct watcher *watcher, int64_t now)
{
    for (struct watch *watch = watcher->first; watch != NULL; watch = watch->next_of_watcher)
        watch_changed(watches, watch, now);
}

void watches_offer_changed(struct watches *watches, struct rialto_key offer, int64_t now)
{
    struct watch *watch = watch_find(watches, offer);
    if (watch != NULL)
        watch_changed(watches, watch, now);
}

/* Scheduling moves watchers about in the heap, so they are visited through the map. */
void watches_partition_changed(struct watches *watches, uint32_t partition, int64_t now)
{
    for (uint32_t i = 0; i <= watches->watchers.mask; i++) {
        for (struct node *node = watches->watchers.bucket[i]; node != NULL; node = node->next) {
            if (key_partition(((struct watcher *)node)->key) == partition)
                watches_customer_changed(watches, (struct watcher *)node, now);
        }
    }
}

static void unpublished(struct watcher *watcher)
{
    watcher->expires_ms = 0;
    for (struct watch *watch = watcher->first; watch != NULL; watch = watch->next_of_watcher) {
        watch->dirty = true;
        watch->published = false;
        watch->refreshed_ms = 0;
    }
}

void watches_customer_unpublished(struct watches *watches, struct watcher *watcher, int64_t now)
{
    unpublished(watcher);
    watches_schedule(watches, watcher, now);
}

void watches_unpublished(struct watches *watches, int64_t now)
{
    for (uint32_t i = 0; i < watches->heap_count; i++) {
        unpublished(watches->heap[i]);
        watches->heap[i]->due_ms = now; /* the same for all: the heap stays one */
    }
}
