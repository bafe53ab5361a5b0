/* lmdb_peer.c - the shop in an LMDB environment of its own under /dev/shm. */
#include "bench/bench.h"
#include "bench/peer.h"
#include "service/temporary.h"

#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PUTS_A_COMMIT 100000u
#define FILL_FLAGS    (MDB_WRITEMAP | MDB_NOSYNC | MDB_NOMETASYNC | MDB_NOLOCK | MDB_NOTLS)
#define READ_FLAGS    (MDB_RDONLY | MDB_NOLOCK | MDB_NOTLS)

enum { DB_TERMS, DB_CELLS, DB_OFFERS, DB_COUNT };
static const char *const DB_NAME[DB_COUNT] = { "terms", "cells", "offers" };

struct lmdb_peer {
    char folder[64];
    MDB_env *env;
    MDB_txn *txn; /* filling: the open one; afterwards the one for reading */
    MDB_dbi db[DB_COUNT];
    MDB_cursor *cursor
        [DB_COUNT]; /* for reading: kept, for what a cursor's page has is found without going down the tree again */
    uint64_t puts;
};

static bool good(int error)
{
    if (error != 0)
        fprintf(stderr, "rialto-bench: LMDB: %s\n", mdb_strerror(error));
    return error == 0;
}

static bool begin(struct lmdb_peer *p, unsigned flags)
{
    if (!good(mdb_txn_begin(p->env, NULL, flags, &p->txn)))
        return false;
    for (int i = 0; i < DB_COUNT; i++) {
        if (!good(mdb_dbi_open(p->txn, DB_NAME[i], flags == MDB_RDONLY ? 0 : MDB_CREATE, &p->db[i])))
            return false;
    }
    return true;
}

static bool open_env(struct lmdb_peer *p, unsigned flags, const struct shop_size *size)
{
    uint64_t lines = size->customers + size->products * 2 + size->offers;
    return good(mdb_env_create(&p->env)) && good(mdb_env_set_maxdbs(p->env, DB_COUNT)) &&
           good(mdb_env_set_mapsize(p->env, (UINT64_C(1) << 26) + lines * 512)) &&
           good(mdb_env_open(p->env, p->folder, flags, 0640));
}

static size_t pair_key(char ret[SHOP_KEY_BYTES], const char *first, const char *second)
{
    size_t a = strlen(first), b = strlen(second);
    memcpy(ret, first, a + 1);
    memcpy(ret + a + 1, second, b);
    return a + 1 + b;
}

/* Keys come in order, so that pages are filled one after the other. */
static bool put(struct lmdb_peer *p, int db, const char *key, size_t key_bytes, const void *line)
{
    MDB_val k = { .mv_size = key_bytes, .mv_data = (void *)(uintptr_t)key };
    MDB_val v = { .mv_size = 64, .mv_data = (void *)(uintptr_t)line };
    if (!good(mdb_put(p->txn, p->db[db], &k, &v, MDB_APPEND)))
        return false;
    if (++p->puts % PUTS_A_COMMIT != 0)
        return true;
    int error = mdb_txn_commit(p->txn);
    p->txn = NULL;
    return good(error) && begin(p, 0);
}

static bool put_customer(struct lmdb_peer *p, const struct shop_size *size, uint64_t customer)
{
    char id[SHOP_ID_BYTES], sku[SHOP_ID_BYTES], key[SHOP_KEY_BYTES];
    struct rialto_terms_line terms;
    struct rialto_offer_line offer;
    uint64_t first = 0, offers = shop_offers_of(size, customer, &first);
    shop_customer_id(customer, id);
    shop_terms_fill(size, customer, &terms);
    shop_offer_fill(&offer);
    bool ok = put(p, DB_TERMS, id, strlen(id), &terms);
    for (uint64_t k = 0; ok && k < offers; k++) {
        shop_sku(shop_offer_product(size, customer, k), sku);
        ok = put(p, DB_OFFERS, key, pair_key(key, id, sku), &offer);
    }
    return ok;
}

