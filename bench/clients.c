/* clients.c - every way to a price, one after the other on one running service: the library from C, the clients of other languages
 * over it (bench/clients/shop.*), HTTP and Redis. Each asks for products in an order of its own, one answer at a time, for a customer
 * without terms, and compares every amount with the list price that it must be.
 *
 * A client's program measures itself, around its own call, after its language has warmed up: what a shop's code waits for. Its
 * start is not in it. HTTP and Redis are measured from C, over one kept connection each; their answers are searched for the
 * amount, not parsed as JSON, which a shop pays on top. */
#include "bench/bench.h"
#include "bench/door.h"
#include "bench/instance.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PRODUCTS     4000u
#define FIRST_AMOUNT 1000u /* of sku-000000; each product costs one more */
#define PAGE         DOOR_PAGE
#define SAMPLES_MAX  (1u << 21)
#define WAYS         7u

struct way { /* one row of the table */
    const char *name;
    const char *key; /* in JSON */
    double quote_p50, quote_p99, page_p50, page_p99;
    uint64_t quotes, wrong;
    bool measured;
};

struct shop { /* what is asked, and the connections */
    const struct instance *instance;
    const struct rialto *prices;
    redisContext *redis;
    char cells_key[64];
    struct door door;
    uint64_t random;
};

typedef bool ask_function(struct shop *shop, size_t n, const uint32_t product[]);

/* ---- products ------------------------------------------------------------------------------------------- */

static void name_product(uint32_t number, char ret[16])
{
    (void)snprintf(ret, 16, "sku-%06u", number);
}

/* ---- from C ---------------------------------------------------------------------------------------------- */

static bool ask_library(struct shop *shop, size_t n, const uint32_t product[])
{
    const struct rialto_request anna = { .customer = "anna" };
    struct rialto_quote quote[PAGE];
    enum rialto_status status[PAGE];
    char name[PAGE][16];
    const char *sku[PAGE] = { NULL };
    for (size_t i = 0; i < n; i++) {
        name_product(product[i], name[i]);
        sku[i] = name[i];
    }
    if (n == 1)
        status[0] = rialto_quote(shop->prices, &anna, sku[0], &quote[0]);
    else if (rialto_quote_page(shop->prices, &anna, n, sku, quote, status) != RIALTO_OK)
        return false;
    bool good = true;
    for (size_t i = 0; i < n; i++)
        good = good && status[i] == RIALTO_OK && quote[i].amount == FIRST_AMOUNT + product[i];
    return good;
}

static bool ask_redis(struct shop *shop, size_t n, const uint32_t product[])
{
    char name[PAGE][16];
    const char *word[PAGE + 2] = { n == 1 ? "HGET" : "HMGET", shop->cells_key };
    for (size_t i = 0; i < n; i++) {
        name_product(product[i], name[i]);
        word[i + 2] = name[i];
    }
    redisReply *reply = redisCommandArgv(shop->redis, (int)n + 2, word, NULL);
    bool good = reply != NULL && (n == 1 ? reply->type == REDIS_REPLY_STRING : reply->elements == n);
    for (size_t i = 0; good && i < n; i++) {
        const redisReply *one = n == 1 ? reply : reply->element[i];
        good = one->str != NULL && door_amounts_are(one->str, FIRST_AMOUNT, 1, &product[i]);
    }
    if (reply != NULL)
        freeReplyObject(reply);
    return good;
}

static bool ask_http(struct shop *shop, size_t n, const uint32_t product[])
{
    return door_ask(&shop->door, n, product);
}

static bool measure_one(struct shop *shop, ask_function *ask, size_t n, double seconds, struct samples *s,
                        struct way *way)
{
    uint32_t product[PAGE];
    s->count = 0;
    for (double end = clock_seconds() + seconds; clock_seconds() < end && s->count < s->capacity;) {
        for (size_t i = 0; i < n; i++)
            product[i] = (uint32_t)(bench_random(&shop->random) % PRODUCTS);
        uint64_t began = clock_begin();
        bool good = ask(shop, n, product);
        samples_add(s, clock_end() - began);
        way->wrong += !good;
    }
    samples_sort(s);
    *(n == 1 ? &way->quote_p50 : &way->page_p50) = samples_at(s, 0.5);
    *(n == 1 ? &way->quote_p99 : &way->page_p99) = samples_at(s, 0.99);
    way->quotes += s->count * n;
    return s->count > 0;
}

