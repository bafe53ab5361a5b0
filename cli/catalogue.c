/* catalogue.c - `rialto catalogue`: what the service knows of zones and products, as signals that say so again.
 *
 *   Redis --records of state--> zones, products, cells --sorted by name--> lines of JSON, each of which is taken as a signal
 *
 * Personal   records of customers, offers and sources are passed over as they are read; none is ever written.
 * Not in it  demand (a rate, which no single signal says), what prices were, sellers and competitors by name: the state has hashes of these. */
#include "cache/keys.h"
#include "cli/cli.h"
#include "pricing/money.h"
#include "service/clock.h"
#include "service/log.h"
#include "service/record_line.h"
#include "service/signal_rows.h"
#include "service/worker.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OWN_AT = CLI_OWN };

#define MARGIN_MS INT64_C(3600000) /* a signal that is as old as one may be is too old by the time that it is sent */

struct list {     /* of records of one pool */
    size_t bytes; /* of one */
    size_t count, room;
    char *record;
};

struct catalogue {
    const struct cli *cli;
    struct list zones, products, cells;
    int64_t at_ms; /* 0 = not said: the newest that is known, or now */
    int64_t newest_ms, oldest_ms;
    uint64_t unread;  /* records of another layout */
    uint64_t sellers; /* products that belong to one */
    uint64_t lines;
    bool full; /* out of memory */
};

/* ---- reading ------------------------------------------------------------------------------------------------------- */

static void *list_at(const struct list *list, size_t index)
{
    return list->record + index * list->bytes;
}

static bool list_add(struct list *list, const void *record)
{
    if (list->count == list->room) {
        size_t room = list->room == 0 ? 1024 : list->room * 2;
        char *larger = realloc(list->record, room * list->bytes);
        if (larger == NULL)
            return false;
        list->record = larger;
        list->room = room;
    }
    memcpy(list_at(list, list->count++), record, list->bytes);
    return true;
}

static void newer(struct catalogue *catalogue, int64_t time_ms)
{
    if (time_ms > catalogue->newest_ms)
        catalogue->newest_ms = time_ms;
}

static void take_cell(struct catalogue *catalogue, const struct cell_record *cell)
{
    newer(catalogue, cell->product_time_ms);
    newer(catalogue, cell->supply_time_ms);
    for (unsigned i = 0; i < COMPETITORS_MAX; i++)
        newer(catalogue, cell->competitor[i].time_ms);
    catalogue->full = catalogue->full || !list_add(&catalogue->cells, cell);
}

static void take_record(void *user, char kind, struct rialto_key key, const void *value, size_t bytes)
{
    struct catalogue *catalogue = user;
    union any_record record;
    enum state_pool pool;
    if (kind == MIRROR_KIND_IDS)
        return;
    if (!persist_read(kind, key, value, bytes, &pool, &record)) {
        catalogue->unread++;
        return;
    }
    if (pool == POOL_ZONES) {
        newer(catalogue, record.zone.zone_time_ms);
        newer(catalogue, record.zone.weather_time_ms);
        catalogue->full = catalogue->full || !list_add(&catalogue->zones, &record.zone);
    } else if (pool == POOL_PRODUCTS) {
        catalogue->full = catalogue->full || !list_add(&catalogue->products, &record.product);
    } else if (pool == POOL_CELLS) {
        take_cell(catalogue, &record.cell);
    }
}

/* ---- in which order -------------------------------------------------------------------------------------------------- */

static int zone_order(const void *a, const void *b)
{
    return strcmp(((const struct zone_record *)a)->name, ((const struct zone_record *)b)->name);
}

static int product_order(const void *a, const void *b)
{
    return strcmp(((const struct product_record *)a)->sku, ((const struct product_record *)b)->sku);
}

static int key_order(struct rialto_key a, struct rialto_key b)
{
    return a.hi != b.hi ? (a.hi < b.hi ? -1 : 1) : a.lo != b.lo ? (a.lo < b.lo ? -1 : 1) : 0;
}

/* Those of one product stand together, the world's before those of its zones. */
static int cell_order(const void *a, const void *b)
{
    const struct cell_record *x = a, *y = b;
    int order = key_order(x->product, y->product);
    return order != 0 ? order : strcmp(x->zone, y->zone);
}

static void sort(struct list *list, int (*order)(const void *, const void *))
{
    if (list->count > 0)
        qsort(list->record, list->count, list->bytes, order);
}

