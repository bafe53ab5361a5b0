/* publisher.c - the publisher's thread: what to do next, and what the worker asks of it.
 *
 *   worker --watch, forget, renew--> orders ---+
 *   change rings --rialto_next_change()------->+--> dirty cells, dirty watches --> Redis, in passes
 *
 * Everything in Redis here can be made again from shared memory, except who looks at what: that stands in the quote
 * keys, and is taken up from there. So there is no queue that could overflow: what is to be written is a set (bits and
 * flags), and after an overrun of a ring, or when Redis was emptied or is another server, the whole set is marked. The bits outlive the
 * process and the connection (publisher_kept.c). What stands no more is taken away (publisher_ceased.c).
 *
 * Emptied    Redis may be emptied without the link noticing. A key of our own, PREFIX:here:{worker.N}, is looked at
 *            every LOOK_MS: if it is gone, all is written again.
 * Forget     is never refused and outlives an outage: the names wait in a list until their keys are deleted. So does renew. A process that dies
 *            before leaves keys behind of customers whose line is gone or permits them no more: whoever takes up keys deletes those
 *            (publisher_quotes.c), so that nothing of the names has to be kept anywhere.
 * Locking    the mutex guards the list of orders only; what is looked at has its own (publisher_watches.h). */
#include "service/clock.h"
#include "service/publisher_parts.h"

#include "cache/segment.h"
#include "service/log.h"
#include "service/metrics.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ORDERS_MAX       65536u /* watches waiting; what takes data away is not counted */
#define CHANGES_PER_PASS 8192u
#define IDLE_MS          3 /* rings are looked at this often */
#define DOWN_MS          100
#define DOWN_MAX_MS      1000
#define LOOK_MS          2000
#define SWEEP_MS         100 /* least time between two coarse markings of one partition */
#define CEASED_MS        100 /* however much there is to do, a page of what Redis has is looked at this often */

enum order_kind { ORDER_WATCH, ORDER_FORGET, ORDER_RENEW };

struct order {
    struct order *next;
    enum order_kind kind;
    uint32_t ttl_s;
    char customer[RIALTO_ID_MAX];
    char sku[RIALTO_ID_MAX];
};

struct publisher {
    struct publishing now; /* the thread's */
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t news;
    struct order *head, *tail; /* under the mutex */
    uint32_t order_count;
    bool stopping;

    struct order *forgets, **forgets_end; /* the thread's: keys to be deleted, in order */
    _Atomic uint64_t forgets_ordered, forgets_done;
    _Atomic int64_t back_since_ms; /* monotonic time; 0: the worker is not writing many lines */
    int64_t back_again_ms;         /* the worker's: not before */
    uint64_t missed;       /* of the follower, as last seen */
    int64_t impatient_ms;  /* back_since_ms of the time for which it was counted */
    int64_t look_at_ms;
    int64_t ceased_at_ms;
    int64_t coarse_at_ms[RIALTO_PARTITIONS];
    bool coarse[RIALTO_PARTITIONS];          /* a line of its customers went away, we cannot tell whose */
    bool coarse_products[RIALTO_PARTITIONS]; /* a price of its products */
};

/* ---- the worker's side ------------------------------------------------------------------------------------------ */

static struct order *order_new(enum order_kind kind, const char *customer, const char *sku, uint32_t ttl_s)
{
    struct order *order = calloc(1, sizeof *order);
    if (order == NULL)
        return NULL;
    order->kind = kind;
    order->ttl_s = ttl_s;
    (void)snprintf(order->customer, sizeof order->customer, "%s", customer);
    (void)snprintf(order->sku, sizeof order->sku, "%s", sku);
    return order;
}

/* False: there are too many. */
static bool order_append(struct publisher *publisher, struct order *order)
{
    (void)pthread_mutex_lock(&publisher->mutex);
    bool room = order->kind != ORDER_WATCH || publisher->order_count < ORDERS_MAX;
    if (room) {
        if (publisher->tail != NULL)
            publisher->tail->next = order;
        else
            publisher->head = order;
        publisher->tail = order;
        publisher->order_count++;
        (void)pthread_cond_signal(&publisher->news);
    }
    (void)pthread_mutex_unlock(&publisher->mutex);
    return room;
}

