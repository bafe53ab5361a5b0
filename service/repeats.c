/* repeats.c - two open-addressed sets of 64-bit hashes, the present window and the one before it. */
#include "service/repeats.h"

#include "cache/keys.h"
#include "pricing/demand.h"
#include "service/metrics.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

struct window {
    uint64_t *slot; /* 0 = empty */
    uint32_t used;
    uint8_t secret[RIALTO_SECRET_BYTES];
};

struct repeats {
    struct window window[2];
    uint32_t now; /* which of them is the present one */
    uint32_t max, mask;
    int64_t window_ms, number; /* of the present window: service time / window_ms */
};

static void window_begin(const struct repeats *repeats, struct window *window)
{
    if (window->used > 0)
        memset(window->slot, 0, ((size_t)repeats->mask + 1) * sizeof window->slot[0]);
    window->used = 0;
    /* Once at the start it was there; an interrupted or refused call leaves the old key, which is as secret. */
    (void)!getrandom(window->secret, sizeof window->secret, GRND_NONBLOCK);
}

struct repeats *repeats_create(uint32_t max, int64_t window_ms)
{
    struct repeats *repeats = calloc(1, sizeof *repeats);
    uint64_t slots = 64;
    while (slots < (uint64_t)max + max / 2)
        slots *= 2;
    if (repeats == NULL)
        return NULL;
    repeats->max = max;
    repeats->mask = (uint32_t)(slots - 1);
    repeats->window_ms = window_ms;
    for (unsigned i = 0; i < 2; i++) {
        struct window *window = &repeats->window[i];
        window->slot = calloc(slots, sizeof window->slot[0]);
        if (window->slot == NULL || getrandom(window->secret, sizeof window->secret, 0) != sizeof window->secret) {
            repeats_destroy(repeats);
            return NULL;
        }
    }
    return repeats;
}

void repeats_destroy(struct repeats *repeats)
{
    if (repeats == NULL)
        return;
    for (unsigned i = 0; i < 2; i++) {
        free(repeats->window[i].slot);
        explicit_bzero(repeats->window[i].secret, sizeof repeats->window[i].secret);
    }
    free(repeats);
}

/* The present window becomes the one before. */
static void turn(struct repeats *repeats)
{
    repeats->now ^= 1u;
    window_begin(repeats, &repeats->window[repeats->now]);
}

static void advance(struct repeats *repeats, int64_t now_ms)
{
    int64_t number = now_ms / repeats->window_ms;
    if (number <= repeats->number)
        return;
    if (number > repeats->number + 1)
        turn(repeats);
    turn(repeats);
    repeats->number = number;
}

/* Event, product, session, or zone where there is no session; terminators keep them apart. */
static size_t act_text(const struct signal *signal, char text[4 + 2 * RIALTO_ID_MAX])
{
    bool named = signal_has(signal, SIGNAL_FIELD_session);
    const char *who = named ? signal->session : signal->zone;
    size_t sku = strlen(signal->sku) + 1, length = strlen(who);
    text[0] = (char)('0' + signal->event);
    text[1] = named ? 's' : 'z';
    memcpy(text + 2, signal->sku, sku);
    memcpy(text + 2 + sku, who, length);
    return 2 + sku + length;
}

static uint64_t *slot_find(const struct repeats *repeats, const struct window *window, const char *text, size_t bytes,
                           uint64_t *ret_hash)
{
    uint64_t hash = key_of_id(window->secret, text, bytes).lo | 1u;
    uint32_t at = (uint32_t)(hash >> 32) & repeats->mask;
    while (window->slot[at] != 0 && window->slot[at] != hash) /* at most two thirds are in use */
        at = (at + 1) & repeats->mask;
    *ret_hash = hash;
    return &window->slot[at];
}

bool repeats_take(struct repeats *repeats, const struct signal *signal, int64_t now_ms)
{
    char text[4 + 2 * RIALTO_ID_MAX];
    uint64_t hash;
    bool free_of_cost = signal->event == DEMAND_VIEW || signal->event == DEMAND_SEARCH || signal->event == DEMAND_CART;
    if (signal->type != SIGNAL_demand || !free_of_cost)
        return false;
    advance(repeats, now_ms);
    size_t bytes = act_text(signal, text);
    if (*slot_find(repeats, &repeats->window[repeats->now ^ 1u], text, bytes, &hash) != 0)
        return true;
    struct window *window = &repeats->window[repeats->now];
    uint64_t *slot = slot_find(repeats, window, text, bytes, &hash);
    if (*slot != 0)
        return true;
    if (window->used >= repeats->max) {
        metric_add(METRIC_repeats_forgotten_total, repeats->window[repeats->now ^ 1u].used);
        turn(repeats);
        window = &repeats->window[repeats->now];
        slot = slot_find(repeats, window, text, bytes, &hash);
    }
    *slot = hash;
    window->used++;
    return false;
}
