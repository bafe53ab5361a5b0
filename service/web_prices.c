/* web_prices.c - all baseline prices of a zone, or what changed since, as a stream of NDJSON lines.
 *
 *   GET /v1/prices?zone=Z              every product's baseline in Z, then {"cursor":"..."}
 *   GET /v1/prices?zone=Z&cursor=C     what has changed since C, then the next cursor
 *
 * A cell is said where it answers: the walk over all cells asks, for each that lies in Z or around it, which cell a quote in Z
 * would take, so that a product comes once and with the price that holds there. The cursor is taken before the walk: what
 * changes meanwhile is said again by the next call, never lost.
 * Cursor     creation stamp of the tables, and the place in each worker's ring: "STAMP.N0.N1..." in hexadecimal. One of other
 *            tables, or one whose changes are overwritten already, is told so (410): begin anew without one. */
#include "cache/reader.h"
#include "service/web.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES    32768u
#define CELLS_A_STEP   512u
#define CHANGES_A_STEP 256u
#define CURSOR_MAX     (17u * (RIALTO_WORKERS_MAX + 1u) + 1u)
#define TYPE_NDJSON    "application/x-ndjson"

struct stream {
    struct web *web;
    struct MHD_Connection *connection;
    struct text text; /* written and not yet sent */
    size_t sent;
    struct rialto_request request;
    char zone[RIALTO_ID_MAX];
    int64_t stamp;                /* of the tables that this began with */
    struct rialto_follower start; /* where the next cursor points */
    struct rialto_follower at;    /* changes only */
    bool changes, ended;
    uint32_t partition;
    uint64_t slot;
};

/* ---- cursors ------------------------------------------------------------------------------------------------------------ */

static int64_t stamp_of(const struct rialto *prices)
{
    return prices->folder.control->created_unix_ms;
}

static uint32_t rings_of(const struct rialto *prices)
{
    return prices->folder.rings->ring_count < RIALTO_WORKERS_MAX ? prices->folder.rings->ring_count
                                                                 : RIALTO_WORKERS_MAX;
}

static void put_cursor(struct stream *stream, const struct rialto *prices)
{
    text_put(&stream->text, "{\"cursor\":\"%" PRIx64, (uint64_t)stream->stamp);
    for (uint32_t i = 0; i < rings_of(prices); i++)
        text_put(&stream->text, ".%" PRIx64, stream->start.next[i]);
    text_put(&stream->text, "\"}\n");
}

static bool number_next(const char **at, uint64_t *ret)
{
    char *end = NULL;
    if (!((**at >= '0' && **at <= '9') || (**at >= 'a' && **at <= 'f')))
        return false;
    *ret = strtoull(*at, &end, 16);
    bool good = end - *at <= 16;
    *at = end;
    return good;
}

/* False: no cursor, or none of these tables. */
static bool cursor_parse(const char *text, const struct rialto *prices, struct rialto_follower *ret)
{
    uint64_t stamp = 0;
    const char *at = text;
    if (strlen(text) >= CURSOR_MAX || !number_next(&at, &stamp) || stamp != (uint64_t)stamp_of(prices))
        return false;
    rialto_follow(prices, ret);
    for (uint32_t i = 0; i < rings_of(prices); i++) {
        uint64_t next = 0;
        if (*at++ != '.' || !number_next(&at, &next) || next > ret->next[i])
            return false;
        ret->next[i] = next;
    }
    return *at == '\0';
}

/* ---- lines -------------------------------------------------------------------------------------------------------------- */

static void put_line(struct stream *stream, const char *sku, const struct rialto_quote *quote)
{
    struct text *text = &stream->text;
    text_put(text, "{\"sku\":");
    text_quoted(text, sku);
    text_put(text, ",\"amount\":%" PRId64 ",\"list\":%" PRId64 ",\"currency\":\"%.3s\",\"decimals\":%u,\"zone\":",
             quote->baseline, quote->list, quote->currency, quote->decimals);
    text_quoted(text, quote->zone[0] == '\0' ? "world" : quote->zone);
    text_put(text, ",\"as_of_ms\":%" PRId64 ",\"stale\":%s}\n", quote->as_of_ms,
             (quote->flags & RIALTO_FLAG_STALE) != 0 ? "true" : "false");
}

/* The baseline of a product in the zone of the stream, if `zone` is the zone that answers. */
static void say(struct stream *stream, const struct rialto *prices, const char *sku, const char *zone)
{
    struct rialto_quote quote;
    if (sku[0] != '\0' && rialto_quote(prices, &stream->request, sku, &quote) == RIALTO_OK &&
        strcmp(quote.zone, zone) == 0)
        put_line(stream, sku, &quote);
}

static void walk(struct stream *stream, const struct rialto *prices)
{
    struct rialto_cell cell;
    for (uint32_t i = 0; i < CELLS_A_STEP && stream->partition < RIALTO_PARTITIONS; i++) {
        enum rialto_status status = rialto_cell_at(prices, stream->partition, stream->slot++, &cell);
        if (status == RIALTO_BAD_INPUT) { /* past its end */
            stream->partition++;
            stream->slot = 0;
        } else if (status == RIALTO_OK) {
            say(stream, prices, cell.sku, cell.zone);
        }
    }
    stream->ended = stream->partition == RIALTO_PARTITIONS;
}