void publisher_watch(struct publisher *publisher, const char *customer, const char *sku, uint32_t ttl_s)
{
    if (publisher == NULL || customer[0] == '\0' || sku[0] == '\0')
        return;
    struct order *order = order_new(ORDER_WATCH, customer, sku, ttl_s);
    if (order != NULL && order_append(publisher, order))
        return;
    free(order);
    metric_add(METRIC_watches_refused_total, 1);
}

static void key_delete_order(struct publisher *publisher, enum order_kind kind, const char *customer)
{
    struct order *order = order_new(kind, customer, "", 0);
    if (order != NULL)
        (void)order_append(publisher, order);
    else /* the key still ends by itself, after watch_ttl_s at most */
        log_line(LOG_ERROR, "OUT-OF-MEMORY", "a customer's quotes in Redis stay until their key expires");
}

void publisher_forget(struct publisher *publisher, const char *customer)
{
    if (publisher == NULL || customer[0] == '\0')
        return;
    atomic_fetch_add(&publisher->forgets_ordered, 1);
    key_delete_order(publisher, ORDER_FORGET, customer);
}

void publisher_renew(struct publisher *publisher, const char *customer)
{
    if (publisher != NULL && customer[0] != '\0')
        key_delete_order(publisher, ORDER_RENEW, customer);
}

void publisher_looks(struct publisher *publisher, const struct rialto_key *customer,
                     void (*told)(void *user, const char *sku, int64_t until_ms), void *user)
{
    if (publisher != NULL)
        watches_tell(&publisher->now.watches, *customer, told, user);
}

uint64_t publisher_forgets_ordered(const struct publisher *publisher)
{
    return publisher == NULL ? 0 : atomic_load(&publisher->forgets_ordered);
}

uint64_t publisher_forgets_done(const struct publisher *publisher)
{
    return publisher == NULL ? 0 : atomic_load(&publisher->forgets_done);
}

uint64_t publisher_deletions(const struct publisher *publisher)
{
    return publisher == NULL ? 0 : atomic_load(&publisher->forgets_done) + atomic_load(&publisher->now.made_good);
}

/* Batches that all change many lines, one behind the other, leave Redis as much time as they take from it. */
void publisher_stand_back(struct publisher *publisher, bool back)
{
    if (publisher == NULL)
        return;
    int64_t now = mono_ms(), since = atomic_load_explicit(&publisher->back_since_ms, memory_order_relaxed);
    if (back && since == 0 && now >= publisher->back_again_ms) {
        atomic_store_explicit(&publisher->back_since_ms, now, memory_order_relaxed);
    } else if (!back && since != 0) {
        publisher->back_again_ms = now + (now - since);
        atomic_store_explicit(&publisher->back_since_ms, 0, memory_order_relaxed);
    }
}

struct journal_box *publisher_journal_box(struct publisher *publisher)
{
    if (publisher == NULL || atomic_load_explicit(&publisher->now.journal.box.full, memory_order_acquire))
        return NULL;
    return &publisher->now.journal.box;
}

/* ---- orders ----------------------------------------------------------------------------------------------------- */

static struct rialto_key id_key(const struct publishing *p, const char *id)
{
    return key_of_id(p->prices->secret, id, strlen(id));
}

static void watch_take(struct publishing *p, const struct order *order)
{
    bool replaced = false;
    int64_t now = mono_ms();
    uint32_t ttl_s = order->ttl_s > 0 && order->ttl_s < p->config->watch_ttl_s ? order->ttl_s : p->config->watch_ttl_s;
    struct watch *watch = watches_add(&p->watches, id_key(p, order->customer), order->customer, id_key(p, order->sku),
                                      order->sku, now + (int64_t)ttl_s * 1000, now, &replaced);
    if (watch == NULL || replaced)
        metric_add(METRIC_watches_refused_total, 1);
}

