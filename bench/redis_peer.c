/* redis_peer.c - the shop in a redis-server of our own, asked through hiredis over a Unix socket.
 *
 *   t:CUSTOMER                terms            string
 *   o:CUSTOMER:SKU            offer            string
 *   c:ZONE:SKU                price            string: GET and MGET
 *   cells:ZONE  field SKU     price            hash: HMGET
 *
 * The server keeps no file; it has a processor of its own where there are two. */
#include "bench/bench.h"
#include "bench/peer.h"
#include "service/temporary.h"

#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONNECT_TRIES 200
#define PAIRS_MAX     50u /* of one MSET or HSET while filling */
#define DEPTH_MAX     64u /* such commands in flight */
#define WORDS_MAX     (2 * PAIRS_MAX + 2 + DRAW_PAGE)
#define LINE_BYTES    64u

struct redis_peer {
    char folder[64];
    int server;
    redisContext *connection;
};

struct command { /* words of one command on their way to hiredis */
    size_t count;
    const char *word[WORDS_MAX];
    size_t bytes[WORDS_MAX];
    char text[WORDS_MAX][SHOP_KEY_BYTES];
    uint8_t value[PAIRS_MAX][LINE_BYTES];
    size_t values;
    size_t in_flight;
};

static bool complain(const struct redis_peer *p, const char *what)
{
    fprintf(stderr, "rialto-bench: redis-server: %s%s%s\n", what, p->connection != NULL ? ": " : "",
            p->connection != NULL ? p->connection->errstr : "");
    return false;
}

static bool connect_to(struct redis_peer *p)
{
    char socket[80];
    (void)snprintf(socket, sizeof socket, "%s/redis.sock", p->folder);
    for (int tries = 0; tries < CONNECT_TRIES; tries++) {
        redisContext *c = redisConnectUnixWithTimeout(socket, (struct timeval){ .tv_sec = 30 });
        if (c != NULL && c->err == 0) {
            (void)redisSetTimeout(c, (struct timeval){ .tv_sec = 60 });
            p->connection = c;
            return true;
        }
        if (c != NULL)
            redisFree(c);
        if (!bench_server_lives(p->server)) {
            p->server = 0;
            return complain(p, "did not start (is it installed?)");
        }
        (void)usleep(50000);
    }
    return complain(p, "does not answer");
}

/* ---- filling ------------------------------------------------------------------------------------------- */

static void add_word(struct command *c, const char *word, size_t bytes)
{
    c->word[c->count] = word;
    c->bytes[c->count++] = bytes;
}

static void add_text(struct command *c, const char *a, const char *b, const char *d)
{
    char *text = c->text[c->count];
    int bytes = snprintf(text, SHOP_KEY_BYTES, "%s%s%s", a, b, d);
    add_word(c, text, (size_t)bytes);
}

static void add_value(struct command *c, const void *line)
{
    memcpy(c->value[c->values], line, LINE_BYTES);
    add_word(c, (const char *)c->value[c->values++], LINE_BYTES);
}

static bool take_good(struct redis_peer *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        void *reply = NULL;
        if (redisGetReply(p->connection, &reply) != REDIS_OK || reply == NULL)
            return complain(p, "filling");
        bool error = ((redisReply *)reply)->type == REDIS_REPLY_ERROR;
        if (error)
            fprintf(stderr, "rialto-bench: redis-server: %s\n", ((redisReply *)reply)->str);
        freeReplyObject(reply);
        if (error)
            return false;
    }
    return true;
}

/* Hand on a command that holds anything; `all`: and wait for the answers. */
static bool flush(struct redis_peer *p, struct command *c, bool all)
{
    if (c->values > 0) {
        if (redisAppendCommandArgv(p->connection, (int)c->count, c->word, c->bytes) != REDIS_OK)
            return complain(p, "filling");
        c->in_flight++;
    }
    c->count = c->values = 0;
    if (c->in_flight < DEPTH_MAX && !all)
        return true;
    size_t n = c->in_flight;
    c->in_flight = 0;
    return take_good(p, n);
}

/* MSET or, with a key, HSET: begin one if none is begun. */
static void begin(struct command *c, const char *hash, const char *zone)
{
    if (c->count > 0)
        return;
    if (hash == NULL) {
        add_word(c, "MSET", 4);
    } else {
        add_word(c, "HSET", 4);
        add_text(c, hash, zone, "");
    }
}

