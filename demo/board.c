/* board.c - composes one picture in memory and writes it at once. */
#include "demo/board.h"

#include "demo/shoppers.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define LINE_EVERY_NS  INT64_C(5000000000) /* without a terminal */
#define WATCH_NS       INT64_C(6000000000) /* a product stays in the picture for so long */
#define RATE_NS        INT64_C(1000000000)
#define WIDTH_MIN      60
#define SHOP_OFFSET_MS (8 * HOUR_MS) /* the groceries' clock, for the recorded time */

/* Marks within a line; they take no room in it. */
#define BOLD           "\001"
#define DIM            "\002"
#define PLAIN          "\003"
#define UP             "\004"
#define DOWN           "\005"

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* ---- one line --------------------------------------------------------------------------------------------------- */

static void put(struct board *board, const char *text, size_t bytes)
{
    if (board->used + bytes >= sizeof board->text)
        return;
    memcpy(board->text + board->used, text, bytes);
    board->used += bytes;
}

static void put_mark(struct board *board, char mark)
{
    static const char *const code[] = { "", "\033[1m", "\033[2m", "\033[0m", "\033[31m", "\033[32m" };
    if (board->colours)
        put(board, code[(int)mark], strlen(code[(int)mark]));
}

/* A line of at most the terminal's width, counted in characters; the rest is cut. */
__attribute__((format(printf, 2, 3))) static void line(struct board *board, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (board->row >= board->height)
        return;
    if (board->row++ > 0)
        put(board, "\r\n", 2);
    int room = board->width;
    for (const char *at = text; *at; at++) {
        if (*at > 0 && *at <= 5) {
            put_mark(board, *at);
            continue;
        }
        if (((unsigned char)*at & 0xC0) != 0x80 && room-- == 0)
            break;
        put(board, at, 1);
    }
    put_mark(board, PLAIN[0]);
    put(board, "\033[K", 3);
}

/* ---- texts ------------------------------------------------------------------------------------------------------ */

/* 1234567 as "1,234,567". */
static const char *grouped(uint64_t number, char ret[32])
{
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%" PRIu64, number), used = 0;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            ret[used++] = ',';
        ret[used++] = digits[i];
    }
    ret[used] = 0;
    return ret;
}