static size_t first_cell(const struct list *cells, struct rialto_key product)
{
    size_t low = 0, high = cells->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (key_order(((const struct cell_record *)list_at(cells, middle))->product, product) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* ---- writing --------------------------------------------------------------------------------------------------------- */

#define SET(member, value) (signal.member = (value), signal.present |= UINT64_C(1) << SIGNAL_FIELD_##member)
#define SET_TEXT(member, text)                                                                                         \
    ((void)snprintf(signal.member, sizeof signal.member, "%s", text), signal.present |= UINT64_C(1)                    \
                                                                                        << SIGNAL_FIELD_##member)

/* What was said in another age, or is to be from before it was said, is told with the nearest time that a signal may have. */
static void write_signal(struct catalogue *catalogue, struct signal *signal, unsigned part)
{
    char line[RECORD_LINE_MAX];
    struct wire_record head = { .type = (uint8_t)signal->type, .part = (uint8_t)part };
    signal->time_ms = signal->time_ms < catalogue->oldest_ms ? catalogue->oldest_ms
                      : signal->time_ms > catalogue->at_ms   ? catalogue->at_ms
                                                             : signal->time_ms;
    size_t bytes = record_line(&head, signal, 0, line);
    (void)fwrite(line, 1, bytes, stdout);
    catalogue->lines++;
}

static void set_currency(struct signal *ret, uint16_t number)
{
    const struct currency *currency = currency_by_number(number);
    if (currency == NULL)
        return;
    memcpy(ret->currency, currency->letters, sizeof ret->currency);
    ret->present |= UINT64_C(1) << SIGNAL_FIELD_currency;
}

/* Names come out of Redis: what no signal could have said is not said again. */
static void set_attributes(struct signal *ret, const struct attributes_said *said)
{
    const char *name;
    int64_t micro;
    for (unsigned i = 0; (name = attributes_at(said, i, &micro)) != NULL; i++) {
        if (attribute_name_fault(name) != NULL)
            continue;
        int64_t at = ret->attributes.count++;
        (void)snprintf(ret->attributes.name[at], sizeof ret->attributes.name[at], "%s", name);
        ret->attributes.micro[at] = micro;
    }
    ret->present |= UINT64_C(1) << SIGNAL_FIELD_attributes;
}

static void write_zone_at(struct catalogue *catalogue, const struct zone_record *zone, int64_t time_ms)
{
    struct signal signal = { .type = SIGNAL_zone, .time_ms = time_ms };
    if (time_ms == 0)
        return;
    if (time_ms == zone->attributes.time_ms)
        set_attributes(&signal, &zone->attributes);
    SET_TEXT(zone, zone->name);
    if (zone->has_parent)
        SET_TEXT(parent, zone->parent);
    if (zone->lat_micro != 0 || zone->lon_micro != 0) {
        SET(lat, zone->lat_micro);
        SET(lon, zone->lon_micro);
    }
    if (zone->region[0] != '\0')
        SET_TEXT(region, zone->region);
    if (zone->has_utc_offset)
        SET(utc_offset, zone->utc_offset_min);
    set_currency(&signal, zone->currency);
    write_signal(catalogue, &signal, PART_COMMON);
}

/* Attributes age from when they were said, which may have been before the rest was. */
static void write_zone(struct catalogue *catalogue, const struct zone_record *zone)
{
    if (zone->attributes.time_ms != zone->zone_time_ms)
        write_zone_at(catalogue, zone, zone->attributes.time_ms);
    write_zone_at(catalogue, zone, zone->zone_time_ms);
}

static void write_weather(struct catalogue *catalogue, const struct zone_record *zone)
{
    struct signal signal = { .type = SIGNAL_weather, .time_ms = zone->weather_time_ms };
    if (zone->weather_time_ms == 0 || zone->weather_present == 0)
        return;
    SET_TEXT(zone, zone->name);
    if (zone->weather_present & 1u)
        SET(temperature_c, zone->weather_micro[0]);
    if (zone->weather_present & 2u)
        SET(precipitation, zone->weather_micro[1]);
    if (zone->weather_present & 4u)
        SET(wind, zone->weather_micro[2]);
    if (zone->weather_present & 8u)
        SET(humidity, zone->weather_micro[3]);
    if (zone->weather_until_ms != 0)
        SET(until_ms, zone->weather_until_ms);
    write_signal(catalogue, &signal, PART_COMMON);
}

static struct signal of_cell(enum signal_type type, const struct product_record *product,
                             const struct cell_record *cell, int64_t time_ms)
{
    struct signal signal = { .type = type, .time_ms = time_ms };
    SET_TEXT(sku, product->sku);
    if (cell->zone[0] != '\0')
        SET_TEXT(zone, cell->zone);
    return signal;
}

/* What a product is called stands in its first line. */
static void write_list(struct catalogue *catalogue, const struct product_record *product,
                       const struct cell_record *cell, int64_t time_ms, bool first)
{
    struct signal signal = of_cell(SIGNAL_product, product, cell, time_ms);
    if (time_ms == product->attributes.time_ms)
        set_attributes(&signal, &product->attributes);
    if (first) {
        SET_TEXT(category, product->category);
        if (product->title[0] != '\0')
            SET_TEXT(title, product->title);
        SET(unit, product->unit);
        if (product->tax != 0)
            SET(tax, product->tax - 1);
    }
    SET(list, cell->list);
    if (cell->cost >= 0)
        SET(cost, cell->cost);
    set_currency(&signal, cell->currency);
    if (cell->promotion_micro != 0) {
        SET(promotion, cell->promotion_micro);
        if (cell->promotion_until_ms != 0)
            SET(until_ms, cell->promotion_until_ms);
    }
    write_signal(catalogue, &signal, PART_PRODUCT);
}

static void write_supply(struct catalogue *catalogue, const struct product_record *product,
                         const struct cell_record *cell)
{
    struct signal signal = of_cell(SIGNAL_supply, product, cell, cell->supply_time_ms);
    if (cell->supply_time_ms == 0)
        return;
    SET(available, cell->available_micro);
    if (cell->capacity_micro != 0)
        SET(capacity, cell->capacity_micro);
    if (cell->stock_expires_ms != 0)
        SET(expires_ms, cell->stock_expires_ms);
    write_signal(catalogue, &signal, PART_PRODUCT);
}

static void write_competitors(struct catalogue *catalogue, const struct product_record *product,
                              const struct cell_record *cell)
{
    for (unsigned i = 0; i < COMPETITORS_MAX; i++) {
        const struct competitor_price *price = &cell->competitor[i];
        struct signal signal = of_cell(SIGNAL_competitor, product, cell, price->time_ms);
        if (price->name_hash == 0)
            continue;
        (void)snprintf(signal.competitor, sizeof signal.competitor, "%016" PRIx64, price->name_hash);
        signal.present |= UINT64_C(1) << SIGNAL_FIELD_competitor;
        SET(amount, price->amount);
        set_currency(&signal, cell->competitor_currency[i]);
        if (price->until_ms != 0)
            SET(until_ms, price->until_ms);
        write_signal(catalogue, &signal, PART_PRODUCT);
    }
}

static void write_product(struct catalogue *catalogue, const struct product_record *product)
{
    static const uint8_t nobody[SELLER_BYTES];
    size_t from = first_cell(&catalogue->cells, product->head.key);
    int64_t said_ms = product->attributes.time_ms; /* 0 = never, or written already */
    bool first = true;
    catalogue->sellers += memcmp(product->seller, nobody, sizeof nobody) != 0;
    /* All prices before the rest: supply and competitors are of a product that is known. */
    for (int rest = 0; rest < 2; rest++)
        for (size_t i = from; i < catalogue->cells.count; i++) {
            const struct cell_record *cell = list_at(&catalogue->cells, i);
            if (!key_equal(cell->product, product->head.key))
                break;
            if (rest == 0 && cell->list > 0) {
                if (said_ms != 0 && said_ms < cell->product_time_ms) { /* they age from when they were said: before the price was */
                    write_list(catalogue, product, cell, said_ms, first);
                    first = false;
                }
                said_ms = said_ms <= cell->product_time_ms ? 0 : said_ms;
                write_list(catalogue, product, cell, cell->product_time_ms, first);
                first = false;
            } else if (rest == 1 && !first) {
                write_supply(catalogue, product, cell);
                write_competitors(catalogue, product, cell);
            }
        }
}

static void write_all(struct catalogue *catalogue)
{
    sort(&catalogue->zones, zone_order);
    sort(&catalogue->products, product_order);
    sort(&catalogue->cells, cell_order);
    printf("{\"control\":\"tick\",\"time\":%" PRId64 "}\n", catalogue->at_ms);
    for (size_t i = 0; i < catalogue->zones.count; i++)
        write_zone(catalogue, list_at(&catalogue->zones, i));
    for (size_t i = 0; i < catalogue->zones.count; i++)
        write_weather(catalogue, list_at(&catalogue->zones, i));
    for (size_t i = 0; i < catalogue->products.count; i++)
        write_product(catalogue, list_at(&catalogue->products, i));
}

/* ---- the command ------------------------------------------------------------------------------------------------------ */

static bool take(void *user, int option, const char *argument)
{
    struct catalogue *catalogue = user;
    return option == OWN_AT && cli_time("--at", argument, &catalogue->at_ms);
}

static bool read_all(struct catalogue *catalogue)
{
    const struct config *config = &catalogue->cli->config;
    uint64_t mark;
    for (uint32_t partition = 0; partition <= MIRROR_COMMON && !catalogue->full; partition++)
        if (mirror_load(config, partition, 0, take_record, catalogue, &mark) != RIALTO_OK) {
            cli_say("Redis cannot be read (--config and --set say where it is)");
            return false;
        }
    return true;
}

static void say_what_is_missing(const struct catalogue *catalogue)
{
    if (catalogue->lines == 0)
        cli_say("Redis knows no zone and no product of the instance %s (--config and --set say which)", catalogue->cli->config.instance);
    if (catalogue->unread > 0)
        cli_say("%" PRIu64 " records of another version of Rialto were passed over", catalogue->unread);
    if (catalogue->sellers > 0)
        cli_say("%" PRIu64 " products belong to a seller: whose they are is not in the lines", catalogue->sellers);
}

static int run(struct cli *cli, int argc, char *argv[])
{
    static const struct option own[] = { { "at", required_argument, NULL, OWN_AT }, { 0 } };
    struct catalogue catalogue = { .cli = cli,
                                   .zones.bytes = sizeof(struct zone_record),
                                   .products.bytes = sizeof(struct product_record),
                                   .cells.bytes = sizeof(struct cell_record) };
    int status = cli_parse(cli, argc, argv, own, take, &catalogue);
    if (status != CLI_OK || cli->help)
        return status;
    if (argc != optind)
        return CLI_USAGE;
    log_setup("catalogue", "error", "text"); /* what went wrong is said once */
    bool read = read_all(&catalogue);
    status = !read ? CLI_UNREACHABLE : CLI_OK;
    if (catalogue.full) {
        cli_say("out of memory");
        status = CLI_NO;
    }
    if (status == CLI_OK) {
        newer(&catalogue, unix_ms());
        catalogue.at_ms = catalogue.at_ms == 0 ? catalogue.newest_ms : catalogue.at_ms;
        catalogue.oldest_ms = catalogue.at_ms - (int64_t)cli->config.signal_age_max_s * 1000 + MARGIN_MS;
        write_all(&catalogue);
        say_what_is_missing(&catalogue);
        status = fflush(stdout) != 0 || ferror(stdout) ? CLI_NO : catalogue.lines == 0 ? CLI_NO : CLI_OK;
    }
    free(catalogue.zones.record);
    free(catalogue.products.record);
    free(catalogue.cells.record);
    return status;
}

const struct cli_command cli_catalogue = {
    .name = "catalogue",
    .usage = "catalogue [--at TIME]",
    .summary = "what is known of zones and products, as signals",
    .help =
        "Writes lines of signals that say what the service knows of zones, weather, products with their prices in "
        "zones,\n"
        "stock and competitors, out of Redis. Sent to an empty service they make it know the same; in front of a\n"
        "recording they are what was there when it began. Nothing of customers is in it, nor demand; competitors have\n"
        "other names, and whose a product is (seller) is not said.\n"
        "\n"
        "  --at TIME         as signals sent at this moment, such as the beginning of a recording; left out: now.\n"
        "                    What was said later, or longer before than signal_age_max_s, gets the nearest time\n"
        "                    that a signal sent then may have\n"
        "\n"
        "  rialto catalogue > shop.ndjson && rialto replay --signals shop.ndjson --seconds 0 --set instance=another\n"
        "  rialto catalogue --at 2026-06-01T06:00:00Z > begin.ndjson\n"
        "  rialto simulate --models new/ --signals begin.ndjson day.ndjson\n"
        "\n"
        "Exit status 1 also if nothing is known.\n",
    .run = run,
};
