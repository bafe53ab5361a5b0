/* memcached_peer.c - the shop in a memcached of our own, asked by its text protocol over a Unix socket.
 *
 *   t:CUSTOMER     c:ZONE:SKU     o:CUSTOMER:SKU        get KEY...\r\n -> VALUE KEY 0 64\r\n...\r\n ... END\r\n
 *
 * It has a processor of its own where there are two. */
#include "bench/bench.h"
#include "bench/peer.h"
#include "service/temporary.h"

#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CONNECT_TRIES 200
#define LINE_BYTES    64u
#define OUT_BYTES     65536u
#define IN_BYTES      65536u /* a page's answer is about 10 KiB */
#define ITEM_BYTES    200u   /* of one item in the server, generously */

struct memcached_peer {
    char folder[64];
    int server;
    int socket;
    size_t out_bytes;
    size_t in_bytes; /* filled */
    size_t in_at;    /* read */
    char out[OUT_BYTES];
    char in[IN_BYTES];
};

static bool complain(const char *what)
{
    fprintf(stderr, "rialto-bench: memcached: %s\n", what);
    return false;
}

static bool connect_to(struct memcached_peer *p)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/memcached.sock", p->folder);
    p->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    for (int tries = 0; p->socket >= 0 && tries < CONNECT_TRIES; tries++) {
        if (connect(p->socket, (const struct sockaddr *)&address, sizeof address) == 0)
            return true;
        if (!bench_server_lives(p->server)) {
            p->server = 0;
            return complain("did not start (is it installed?)");
        }
        (void)usleep(50000);
    }
    return complain("does not answer");
}

/* ---- bytes --------------------------------------------------------------------------------------------- */

