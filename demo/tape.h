/* tape.h - what a replay plays: lines of JSON, signals and clock ticks, in the order in which they are to be sent.
 *
 *   recorded data --> tick, signals up to it, tick, ...      a tick every 15 minutes: time first, then what happened
 *   a file of lines --> as it stands                         its times and ids moved, if the tape is moved
 *
 * Times on a tape are absolute. tape_move() shifts all of them. */
#ifndef DEMO_TAPE_H
#define DEMO_TAPE_H

#include "demo/recording.h"

#define TAPE_LINE_MAX 65536u

struct tape_source {
    const char *fresh_dir;   /* NULL = none */
    const char *retail_file; /* NULL = none */
    /* NULL = none; excludes the others. Plain or gzip; lines of signals and {"control":"tick",...}. A folder: all *.ndjson in it,
     * in the order of their names, as a service records them. */
    const char *signals_file;
};

struct tape_line {
    bool is_tick;
    int64_t at_ms;               /* moved; of a signal without a time: of the line before it */
    const struct recorded *item; /* NULL for ticks and lines from a file */
    const char *file;            /* which it stands in, valid as `text`; NULL: recorded data */
    uint32_t line;
    const char *text;            /* with its newline; valid until the next call */
    size_t bytes;
};

struct tape;

enum rialto_status tape_open(const struct tape_source *source, struct tape **ret, struct fault *fault);
void tape_close(struct tape *tape);
void tape_move(struct tape *tape, int64_t shift_ms);

/* tape_next - the next line. BROKEN with *fault. */
enum recorded_next tape_next(struct tape *tape, struct tape_line *ret, struct fault *fault);

struct tape_survey { /* what a whole tape holds */
    uint64_t signals, ticks;
    int64_t begin_ms, end_ms; /* first and last moment, not moved */
    uint32_t account_count;   /* 0 for a file of lines */
    struct account account[ACCOUNTS_MAX];
    uint64_t by_rank[RANK_COUNT];
};

/* tape_measure - play a tape of this source to nobody. RIALTO_OK, or REFUSED with *fault: a pipe too, which could not be played after that. */
enum rialto_status tape_measure(const struct tape_source *source, struct tape_survey *ret, struct fault *fault);

/* tape_print_survey - the accounting as text, on `out` (FILE*): rows read = the sum of its rules, signals by kind. */
void tape_print_survey(const struct tape_survey *survey, void *out);

/* tape_shift - by how much to move a tape that begins at begin_ms so that it can be played to a service whose time
 * is now_ms: whole weeks, so that weekdays and hours stay; the beginning comes to lie less than a week ahead, or at
 * most 6 hours back. */
int64_t tape_shift(int64_t begin_ms, int64_t now_ms);
#endif