static bool end_if_full(struct redis_peer *p, struct command *c)
{
    return c->values < PAIRS_MAX || flush(p, c, false);
}

static bool put_customer(struct redis_peer *p, struct command *c, const struct shop_size *size, uint64_t customer)
{
    char id[SHOP_ID_BYTES], sku[SHOP_ID_BYTES], tail[SHOP_ID_BYTES + 1];
    struct rialto_terms_line terms;
    struct rialto_offer_line offer;
    uint64_t first = 0, offers = shop_offers_of(size, customer, &first);
    shop_customer_id(customer, id);
    shop_terms_fill(size, customer, &terms);
    shop_offer_fill(&offer);
    begin(c, NULL, NULL);
    add_text(c, "t:", id, "");
    add_value(c, &terms);
    bool ok = end_if_full(p, c);
    for (uint64_t k = 0; ok && k < offers; k++) {
        shop_sku(shop_offer_product(size, customer, k), sku);
        (void)snprintf(tail, sizeof tail, ":%s", sku);
        begin(c, NULL, NULL);
        add_text(c, "o:", id, tail);
        add_value(c, &offer);
        ok = end_if_full(p, c);
    }
    return ok;
}

static bool put_cell(struct redis_peer *p, struct command *strings, struct command *hash, uint64_t product,
                     uint32_t zone)
{
    char sku[SHOP_ID_BYTES], tail[SHOP_ID_BYTES + 1];
    struct rialto_cell_line cell;
    shop_sku(product, sku);
    (void)snprintf(tail, sizeof tail, ":%s", sku);
    shop_cell_fill(product, zone, 0, &cell);
    begin(strings, NULL, NULL);
    add_text(strings, "c:", shop_zone_name(zone), tail);
    add_value(strings, &cell);
    begin(hash, "cells:", shop_zone_name(zone));
    add_text(hash, sku, "", "");
    add_value(hash, &cell);
    return end_if_full(p, strings) && end_if_full(p, hash);
}

static bool fill(struct redis_peer *p, struct command strings[1], struct command hash[SHOP_ZONES + 1],
                 const struct shop_size *size)
{
    bool ok = true;
    for (uint64_t i = 0; ok && i < size->customers; i++)
        ok = put_customer(p, strings, size, i);
    for (uint64_t i = 0; ok && i < size->products; i++) {
        uint32_t zone = shop_product_zone(i);
        ok = put_cell(p, strings, &hash[SHOP_WORLD], i, SHOP_WORLD) && put_cell(p, strings, &hash[zone], i, zone);
        /* Answers come in the order of all commands, so that nobody waits for another's. */
        size_t in_flight = strings->in_flight + hash[0].in_flight + hash[1].in_flight + hash[2].in_flight;
        if (ok && in_flight >= DEPTH_MAX / 2) {
            ok = take_good(p, in_flight);
            strings->in_flight = hash[0].in_flight = hash[1].in_flight = hash[2].in_flight = 0;
        }
    }
    for (uint32_t zone = 0; ok && zone <= SHOP_ZONES; zone++)
        ok = flush(p, &hash[zone], true);
    return ok && flush(p, strings, true);
}

struct redis_peer *redis_peer_create(const struct shop_size *size)
{
    struct redis_peer *p = calloc(1, sizeof *p);
    struct command *commands = calloc(SHOP_ZONES + 2, sizeof *commands);
    char socket[80];
    bool ok = p != NULL && commands != NULL && temporary_folder("/tmp", "rialto-bench-redis", p->folder);
    if (ok) {
        (void)signal(SIGPIPE, SIG_IGN);
        (void)snprintf(socket, sizeof socket, "%s/redis.sock", p->folder);
        const char *const argv[] = { "redis-server", "--port", "0",     "--unixsocket", socket, "--save", "",
                                     "--appendonly", "no",     "--dir", p->folder,      NULL };
        p->server = bench_server(BENCH_CORE_OTHER, argv);
        ok = p->server > 0 && connect_to(p) && fill(p, commands, commands + 1, size);
    }
    free(commands);
    if (ok)
        return p;
    redis_peer_destroy(p);
    return NULL;
}

void redis_peer_destroy(struct redis_peer *p)
{
    if (p == NULL)
        return;
    if (p->connection != NULL)
        redisFree(p->connection);
    bench_server_stop(p->server);
    temporary_remove(p->folder);
    free(p);
}