static bool flush(struct memcached_peer *p)
{
    size_t done = 0;
    while (done < p->out_bytes) {
        ssize_t n = send(p->socket, p->out + done, p->out_bytes - done, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return complain(strerror(errno));
        done += (size_t)n;
    }
    p->out_bytes = 0;
    return true;
}

static void add(struct memcached_peer *p, const char *text)
{
    p->out_bytes = (size_t)(stpcpy(p->out + p->out_bytes, text) - p->out);
}

/* More of the answer behind what is there; the buffer is larger than any answer. */
static bool receive(struct memcached_peer *p)
{
    for (;;) {
        ssize_t n = recv(p->socket, p->in + p->in_bytes, IN_BYTES - p->in_bytes, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return complain(n == 0 ? "closed the connection" : strerror(errno));
        p->in_bytes += (size_t)n;
        return true;
    }
}

/* The next line of the answer without its "\r\n", ended by 0. NULL when the connection broke. */
static char *take_text(struct memcached_peer *p)
{
    for (size_t looked = p->in_at;;) {
        char *end = memchr(p->in + looked, '\n', p->in_bytes - looked);
        if (end != NULL && end > p->in + p->in_at) {
            char *line = p->in + p->in_at;
            end[-1] = '\0';
            p->in_at = (size_t)(end + 1 - p->in);
            return line;
        }
        looked = p->in_bytes;
        if (p->in_bytes == IN_BYTES || !receive(p))
            return NULL;
    }
}

static bool take_bytes(struct memcached_peer *p, void *ret_line)
{
    while (p->in_bytes - p->in_at < LINE_BYTES + 2) {
        if (p->in_bytes == IN_BYTES || !receive(p))
            return false;
    }
    memcpy(ret_line, p->in + p->in_at, LINE_BYTES);
    p->in_at += LINE_BYTES + 2;
    return true;
}

/* ---- filling ------------------------------------------------------------------------------------------- */

static bool put(struct memcached_peer *p, const char *a, const char *b, const char *c, const void *line)
{
    if (p->out_bytes + 256 > OUT_BYTES && !flush(p))
        return false;
    int bytes = snprintf(p->out + p->out_bytes, 128, "set %s%s%s 0 0 64 noreply\r\n", a, b, c);
    char *at = p->out + p->out_bytes + bytes;
    memcpy(at, line, LINE_BYTES);
    memcpy(at + LINE_BYTES, "\r\n", 2);
    p->out_bytes += (size_t)bytes + LINE_BYTES + 2;
    return true;
}

static bool put_customer(struct memcached_peer *p, const struct shop_size *size, uint64_t customer)
{
    char id[SHOP_ID_BYTES], sku[SHOP_ID_BYTES], tail[SHOP_ID_BYTES + 1];
    struct rialto_terms_line terms;
    struct rialto_offer_line offer;
    uint64_t first = 0, offers = shop_offers_of(size, customer, &first);
    shop_customer_id(customer, id);
    shop_terms_fill(size, customer, &terms);
    shop_offer_fill(&offer);
    bool ok = put(p, "t:", id, "", &terms);
    for (uint64_t k = 0; ok && k < offers; k++) {
        shop_sku(shop_offer_product(size, customer, k), sku);
        (void)snprintf(tail, sizeof tail, ":%s", sku);
        ok = put(p, "o:", id, tail, &offer);
    }
    return ok;
}

static bool put_cell(struct memcached_peer *p, uint64_t product, uint32_t zone)
{
    char sku[SHOP_ID_BYTES], tail[SHOP_ID_BYTES + 1];
    struct rialto_cell_line cell;
    shop_sku(product, sku);
    (void)snprintf(tail, sizeof tail, ":%s", sku);
    shop_cell_fill(product, zone, 0, &cell);
    return put(p, "c:", shop_zone_name(zone), tail, &cell);
}

/* Sets are not answered, so the server is asked afterwards what it has. */
static bool all_there(struct memcached_peer *p, uint64_t wanted)
{
    uint64_t items = 0, evicted = UINT64_MAX;
    p->in_at = p->in_bytes = 0;
    add(p, "stats\r\n");
    if (!flush(p))
        return false;
    for (;;) {
        char *line = take_text(p);
        if (line == NULL)
            return false;
        if (strcmp(line, "END") == 0)
            break;
        (void)sscanf(line, "STAT curr_items %" SCNu64, &items);
        (void)sscanf(line, "STAT evictions %" SCNu64, &evicted);
    }
    if (items != wanted || evicted != 0)
        return complain("did not take everything it was given");
    return true;
}

static bool fill(struct memcached_peer *p, const struct shop_size *size)
{
    bool ok = true;
    for (uint64_t i = 0; ok && i < size->customers; i++)
        ok = put_customer(p, size, i);
    for (uint64_t i = 0; ok && i < size->products; i++)
        ok = put_cell(p, i, SHOP_WORLD) && put_cell(p, i, shop_product_zone(i));
    return ok && flush(p) && all_there(p, size->customers + size->products * 2 + size->offers);
}

struct memcached_peer *memcached_peer_create(const struct shop_size *size)
{
    struct memcached_peer *p = calloc(1, sizeof *p);
    char socket_path[80], megabytes[24], hash[32];
    const struct passwd *user = getpwuid(geteuid());
    if (p == NULL)
        return NULL;
    uint64_t items = size->customers + size->products * 2 + size->offers;
    int power = 16;
    while (power < 30 && UINT64_C(1) << power < items)
        power++;
    (void)snprintf(megabytes, sizeof megabytes, "%" PRIu64, 128 + (items * ITEM_BYTES >> 20));
    (void)snprintf(hash, sizeof hash, "hashpower=%d", power);
    p->socket = -1;
    bool ok = temporary_folder("/tmp", "rialto-bench-memcached", p->folder);
    if (ok) {
        (void)snprintf(socket_path, sizeof socket_path, "%s/memcached.sock", p->folder);
        const char *const argv[] = { "memcached",
                                     "-s",
                                     socket_path,
                                     "-m",
                                     megabytes,
                                     "-t",
                                     "1",
                                     "-o",
                                     hash,
                                     "-u",
                                     user == NULL ? "root" : user->pw_name,
                                     NULL };
        p->server = bench_server(BENCH_CORE_OTHER, argv);
        ok = p->server > 0 && connect_to(p) && fill(p, size);
    }
    if (ok)
        return p;
    memcached_peer_destroy(p);
    return NULL;
}

void memcached_peer_destroy(struct memcached_peer *p)
{
    if (p == NULL)
        return;
    if (p->socket >= 0)
        (void)close(p->socket);
    bench_server_stop(p->server);
    temporary_remove(p->folder);
    free(p);
}

/* ---- asking -------------------------------------------------------------------------------------------- */

static void add_products(struct memcached_peer *p, const char *prefix, const char *owner, const struct draw *d,
                         size_t n)
{
    for (size_t i = 0; i < n; i++) {
        add(p, prefix);
        add(p, owner);
        add(p, ":");
        add(p, d->sku[i]);
    }
}

/* The values of the products that were asked for come in the order of the request; those that are not there are left
 * out. Place them by their keys. */
static bool take_values(struct memcached_peer *p, const struct draw *d, size_t n, struct answer *ret)
{
    size_t own = 0, world = 0, offer = 0;
    for (;;) {
        char *line = take_text(p), *key = line == NULL ? NULL : line + 6;
        if (line == NULL)
            return false;
        if (strcmp(line, "END") == 0)
            return true;
        if (strncmp(line, "VALUE ", 6) != 0)
            return complain(line);
        char *end = strchr(key, ' ');
        if (end == NULL)
            return complain("an answer without a size");
        *end = '\0';
        const char *sku = strrchr(key, ':') + 1;
        if (key[0] == 't') {
            ret->has_terms = take_bytes(p, &ret->terms);
        } else if (key[0] == 'o') {
            while (offer < n && strcmp(d->sku[offer], sku) != 0)
                offer++;
            if (offer == n || !take_bytes(p, &ret->offer[offer]))
                return complain("an offer that nobody asked for");
            ret->has_offer[offer++] = true;
        } else if (key[2] == ':') {
            while (world < n && strcmp(d->sku[world], sku) != 0)
                world++;
            struct rialto_cell_line cell;
            if (world == n || !take_bytes(p, &cell))
                return complain("a price that nobody asked for");
            if (!ret->in_zone[world])
                ret->cell[world] = cell;
            ret->found[world++] = true;
        } else {
            while (own < n && strcmp(d->sku[own], sku) != 0)
                own++;
            if (own == n || !take_bytes(p, &ret->cell[own]))
                return complain("a price that nobody asked for");
            ret->in_zone[own] = ret->found[own] = true;
            own++;
        }
    }
}

bool memcached_peer_ask(struct memcached_peer *p, const struct draw *d, size_t n, struct answer *ret)
{
    ret->has_terms = false;
    memset(ret->in_zone, 0, n);
    memset(ret->found, 0, n);
    memset(ret->has_offer, 0, n);
    p->in_at = p->in_bytes = 0;
    add(p, "get t:");
    add(p, d->customer);
    add_products(p, " c:", shop_zone_name(d->zone), d, n);
    add_products(p, " c:", "", d, n);
    add(p, "\r\n");
    if (!flush(p) || !take_values(p, d, n, ret) || !ret->has_terms)
        return false;
    if ((ret->terms.kinds & RIALTO_TERMS_HAS_OFFERS) == 0)
        return true;
    p->in_at = p->in_bytes = 0;
    add(p, "get");
    add_products(p, " o:", d->customer, d, n);
    add(p, "\r\n");
    return flush(p) && take_values(p, d, n, ret);
}
