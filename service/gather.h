/* gather.h - the inputs of a cell's price, out of committed records, and what many cells have in common. Owner: the worker's thread. */
#ifndef SERVICE_GATHER_H
#define SERVICE_GATHER_H

#include "service/worker.h"

#define HEARD_COUNT          3u    /* demand, promotion, competitors */
#define COMMONS_ZONES        1024u /* zones and models that are remembered at once; another one is gathered anew */
#define COMMONS_MODEL_STRIDE 97u

struct gathering { /* inputs as they are collected, and until when they stay what they are */
    struct price_inputs in;
    int64_t expires_ms;          /* earliest end of something that was used; INT64_MAX = none */
    bool moving;                 /* something changes by itself with time */
    bool all;                    /* inputs that no factor looks at, too */
    uint16_t currency;           /* ISO number, of the list price: amounts in any other say nothing about it */
    uint64_t heard;              /* commons_around.number that was taken last, and still stands here; 0 = none */
    struct input_origin *origin; /* NULL, or filled for somebody who asks why [INPUT_SLOTS] */
};

/* What many cells have in common, computed once. What zones say belongs to one round: one batch, all of whose records are applied before
 * its first price, and the models and zones in force; the rest to one partition of it. Whoever asks why gathers all of it himself. */
struct commons {
    uint64_t round, batch; /* the round is this batch's, under this picture (worker.picture) */
    uint32_t picture;
    struct price_memory memory;
    struct commons_around {
        uint64_t number; /* another one whenever something is heard anew */
        uint32_t cell; /* of the product that is being priced; STATE_NONE = nothing heard yet */
        const struct model *model;
        int64_t list;
        uint16_t currency;
        struct gathering said[HEARD_COUNT];
        uint64_t present;   /* inputs that any of them says */
        int64_t expires_ms; /* the earliest end of them */
        bool moving;
    } around;
    struct commons_product {                 /* what is the same in all cells of the product that is being priced */
        const struct product_record *record; /* NULL = nothing yet */
        const struct model *model;
        struct gathering said;
    } product;
    struct commons_zone {
        uint64_t round; /* in which it was gathered */
        const struct model *model;
        uint32_t place;
        struct gathering said;
        struct zone_memory factors;
    } zone[COMMONS_ZONES];
};

bool commons_setup(struct worker *worker); /* false: out of memory */
void commons_teardown(struct worker *worker);
void commons_begin(struct worker *worker); /* prices of one partition, of worker->batch */

static const enum model_input WEATHER_INPUT[WEATHER_READINGS] = { INPUT_temperature_c, INPUT_precipitation_mm_h,
                                                                  INPUT_wind_m_s, INPUT_humidity };
/* weather_end_ms - until when a model believes what a zone said of its weather. */
static inline int64_t weather_end_ms(const struct zone_record *zone, const struct model *model)
{
    return zone->weather_until_ms != 0 ? zone->weather_until_ms
                                       : zone->weather_time_ms + (int64_t)model->weather_age_s * 1000;
}

/* gather - for a price at worker->tick_ms, by what the round has in common; worker->commons->memory is ready for it. `priced`: whose list
 * price it is. The category is the caller's to set. *ret is zeros, or what an earlier call left: an input that is not present has no value. */
void gather(const struct worker *worker, const struct partition *partition, uint32_t cell, uint32_t priced,
            const struct model *model, struct gathering *ret);
#endif
