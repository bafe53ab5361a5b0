/* permission.c - the proof of permission: who a customer is, and what is known about them without their consent, moves no price.
 *
 *   history of events --JSON, signal_parse(), wire--> world A: as it is           both worlds: a worker's own batch path
 *                  \--one event changed-------------> world B: and else the same  (batch_apply), librialto's own quotes
 *
 * Models make offers by themselves, of what customers look at, put into carts and order; a budget that is used up is no part of this: it is so
 * large that it never is.
 *
 * Changed is one event that names a customer: the customer is renamed or taken off it, or its data are others. After every batch the
 * quotes of everybody are compared bit by bit: all customers, somebody unknown and nobody, for all products and ways to ask. They may
 * differ for a customer only who is named in the event (or is the new name) and permits its kind of data; that is judged here, by a
 * record of consent and opt-outs as small as it can be. After each history all its customers are forgotten in both worlds, which then are the same
 * again: so each history stands on all demand of the ones before it.
 *
 * Time is set, not taken: ticks lie 300 ms past a second and deadlines on seconds, so that no reading of the clock is near an edge.
 *
 *   permission [SECONDS]      RIALTO_HISTORIES: how many at least, whatever the seconds; RIALTO_SEED */
#include "cache/keys.h"
#include "pricing/json_text.h"
#include "service/data_dir.h"
#include "service/log.h"
#include "service/metrics.h"
#include "service/repeats.h"
#include "service/roles.h"
#include "service/worker.h"
#include "tests/pricing/random.h"
#include "tests/race/race.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CUSTOMERS    4
#define EVENTS_MAX   24
#define BATCH_MAX    4
#define START_MS     INT64_C(1760000000300)
#define UNTIL_STRONG 20000 /* histories at most, until all that is to be seen at work was; so that none is missing by chance */
#define LAST_MS      INT64_C(4070908800000) /* 2099: signals say no time after it by a year, so new worlds begin; half a million histories go before */
#define AHEAD_MAX_MS 500 /* the clock may have moved by that much while quotes were read */

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

static const char *const SKUS[] = { "milk", "tea", "cups", "yuan", "jam", "vase" };
static const char *const CATEGORIES[] = { "food/a", "food/b", "gifts/a", "food/c", "food/a", "gifts/b" };
static const char *const ZONES[] = { "", "de", "de/s1", "de/s2", "fr", "fr/s9", "gh:u33db" };
#define NAMED_ZONES COUNT(ZONES)
#define OWN_ZONE    NAMED_ZONES /* a zone of this and few other histories, in which only customers are: nothing else names it */
static const char *const TIERS[] = { "", "silver", "gold", "none-such" };
static const char *const SEGMENTS[] = { "family", "student", "other" };
static const char *const PARTIES[] = { "zero", "first", "second", "third" };
static const char *const KINDS[] = { "location", "behaviour", "purchases", "profile", "partner" };
static const char *const ACTIONS[] = { "view", "search", "cart", "order", "return" };
static const char *const OFFERS[] = { "withdraw", "fixed", "percent", "amount_off", "lock" };
static const char *const CURRENCIES[] = { "EUR", "CNY" };
enum { WITHDRAW, FIXED, PERCENT, AMOUNT_OFF, LOCK };
#define PRODUCTS     COUNT(SKUS)

#define OFFER_UNLESS(name, event, times, discount, unless)                                                                             \
    "{\"name\":\"" name "\",\"trigger\":{\"event\":\"" event "\",\"times\":" #times ",\"within\":\"6h\",\"apart\":\"0s\"" unless "},"       \
    "\"discount\":{" discount "},\"valid_for\":\"20m\",\"cooldown\":\"1h\",\"per_customer\":{\"offers\":3,\"per\":\"1h\"},"                \
    "\"budget\":{\"offers\":4000000000,\"per\":\"365d\"}}"
#define OFFER_(name, event, times, discount) OFFER_UNLESS(name, event, times, discount, "")