int redis_peer_pid(const struct redis_peer *p)
{
    return p->server;
}

/* ---- asking -------------------------------------------------------------------------------------------- */

static bool take_line(const redisReply *reply, void *ret_line)
{
    if (reply->type != REDIS_REPLY_STRING || reply->len != (int)LINE_BYTES)
        return false;
    memcpy(ret_line, reply->str, LINE_BYTES);
    return true;
}

static bool take_terms(struct redis_peer *p, struct answer *ret)
{
    void *reply = NULL;
    if (redisGetReply(p->connection, &reply) != REDIS_OK)
        return false;
    ret->has_terms = take_line(reply, &ret->terms);
    freeReplyObject(reply);
    return ret->has_terms;
}

/* One reply for n products: an array, or for a single one the value itself. */
static redisReply *take_reply(struct redis_peer *p, size_t n)
{
    void *reply = NULL;
    if (redisGetReply(p->connection, &reply) != REDIS_OK)
        return NULL;
    redisReply *r = reply;
    if (r->type == REDIS_REPLY_ARRAY ? r->elements == n : n == 1)
        return r;
    freeReplyObject(r);
    return NULL;
}

static const redisReply *item(const redisReply *reply, size_t i)
{
    return reply->type == REDIS_REPLY_ARRAY ? reply->element[i] : reply;
}

/* "GET KEY" or "MGET KEY..." or "HMGET cells:ZONE SKU...". */
static bool send_products(struct redis_peer *p, enum redis_way way, const char *prefix, const char *owner,
                          const struct draw *d, size_t n)
{
    char hash[SHOP_KEY_BYTES], text[DRAW_PAGE][SHOP_KEY_BYTES];
    const char *word[2 + DRAW_PAGE];
    size_t bytes[2 + DRAW_PAGE], count = 0;
    word[count] = way == REDIS_HMGET ? "HMGET" : n == 1 ? "GET" : "MGET";
    bytes[count] = strlen(word[count]);
    count++;
    if (way == REDIS_HMGET) {
        word[count] = hash;
        bytes[count++] = (size_t)snprintf(hash, sizeof hash, "cells:%s", owner);
    }
    for (size_t i = 0; i < n; i++, count++) {
        word[count] = d->sku[i];
        bytes[count] = strlen(d->sku[i]);
        if (way == REDIS_GET) {
            char *end = stpcpy(stpcpy(stpcpy(text[i], prefix), owner), ":");
            word[count] = text[i];
            bytes[count] = (size_t)(stpcpy(end, d->sku[i]) - text[i]);
        }
    }
    return redisAppendCommandArgv(p->connection, (int)count, word, bytes) == REDIS_OK;
}

static bool ask_offers(struct redis_peer *p, const struct draw *d, size_t n, struct answer *ret)
{
    if (!send_products(p, REDIS_GET, "o:", d->customer, d, n))
        return false;
    redisReply *offers = take_reply(p, n);
    if (offers == NULL)
        return false;
    for (size_t i = 0; i < n; i++)
        ret->has_offer[i] = take_line(item(offers, i), &ret->offer[i]);
    freeReplyObject(offers);
    return true;
}

bool redis_peer_ask(struct redis_peer *p, enum redis_way way, const struct draw *d, size_t n, struct answer *ret)
{
    char key[SHOP_KEY_BYTES] = "t:";
    const char *const get[] = { "GET", key };
    const size_t bytes[] = { 3, (size_t)(stpcpy(key + 2, d->customer) - key) };
    if (redisAppendCommandArgv(p->connection, 2, (const char **)(uintptr_t)get, bytes) != REDIS_OK ||
        !send_products(p, way, "c:", shop_zone_name(d->zone), d, n) || !send_products(p, way, "c:", "", d, n) ||
        !take_terms(p, ret))
        return false;
    redisReply *own = take_reply(p, n), *world = take_reply(p, n);
    bool ok = own != NULL && world != NULL;
    for (size_t i = 0; ok && i < n; i++) {
        ret->in_zone[i] = take_line(item(own, i), &ret->cell[i]);
        ret->found[i] = ret->in_zone[i] || take_line(item(world, i), &ret->cell[i]);
        ret->has_offer[i] = false;
    }
    freeReplyObject(own);
    freeReplyObject(world);
    if (ok && (ret->terms.kinds & RIALTO_TERMS_HAS_OFFERS) != 0)
        ok = ask_offers(p, d, n, ret);
    return ok;
}