/* The key goes before anything else is written: what the lines say now is composed behind that. */
static void delete_take(struct publisher *publisher, struct order *order)
{
    struct watches *watches = &publisher->now.watches;
    struct watcher *watcher = watches_customer(watches, id_key(&publisher->now, order->customer));
    if (watcher != NULL && order->kind == ORDER_FORGET)
        watcher_remove(watches, watcher);
    else if (watcher != NULL)
        watches_customer_unpublished(watches, watcher, mono_ms());
    order->next = NULL;
    *(publisher->forgets != NULL ? publisher->forgets_end : &publisher->forgets) = order;
    publisher->forgets_end = &order->next;
}

static bool forgets_send(struct publisher *publisher)
{
    while (publisher->forgets != NULL) {
        struct order *order = publisher->forgets;
        if (!quotes_delete(&publisher->now, order->customer))
            return false;
        publisher->forgets = order->next;
        if (order->kind == ORDER_FORGET)
            atomic_fetch_add(&publisher->forgets_done, 1);
        explicit_bzero(order, sizeof *order);
        free(order);
    }
    return true;
}

static struct order *orders_take(struct publisher *publisher)
{
    (void)pthread_mutex_lock(&publisher->mutex);
    struct order *orders = publisher->head;
    publisher->head = publisher->tail = NULL;
    publisher->order_count = 0;
    (void)pthread_mutex_unlock(&publisher->mutex);
    return orders;
}

/* In the order in which they came: a watch before a forget goes with it, one after it stays. */
static bool orders_work(struct publisher *publisher)
{
    struct order *orders = orders_take(publisher);
    bool any = orders != NULL;
    while (orders != NULL) {
        struct order *order = orders;
        orders = order->next;
        if (order->kind != ORDER_WATCH) {
            delete_take(publisher, order);
            continue;
        }
        watch_take(&publisher->now, order);
        free(order);
    }
    return any;
}

/* ---- changes ---------------------------------------------------------------------------------------------------- */

static void mark_everything(struct publisher *publisher)
{
    dirty_cells_mark_all(&publisher->now);
    watches_unpublished(&publisher->now.watches, mono_ms());
}

/* Terms and offers are told by line; the line says whose it is, unless it was deleted since. */
static void personal_change(struct publisher *publisher, const struct rialto_ring_entry *entry)
{
    struct publishing *p = &publisher->now;
    union terms_image terms;
    union offer_image offer;
    int64_t now = mono_ms();
    if (entry->partition % p->config->workers != p->worker)
        return;
    bool is_terms = entry->table == RIALTO_TABLE_TERMS;
    const struct folder_table *table = &p->prices->folder.table[entry->table];
    enum rialto_status status = segment_line_at(table, sizeof(struct rialto_terms_line) / sizeof(uint64_t),
                                                entry->partition, entry->slot, is_terms ? terms.word : offer.word);
    if (status != RIALTO_OK) {
        publisher->coarse[entry->partition] = true;
    } else if (is_terms) {
        struct watcher *watcher = watches_customer(&p->watches, terms.line.key);
        if (watcher != NULL)
            watches_customer_changed(&p->watches, watcher, now);
    } else {
        watches_offer_changed(&p->watches, offer.line.key, now);
    }
}

static void coarse_changes(struct publisher *publisher)
{
    int64_t now = mono_ms();
    for (uint32_t n = 0; n < RIALTO_PARTITIONS; n++) {
        if ((!publisher->coarse[n] && !publisher->coarse_products[n]) || now < publisher->coarse_at_ms[n])
            continue;
        publisher->coarse_at_ms[n] = now + SWEEP_MS;
        if (publisher->coarse[n])
            watches_partition_changed(&publisher->now.watches, n, now);
        if (publisher->coarse_products[n])
            watches_products_changed(&publisher->now.watches, n, now);
        publisher->coarse[n] = publisher->coarse_products[n] = false;
    }
}

