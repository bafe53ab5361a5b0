/* redis_peer.c - start, fill, ask and stop a private redis-server. */
#include "bench/redis_peer.h"

#include "bench/shop.h"

#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONNECT_TRIES 100
#define LOAD_BATCH    500u
#define PAGE_MAX      64u

static void run_server(const char *folder)
{
    char socket[80];
    (void)snprintf(socket, sizeof socket, "%s/redis.sock", folder);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    int quiet = open("/dev/null", O_RDWR);
    (void)dup2(quiet, STDIN_FILENO);
    (void)dup2(quiet, STDOUT_FILENO);
    (void)dup2(quiet, STDERR_FILENO);
    (void)execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly",
                 "no", "--dir", folder, (char *)NULL);
    _exit(127);
}

static bool connect_to(struct redis_peer *peer)
{
    char socket[80];
    (void)snprintf(socket, sizeof socket, "%s/redis.sock", peer->folder);
    for (int tries = 0; tries < CONNECT_TRIES; tries++) {
        redisContext *c = redisConnectUnixWithTimeout(socket, (struct timeval){ .tv_sec = 10 });
        if (c != NULL && c->err == 0) {
            peer->connection = c;
            return true;
        }
        if (c != NULL)
            redisFree(c);
        if (waitpid(peer->server, NULL, WNOHANG) != 0) {
            peer->server = 0;
            return false;
        }
        (void)usleep(50000);
    }
    return false;
}

/* Take n replies. False when one is missing or an error. */
static bool take_replies(redisContext *c, size_t n)
{
    bool good = true;
    for (size_t i = 0; i < n; i++) {
        void *reply = NULL;
        if (redisGetReply(c, &reply) != REDIS_OK || reply == NULL)
            return false;
        good = good && ((redisReply *)reply)->type != REDIS_REPLY_ERROR;
        freeReplyObject(reply);
    }
    return good;
}

static bool load(struct redis_peer *peer, const char *hash, uint64_t n, void (*name)(uint64_t, char *))
{
    redisContext *c = peer->connection;
    for (uint64_t i = 0; i < n; i++) {
        char id[SHOP_ID_BYTES], value[64];
        name(i, id);
        memset(value, (int)(i % 251), sizeof value);
        const char *words[] = { "HSET", hash, id, value };
        const size_t bytes[] = { 4, strlen(hash), strlen(id), sizeof value };
        if (redisAppendCommandArgv(c, 4, words, bytes) != REDIS_OK)
            return false;
        bool batch_ends = i % LOAD_BATCH == LOAD_BATCH - 1 || i == n - 1;
        if (batch_ends && !take_replies(c, i % LOAD_BATCH + 1))
            return false;
    }
    return true;
}

bool redis_peer_setup(struct redis_peer *peer, uint64_t customers, uint64_t products)
{
    memset(peer, 0, sizeof *peer);
    peer->customers = customers < REDIS_PEER_ENTRIES_MAX ? customers : REDIS_PEER_ENTRIES_MAX;
    peer->products = products < REDIS_PEER_ENTRIES_MAX ? products : REDIS_PEER_ENTRIES_MAX;
    (void)snprintf(peer->folder, sizeof peer->folder, "/tmp/rialto-bench-redis.XXXXXX");
    if (mkdtemp(peer->folder) == NULL)
        return false;
    (void)signal(SIGPIPE, SIG_IGN);
    peer->server = fork();
    if (peer->server == 0)
        run_server(peer->folder);
    if (peer->server > 0 && connect_to(peer) && load(peer, "terms", peer->customers, shop_customer_id) &&
        load(peer, "cells", peer->products, shop_sku))
        return true;
    redis_peer_teardown(peer);
    return false;
}

void redis_peer_teardown(struct redis_peer *peer)
{
    char socket[80];
    if (peer->connection != NULL)
        redisFree(peer->connection);
    if (peer->server > 0) {
        (void)kill(peer->server, SIGKILL);
        (void)waitpid(peer->server, NULL, 0);
    }
    (void)snprintf(socket, sizeof socket, "%s/redis.sock", peer->folder);
    (void)unlink(socket);
    (void)rmdir(peer->folder);
    memset(peer, 0, sizeof *peer);
}

bool redis_peer_ask(struct redis_peer *peer, const char *customer, size_t n, const char *const sku[])
{
    redisContext *c = peer->connection;
    const char *words[2 + PAGE_MAX] = { "HGET", "terms", customer };
    size_t bytes[2 + PAGE_MAX] = { 4, 5, strlen(customer) };
    if (n > PAGE_MAX || redisAppendCommandArgv(c, 3, words, bytes) != REDIS_OK)
        return false;
    words[0] = "HMGET";
    bytes[0] = 5;
    words[1] = "cells";
    for (size_t i = 0; i < n; i++) {
        words[2 + i] = sku[i];
        bytes[2 + i] = strlen(sku[i]);
    }
    return redisAppendCommandArgv(c, (int)(2 + n), words, bytes) == REDIS_OK && take_replies(c, 2);
}