static const char *const MODELS[] = {
    "{\"model\":\"food\",\"version\":\"1\",\"scope\":{\"categories\":[\"food/*\"],\"currencies\":[\"EUR\",\"CNY\"]},"
    "\"zone_levels\":2,\"group\":\"food\","
    "\"demand\":{\"half_life\":\"1h\",\"slow_half_life\":\"1d\",\"prior_events\":2,\"min_events\":3,"
    "\"weights\":{\"view\":0.1,\"search\":0.1,\"cart\":0.5,\"order\":1,\"return\":0}},"
    "\"factors\":[{\"name\":\"demand\",\"input\":\"demand_pressure\",\"curve\":[[0.1,0.8],[1,1],[10,1.2]]},"
    "{\"name\":\"scarcity\",\"input\":\"available\",\"curve\":[[0,1.1],[50,1]]}],"
    "\"personal\":[{\"name\":\"loyalty\",\"tier\":{\"silver\":0.97,\"gold\":0.9}},"
    "{\"name\":\"who\",\"segment\":{\"family\":0.95,\"student\":0.93}},"
    "{\"name\":\"spent\",\"spend\":[[0,1],[100,0.98],[1000,0.9]]},"
    "{\"name\":\"month\",\"month_spend_steps\":[[0,1],[300,0.97],[900,0.94]]},"
    "{\"name\":\"near\",\"zone\":{\"de/s1\":0.96,\"de\":0.98,\"fr\":1.02}},"
    "{\"name\":\"likes\",\"affinity\":[[0,1.01],[0.5,0.93]]},"
    "{\"name\":\"walk\",\"distance_km\":[[0,0.97],[500,1.02]],\"to\":[[52.52,13.405],[48.85,2.35]]}],"
    "\"offers\":[" OFFER_("again", "cart", 2, "\"percent\":15") "," OFFER_("look", "view", 1, "\"percent\":3,\"stackable\":true") ","
    OFFER_("regular", "order", 1, "\"amount_off\":40,\"currency\":\"EUR\"") "],"
    "\"affinity\":{\"half_life\":\"1h\",\"prior_events\":1,\"weights\":{\"view\":0.5,\"cart\":1,\"order\":2}},"
    "\"guardrails\":{\"floor\":0.5,\"ceiling\":1.5,\"personal\":[0.7,1.1]},\"rounding\":{\"step\":1}}",
    "{\"model\":\"gifts\",\"version\":\"1\",\"scope\":{\"categories\":[\"gifts/*\"],\"currencies\":[\"EUR\"]},"
    "\"zone_levels\":1,\"group\":\"gifts\","
    "\"demand\":{\"half_life\":\"2h\",\"slow_half_life\":\"2d\",\"prior_events\":1,\"min_events\":1,"
    "\"weights\":{\"view\":0,\"search\":0,\"cart\":1,\"order\":1,\"return\":0}},"
    "\"factors\":[{\"name\":\"demand\",\"input\":\"demand_pressure\",\"curve\":[[0.1,0.9],[1,1],[10,1.1]]}],"
    "\"personal\":[{\"name\":\"loyalty\",\"tier\":{\"gold\":0.8}},{\"name\":\"spent\",\"spend\":[[0,1],[500,0.9]]},"
    "{\"name\":\"likes\",\"affinity_steps\":[[0,1],[0.1,0.96],[0.3,0.9]]}],"
    "\"offers\":[" OFFER_UNLESS("not-bought", "view", 1, "\"amount_off\":75", ",\"unless\":\"order\"") "],"
    "\"affinity\":{\"half_life\":\"1h\",\"prior_events\":0.5,\"weights\":{\"view\":0.5,\"cart\":1,\"order\":2}},"
    "\"guardrails\":{\"floor\":0.6,\"ceiling\":1.4,\"personal\":[0.75,1],\"never_above_baseline\":true},\"rounding\":{"
    "\"step\":5,\"less\":1}}",
};

/* ---- a world: one worker, its tables, and a reader of them --------------------------------------------------------- */

struct world {
    struct config config;
    struct worker worker;
    struct rialto *prices;
    struct repeats *repeats; /* of the gateway */
    uint64_t seq;
};

static struct world worlds[2];
static char folder[128];
static int64_t tick_ms = START_MS;
static uint64_t seed = 1;

static void must(bool good, const char *what)
{
    if (good)
        return;
    printf("not ok - %s (errno %d)\n", what, errno);
    exit(EXIT_FAILURE);
}

static int pick(int n)
{
    return (int)random_between(&seed, 0, n - 1);
}

static void remove_tree(const char *path)
{
    DIR *dir = opendir(path);
    for (struct dirent *entry = dir == NULL ? NULL : readdir(dir); entry != NULL; entry = readdir(dir)) {
        char inner[512];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        (void)snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
        if (unlink(inner) == -1)
            remove_tree(inner);
    }
    if (dir != NULL)
        (void)closedir(dir);
    (void)rmdir(path);
}

static void leave(void)
{
    remove_tree(folder);
}

static void set(struct config *config, const char *format, const char *value)
{
    char text[256];
    struct fault fault;
    (void)snprintf(text, sizeof text, format, value);
    must(config_set(config, text, &fault) == RIALTO_OK, text);
}

static void configure(struct config *config, int number)
{
    static const char *const SETTINGS[] = { "products_max=64",     "cells_max=4096", "customers_max=64",
                                            "offers_max=4096",      "zones_max=8192",  "worker_count=1",
                                            "batch_signals_max=64", "ids_max=64",     "signal_age_max_s=600",
                                            "stale_after_ms=3600000", "personal_stale_ms=3600000" };
    char own[192];
    struct fault fault;
    (void)snprintf(own, sizeof own, "%s/%d", folder, number);
    must(mkdir(own, 0700) == 0, "a folder for a world");
    config_defaults(config);
    for (int i = 0; i < COUNT(SETTINGS); i++)
        set(config, "%s", SETTINGS[i]);
    set(config, "data_dir=%s/data", own);
    set(config, "cache_dir=%s/cache", own);
    set(config, "models_dir=%s/models", folder);
    set(config, "redis_url=unix:%s/none", own);
    must(config_finish(config, &fault) == RIALTO_OK, "the configuration is taken");
    must(data_dir_make(config), "a data folder");
}

static void same_secret(void)
{
    uint8_t secret[RIALTO_SECRET_BYTES];
    char path[DATA_PATH_MAX];
    must(secret_load(&worlds[0].config, secret), "a secret");
    data_path(&worlds[1].config, "secret", path);
    must(file_replace(path, secret, sizeof secret), "the same secret in both worlds");
}

/* State files as a worker leaves them that has applied nothing yet: it need not ask Redis, of which there is none here. */
static void state_begin_empty(const struct config *config)
{
    for (uint32_t number = 0; number <= RIALTO_PARTITIONS; number++) {
        struct state *state = NULL;
        bool fresh = false;
        must(state_open(config, number, 0, &state, &fresh) == RIALTO_OK, "state opens");
        state_set_applied(state, 0);
        state_close(state);
    }
}

static void ignore_durable(void *user, uint64_t seq, bool disk)
{
    (void)user, (void)seq, (void)disk;
}

static void ignore(void *user)
{
    (void)user;
}

static void world_open(struct world *world)
{
    static const struct mirror_hooks hooks = { .durable = ignore_durable, .wake = ignore };
    must(prepare_main(&world->config) == EXIT_SUCCESS, "tables and models are ready");
    state_begin_empty(&world->config);
    must(worker_setup(&world->config, 0, &world->worker) == RIALTO_OK, "a worker");
    must(mirror_start(&world->config, 0, &hooks, &world->worker.mirror) == RIALTO_OK, "its mirror");
    must(rialto_open(world->config.cache_dir, &world->prices) == RIALTO_OK, "a reader");
    world->repeats = repeats_create(1000, 3600000);
    must(world->repeats != NULL, "visits are remembered");
}