static const char *clock_text(int64_t unix_ms, const char *format, char ret[48])
{
    time_t seconds = (time_t)(unix_ms / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    strftime(ret, 48, format, &tm);
    return ret;
}

static const char *microseconds(uint64_t ns, char ret[24])
{
    snprintf(ret, 24, ns < 10000 ? "%.2f" : "%.0f", (double)ns / 1000);
    return ret;
}

/* An amount without its currency, such as "12.34". */
static void number_text(int64_t amount, uint8_t decimals, char ret[48])
{
    rialto_money_text(amount, "", decimals, 48, ret);
    size_t end = strlen(ret);
    while (end > 0 && ret[end - 1] == ' ')
        ret[--end] = 0;
}

static void bar_text(double part, int width, char *ret)
{
    int full = (int)lround(part * width);
    for (int i = 0; i < width; i++)
        ret[i] = i < full ? '#' : '.';
    ret[width] = 0;
}

static const char *phase_text(enum board_phase phase)
{
    switch (phase) {
    case BOARD_PLAYING: return "playing recorded data";
    case BOARD_SETTLING: return "waiting until all is saved";
    case BOARD_SERVING: return "serving; Ctrl-C ends";
    case BOARD_ENDING: return "ending";
    }
    return "";
}

/* ---- parts ------------------------------------------------------------------------------------------------------ */

static void update_rates(struct board *board)
{
    int64_t now = now_ns();
    uint64_t sent = board->progress->sent, quotes = board->storefront->quotes;
    if (board->last_ns != 0 && now - board->last_ns < RATE_NS)
        return;
    if (board->last_ns != 0) {
        double seconds = (double)(now - board->last_ns) / 1e9;
        board->signal_rate = (double)(sent - board->last_sent) / seconds;
        board->quote_rate = (double)(quotes - board->last_quotes) / seconds;
    }
    board->last_ns = now;
    board->last_sent = sent;
    board->last_quotes = quotes;
}

/* Where the recording is: the service's clock, moved back. */
static int64_t recorded_now_ms(const struct board *board)
{
    const struct replay_progress *progress = board->progress;
    if (board->prices == NULL || progress->shift_ms == 0)
        return progress->recorded_ms;
    int64_t now_ms = rialto_now_ms(board->prices) - progress->shift_ms;
    return now_ms < progress->end_ms ? now_ms : progress->end_ms;
}

static double part_done(const struct replay_progress *progress)
{
    uint64_t total = progress->ticks_total;
    return total == 0 ? 0 : (double)progress->ticks / (double)total;
}

static void draw_head(struct board *board, enum board_phase phase)
{
    const struct replay_progress *progress = board->progress;
    char recorded[48] = "-", service[48] = "-", bar[256], sent[32], total[32], rejected[32], rate[32];
    if (progress->recorded_ms != 0)
        clock_text(recorded_now_ms(board) + SHOP_OFFSET_MS, "%a %Y-%m-%d %H:%M", recorded);
    if (board->prices != NULL)
        clock_text(rialto_now_ms(board->prices), "%Y-%m-%d %H:%M:%S UTC", service);
    line(board, BOLD "Rialto" PLAIN "  every customer's price, kept ready   " DIM "%s", phase_text(phase));
    line(board, "recorded  " BOLD "%s" PLAIN " shop time      service  %s", recorded, service);
    int width = board->width - 18 < 200 ? board->width - 18 : 200;
    bar_text(part_done(progress), width, bar);
    line(board, "replay    [%s] %3.0f %%", bar, 100 * part_done(progress));
    const char *durable = progress->durable;
    line(board, "signals   " BOLD "%s" PLAIN " of %s, %s/s; %s rejected; acknowledged: %s",
         grouped(progress->sent, sent), grouped(progress->signals_total, total),
         grouped((uint64_t)board->signal_rate, rate), grouped(progress->rejected, rejected),
         durable != NULL ? durable : "-");
}

static void draw_quotes(struct board *board)
{
    const struct storefront *storefront = board->storefront;
    char quotes[32], rate[32], p50[24], p99[24], breaches[32];
    line(board,
         "quotes    " BOLD "%s" PLAIN ", %s/s; p50 " BOLD "%s us" PLAIN ", p99 " BOLD "%s us" PLAIN "; breaches %s",
         grouped(storefront->quotes, quotes), grouped((uint64_t)board->quote_rate, rate),
         microseconds(latency_at(&storefront->latency, 0.5), p50),
         microseconds(latency_at(&storefront->latency, 0.99), p99),
         grouped(storefront->breaches + storefront->missing, breaches));
}

static void draw_system(struct board *board, const struct board_system *system)
{
    char cells[32], customers[32];
    const char *redis = system->workers_with_redis == system->workers ? "up" : DOWN "down" PLAIN;
    line(board, "service   %u worker%s, %" PRIu64 " restart%s, Redis %s; %s prices; %s customers", system->workers,
         system->workers == 1 ? "" : "s", system->restarts, system->restarts == 1 ? "" : "s", redis,
         grouped(system->cells, cells), grouped(system->customers, customers));
}

static void draw_mover(struct board *board, const struct mover *mover)
{
    char before[48], after[48], factor[24] = "";
    number_text(mover->before, mover->decimals, before);
    rialto_money_text(mover->after, mover->currency, mover->decimals, sizeof after, after);
    double percent = 100 * ((double)mover->after / (double)mover->before - 1);
    if (mover->reason_ppm != 0 && mover->reason_ppm != 1000000)
        snprintf(factor, sizeof factor, " x%.2f", mover->reason_ppm / 1e6);
    char reason[48];
    snprintf(reason, sizeof reason, "%s%s", mover->reason, factor);
    line(board, "  %s%+6.1f %%" PLAIN " %7s -> %-11s %-15s %-7.7s %s", percent > 0 ? UP : DOWN, percent, before, after,
         reason, mover->zone[0] ? mover->zone : "world", mover->title);
}

/* Which grocery's personal prices are shown: one that moved lately, for a few seconds each. */
static void choose_watched(struct board *board, const struct mover *mover, uint32_t count)
{
    int64_t now = now_ns();
    if (board->watched[0] != 0 && now - board->watched_since_ns < WATCH_NS)
        return;
    for (uint32_t i = 0; i < count; i++) {
        if (mover[i].sku[0] != 'F' || strcmp(mover[i].sku, board->watched) == 0)
            continue;
        memcpy(board->watched, mover[i].sku, sizeof board->watched);
        board->watched_since_ns = now;
        return;
    }
    uint32_t groceries = board->sample->groceries.count;
    if (board->watched[0] == 0 && groceries > 0)
        memcpy(board->watched, board->sample->groceries.text[0], sizeof board->watched);
}

static void reason_text(const struct rialto_quote *quote, const struct shopper *shopper, char ret[128])
{
    size_t used = 0;
    ret[0] = 0;
    if (quote->flags & RIALTO_FLAG_LOCK)
        used += (size_t)snprintf(ret, 128, "price lock ");
    if (quote->flags & RIALTO_FLAG_OFFER)
        used += (size_t)snprintf(ret + used, 128 - used, "own offer ");
    if (quote->kinds & RIALTO_KIND_PROFILE)
        used += (size_t)snprintf(ret + used, 128 - used, "%s%s ", shopper->tier, shopper->family ? " family" : "");
    if (quote->kinds & RIALTO_KIND_PURCHASES)
        used += (size_t)snprintf(ret + used, 128 - used, "purchases ");
    if (quote->kinds & RIALTO_KIND_LOCATION)
        used += (size_t)snprintf(ret + used, 128 - used, "nearby ");
    if (used == 0)
        snprintf(ret, 128, "-");
}

static void draw_person(struct board *board, const struct sample_person *person, const char *who)
{
    if (!person->found || board->prices == NULL || board->watched[0] == 0) {
        line(board, "  %-32s -", who);
        return;
    }
    struct rialto_quote quote;
    const struct rialto_request request = { .customer = person->id };
    enum rialto_status status = rialto_quote(board->prices, &request, board->watched, &quote);
    if (status != RIALTO_OK) {
        line(board, "  %-32s %s", who, rialto_status_name(status));
        return;
    }
    struct shopper shopper = shopper_of(person->id);
    char baseline[48], own[48], reason[128];
    number_text(quote.baseline, quote.decimals, baseline);
    rialto_money_text(quote.amount, quote.currency, quote.decimals, sizeof own, own);
    reason_text(&quote, &shopper, reason);
    line(board, "  %-7s %-24s %-7s %6s -> " BOLD "%9s" PLAIN "  %s", person->id, who,
         quote.zone[0] ? quote.zone : "world", baseline, own, reason);
}

static void draw_people(struct board *board)
{
    line(board, DIM "What three customers pay for %s: baseline -> own price",
         board->watched[0] ? board->watched : "a product");
    draw_person(board, &board->sample->gold, "gold, permits profile");
    draw_person(board, &board->sample->near, "in a shop, permits place");
    draw_person(board, &board->sample->nobody, "permits nothing");
}

/* ---- the whole -------------------------------------------------------------------------------------------------- */

static void measure_terminal(struct board *board)
{
    struct winsize size;
    board->width = 80;
    board->height = 24;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
        board->width = size.ws_col < WIDTH_MIN ? WIDTH_MIN : size.ws_col;
        board->height = size.ws_row;
    }
}