/* Names are looked up where somebody looks at any product at all. A line that has gone cannot say whose it was. */
static void cell_change(struct publisher *publisher, const struct rialto_ring_entry *entry)
{
    struct publishing *p = &publisher->now;
    struct rialto_cell cell;
    dirty_cells_mark(p, entry->partition, entry->slot);
    if (p->watches.products.count == 0 || entry->partition >= RIALTO_PARTITIONS)
        return;
    enum rialto_status status = rialto_cell_at(p->prices, entry->partition, entry->slot, &cell);
    if (status == RIALTO_OK)
        watches_product_changed(&p->watches, cell.sku, mono_ms());
    if (status != RIALTO_OK || entry->after == 0)
        publisher->coarse_products[entry->partition] = true;
}

/* `back`: what comes next may gather until there is a whole pass of it. */
static bool changes_work(struct publisher *publisher, bool back)
{
    struct publishing *p = &publisher->now;
    struct rialto_ring_entry entry;
    uint32_t count = 0;
    for (; count < CHANGES_PER_PASS && reader_next_entry(p->prices, &p->follower, &entry); count++) {
        if (entry.table == RIALTO_TABLE_CELLS)
            cell_change(publisher, &entry);
        else if (entry.table == RIALTO_TABLE_TERMS || entry.table == RIALTO_TABLE_OFFERS)
            personal_change(publisher, &entry);
    }
    if (p->follower.missed != publisher->missed) {
        publisher->missed = p->follower.missed;
        metric_add(METRIC_ring_overruns_total, 1);
        mark_everything(publisher);
    }
    published_follow(p);
    coarse_changes(publisher);
    return count > (back ? CHANGES_PER_PASS - 1 : 0);
}

/* ---- opening ---------------------------------------------------------------------------------------------------- */

static void prices_close(struct publisher *publisher)
{
    sweep_lost(&publisher->now);
    dirty_cells_teardown(&publisher->now);
    rialto_close(publisher->now.prices);
    publisher->now.prices = NULL;
}

/* The prices, opened if need be, and not those of a cache that was replaced. */
static bool prices_ready(struct publisher *publisher)
{
    struct publishing *p = &publisher->now;
    if (p->prices != NULL && !reader_retired(p->prices))
        return true;
    prices_close(publisher);
    if (rialto_open(p->config->cache_dir, &p->prices) != RIALTO_OK)
        return false;
    if (!dirty_cells_setup(p)) {
        prices_close(publisher);
        return false;
    }
    rialto_follow(p->prices, &p->follower);
    publisher->missed = p->follower.missed;
    if (p->cells.kept) {
        published_resume(p);
        return true;
    }
    mark_everything(publisher);
    published_follow(p);
    published_sweep_owe(p);
    published_server_is(p, p->link.context != NULL ? p->link.server : 0);
    return true;
}

static void name_connection(struct publishing *p)
{
    char name[RIALTO_NAME_MAX + 32];
    (void)snprintf(name, sizeof name, "%s.publisher.%u", p->config->redis_prefix, p->worker);
    redisReply *reply = redis_link_call(&p->link, (const char *const[]){ "CLIENT", "SETNAME", name, NULL });
    if (reply != NULL)
        freeReplyObject(reply); /* only for who looks at CLIENT LIST */
}

static void here_key(const struct publishing *p, size_t n, char *ret)
{
    (void)snprintf(ret, n, "%s:here:{worker.%u}", p->config->redis_prefix, p->worker);
}

/* Plant our own key, or look whether it still stands. *ret_there: it did. */
static bool here_look(struct publishing *p, bool *ret_there)
{
    char key[PUBLISHER_KEY_MAX];
    here_key(p, sizeof key, key);
    redisReply *reply = redis_link_call(&p->link, (const char *const[]){ "SETNX", key, "1", NULL });
    if (reply == NULL)
        return false;
    bool good = reply->type == REDIS_REPLY_INTEGER;
    if (good)
        *ret_there = reply->integer == 0;
    else
        redis_link_refused(&p->link, "looking at our own key", reply);
    freeReplyObject(reply);
    return good;
}

