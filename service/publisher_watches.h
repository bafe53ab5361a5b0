/* publisher_watches.h - who looks at what: customers, their products, and whose turn it is to be refreshed in Redis.
 *
 *   sku, customer key, offer key --hash--> watches: dirty     heap of customers: the one that is due first is on top
 *
 * Only the publisher's thread uses it, but for watches_tell(), which is for any. Times are CLOCK_MONOTONIC ms unless they say otherwise.
 * Locking    the mutex guards who looks at what until when: that thread reads it freely, and takes the mutex to change it. */
#ifndef SERVICE_PUBLISHER_WATCHES_H
#define SERVICE_PUBLISHER_WATCHES_H

#include <pthread.h>
#include <rialto/layout.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct node { /* first member of everything that is hashed */
    struct node *next;
    uint64_t hash;
};

struct map {
    struct node **bucket;
    uint32_t mask, count;
};

struct watched { /* a product that somebody looks at */
    struct node node;
    struct rialto_key key;
    char sku[RIALTO_ID_MAX];
    struct watch *first;
};

struct watch {        /* one customer and one product */
    struct node node; /* by the key of their offer */
    struct rialto_key offer;
    struct watcher *watcher;
    struct watched *product;
    struct watch *next_of_watcher;
    struct watch *next_of_product, *before_of_product;
    int64_t until_ms;            /* the customer looked at it: it stays in Redis until then */
    int64_t refreshed_ms;        /* 0 = never */
    int64_t valid_until_unix_ms; /* of the quote in Redis, service time; 0 = no end */
    bool dirty;                  /* the quote may have changed */
    bool published;              /* stands in Redis, as far as we know */
    bool gone;                   /* has no price any more */
};

struct watcher {      /* a customer */
    struct node node; /* by key */
    struct rialto_key key;
    char customer[RIALTO_ID_MAX];
    struct watch *first;
    uint32_t count;
    uint32_t heap_index;
    int64_t due_ms;
    int64_t expires_ms; /* when Redis drops the key; 0 = it has none */
};

struct watches {
    uint32_t customers_max, skus_max;
    uint32_t refresh_ms;
    uint32_t pairs;
    pthread_mutex_t mutex;
    struct map watchers, products, offers;
    struct watcher **heap;
    uint32_t heap_count, heap_room;
};

bool watches_setup(struct watches *watches, uint32_t customers_max, uint32_t skus_max, uint32_t refresh_ms);
void watches_teardown(struct watches *watches);

/* watches_add - a customer looks at a product until then; new pairs are due at once. A customer with skus_max products
 * loses the one with the earliest end (it ends in Redis at the next refresh). NULL: out of memory, or customers_max
 * customers. *ret_replaced: a product had to go. */
struct watch *watches_add(struct watches *watches, struct rialto_key customer_key, const char *customer,
                          struct rialto_key sku_key, const char *sku, int64_t until_ms, int64_t now,
                          bool *ret_replaced);

struct watcher *watches_customer(const struct watches *watches, struct rialto_key key); /* or NULL */

/* watches_tell - what this customer looks at, and until when, to `told`, which must not call us. Any thread. */
void watches_tell(struct watches *watches, struct rialto_key key,
                  void (*told)(void *user, const char *sku, int64_t until_ms), void *user);

/* Something changed: what may be affected becomes dirty and due, each pair at most once in refresh_ms. */
void watches_product_changed(struct watches *watches, const char *sku, int64_t now);
void watches_customer_changed(struct watches *watches, struct watcher *watcher, int64_t now);
void watches_offer_changed(struct watches *watches, struct rialto_key offer, int64_t now);
void watches_partition_changed(struct watches *watches, uint32_t partition, int64_t now); /* of these customers */
void watches_products_changed(struct watches *watches, uint32_t partition, int64_t now);  /* of these products */
/* watches_customer_unpublished - Redis holds nothing of this customer: all of it is due at once, whenever it was written last. */
void watches_customer_unpublished(struct watches *watches, struct watcher *watcher, int64_t now);
/* watches_unpublished - Redis holds nothing: all at once. */
void watches_unpublished(struct watches *watches, int64_t now);

/* watches_due - the customer who is due first, if that is now. watches_schedule - and when again. */
struct watcher *watches_due(const struct watches *watches, int64_t now);
void watches_schedule(struct watches *watches, struct watcher *watcher, int64_t due_ms);
int64_t watch_ready_ms(const struct watches *watches, const struct watch *watch); /* earliest next refresh */

void watch_remove(struct watches *watches, struct watch *watch);       /* its customer stays */
void watcher_remove(struct watches *watches, struct watcher *watcher); /* with all watches */
#endif
