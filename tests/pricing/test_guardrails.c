/* test_guardrails.c - no model and no input moves a price across its bounds: random models, random inputs, extremes
 * included. */
#include "pricing/model.h"
#include "tests/pricing/random.h"

#include <criterion/criterion.h>
#include <time.h>

#define ROUNDS 300000

/* One of: an edge, something ordinary, anything at all. */
static int64_t amount_of(uint64_t *seed)
{
    switch (random_next(seed) % 6) {
    case 0: return random_between(seed, 1, 20);
    case 1: return random_between(seed, 1, RIALTO_BOUND_MAX);
    case 2: return RIALTO_BOUND_MAX - random_between(seed, 0, 3);
    default: return random_between(seed, 1, 100000);
    }
}

static int64_t part_of(uint64_t *seed, int64_t low, int64_t high)
{
    return random_next(seed) % 4 == 0 ? (random_next(seed) % 2 ? low : high) : random_between(seed, low, high);
}

/* What model_parse() would accept: the same bounds on every number. */
static void random_factor(uint64_t *seed, struct model_factor *factor)
{
    factor->input = (enum model_input)(random_next(seed) % INPUT_COUNT);
    factor->kind = random_next(seed) % 2 ? CURVE_LINEAR : CURVE_STEPS;
    factor->point_count = (uint32_t)random_between(seed, 1, MODEL_POINTS_MAX);
    int64_t x = random_between(seed, -1000000000000000, 1000000);
    for (uint32_t i = 0; i < factor->point_count; i++, x += random_between(seed, 1, 40000000000000))
        factor->point[i] = (struct model_point){ x, part_of(seed, MICRO / 10, 10 * MICRO) };
}

static void random_model(uint64_t *seed, struct model *model)
{
    struct model_guardrails *guard = &model->guard;
    guard->floor_micro = part_of(seed, MICRO / 100, MICRO);
    guard->ceiling_micro = part_of(seed, MICRO, 10 * MICRO);
    guard->margin_micro = random_next(seed) % 2 ? -1 : part_of(seed, 0, 10 * MICRO);
    guard->step_micro = random_next(seed) % 2 ? 0 : part_of(seed, MICRO / 1000, MICRO);
    guard->step_interval_s = (uint32_t)random_between(seed, 0, 7200);
    guard->dead_band_micro = random_next(seed) % 2 ? 0 : part_of(seed, 0, MICRO / 2);
    guard->settle_s = (uint32_t)random_between(seed, 0, 7200);
    model->ending_step =
        random_next(seed) % 2 ? 1 : (uint32_t)random_between(seed, 1, random_next(seed) % 2 ? 100 : 1000000);
    model->ending_less = (uint32_t)random_between(seed, 0, model->ending_step - 1);
    model->factor_count = (uint32_t)random_between(seed, 0, MODEL_FACTORS_MAX);
    for (uint32_t i = 0; i < model->factor_count; i++)
        random_factor(seed, &model->factor[i]);
}

static void random_inputs(uint64_t *seed, struct price_inputs *in)
{
    *in = (struct price_inputs){ .list = amount_of(seed),
                                 .cost = random_next(seed) % 2 ? -1 : amount_of(seed) - 1,
                                 .present = random_next(seed),
                                 .now_ms = random_between(seed, 0, 4000000000000) };
    for (int i = 0; i < INPUT_COUNT; i++)
        in->input_micro[i] =
            random_next(seed) % 3 ? random_between(seed, -100 * MICRO, 100 * MICRO) : (int64_t)random_next(seed);
    if (random_next(seed) % 2) {
        in->published = amount_of(seed);
        in->changed_ms = in->now_ms - random_between(seed, -1000, 8000000);
        in->published_list = random_next(seed) % 4 ? in->list : amount_of(seed);
    }
}

static bool is_ending(const struct model *model, int64_t amount)
{
    return (amount + model->ending_less) % model->ending_step == 0;
}