static void worlds_open(void)
{
    memset(worlds, 0, sizeof worlds);
    tick_ms = START_MS;
    const char *tmp = getenv("TMPDIR");
    char path[192];
    (void)snprintf(folder, sizeof folder, "%s/rialto-permission.XXXXXX", tmp != NULL ? tmp : "/tmp");
    must(mkdtemp(folder) != NULL, "a folder");
    (void)snprintf(path, sizeof path, "%s/models", folder);
    must(mkdir(path, 0700) == 0, "a folder of models");
    for (int i = 0; i < COUNT(MODELS); i++) {
        (void)snprintf(path, sizeof path, "%s/models/%d.json", folder, i);
        must(file_replace(path, MODELS[i], strlen(MODELS[i])), "a model");
    }
    log_setup("permission", "error", "text");
    for (int i = 0; i < 2; i++)
        configure(&worlds[i].config, i);
    same_secret();
    for (int i = 0; i < 2; i++)
        world_open(&worlds[i]);
}

static void worlds_close(void)
{
    for (int i = 0; i < 2; i++) {
        rialto_close(worlds[i].prices);
        repeats_destroy(worlds[i].repeats);
        mirror_stop(worlds[i].worker.mirror);
        worker_teardown(&worlds[i].worker);
    }
    leave();
}

/* ---- events: a signal in few numbers ------------------------------------------------------------------------------- */

enum type { PRODUCT, SUPPLY, ZONE, DEMAND, CUSTOMER, LOCATION, RECEIPT, OFFER, FORGET };

struct event {
    enum type type;
    int who; /* customer of the history; -1 = nobody, so that what needs one does not happen */
    int sku, zone, action, currency, offer, basis;
    int session; /* 0 = not said */
    int category; /* of whose product it is said to be; -1 = not said */
    int tier, spend; /* -1 = not said */
    int segments;    /* bits; -1 = not said */
    int party;       /* whose word; -1 = not said */
    int ends_s;      /* when tier and segments end, behind the tick; 0 = not said */
    bool noted;      /* who said so stands beside each consent */
    unsigned given, granted;
    int opt_out, gpc; /* -1 = not said */
    int amount, percent, lease_s, until_s, from_s; /* 0 = not said */
    bool stackable, left;
    int units, quantity; /* of an offer that ends, of demand; 0 = not said */
};

static unsigned history_number;

#define EVENT_ROOM 1024 /* bytes of an event's text */

static void name_of(int who, char ret[32])
{
    (void)snprintf(ret, 32, "h%u-c%d", history_number, who);
}

static const char *zone_name(int zone)
{
    static char own[16];
    (void)snprintf(own, sizeof own, "de/r%u", history_number % 64);
    return zone == OWN_ZONE ? own : ZONES[zone];
}

#define SEGMENTS_ROOM 256
static const char *segments_json(const struct event *e, char ret[SEGMENTS_ROOM])
{
    ret[0] = '\0';
    for (int i = 0; i < COUNT(SEGMENTS); i++) {
        size_t at = strlen(ret);
        if (!(e->segments >> i & 1))
            continue;
        if (e->ends_s != 0)
            (void)snprintf(ret + at, SEGMENTS_ROOM - at, "%s{\"name\":\"%s\",\"until\":%lld}", ret[0] ? "," : "",
                           SEGMENTS[i], (long long)(tick_ms + e->ends_s * 1000));
        else
            (void)snprintf(ret + at, SEGMENTS_ROOM - at, "%s\"%s\"", ret[0] ? "," : "", SEGMENTS[i]);
    }
    return ret;
}

static int customer_json(const struct event *e, char *text, int n)
{
    char words[SEGMENTS_ROOM];
    int at = 0;
    if (e->given != 0) {
        at += snprintf(text + at, (size_t)(n - at), ",\"consent\":{");
        for (int i = 0, first = 1; i < COUNT(KINDS); i++)
            if (e->given >> i & 1u)
                at += snprintf(text + at, (size_t)(n - at),
                               e->noted ? "%s\"%s\":{\"granted\":%s,\"source\":\"app\"}" : "%s\"%s\":%s",
                               first-- > 0 ? "" : ",", KINDS[i], e->granted >> i & 1u ? "true" : "false");
        at += snprintf(text + at, (size_t)(n - at), "}");
    }
    if (e->opt_out >= 0)
        at += snprintf(text + at, (size_t)(n - at), ",\"opt_out\":%s", e->opt_out > 0 ? "true" : "false");
    if (e->gpc >= 0)
        at += snprintf(text + at, (size_t)(n - at), ",\"gpc\":%s", e->gpc > 0 ? "true" : "false");
    if (e->tier >= 0)
        at += snprintf(text + at, (size_t)(n - at), ",\"tier\":\"%s\"", TIERS[e->tier]);
    if (e->tier >= 0 && e->ends_s != 0)
        at += snprintf(text + at, (size_t)(n - at), ",\"tier_until\":%lld", (long long)(tick_ms + e->ends_s * 1000));
    if (e->party >= 0)
        at += snprintf(text + at, (size_t)(n - at), ",\"party\":\"%s\"", PARTIES[e->party]);
    if (e->segments >= 0)
        at += snprintf(text + at, (size_t)(n - at), ",\"segments\":[%s]", segments_json(e, words));
    if (e->spend >= 0)
        at += snprintf(text + at, (size_t)(n - at), ",\"spend\":%d,\"currency\":\"%s\"", e->spend, CURRENCIES[e->currency]);
    return at;
}