static void link_lost(struct publisher *publisher)
{
    redis_link_close(&publisher->now.link);
    baselines_lost(&publisher->now);
    sweep_lost(&publisher->now);
    journal_link_lost(&publisher->now);
    watches_unpublished(&publisher->now.watches, mono_ms());
}

/* This Redis has nothing that counts. */
static void begin_anew(struct publisher *publisher)
{
    struct publishing *p = &publisher->now;
    rialto_follow(p->prices, &p->follower); /* what changed before is covered by marking everything */
    publisher->missed = p->follower.missed;
    mark_everything(publisher);
    published_follow(p);
    published_sweep_owe(p);
}

static bool link_up(struct publisher *publisher)
{
    struct publishing *p = &publisher->now;
    bool there = false;
    if (!redis_link_open(&p->link))
        return false;
    name_connection(p);
    publisher->look_at_ms = mono_ms() + LOOK_MS;
    uint64_t server = published_server_take(p);
    if (!here_look(p, &there))
        return false;
    watches_unpublished(&p->watches, mono_ms());
    if (!there || server == 0 || server != p->link.server)
        begin_anew(publisher);
    published_server_is(p, p->link.server);
    if (!forgets_send(publisher) || !quotes_take_up(p))
        return false;
    redis_link_works(&p->link);
    return true;
}

/* ---- the thread ------------------------------------------------------------------------------------------------- */

/* Until there is an order, or for ms. False: it is time to end. */
static bool rest(struct publisher *publisher, int64_t ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += ms * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    (void)pthread_mutex_lock(&publisher->mutex);
    int error = 0;
    while (ms > 0 && error == 0 && publisher->head == NULL && !publisher->stopping)
        error = pthread_cond_timedwait(&publisher->news, &publisher->mutex, &until);
    bool stopping = publisher->stopping;
    (void)pthread_mutex_unlock(&publisher->mutex);
    return !stopping;
}

static bool emptied_check(struct publisher *publisher)
{
    bool there = true;
    if (mono_ms() < publisher->look_at_ms)
        return true;
    publisher->look_at_ms = mono_ms() + LOOK_MS;
    uint64_t server = published_server_take(&publisher->now);
    if (!here_look(&publisher->now, &there))
        return false;
    if (!there) {
        log_line(LOG_WARNING, "REDIS-EMPTIED", "prices and quotes are written again");
        journal_link_lost(&publisher->now);
        mark_everything(publisher);
    }
    published_server_is(&publisher->now, server);
    return true;
}

/* Nothing waits for it: it comes after all else, but it comes. False: the link is dead. */
static bool ceased_work(struct publisher *publisher, bool busy)
{
    if (busy && mono_ms() < publisher->ceased_at_ms)
        return true;
    publisher->ceased_at_ms = mono_ms() + CEASED_MS;
    return sweep_step(&publisher->now);
}

/* The worker writes lines that readers wait for, and whatever Redis is told meanwhile takes a processor from it. */
static bool stands_back(struct publisher *publisher)
{
    int64_t since = atomic_load_explicit(&publisher->back_since_ms, memory_order_relaxed);
    if (since == 0 || mono_ms() - since < PUBLISHER_STAND_BACK_MS)
        return since != 0;
    if (publisher->impatient_ms != since)
        metric_add(METRIC_publisher_impatient_total, 1);
    publisher->impatient_ms = since;
    return false;
}

/* One round while the link is up. Returns whether there was anything to do; -1: the link is dead. */
static int work(struct publisher *publisher)
{
    bool busy = orders_work(publisher), back = stands_back(publisher);
    busy = changes_work(publisher, back) || busy;
    if (!forgets_send(publisher) || !emptied_check(publisher))
        return -1;
    int journal = back ? 0 : journal_send(&publisher->now);
    if (journal < 0)
        return -1;
    busy = busy || journal > 0;
    uint32_t commands = 0;
    busy = quotes_append(&publisher->now, &commands) > 0 || busy;
    if (!back)
        busy = baselines_append(&publisher->now, mono_ms(), &commands) > 0 || busy;
    if (publisher->now.link.context == NULL || !replies_check(&publisher->now.link, commands, "writing prices"))
        return -1;
    baselines_written(&publisher->now);
    return ceased_work(publisher, busy || back) ? busy : -1;
}