/* Bounds as the model's words say them, by multiplication where the code divides. */
static void check_bounds(const struct model *model, const struct price_inputs *in, const struct price_result *r)
{
    cr_assert(r->floor >= 1 && r->floor <= r->ceiling && r->ceiling <= RIALTO_BOUND_MAX);
    cr_assert(r->baseline >= r->floor && r->baseline <= r->ceiling);
    cr_assert((int128)r->floor * MICRO >= (int128)in->list * model->guard.floor_micro);
    if (in->cost >= 0 && model->guard.margin_micro >= 0)
        cr_assert((int128)r->floor * MICRO >= (int128)in->cost * (MICRO + model->guard.margin_micro));
    if (r->ceiling > r->floor)
        cr_assert((int128)r->ceiling * MICRO <= (int128)in->list * model->guard.ceiling_micro);
}

/* A change larger than the step happens only towards the bounds. */
static void check_step(const struct model *model, const struct price_inputs *in, const struct price_result *r)
{
    if (model->guard.step_micro == 0 || in->published <= 0 || in->published_list != in->list)
        return;
    int64_t reach = (int64_t)((int128)in->published * model->guard.step_micro / MICRO);
    reach = reach > model->ending_step ? reach : model->ending_step;
    if (in->now_ms - in->changed_ms < (int64_t)model->guard.step_interval_s * 1000)
        reach = 0;
    if (r->baseline > in->published + reach)
        cr_assert_eq(r->baseline, r->floor, "a step too far that no floor asked for");
    if (r->baseline < in->published - reach)
        cr_assert_eq(r->baseline, r->ceiling, "a step too far that no ceiling asked for");
}

Test(guardrails, no_price_leaves_its_bounds)
{
    static struct model model;
    uint64_t seed = 21;
    int priced = 0, refused = 0;
    clock_t started = clock();
    for (int round = 0; round < ROUNDS; round++) {
        if (round % 8 == 0)
            random_model(&seed, &model);
        struct price_inputs in;
        random_inputs(&seed, &in);
        struct price_result result = { .baseline = -77 };
        enum rialto_status status = model_price(&model, &in, &result);
        if (status == RIALTO_OVERFLOW) {
            refused++;
            cr_assert_eq(result.baseline, -77);
            continue;
        }
        priced++;
        cr_assert_eq(status, RIALTO_OK);
        check_bounds(&model, &in, &result);
        check_step(&model, &in, &result);
        bool room = result.ceiling - result.floor >= model.ending_step;
        if (in.published == 0 && room)
            cr_assert(is_ending(&model, result.baseline), "%ld is no ending", (long)result.baseline);
    }
    double seconds = (double)(clock() - started) / CLOCKS_PER_SEC;
    cr_assert_geq(priced, 200000);
    cr_assert_gt(refused, 0, "extremes are among the inputs");
    cr_assert_lt(seconds / ROUNDS, 50e-6, "%g s a price", seconds / ROUNDS);
}

/* Goal: what step and dead band hold back comes through as time passes, in a bounded number of steps. */
Test(guardrails, every_pending_price_arrives)
{
    static struct model model;
    uint64_t seed = 22;
    for (int round = 0; round < 3000; round++) {
        random_model(&seed, &model);
        struct price_inputs in;
        random_inputs(&seed, &in);
        in.list = random_between(&seed, 1, 10000000);
        in.cost = -1;
        in.published = in.list;
        in.published_list = in.list;
        struct price_result result = { .pending = true };
        int steps = 0;
        for (; steps < 8000 && result.pending; steps++) {
            in.now_ms += 7200 * 1000;
            if (model_price(&model, &in, &result) != RIALTO_OK)
                break;
            if (result.baseline != in.published)
                in.changed_ms = in.now_ms;
            in.published = result.baseline;
        }
        cr_assert(!result.pending || steps < 8000, "still on the way after %d steps", steps);
    }
}
