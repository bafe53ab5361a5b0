/* recording.h - recorded data as one stream of signals in the order in which things happened.
 *
 *   fresh_*.csv.gz ----fresh.c----\
 *   online_retail.csv.gz-retail.c--merge.c--> struct recorded --recorded_line()--> {"type":"demand",...}
 *                     shoppers.c--/           (made-up consents, places and looks; no recorded data)
 *
 * The axis is Unix milliseconds as if every shop's wall clock were true. The gift shop's rows are moved by whole
 * weeks, so that both sets begin in the same week and weekdays and hours stay what they were.
 *
 * Every row of every file is accounted for under exactly one rule of ACCOUNT_RULES: made into signals, or passed
 * over for a stated reason. A row may become more than one signal (a product's first order is preceded by the
 * product itself). */
#ifndef DEMO_RECORDING_H
#define DEMO_RECORDING_H

#include "pricing/json_text.h"

#include <rialto/layout.h>
#include <rialto/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECORDED_BODY_MAX 448u
#define RECORDED_LINE_MAX 768u
#define RECORDED_TICK_MS  INT64_C(900000) /* a clock tick every 15 recorded minutes */
#define WEEK_MS           INT64_C(604800000)
#define DAY_MS            INT64_C(86400000)
#define HOUR_MS           INT64_C(3600000)

/* What stands at the same moment goes out in this order: what is known before what happens. */
enum recorded_rank {
    RANK_ZONE,
    RANK_PRODUCT,
    RANK_PROMOTION,
    RANK_WEATHER,
    RANK_CUSTOMER,
    RANK_LOCATION,
    RANK_OFFER,
    RANK_SUPPLY,
    RANK_DEMAND,
    RANK_COUNT
};

struct recorded { /* one signal, not yet moved to the time at which it is played */
    int64_t at_ms;
    int64_t until_ms; /* 0 = none */
    enum recorded_rank rank;
    char source[16];
    char id[40];
    char sku[RIALTO_ID_MAX];      /* "" = none */
    char zone[RIALTO_ID_MAX];     /* "" = none */
    char customer[RIALTO_ID_MAX]; /* "" = nobody */
    char body[RECORDED_BODY_MAX]; /* JSON members that follow */
};

/*    rule               what became of the row */
#define ACCOUNT_RULES(X)                                                                                               \
    X(emitted, "made into signals")                                                                                    \
    X(names, "kept as names of products")                                                                              \
    X(no_event, "no sale in that hour and no change of stock")                                                         \
    X(outside, "before the first or after the last day with recorded sales")                                           \
    X(no_promotion, "no discount that day")                                                                            \
    X(missing_discount, "missing discount (empty or below 0.01)")                                                      \
    X(not_article, "no article: postage, fees, vouchers, samples, manual entries")                                     \
    X(stock_correction, "stock correction: negative quantity without a cancellation")                                  \
    X(no_price, "no positive unit price")                                                                              \
    X(malformed, "malformed: a field is missing, not a number or out of range")

#define ACCOUNT_ENUM_(name, text) ACCOUNT_##name,
enum account_rule { ACCOUNT_RULES(ACCOUNT_ENUM_) ACCOUNT_COUNT };
#undef ACCOUNT_ENUM_

struct account {      /* what became of one file's rows */
    const char *file; /* NULL = no such file was read */
    uint64_t rows;
    uint64_t by_rule[ACCOUNT_COUNT];
};

const char *account_rule_text(enum account_rule rule);
const char *account_rule_name(enum account_rule rule);

/* account_adds_up - rows read = sum over all rules. */
bool account_adds_up(const struct account *account);

enum recorded_next { RECORDED_ITEM, RECORDED_END, RECORDED_BROKEN };

/* recorded_line - the signal as one line of JSON with a newline, moved by `shift_ms`. Ids carry the shift, so that
 * the same recording played again later is not taken for a repetition. Returns its length; ret holds
 * RECORDED_LINE_MAX bytes. */
size_t recorded_line(const struct recorded *item, int64_t shift_ms, char *ret);

/* recorded_set_body - printf into the body; asserts that it fits. */
__attribute__((format(printf, 2, 3))) void recorded_set_body(struct recorded *item, const char *format, ...);

/* json_escaped - text as the inside of a JSON string: quotes escaped, control characters and broken UTF-8 dropped,
 * white space at both ends dropped, cut at `n` - 1 bytes at a character's border. */
void json_escaped(const char *text, size_t n, char *ret);

/* text_hash - FNV-1a, 64 bit, with a salt ahead: where the demonstration makes something up, it is always the same. */
uint64_t text_hash(const char *salt, const char *text);

/* text_number - the whole text as a finite decimal number. */
bool text_number(const char *text, double *ret);

/* text_time - "2024-04-01" or "2024-04-01 08:26:00" as Unix ms, taken as UTC. */
bool text_time(const char *text, int64_t *ret_ms);

/* ---- the merged stream ------------------------------------------------------------------------------------------ */

struct recording;

struct recording_paths {
    const char *fresh_dir;   /* NULL = none: fresh_hourly.csv, fresh_daily_price.csv, ..., each plain or .gz */
    const char *retail_file; /* NULL = none */
};

/* recording_open - RIALTO_OK, or REFUSED with *fault. At least one path must be given. */
enum rialto_status recording_open(const struct recording_paths *paths, struct recording **ret, struct fault *fault);
void recording_close(struct recording *recording);

/* recording_next - the next signal in time order. BROKEN: *fault says why (a file that is damaged or out of order). */
enum recorded_next recording_next(struct recording *recording, struct recorded *ret, struct fault *fault);

/* recording_begin_ms - midnight (shop time) before the first row, on the axis. */
int64_t recording_begin_ms(const struct recording *recording);

/* recording_accounts - what became of the rows of each file so far. Returns how many files there are. */
#define ACCOUNTS_MAX 8u
uint32_t recording_accounts(const struct recording *recording, struct account ret[ACCOUNTS_MAX]);
#endif