/* Is the offer one that orders use up? */
static bool has_units(const struct event *e)
{
    return e->offer != LOCK && e->offer != WITHDRAW && e->units > 0 && e->until_s > 0;
}

static int offer_json(const struct event *e, char *text, int n)
{
    bool money = e->offer == FIXED || e->offer == AMOUNT_OFF || e->offer == LOCK;
    int at = snprintf(text, (size_t)n, ",\"sku\":\"%s\",\"kind\":\"%s\"", SKUS[e->sku], OFFERS[e->offer]);
    if (money)
        at += snprintf(text + at, (size_t)(n - at), ",\"amount\":%d,\"currency\":\"%s\"", e->amount, CURRENCIES[e->currency]);
    if (e->offer == PERCENT)
        at += snprintf(text + at, (size_t)(n - at), ",\"percent\":%d", e->percent);
    if (e->stackable && (e->offer == PERCENT || e->offer == AMOUNT_OFF))
        at += snprintf(text + at, (size_t)(n - at), ",\"stackable\":true");
    if (e->offer != LOCK && e->offer != WITHDRAW)
        at += snprintf(text + at, (size_t)(n - at), ",\"basis\":\"%s\"", KINDS[e->basis]);
    if (e->from_s > 0)
        at += snprintf(text + at, (size_t)(n - at), ",\"from\":%lld", (long long)(tick_ms + e->from_s * 1000));
    if (e->until_s > 0)
        at += snprintf(text + at, (size_t)(n - at), ",\"until\":%lld", (long long)(tick_ms + (e->from_s + e->until_s) * 1000));
    if (has_units(e))
        at += snprintf(text + at, (size_t)(n - at), ",\"units\":%d", e->units);
    return at;
}

static void event_json(const struct event *e, char text[EVENT_ROOM])
{
    static const char *const TYPES[] = { "product", "supply",  "zone",  "demand", "customer",
                                         "location", "receipt", "offer", "forget" };
    char name[32];
    int n = EVENT_ROOM,
        at = snprintf(text, EVENT_ROOM, "{\"type\":\"%s\",\"time\":%lld", TYPES[e->type], (long long)tick_ms);
    name_of(e->who, name);
    if (e->who >= 0 && e->type >= DEMAND)
        at += snprintf(text + at, (size_t)(n - at), ",\"customer\":\"%s\"", name);
    switch (e->type) {
    case PRODUCT:
        at += snprintf(text + at, (size_t)(n - at), ",\"sku\":\"%s\",\"category\":\"%s\",\"list\":%d,\"currency\":\"%s\",\"zone\":\"%s\"",
                       SKUS[e->sku], CATEGORIES[e->sku], e->amount, CURRENCIES[e->sku == 3], zone_name(e->zone));
        break;
    case SUPPLY:
        at += snprintf(text + at, (size_t)(n - at), ",\"sku\":\"%s\",\"available\":%d,\"zone\":\"%s\"", SKUS[e->sku], e->amount,
                       zone_name(e->zone));
        break;
    case ZONE:
        at += snprintf(text + at, (size_t)(n - at), ",\"zone\":\"%s\"", zone_name(e->zone));
        if (e->amount % 2 == 0) /* prices in another currency are no answer there */
            at += snprintf(text + at, (size_t)(n - at), ",\"currency\":\"%s\"", CURRENCIES[e->currency]);
        break;
    case DEMAND:
        at += snprintf(text + at, (size_t)(n - at), ",\"sku\":\"%s\",\"event\":\"%s\",\"zone\":\"%s\"", SKUS[e->sku],
                       ACTIONS[e->action], zone_name(e->zone));
        if (e->quantity > 0)
            at += snprintf(text + at, (size_t)(n - at), ",\"quantity\":%d", e->quantity);
        if (e->session > 0)
            at += snprintf(text + at, (size_t)(n - at), ",\"session\":\"visit-%d\"", e->session);
        if (e->category >= 0)
            at += snprintf(text + at, (size_t)(n - at), ",\"category\":\"%s\"", CATEGORIES[e->category]);
        if (e->amount > 0)
            at += snprintf(text + at, (size_t)(n - at), ",\"amount\":%d,\"currency\":\"%s\"", e->amount, CURRENCIES[e->sku == 3]);
        break;
    case CUSTOMER: at += customer_json(e, text + at, n - at); break;
    case LOCATION:
        if (e->left)
            at += snprintf(text + at, (size_t)(n - at), ",\"left\":true");
        else
            at += snprintf(text + at, (size_t)(n - at), ",\"zone\":\"%s\",\"lease_s\":%d", zone_name(e->zone), e->lease_s);
        break;
    case RECEIPT:
        at += snprintf(text + at, (size_t)(n - at), ",\"amount\":%d,\"currency\":\"%s\"", e->amount, CURRENCIES[e->currency]);
        break;
    case OFFER: at += offer_json(e, text + at, n - at); break;
    case FORGET: break;
    }
    (void)snprintf(text + at, (size_t)(n - at), "}");
}