static void draw_picture(struct board *board, enum board_phase phase, const struct board_system *system)
{
    measure_terminal(board);
    board->used = 0;
    board->row = 0;
    put(board, "\033[H", 3);
    draw_head(board, phase);
    draw_quotes(board);
    draw_system(board, system);
    struct mover mover[BOARD_MOVERS];
    uint32_t count = movers_top(&board->movers, BOARD_MOVERS, mover);
    choose_watched(board, mover, count);
    char changes[32];
    line(board, "%s", "");
    line(board, DIM "Biggest moves lately (%s price changes so far)", grouped(board->movers.changes, changes));
    for (uint32_t i = 0; i < BOARD_MOVERS; i++) {
        if (i < count)
            draw_mover(board, &mover[i]);
        else
            line(board, "%s", "");
    }
    line(board, "%s", "");
    draw_people(board);
    line(board, DIM "%s", board->found);
    line(board, DIM "%s", board->instance_note);
    if (board->console_note[0] != 0)
        line(board, DIM "%s", board->console_note);
    put(board, "\033[J", 3);
    (void)!write(STDOUT_FILENO, board->text, board->used);
}

static void print_line(struct board *board, enum board_phase phase, const struct board_system *system)
{
    int64_t now = now_ns();
    if (now < board->next_line_ns)
        return;
    board->next_line_ns = now + LINE_EVERY_NS;
    char recorded[48], p50[24], p99[24];
    printf("%3.0f %%  %s  recorded %s  signals %" PRIu64 " (%.0f/s, %" PRIu64 " rejected)  quotes %" PRIu64
           " (%.0f/s, p50 %s us, p99 %s us, %" PRIu64 " outside bounds)  workers %u  redis %s\n",
           100 * part_done(board->progress), phase_text(phase),
           clock_text(recorded_now_ms(board) + SHOP_OFFSET_MS, "%Y-%m-%d %H:%M", recorded),
           (uint64_t)board->progress->sent, board->signal_rate, (uint64_t)board->progress->rejected,
           (uint64_t)board->storefront->quotes, board->quote_rate,
           microseconds(latency_at(&board->storefront->latency, 0.5), p50),
           microseconds(latency_at(&board->storefront->latency, 0.99), p99),
           board->storefront->breaches + board->storefront->missing, system->workers,
           system->workers_with_redis == system->workers ? "up" : "down");
    fflush(stdout);
}

void board_setup(struct board *board)
{
    board->terminal = isatty(STDOUT_FILENO) != 0;
    board->colours = getenv("NO_COLOR") == NULL;
    board->next_line_ns = now_ns() + LINE_EVERY_NS;
    if (board->terminal)
        (void)!write(STDOUT_FILENO, "\033[?25l\033[2J", 10);
}

void board_draw(struct board *board, enum board_phase phase, const struct board_system *system)
{
    update_rates(board);
    if (board->prices != NULL)
        movers_read(&board->movers, board->prices);
    if (board->terminal)
        draw_picture(board, phase, system);
    else
        print_line(board, phase, system);
}

void board_end(struct board *board)
{
    if (board->terminal)
        (void)!write(STDOUT_FILENO, "\r\n\033[?25h", 8);
    board->terminal = false;
}
