/* board.h - the board in the terminal: plain ANSI, redrawn in place; lines of text where there is no terminal. */
#ifndef DEMO_BOARD_H
#define DEMO_BOARD_H

#include "demo/movers.h"
#include "demo/replay.h"
#include "demo/storefront.h"

#define BOARD_MOVERS 8u

enum board_phase { BOARD_PLAYING, BOARD_SETTLING, BOARD_SERVING, BOARD_ENDING };

struct board_system { /* from the metrics, summed where there are several processes */
    uint32_t workers, workers_with_redis;
    uint64_t restarts, products, customers, cells, lag_batches, no_consent;
};

struct board {
    const struct replay_progress *progress;
    const struct storefront *storefront;
    const struct sample *sample;
    const struct rialto *prices; /* NULL while there is none */
    struct movers movers;
    const char *found;         /* what an earlier run left, or what has gone wrong */
    const char *instance_note; /* how to ask from another terminal */
    const char *console_note;  /* where it is; "" = nowhere */
    bool terminal, colours;
    /* drawing */
    int width, height, row;
    size_t used;
    char text[32768];
    /* rates */
    int64_t last_ns, next_line_ns;
    uint64_t last_sent, last_quotes;
    double signal_rate, quote_rate;
    char watched[RIALTO_ID_MAX]; /* the product whose personal prices are shown */
    int64_t watched_since_ns;
};

void board_setup(struct board *board);
void board_draw(struct board *board, enum board_phase phase, const struct board_system *system);
/* board_end - leave the last picture and give the cursor back. */
void board_end(struct board *board);
#endif