static struct event event_random(void)
{
    static const enum type TYPES[] = { PRODUCT, SUPPLY,   ZONE,     DEMAND,   DEMAND,  DEMAND, DEMAND, CUSTOMER, CUSTOMER,
                                       CUSTOMER, CUSTOMER, LOCATION, LOCATION, RECEIPT, OFFER,  OFFER,  OFFER,    FORGET };
    struct event e = {
        .type = TYPES[pick(COUNT(TYPES))],
        .who = pick(CUSTOMERS),
        .sku = pick(PRODUCTS),
        .zone = pick(NAMED_ZONES),
        .action = pick(COUNT(ACTIONS)),
        .currency = pick(8) == 0,
        .offer = pick(COUNT(OFFERS)),
        .basis = pick(COUNT(KINDS)),
        .tier = pick(2) ? pick(COUNT(TIERS)) : -1,
        .segments = pick(2) ? pick(8) : -1,
        .spend = pick(2) ? pick(150000) : -1,
        .amount = 1 + pick(1500),
        .percent = 1 + pick(60),
        .lease_s = 1 + pick(7200),
        .stackable = pick(2),
        .left = pick(5) == 0,
        .session = pick(12),
        .category = pick(3) ? pick(PRODUCTS) : -1,
        .opt_out = pick(6) ? -1 : pick(2),
        .gpc = pick(8) ? -1 : pick(2),
        .party = pick(2) ? pick(COUNT(PARTIES)) : -1,
        .ends_s = pick(3) ? 0 : pick(3600) - 60,
        .noted = pick(3) == 0,
        .units = pick(2) ? 1 + pick(2) : 0,
        .quantity = pick(3),
    };
    if (e.type == LOCATION && pick(3) == 0)
        e.zone = OWN_ZONE;
    if (e.type == FORGET && pick(3) != 0)
        e.type = CUSTOMER;
    if (e.type == ZONE)
        e.zone = 1 + pick(NAMED_ZONES - 1);
    if (e.type == PRODUCT) {
        e.amount = 800 + pick(400);
        e.zone = pick(3) ? 0 : e.zone;
    }
    if (e.type == DEMAND && pick(3) == 0)
        e.who = -1;
    if (e.type == DEMAND && pick(2) == 0)
        e.amount = 0;
    if (e.type == RECEIPT || (e.type == DEMAND && e.amount > 0))
        e.amount *= 50;
    if (pick(4) != 0) {
        e.given = (unsigned)pick(32);
        e.granted = e.given & (unsigned)(pick(32) | pick(32));
    }
    e.until_s = pick(2) ? 1 + pick(7200) : 0;
    e.from_s = pick(4) == 0 && e.offer != LOCK ? 1 + pick(600) : 0;
    return e;
}

/* ---- one event changed, and who may see it ------------------------------------------------------------------------- */

/* Kinds of data, RIALTO_KIND_*, that a difference between the two events is one of; ALWAYS: it needs no consent, as a lock that is
 * promised to somebody, a consent that is given by somebody else, or who it is that is to be forgotten. */
#define ALWAYS         0x100u
#define BESIDE_PARTNER 0x200u /* others' word, whichever way: it needs consent to partner data as well */
#define BESIDE_ORDERS  0x400u /* an offer that orders use up, whichever way: it needs consent to purchases as well */

static bool is_others(const struct event *e)
{
    return e->party >= 2;
}

static bool ends_differ(const struct event *a, const struct event *b)
{
    return (a->tier >= 0 || a->segments > 0) && a->ends_s != b->ends_s;
}

/* A customer signal that says nothing of consents, whoever's it is: its data alone. */
static bool is_data_alone(const struct event *e)
{
    return e->given == 0 && e->opt_out < 0 && e->gpc < 0;
}

static unsigned kinds_told(const struct event *e)
{
    return (e->tier >= 0 || e->segments >= 0 ? RIALTO_KIND_PROFILE : 0u) | (e->spend >= 0 ? RIALTO_KIND_PURCHASES : 0u) |
           (is_others(e) ? BESIDE_PARTNER : 0u);
}

static unsigned kind_of(const struct event *a, const struct event *b)
{
    bool renamed = a->who != b->who;
    switch (a->type) {
    case DEMAND: return ACTIONS[a->action][0] == 'o' || ACTIONS[a->action][0] == 'r' ? RIALTO_KIND_PURCHASES : RIALTO_KIND_BEHAVIOUR;
    case LOCATION: return RIALTO_KIND_LOCATION;
    case RECEIPT: return RIALTO_KIND_PURCHASES;
    case OFFER: return a->offer == LOCK || a->offer == WITHDRAW ? ALWAYS : 1u << a->basis | (has_units(a) && has_units(b) ? BESIDE_ORDERS : 0u);
    case CUSTOMER:
        if (renamed && is_data_alone(a))
            return kinds_told(a);
        if (renamed || a->opt_out != b->opt_out || a->gpc != b->gpc)
            return ALWAYS;
        return (a->tier != b->tier || a->segments != b->segments || ends_differ(a, b) ? RIALTO_KIND_PROFILE : 0u) |
               (a->spend != b->spend ? RIALTO_KIND_PURCHASES : 0u) |
               (is_others(a) && is_others(b) ? BESIDE_PARTNER : 0u);
    default: return ALWAYS;
    }
}

static struct event event_changed(const struct event *e)
{
    struct event b = *e;
    if (pick(2) == 0) { /* another customer, or none */
        b.who = pick(CUSTOMERS + 1) - 1;
        if (b.who >= e->who)
            b.who = b.who + 1 < CUSTOMERS ? b.who + 1 : -1;
        if (b.who == e->who)
            b.who = -1;
        return b;
    }
    struct event other = event_random();
    switch (e->type) {
    case CUSTOMER:
        if (pick(8) == 0)
            b.opt_out = other.opt_out, b.gpc = other.gpc;
        else if (pick(2))
            b.tier = other.tier, b.segments = other.segments, b.ends_s = other.ends_s;
        else
            b.spend = other.spend;
        break;
    case LOCATION: b.zone = other.zone, b.left = other.left, b.lease_s = other.lease_s; break;
    case RECEIPT: b.amount = 1 + pick(150000); break;
    case OFFER: b.amount = 1 + pick(1500), b.percent = other.percent, b.stackable = other.stackable, b.units = other.units; break;
    case DEMAND: b.amount = e->amount > 0 ? 1 + pick(150000) : 0, b.category = other.category; break; /* its quantity moves everybody's price */
    default: break;
    }
    return b;
}