static void measure_from_c(struct shop *shop, ask_function *ask, double seconds, struct way *way)
{
    struct samples s;
    if (!samples_setup(&s, SAMPLES_MAX))
        return;
    way->measured = measure_one(shop, ask, 1, seconds, &s, way) && measure_one(shop, ask, PAGE, seconds, &s, way);
    samples_teardown(&s);
}

/* ---- programs in other languages ------------------------------------------------------------------------------ */

/* run_program - `command FOLDER PRODUCTS SECONDS` by the shell; its one line of six numbers is the row. */
static void run_program(const struct shop *shop, const char *command, double seconds, struct way *way)
{
    char line[512];
    (void)snprintf(line, sizeof line, "RIALTO_LIBRARY=build/lib/librialto.so LD_LIBRARY_PATH=build/lib %s %s %u %g",
                   command, shop->instance->cache, PRODUCTS, seconds);
    FILE *out = popen(line, "re");
    if (out == NULL)
        return;
    unsigned long long quotes = 0, wrong = 0;
    bool good = fgets(line, sizeof line, out) != NULL &&
                sscanf(line, "%lf %lf %lf %lf %llu %llu", &way->quote_p50, &way->quote_p99, &way->page_p50,
                       &way->page_p99, &quotes, &wrong) == 6;
    way->quotes = quotes;
    way->wrong = wrong;
    way->measured = pclose(out) == 0 && good;
}

static bool run(const char *command)
{
    int status = system(command);
    return status != -1 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void measure_programs(const struct shop *shop, double seconds, struct way way[])
{
    static const struct {
        const char *build; /* before it can run; leaves nothing outside build/ */
        const char *command;
    } programs[] = {
        { NULL, "python3 bench/clients/shop.py" },
        { "RIALTO_INCLUDE=include RIALTO_LIB=$PWD/build/lib node clients/node/build.js build/bench/rialto.node",
          "RIALTO_ADDON=$PWD/build/bench/rialto.node node bench/clients/shop.js" },
        { NULL, "php bench/clients/shop.php" },
        { "javac -d build/bench/java -cp /usr/share/java/jna.jar clients/java/src/rialto/*.java "
          "bench/clients/Shop.java",
          "java -cp build/bench/java:/usr/share/java/jna.jar -Drialto.library=$PWD/build/lib/librialto.so Shop" },
    };
    for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++) {
        if (programs[i].build == NULL || run(programs[i].build))
            run_program(shop, programs[i].command, seconds, &way[i]);
        if (!way[i].measured)
            fprintf(stderr, "rialto-bench: %s could not be measured\n", way[i].name);
    }
}

/* ---- the run -------------------------------------------------------------------------------------------- */

static bool open_ways(struct shop *shop)
{
    struct rialto *prices = NULL;
    char path[128];
    (void)snprintf(path, sizeof path, "%s/data/redis.sock", shop->instance->folder);
    (void)snprintf(shop->cells_key, sizeof shop->cells_key, "bench%d:cell:{world}", (int)getpid());
    shop->redis = redisConnectUnixWithTimeout(path, (struct timeval){ .tv_sec = 10 });
    bool good = rialto_open(shop->instance->cache, &prices) == RIALTO_OK && shop->redis != NULL &&
                shop->redis->err == 0 && door_enter(&shop->door);
    shop->prices = prices;
    if (!good)
        fprintf(stderr, "rialto-bench: no connection to the cache, to Redis or by HTTP\n");
    return good;
}

/* Redis gets its cells after the fact: wait for the last one. */
static bool cells_are_there(struct shop *shop)
{
    const uint32_t last = PRODUCTS - 1;
    for (int tries = 0; tries < 1000; tries++) {
        redisReply *reply = redisCommand(shop->redis, "HLEN %s", shop->cells_key);
        bool all = reply != NULL && reply->type == REDIS_REPLY_INTEGER && reply->integer == PRODUCTS;
        if (reply != NULL)
            freeReplyObject(reply);
        if (all)
            return ask_redis(shop, 1, &last);
        (void)usleep(10000);
    }
    return false;
}