static bool put_product(struct lmdb_peer *p, uint64_t product)
{
    char sku[SHOP_ID_BYTES], key[SHOP_KEY_BYTES];
    struct rialto_cell_line world, own;
    uint32_t zone = shop_product_zone(product);
    shop_sku(product, sku);
    shop_cell_fill(product, SHOP_WORLD, 0, &world);
    shop_cell_fill(product, zone, 0, &own);
    return put(p, DB_CELLS, key, pair_key(key, sku, ""), &world) &&
           put(p, DB_CELLS, key, pair_key(key, sku, shop_zone_name(zone)), &own);
}

static bool fill(struct lmdb_peer *p, const struct shop_size *size)
{
    bool ok = open_env(p, FILL_FLAGS, size) && begin(p, 0);
    for (uint64_t i = 0; ok && i < size->customers; i++)
        ok = put_customer(p, size, i);
    for (uint64_t i = 0; ok && i < size->products; i++)
        ok = put_product(p, i);
    if (ok) {
        ok = good(mdb_txn_commit(p->txn));
        p->txn = NULL;
    }
    return ok;
}

struct lmdb_peer *lmdb_peer_create(const struct shop_size *size)
{
    struct lmdb_peer *p = calloc(1, sizeof *p);
    if (p == NULL)
        return NULL;
    bool ok = temporary_folder("/dev/shm", "rialto-bench-lmdb", p->folder) && fill(p, size);
    if (ok) {
        mdb_env_close(p->env);
        p->env = NULL;
        ok = open_env(p, READ_FLAGS, size) && begin(p, MDB_RDONLY);
        for (int i = 0; ok && i < DB_COUNT; i++)
            ok = good(mdb_cursor_open(p->txn, p->db[i], &p->cursor[i]));
    }
    if (ok)
        return p;
    lmdb_peer_destroy(p);
    return NULL;
}

void lmdb_peer_destroy(struct lmdb_peer *p)
{
    if (p == NULL)
        return;
    for (int i = 0; i < DB_COUNT; i++) {
        if (p->cursor[i] != NULL)
            mdb_cursor_close(p->cursor[i]);
    }
    if (p->txn != NULL)
        mdb_txn_abort(p->txn);
    if (p->env != NULL)
        mdb_env_close(p->env);
    temporary_remove(p->folder);
    free(p);
}

static bool get(const struct lmdb_peer *p, int db, const char *key, size_t bytes, void *ret_line)
{
    MDB_val k = { .mv_size = bytes, .mv_data = (void *)(uintptr_t)key }, v;
    if (mdb_cursor_get(p->cursor[db], &k, &v, MDB_SET) != 0 || v.mv_size != 64)
        return false;
    memcpy(ret_line, v.mv_data, 64);
    return true;
}

bool lmdb_peer_ask(struct lmdb_peer *p, const struct draw *d, size_t n, struct answer *ret)
{
    char key[SHOP_KEY_BYTES];
    const char *zone = shop_zone_name(d->zone);
    ret->has_terms = get(p, DB_TERMS, d->customer, strlen(d->customer), &ret->terms);
    bool offers = ret->has_terms && (ret->terms.kinds & RIALTO_TERMS_HAS_OFFERS) != 0;
    for (size_t i = 0; i < n; i++) {
        ret->in_zone[i] = get(p, DB_CELLS, key, pair_key(key, d->sku[i], zone), &ret->cell[i]);
        ret->found[i] = ret->in_zone[i] || get(p, DB_CELLS, key, pair_key(key, d->sku[i], ""), &ret->cell[i]);
        ret->has_offer[i] = offers && get(p, DB_OFFERS, key, pair_key(key, d->customer, d->sku[i]), &ret->offer[i]);
    }
    return ret->has_terms;
}