static int64_t longer(int64_t pause_ms)
{
    return pause_ms * 2 < DOWN_MAX_MS ? pause_ms * 2 : DOWN_MAX_MS;
}

static void *publisher_thread(void *argument)
{
    struct publisher *publisher = argument;
    int64_t pause_ms = DOWN_MS;
    bool going = true;
    while (going) {
        if (!prices_ready(publisher)) {
            going = rest(publisher, DOWN_MS);
            continue;
        }
        if (publisher->now.link.context == NULL && !link_up(publisher)) {
            link_lost(publisher);
            (void)orders_work(publisher);
            going = rest(publisher, pause_ms);
            pause_ms = longer(pause_ms);
            continue;
        }
        int busy = work(publisher);
        if (busy < 0) { /* no new connection at once: a server that answers may still take nothing, because it is full */
            link_lost(publisher);
            going = rest(publisher, pause_ms);
            pause_ms = longer(pause_ms);
            continue;
        }
        going = rest(publisher, busy > 0 ? 0 : IDLE_MS);
        pause_ms = DOWN_MS;
    }
    if (publisher->now.link.context != NULL && publisher->now.prices != NULL) { /* the last forgets */
        (void)orders_work(publisher);
        (void)forgets_send(publisher);
    }
    return NULL;
}

/* ---- start and stop --------------------------------------------------------------------------------------------- */

static bool sync_setup(struct publisher *publisher)
{
    pthread_condattr_t attributes;
    if (pthread_mutex_init(&publisher->mutex, NULL) != 0)
        return false;
    bool good = pthread_condattr_init(&attributes) == 0;
    if (good) {
        good = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
               pthread_cond_init(&publisher->news, &attributes) == 0;
        (void)pthread_condattr_destroy(&attributes);
    }
    if (!good)
        (void)pthread_mutex_destroy(&publisher->mutex);
    return good;
}

enum rialto_status publisher_start(const struct config *config, uint32_t worker, struct publisher **ret)
{
    struct publisher *publisher = calloc(1, sizeof *publisher);
    if (publisher == NULL)
        return RIALTO_NO_MEMORY;
    publisher->now.config = config;
    publisher->now.worker = worker;
    publisher->now.link = (struct redis_link){ .config = config, .who = "publisher" };
    enum rialto_status status = RIALTO_NO_MEMORY;
    if (!watches_setup(&publisher->now.watches, config->watch_customers_max, config->watch_skus_max,
                       config->quote_refresh_ms))
        goto fail;
    status = RIALTO_SYSTEM;
    if (!sync_setup(publisher))
        goto fail_watches;
    if (pthread_create(&publisher->thread, NULL, publisher_thread, publisher) != 0)
        goto fail_sync;
    *ret = publisher;
    return RIALTO_OK;

fail_sync:
    (void)pthread_cond_destroy(&publisher->news);
    (void)pthread_mutex_destroy(&publisher->mutex);
fail_watches:
    watches_teardown(&publisher->now.watches);
fail:
    free(publisher);
    return status;
}

static void orders_free(struct order *order)
{
    while (order != NULL) {
        struct order *next = order->next;
        free(order);
        order = next;
    }
}

void publisher_stop(struct publisher *publisher)
{
    if (publisher == NULL)
        return;
    (void)pthread_mutex_lock(&publisher->mutex);
    publisher->stopping = true;
    (void)pthread_cond_signal(&publisher->news);
    (void)pthread_mutex_unlock(&publisher->mutex);
    (void)pthread_join(publisher->thread, NULL);
    orders_free(publisher->head);
    orders_free(publisher->forgets);
    redis_link_close(&publisher->now.link);
    prices_close(publisher);
    watches_teardown(&publisher->now.watches);
    (void)pthread_cond_destroy(&publisher->news);
    (void)pthread_mutex_destroy(&publisher->mutex);
    free(publisher);
}