static void close_ways(struct shop *shop)
{
    rialto_close((struct rialto *)(uintptr_t)shop->prices);
    if (shop->redis != NULL)
        redisFree(shop->redis);
    door_leave(&shop->door);
}

static void print_table(const struct way way[WAYS])
{
    printf("ways to a price: %u products, one answer at a time, every amount checked; times in us\n", PRODUCTS);
    printf("%-34s %10s %10s %12s %12s\n", "", "quote p50", "quote p99", "page-50 p50", "page-50 p99");
    for (size_t i = 0; i < WAYS; i++) {
        if (way[i].measured)
            printf("%-34s %10.2f %10.2f %12.2f %12.2f%s\n", way[i].name, way[i].quote_p50 / 1000,
                   way[i].quote_p99 / 1000, way[i].page_p50 / 1000, way[i].page_p99 / 1000,
                   way[i].wrong > 0 ? "  WRONG ANSWERS" : "");
        else
            printf("%-34s %10s\n", way[i].name, "not measured");
    }
}

static void print_json(const struct way way[WAYS])
{
    printf("{\"bench\":\"clients\",\"products\":%u", PRODUCTS);
    for (size_t i = 0; i < WAYS; i++) {
        if (way[i].measured)
            printf(",\"%s\":{\"quote_p50_ns\":%.0f,\"quote_p99_ns\":%.0f,\"page50_p50_ns\":%.0f,\"page50_p99_ns\":%.0f,"
                   "\"quotes\":%llu,\"wrong\":%llu}",
                   way[i].key, way[i].quote_p50, way[i].quote_p99, way[i].page_p50, way[i].page_p99,
                   (unsigned long long)way[i].quotes, (unsigned long long)way[i].wrong);
        else
            printf(",\"%s\":null", way[i].key);
    }
    printf("}\n");
}

int bench_clients(const struct bench_options *options)
{
    static struct shop shop;
    struct way way[WAYS] = { { .name = "C, librialto", .key = "c" },
                             { .name = "Python, ctypes", .key = "python" },
                             { .name = "Node.js, addon", .key = "node" },
                             { .name = "PHP, FFI", .key = "php" },
                             { .name = "Java, JNA", .key = "java" },
                             { .name = "HTTP, kept alive, no TLS", .key = "http" },
                             { .name = "Redis, HGET and HMGET, Unix socket", .key = "redis" } };
    struct instance instance;
    char listen[64];
    shop = (struct shop){ .instance = &instance,
                          .door = { .fd = -1, .port = door_free_port(), .first_amount = FIRST_AMOUNT },
                          .random = 1 };
    (void)snprintf(listen, sizeof listen, "http_listen=127.0.0.1:%u", shop.door.port);
    if (access("bench/clients/shop.py", R_OK) != 0) {
        fprintf(stderr, "rialto-bench: clients is to be started in the project's folder\n");
        return 1;
    }
    if (!instance_start(&instance, NULL, 1, (const char *const[]){ listen }))
        return 1;
    bool good = instance_add_products(&instance, PRODUCTS, FIRST_AMOUNT) && open_ways(&shop) && cells_are_there(&shop);
    if (good) {
        double seconds = options->seconds / 2; /* quotes and pages */
        measure_from_c(&shop, ask_library, seconds, &way[0]);
        measure_from_c(&shop, ask_http, seconds, &way[5]); /* before its connection has been idle for too long */
        measure_from_c(&shop, ask_redis, seconds, &way[6]);
        measure_programs(&shop, seconds, &way[1]);
        if (options->json)
            print_json(way);
        else
            print_table(way);
    } else {
        daemon_print_log(&instance.daemon, 8);
    }
    for (size_t i = 0; i < WAYS; i++)
        good = good && way[i].measured && way[i].wrong == 0;
    close_ways(&shop);
    instance_stop(&instance);
    return good ? 0 : 1;
}