/* The judge's own record, of the history as it is. `asked` is the consent if nobody could opt out. */
static unsigned consent[CUSTOMERS], asked[CUSTOMERS];
static bool opted_out[CUSTOMERS];

static unsigned consent_after(unsigned before, const struct event *e)
{
    return (before | e->granted) & ~(e->given & ~e->granted);
}

static void consent_learn(const struct event *e)
{
    if (e->who < 0)
        return;
    if (e->type == FORGET) {
        consent[e->who] = asked[e->who] = 0;
        opted_out[e->who] = false;
    }
    if (e->type != CUSTOMER)
        return;
    if (e->opt_out == 1 || e->gpc == 1)
        opted_out[e->who] = true;
    else if (e->opt_out == 0)
        opted_out[e->who] = false;
    asked[e->who] = consent_after(asked[e->who], e);
    consent[e->who] = opted_out[e->who] ? 0 : consent_after(consent[e->who], e);
}

static bool permits(int who, unsigned kinds)
{
    unsigned given = who < 0 ? 0 : consent[who];
    if (who >= 0 && (kinds & ALWAYS) != 0)
        return true;
    return (given & kinds) != 0 && ((kinds & BESIDE_PARTNER) == 0 || (given & RIALTO_KIND_PARTNER) != 0) &&
           ((kinds & BESIDE_ORDERS) == 0 || (given & RIALTO_KIND_PURCHASES) != 0);
}

/* ---- applying ------------------------------------------------------------------------------------------------------- */

static void record_add(const struct world *world, const struct signal *signal, enum signal_part part, uint8_t *bytes, size_t *size,
                       uint32_t *count)
{
    const char *owner = part == PART_PRODUCT ? signal->sku : signal->customer;
    uint32_t partition = part == PART_COMMON ? 0 : key_partition(key_of_id(world->worker.control->secret, owner, strlen(owner)));
    *size += wire_record_encode(signal, part, partition, *count, 0, 0, bytes + *size);
    (*count)++;
}

/* As the gateway does it, for demand that names a customer. */
static bool priced_take(const struct world *world, const struct signal *signal, struct wire_priced *ret)
{
    const struct rialto_request nobody = { .zone = signal->zone, .currency = signal->currency };
    struct rialto_quote quote;
    struct rialto_rule_row rule;
    if (signal->type != SIGNAL_demand || signal->customer[0] == '\0' ||
        rialto_quote(world->prices, &nobody, signal->sku, &quote) != RIALTO_OK || rialto_rule(world->prices, quote.rule, &rule) != RIALTO_OK)
        return false;
    *ret = (struct wire_priced){ .baseline = quote.baseline, .currency = rule.currency_number, .forbidden = rule.forbidden };
    memcpy(ret->model, rule.model, sizeof ret->model);
    return true;
}

static void signal_add(struct world *world, const struct event *e, uint8_t *bytes, size_t *size, uint32_t *count)
{
    char text[EVENT_ROOM];
    if (e->who < 0 && e->type > DEMAND)
        return;
    event_json(e, text);
    struct signal signal;
    struct fault fault;
    struct signal_rules rules = { .levels = world->worker.levels, .now_ms = tick_ms, .age_max_ms = 600000, .future_max_ms = 0 };
    cJSON *json = cJSON_Parse(text);
    must(json != NULL, text);
    must(signal_parse(json, &rules, &signal, &fault) == REASON_none, text);
    cJSON_Delete(json);
    unsigned parts = signal_parts(&signal);
    struct wire_priced priced;
    signal.repeated = repeats_take(world->repeats, &signal, tick_ms);
    signal.priced = priced_take(world, &signal, &priced) ? &priced : NULL;
    for (unsigned part = PART_PRODUCT; part <= PART_COMMON; part <<= 1)
        if (parts & part)
            record_add(world, &signal, (enum signal_part)part, bytes, size, count);
}

static void batch(struct world *world, const struct event *events, int n)
{
    static uint8_t bytes[sizeof(struct wire_header) + 3 * BATCH_MAX * WIRE_RECORD_MAX];
    size_t size = sizeof(struct wire_header);
    uint32_t count = 0;
    for (int i = 0; i < n; i++)
        signal_add(world, &events[i], bytes, &size, &count);
    struct wire_header header = { .magic = WIRE_MAGIC, .version = WIRE_VERSION, .kind = WIRE_BATCH, .tick_ms = tick_ms,
                                  .prev = world->seq, .seq = world->seq + WIRE_SEQ_STRIDE, .count = count };
    memcpy(bytes, &header, sizeof header);
    must(batch_apply(&world->worker, bytes, size), "a batch is applied");
    world->seq = header.seq;
    world->worker.finding_count = 0;
}

/* ---- quotes of everybody --------------------------------------------------------------------------------------------- */

#define EVERYBODY (CUSTOMERS + 2) /* somebody unknown, nobody */
#define WAYS      6

struct quotes {
    struct rialto_quote quote[EVERYBODY][WAYS][PRODUCTS];
    enum rialto_status status[EVERYBODY][WAYS][PRODUCTS];
};

static int64_t coarse_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void ask(const struct world *world, struct quotes *ret)
{
    static const struct rialto_request REQUEST[WAYS] = {
        { 0 },
        { .zone = "de/s1", .basis = RIALTO_BASIS_STORE },
        { .zone = "fr/s9", .basis = RIALTO_BASIS_DEVICE },
        { .zone = "de/s2", .basis = RIALTO_BASIS_ADDRESS, .currency = "EUR" },
        { .zone = "gh:u33db", .basis = RIALTO_BASIS_IP },
        { .zone = "", .basis = RIALTO_BASIS_STORE }, /* OWN_ZONE */
    };
    for (int who = 0; who < EVERYBODY; who++)
        for (int way = 0; way < WAYS; way++) {
            char name[32];
            struct rialto_request request = REQUEST[way];
            if (way == WAYS - 1)
                request.zone = zone_name(OWN_ZONE);
            name_of(who < CUSTOMERS ? who : 99, name);
            request.customer = who <= CUSTOMERS ? name : NULL;
            must(rialto_quote_page(world->prices, &request, (size_t)PRODUCTS, SKUS, ret->quote[who][way],
                                   ret->status[who][way]) == RIALTO_OK, "a page");
            for (int i = 0; i < PRODUCTS; i++)
                ret->quote[who][way][i].age_ms = 0; /* of a heartbeat */
        }
}