static void follow(struct stream *stream, const struct rialto *prices)
{
    struct rialto_change change;
    for (uint32_t i = 0; i < CHANGES_A_STEP; i++) {
        bool reached = true; /* what comes after `start` belongs to the next call */
        for (uint32_t ring = 0; ring < rings_of(prices); ring++)
            reached = reached && stream->at.next[ring] >= stream->start.next[ring];
        if (reached || !rialto_next_change(prices, &stream->at, &change)) {
            stream->ended = true;
            return;
        }
        struct rialto_quote quote; /* a change around the zone counts where it answers */
        if (change.entry.table == RIALTO_TABLE_CELLS && change.sku[0] != '\0' &&
            rialto_quote(prices, &stream->request, change.sku, &quote) == RIALTO_OK &&
            strcmp(quote.zone, change.zone) == 0)
            put_line(stream, change.sku, &quote);
    }
}

/* ---- the stream ----------------------------------------------------------------------------------------------------------- */

/* A little more text. A stream whose tables were replaced under it ends without a cursor: the client begins anew. */
static void produce(struct stream *stream)
{
    const struct rialto *prices = prices_lock(stream->web);
    if (prices == NULL || stamp_of(prices) != stream->stamp) {
        stream->ended = true;
    } else {
        stream->text.used = stream->sent = 0;
        if (stream->changes)
            follow(stream, prices);
        else
            walk(stream, prices);
        if (stream->ended && stream->at.missed == 0)
            put_cursor(stream, prices);
    }
    prices_unlock(stream->web);
}

static ssize_t read_more(void *argument, uint64_t position, char *buffer, size_t room)
{
    struct stream *stream = argument;
    (void)position;
    if (stream->sent == stream->text.used)
        exchange_progress(stream->connection);
    while (stream->sent == stream->text.used && !stream->ended)
        produce(stream);
    if (stream->text.failed)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    size_t bytes = stream->text.used - stream->sent;
    if (bytes == 0)
        return MHD_CONTENT_READER_END_OF_STREAM;
    bytes = bytes < room ? bytes : room;
    memcpy(buffer, stream->text.data + stream->sent, bytes);
    stream->sent += bytes;
    return (ssize_t)bytes;
}

static void stream_free(void *argument)
{
    struct stream *stream = argument;
    text_free(&stream->text);
    free(stream);
}

/* What the stream begins with. OK; BAD_INPUT for a zone that is none; NOT_FOUND for a cursor that leads nowhere any more. */
static enum rialto_status stream_begin(struct stream *stream, const struct rialto *prices, const char *cursor)
{
    struct rialto_quote quote;
    enum rialto_status zone = rialto_quote(prices, &stream->request, "", &quote);
    if (zone == RIALTO_BAD_INPUT || zone == RIALTO_RETIRED)
        return zone;
    stream->stamp = stamp_of(prices);
    rialto_follow(prices, &stream->start);
    stream->changes = cursor != NULL;
    if (cursor == NULL)
        return RIALTO_OK;
    if (!cursor_parse(cursor, prices, &stream->at))
        return RIALTO_NOT_FOUND;
    follow(stream, prices); /* changes that are overwritten show at the first look */
    if (stream->ended && stream->at.missed == 0)
        put_cursor(stream, prices);
    return stream->at.missed > 0 ? RIALTO_NOT_FOUND : RIALTO_OK;
}

enum MHD_Result web_prices(struct exchange *exchange)
{
    const char *zone = query_text(exchange, "zone"), *cursor = query_text(exchange, "cursor");
    struct stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL)
        return MHD_NO;
    stream->web = exchange->web;
    stream->connection = exchange->connection;
    if (zone != NULL && strcmp(zone, "world") != 0)
        (void)snprintf(stream->zone, sizeof stream->zone, "%s", zone);
    stream->request.zone = stream->zone;
    enum rialto_status status = zone != NULL && strlen(zone) >= RIALTO_ID_MAX ? RIALTO_BAD_INPUT : RIALTO_NO_CACHE;
    for (int attempt = 0; attempt < 2 && status != RIALTO_BAD_INPUT; attempt++) {
        const struct rialto *prices = prices_lock(exchange->web);
        status = prices == NULL ? RIALTO_NO_CACHE : stream_begin(stream, prices, cursor);
        prices_unlock(exchange->web);
        if ((status != RIALTO_NO_CACHE && status != RIALTO_RETIRED) || !prices_replaced(exchange->web))
            break;
    }
    if (status != RIALTO_OK) {
        stream_free(stream);
        return status == RIALTO_NOT_FOUND
                   ? problem(
                         exchange, MHD_HTTP_GONE, "cursor-gone", "This cursor leads nowhere any more",
                         "the changes behind it are overwritten, or the tables are others now: begin without a cursor")
                   : problem_of(exchange, status);
    }
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, CHUNK_BYTES, read_more, stream, stream_free);
    if (response == NULL) {
        stream_free(stream);
        return MHD_NO;
    }
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, TYPE_NDJSON);
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    (void)MHD_add_response_header(response, "X-Request-Id", exchange->id);
    enum MHD_Result result = MHD_queue_response(exchange->connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    metric_add(METRIC_http_answered_total, 1);
    return result;
}