static void quotes_read(struct world *world, struct quotes *ret)
{
    for (;;) {
        int64_t now = coarse_ms();
        memset(ret, 0, sizeof *ret);
        atomic_store(&world->worker.control->clock_offset_ms, tick_ms - now);
        for (uint32_t p = 0; p < RIALTO_PARTITIONS; p++)
            atomic_store(&world->worker.control->heartbeat[p].beat_mono_ms, now);
        ask(world, ret);
        if (coarse_ms() - now < AHEAD_MAX_MS)
            return;
    }
}

static bool same(const struct quotes *a, const struct quotes *b, int who)
{
    return memcmp(a->quote[who], b->quote[who], sizeof a->quote[who]) == 0 &&
           memcmp(a->status[who], b->status[who], sizeof a->status[who]) == 0;
}

/* ---- a history -------------------------------------------------------------------------------------------------------- */

struct tally {
    uint64_t histories, quotes;
    uint64_t silent[6]; /* changed without permission, by kind; nothing moved */
    uint64_t barred;    /* silent for an opt-out alone: the kind was permitted else */
    uint64_t others;    /* silent for it was others' word: the kind was permitted, partner data were not */
    uint64_t moved[6];  /* changed with permission, and that customer's quotes moved; last: what needs no consent */
};

struct run {
    struct event event[EVENTS_MAX], changed;
    int count, at; /* which one is changed */
    bool may[EVERYBODY];
    bool moved, barred, others;
    unsigned kinds;
};

static void tell(const struct run *run, const struct quotes *a, const struct quotes *b, int who)
{
    char text[EVENT_ROOM];
    printf("# history %u, customer %d; times are those of the last tick:\n", history_number, who);
    for (int i = 0; i < run->count; i++) {
        event_json(&run->event[i], text);
        printf("#   %s\n", text);
        if (i == run->at) {
            event_json(&run->changed, text);
            printf("#     or, nobody's if it has no customer: %s\n", text);
        }
    }
    for (int way = 0; way < WAYS; way++)
        for (int i = 0; i < PRODUCTS; i++) {
            const struct rialto_quote *p = &a->quote[who][way][i], *q = &b->quote[who][way][i];
            if (memcmp(p, q, sizeof *p) != 0)
                printf("#   %s, way %d: %d %d, %lld flags %x kinds %x zone %s / %lld flags %x kinds %x zone %s\n", SKUS[i], way,
                       (int)a->status[who][way][i], (int)b->status[who][way][i], (long long)p->amount, p->flags, p->kinds, p->zone, (long long)q->amount, q->flags, q->kinds, q->zone);
        }
}

/* False: somebody's quotes moved that may not. */
static bool compare(struct run *run, struct tally *tally)
{
    static struct quotes a, b;
    quotes_read(&worlds[0], &a);
    quotes_read(&worlds[1], &b);
    tally->quotes += 2u * EVERYBODY * WAYS * (unsigned)PRODUCTS;
    for (int who = 0; who < EVERYBODY; who++) {
        if (same(&a, &b, who))
            continue;
        if (!run->may[who]) {
            tell(run, &a, &b, who);
            return false;
        }
        run->moved = true;
    }
    return true;
}

/* Somebody who permits it, half of the time, has an offer of so many units, and orders: by chance alone that is one history in thousands. */
static void units_tell(struct run *run)
{
    int at = pick(run->count - 2), who = pick(CUSTOMERS), sku = pick(PRODUCTS), order = 0;
    while (strcmp(ACTIONS[order], "order") != 0)
        order++;
    struct event *e = &run->event[at];
    *e = event_random();
    e->type = CUSTOMER, e->who = who, e->given = 31, e->granted = pick(2) ? 31 : (unsigned)pick(32), e->opt_out = e->gpc = -1;
    e = &run->event[at + 1 + pick(run->count - at - 2)];
    int offered = (int)(e - run->event);
    *e = event_random();
    e->type = OFFER, e->who = who, e->sku = sku, e->offer = PERCENT, e->from_s = 0, e->until_s = 4000 + pick(4000), e->units = 1 + pick(3);
    for (int i = offered + 1; i < run->count; i++)
        if (i == run->count - 1 || pick(3) == 0) {
            e = &run->event[i];
            *e = event_random();
            e->type = DEMAND, e->who = who, e->sku = sku, e->action = order, e->amount = 0;
        }
}

static void run_begin(struct run *run)
{
    memset(run, 0, sizeof *run);
    memset(consent, 0, sizeof consent);
    memset(asked, 0, sizeof asked);
    memset(opted_out, 0, sizeof opted_out);
    run->count = 4 + pick(EVENTS_MAX - 3);
    run->at = run->count / 2 + pick(run->count - run->count / 2); /* something has been permitted by then */
    for (int i = 0; i < run->count; i++)
        run->event[i] = event_random();
    if (pick(8) == 0)
        units_tell(run);
    while (run->event[run->at].who < 0 || run->event[run->at].type < DEMAND)
        run->event[run->at] = event_random();
    run->changed = event_changed(&run->event[run->at]);
}

/* Who may see the change is settled where it happens: by the consent up to then, what the event itself says included. */
static void judge(struct run *run)
{
    const struct event *e = &run->event[run->at];
    run->kinds = kind_of(e, &run->changed);
    if (e->who < 0) /* never: run_begin() sees to it */
        return;
    run->may[e->who] = permits(e->who, run->kinds);
    run->others = permits(e->who, run->kinds & ~BESIDE_PARTNER) && !run->may[e->who];
    run->barred = opted_out[e->who] && (asked[e->who] & run->kinds) != 0;
    if (run->changed.who >= 0 && permits(run->changed.who, run->kinds))
        run->may[run->changed.who] = true;
}

static bool run_batch(struct run *run, int from, int n, struct tally *tally)
{
    struct event b[BATCH_MAX];
    tick_ms += 1000 * (pick(3) ? 1 + pick(5) : pick(4000));
    for (int i = 0; i < n; i++) {
        b[i] = run->event[from + i];
        consent_learn(&run->event[from + i]);
        if (from + i == run->at) {
            judge(run);
            b[i] = run->changed;
        }
    }
    batch(&worlds[0], &run->event[from], n);
    batch(&worlds[1], b, n);
    return from + n <= run->at || compare(run, tally);
}

static bool run_forget(struct run *run, struct tally *tally)
{
    struct event forget[CUSTOMERS];
    tick_ms += 1000;
    for (int who = 0; who < CUSTOMERS; who++)
        forget[who] = (struct event){ .type = FORGET, .who = who };
    for (int i = 0; i < 2; i++)
        batch(&worlds[i], forget, CUSTOMERS);
    memset(run->may, 0, sizeof run->may);
    for (int i = 0; i < 2; i++)
        for (uint32_t p = 0; p < RIALTO_PARTITIONS; p++)
            if (table_used(worlds[i].worker.cache, RIALTO_TABLE_TERMS, p) + table_used(worlds[i].worker.cache, RIALTO_TABLE_OFFERS, p) > 0)
                return false;
    return compare(run, tally);
}

static void count(const struct run *run, struct tally *tally)
{
    tally->histories++;
    bool silent = true;
    for (int who = 0; who < CUSTOMERS; who++)
        silent = silent && !run->may[who];
    for (unsigned i = 0; i < 5; i++) {
        tally->silent[i] += silent && (run->kinds >> i & 1u);
        tally->moved[i] += run->moved && (run->kinds >> i & 1u);
    }
    tally->barred += silent && run->barred;
    tally->others += silent && run->others;
    tally->moved[5] += run->moved && (run->kinds & ALWAYS);
}

static bool history(struct tally *tally)
{
    struct run run;
    history_number++;
    run_begin(&run);
    for (int from = 0; from < run.count;) {
        int n = 1 + pick(BATCH_MAX);
        if (n > run.count - from)
            n = run.count - from;
        if (!run_batch(&run, from, n, tally))
            return false;
        from += n;
    }
    count(&run, tally);
    return run_forget(&run, tally);
}

static void products_say(void)
{
    for (int i = 0; i < PRODUCTS; i++) {
        struct event e = { .type = PRODUCT, .who = -1, .sku = i, .amount = 1000 };
        for (int w = 0; w < 2; w++)
            batch(&worlds[w], &e, 1);
    }
}

static void worlds_begin(void)
{
    worlds_open();
    products_say();
}

static bool next_history(struct tally *tally)
{
    if (tick_ms > LAST_MS) {
        worlds_close();
        worlds_begin();
    }
    return history(tally);
}

/* Every kind of data was changed both ways; of partner data no row of a model speaks, offers do. */
static bool is_strong(const struct tally *tally)
{
    bool strong = tally->barred > 0 && tally->others > 0 && metrics_own->word[METRIC_offers_issued_total] > 0 &&
                  metrics_own->word[METRIC_offers_used_up_total] > 0;
    for (int i = 0; i < 4; i++)
        strong = strong && tally->silent[i] > 0 && tally->moved[i] > 0;
    return strong;
}

int main(int argc, char *argv[])
{
    const char *least_text = getenv("RIALTO_HISTORIES"), *seed_text = getenv("RIALTO_SEED");
    uint64_t least = least_text != NULL ? strtoull(least_text, NULL, 10) : 0;
    seed = seed_text != NULL ? strtoull(seed_text, NULL, 10) : (uint64_t)race_now_ms();
    printf("# RIALTO_SEED=%llu\n", (unsigned long long)seed);
    int64_t end_ms = race_now_ms() + race_duration_ms(argc, argv);
    struct tally tally = { 0 };
    must(atexit(leave) == 0, "atexit");
    worlds_begin();
    bool held = true;
    while (held && (tally.histories < least || race_now_ms() < end_ms || (!is_strong(&tally) && tally.histories < UNTIL_STRONG)))
        held = next_history(&tally);
    printf("# %llu histories, %llu quotes\n", (unsigned long long)tally.histories, (unsigned long long)tally.quotes);
    int failures = race_report(held, "a customer's name and data without permission move nobody's quote by a bit; with it, only theirs");
    for (int i = 0; i < COUNT(KINDS); i++)
        printf("# %s: %llu changes without permission, %llu with it moved that customer's quotes\n", KINDS[i],
               (unsigned long long)tally.silent[i], (unsigned long long)tally.moved[i]);
    printf("# %llu changes without permission for an opt-out alone, %llu for being others' word alone\n",
           (unsigned long long)tally.barred, (unsigned long long)tally.others);
    printf("# %llu offers made by models, %llu of the shop's used up by orders\n",
           (unsigned long long)metrics_own->word[METRIC_offers_issued_total],
           (unsigned long long)metrics_own->word[METRIC_offers_used_up_total]);
    failures += race_report(is_strong(&tally), "every kind of data was changed both ways, and permitted data really moved a price; some only an opt-out forbade");
    worlds_close();
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
