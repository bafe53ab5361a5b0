/* expression.c - a recursive-descent compiler that knows units and ranges, and the stack machine that it writes for. */
#include "pricing/expression.h"
#include "pricing/nano.h"
#include "pricing/nearest.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- units: a product of powers of these ------------------------------------------------------------------------ */

static const char *const bases[] = { "units", "degC",  "mm",   "m",       "s",     "h",  "day", "km",
                                     "money", "month", "date", "weekday", "level", "kg", "l",   "kWh" };
#define BASES (sizeof bases / sizeof bases[0])
#define MONEY 8 /* its place among them */

/* A number may stand for whatever unit makes sense, and so may a product with one: 0.01 * (temperature_c - 20). Only an amount of money
 * stays one, however often it is multiplied or divided by numbers: cost * 1.2 is a price and no multiplier, cost * 1.2 / list is. */
struct unit {
    bool any;  /* whatever makes sense */
    bool free; /* the same, money aside */
    int8_t power[BASES];
};

/* "m", "m^2" or "m^3" of so many bytes. False: no such unit. */
static bool unit_scale(struct unit *unit, const char *name, size_t bytes, int power)
{
    if (bytes > 2 && name[bytes - 2] == '^' && (name[bytes - 1] == '2' || name[bytes - 1] == '3')) {
        power *= name[bytes - 1] - '0';
        bytes -= 2;
    }
    for (size_t i = 0; i < BASES; i++) {
        if (strlen(bases[i]) != bytes || memcmp(bases[i], name, bytes) != 0)
            continue;
        unit->power[i] = (int8_t)(unit->power[i] + power);
        return true;
    }
    return false;
}

static bool unit_parse(const char *text, struct unit *ret) /* "mm/h"; "ratio" has none */
{
    *ret = (struct unit){ .any = false };
    const char *slash = strchr(text, '/');
    if (strcmp(text, "ratio") == 0)
        return true;
    return unit_scale(ret, text, slash != NULL ? (size_t)(slash - text) : strlen(text), 1) &&
           (slash == NULL || unit_scale(ret, slash + 1, strlen(slash + 1), -1));
}

static struct unit unit_of(const char *text)
{
    struct unit unit;
    (void)unit_parse(text, &unit);
    return unit;
}

bool expression_unit_known(const char *text)
{
    struct unit unit;
    return unit_parse(text, &unit);
}

static bool unit_equal(const struct unit *a, const struct unit *b)
{
    if (a->any || b->any)
        return true;
    if (a->free || b->free)
        return a->power[MONEY] == b->power[MONEY];
    return memcmp(a->power, b->power, sizeof a->power) == 0;
}

static const char *unit_text(const struct unit *unit, size_t size, char *ret)
{
    size_t length = 0;
    ret[0] = '\0';
    for (size_t i = 0; i < BASES && length < size; i++) {
        if (unit->free && i != MONEY)
            continue;
        if (unit->power[i] == 1)
            length += (size_t)snprintf(ret + length, size - length, "%s%s", length > 0 ? " " : "", bases[i]);
        else if (unit->power[i] != 0)
            length += (size_t)snprintf(ret + length, size - length, "%s%s^%d", length > 0 ? " " : "", bases[i],
                                       unit->power[i]);
    }
    return ret[0] == '\0' ? "a plain number" : ret;
}

/* ---- compiling ---------------------------------------------------------------------------------------------------- */

struct part { /* what is known of a value before there is one */
    struct unit unit;
    int64_t low, high;
    bool condition;
    size_t at;
};

struct compiler {
    const char *text, *at;
    const struct model_attributes *own;
    struct expression *out;
    struct expression_fault *fault;
    unsigned nested;
};

__attribute__((format(printf, 3, 4))) static bool refuse(struct compiler *c, size_t at, const char *reason, ...)
{
    va_list arguments;
    va_start(arguments, reason);
    (void)vsnprintf(c->fault->reason, sizeof c->fault->reason, reason, arguments);
    va_end(arguments);
    c->fault->at = at;
    return false;
}

static size_t here(const struct compiler *c)
{
    return (size_t)(c->at - c->text);
}

static void skip_space(struct compiler *c)
{
    while (*c->at == ' ' || *c->at == '\t')
        c->at++;
}

static bool add_step(struct expression *out, struct expression_step step, int stack)
{
    if (out->count == EXPRESSION_STEPS_MAX || (stack > 0 && out->depth == EXPRESSION_STACK_MAX))
        return false;
    out->step[out->count++] = step;
    out->depth = (uint32_t)((int)out->depth + stack);
    return true;
}

static bool emit(struct compiler *c, size_t at, struct expression_step step, int stack)
{
    return add_step(c->out, step, stack) || refuse(c, at, "too long: at most %u steps and %u values at once",
                                                   EXPRESSION_STEPS_MAX, EXPRESSION_STACK_MAX);
}

static bool emit_op(struct compiler *c, size_t at, enum expression_op op, int stack)
{
    return emit(c, at, (struct expression_step){ .op = (uint8_t)op }, stack);
}

static bool is_letter(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_';
}

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static size_t word_bytes(const char *at)
{
    size_t bytes = 0;
    while (is_letter(at[bytes]) || (bytes > 0 && is_digit(at[bytes])))
        bytes++;
    return bytes;
}

static bool take_word(struct compiler *c, const char *word)
{
    skip_space(c);
    size_t bytes = word_bytes(c->at);
    if (bytes != strlen(word) || memcmp(c->at, word, bytes) != 0)
        return false;
    c->at += bytes;
    return true;
}

static bool take(struct compiler *c, const char *sign)
{
    skip_space(c);
    size_t bytes = strlen(sign);
    if (strncmp(c->at, sign, bytes) != 0)
        return false;
    c->at += bytes;
    return true;
}

static bool expect(struct compiler *c, const char *sign)
{
    return take(c, sign) || refuse(c, here(c), "expected \"%s\" here", sign);
}

/* ---- what may stand beside what */

static bool want_numbers(struct compiler *c, const struct part *a, const struct part *b)
{
    const struct part *wrong = a->condition ? a : b->condition ? b : NULL;
    return wrong == NULL || refuse(c, wrong->at, "expected a number, found a condition; if(condition, 1, 0) makes one");
}

static bool want_condition(struct compiler *c, const struct part *a)
{
    return a->condition || refuse(c, a->at, "expected a condition such as hour >= 17, found a number");
}

static bool want_same_unit(struct compiler *c, size_t at, const struct part *a, const struct part *b)
{
    char left[64], right[64];
    return unit_equal(&a->unit, &b->unit) ||
           refuse(c, at, "impossible units: %s against %s", unit_text(&a->unit, sizeof left, left),
                  unit_text(&b->unit, sizeof right, right));
}

static bool want_plain(struct compiler *c, const struct part *a, const char *what)
{
    struct unit none = { .any = false };
    char text[64];
    return unit_equal(&a->unit, &none) ||
           refuse(c, a->at, "impossible units: %s of %s; divide by something of that unit first", what,
                  unit_text(&a->unit, sizeof text, text));
}

/* ---- ranges: every function here only grows or falls in each argument, so that corners bound it */

static void widen(struct part *part, int64_t value)
{
    part->low = value < part->low ? value : part->low;
    part->high = value > part->high ? value : part->high;
}

static void range_corners(struct part *ret, const struct part *a, const struct part *b, int64_t (*f)(int64_t, int64_t))
{
    struct part range = { .low = INT64_MAX, .high = INT64_MIN };
    widen(&range, f(a->low, b->low));
    widen(&range, f(a->low, b->high));
    widen(&range, f(a->high, b->low));
    widen(&range, f(a->high, b->high));
    ret->low = range.low;
    ret->high = range.high;
}

static int64_t add(int64_t a, int64_t b)
{
    return nano_cut((int128)a + b);
}

static int64_t subtract(int64_t a, int64_t b)
{
    return nano_cut((int128)a - b);
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static void unit_choose(struct part *a, const struct part *b) /* the unit of a sum: that of the side that has one */
{
    if (a->unit.any || (a->unit.free && !b->unit.any))
        a->unit = b->unit;
}

static void unit_multiply(struct part *a, const struct part *b, int sign)
{
    bool number = a->unit.any || b->unit.any;
    for (size_t i = 0; i < BASES; i++)
        a->unit.power[i] = (int8_t)(a->unit.power[i] + sign * b->unit.power[i]);
    /* 0.5 / list: the number is an amount there, as it is in list + 0.5 */
    bool amount = number && a->unit.any != b->unit.any && a->unit.power[MONEY] != 0 && (sign > 0 || b->unit.any);
    a->unit.free = amount || (!number && (a->unit.free || b->unit.free));
    a->unit.any = number && !amount;
}

/* ---- single values */

static bool parse_any(struct compiler *c, struct part *ret);

static bool number_text(struct compiler *c, int64_t *ret_nano)
{
    size_t at = here(c);
    int128 value = 0, unit = NANO;
    bool point = false, any = false;
    for (; is_digit(*c->at) || (*c->at == '.' && !point); c->at++) {
        if (*c->at == '.') {
            point = true;
            continue;
        }
        any = true;
        if (point && unit == 1)
            return refuse(c, at, "a number may have at most 9 decimals");
        unit = point ? unit / 10 : unit;
        value = point ? value + (*c->at - '0') * unit : value * 10 + (*c->at - '0') * NANO;
        if (value > INT64_C(1000000000) * NANO)
            return refuse(c, at, "expected a number of at most 1000000000");
    }
    if (!any || c->at[-1] == '.' || is_letter(*c->at))
        return refuse(c, at, "expected a number such as 12 or 0.5");
    *ret_nano = (int64_t)value;
    return true;
}

static bool parse_number(struct compiler *c, struct part *ret)
{
    size_t at = here(c);
    int64_t value;
    if (!number_text(c, &value))
        return false;
    *ret = (struct part){ .unit = { .any = true }, .low = value, .high = value, .at = at };
    return emit(c, at, (struct expression_step){ .op = OP_NUMBER, .number = value }, 1);
}

static const char *const functions[] = { "min", "max", "clamp", "abs", "exp", "log", "pow", "if", "known", "default" };
enum function { F_MIN, F_MAX, F_CLAMP, F_ABS, F_EXP, F_LOG, F_POW, F_IF, F_KNOWN, F_DEFAULT, FUNCTION_COUNT };
_Static_assert(sizeof functions / sizeof functions[0] == FUNCTION_COUNT, "one name for each");

static bool refuse_word(struct compiler *c, size_t at, const char *word)
{
    const char *known[INPUT_SLOTS + (unsigned)FUNCTION_COUNT];
    size_t count = model_input_names(c->own, known);
    for (unsigned i = 0; i < FUNCTION_COUNT; i++)
        known[count++] = functions[i];
    const char *near = nearest_name(word, count, known);
    if (near != NULL)
        return refuse(c, at, "\"%.40s\" is no input and no function; did you mean \"%s\"?", word, near);
    if (strchr(word, '.') != NULL)
        return refuse(c, at, "\"%.40s\" is not declared: \"attributes\" says what it is", word);
    return refuse(c, at, "\"%.40s\" is no input and no function; docs/models.md lists them", word);
}

/* Of an input: a word, or two with a dot between them where the first says that it is an attribute. */
static size_t input_bytes(const char *at)
{
    static const char *const prefix[] = { ATTRIBUTE_OF_PRODUCT, ATTRIBUTE_OF_ZONE };
    for (size_t i = 0; i < sizeof prefix / sizeof prefix[0]; i++)
        if (strncmp(at, prefix[i], strlen(prefix[i])) == 0)
            return strlen(prefix[i]) + word_bytes(at + strlen(prefix[i]));
    return word_bytes(at);
}

static bool input_word(struct compiler *c, size_t *ret_at, enum model_input *ret)
{
    skip_space(c);
    *ret_at = here(c);
    char word[48];
    size_t bytes = input_bytes(c->at);
    if (bytes == 0)
        return refuse(c, *ret_at, "expected the name of an input here");
    (void)snprintf(word, sizeof word, "%.*s", (int)bytes, c->at);
    *ret = model_input_find(c->own, word);
    c->at += bytes;
    if (*ret == INPUT_NONE)
        return refuse_word(c, *ret_at, word);
    if (*ret >= INPUT_COUNT) {
        struct model_input_row row = model_input_row(c->own, *ret);
        c->out->own[*ret - INPUT_COUNT] = (struct expression_range){ row.low, row.high };
    }
    return true;
}

static void part_of_input(const struct compiler *c, enum model_input input, size_t at, struct part *ret)
{
    struct model_input_row row = model_input_row(c->own, input);
    *ret = (struct part){
        .unit = unit_of(row.unit), .low = nano_of_micro(row.low), .high = nano_of_micro(row.high), .at = at
    };
}

static bool parse_known(struct compiler *c, struct part *ret)
{
    size_t at;
    enum model_input input;
    if (!input_word(c, &at, &input))
        return false;
    *ret = (struct part){ .high = NANO, .condition = true, .at = at };
    c->out->reads |= UINT64_C(1) << input;
    return emit(c, at, (struct expression_step){ .op = OP_KNOWN, .input = (uint8_t)input }, 1) && expect(c, ")");
}

static bool parse_default(struct compiler *c, struct part *ret)
{
    size_t at;
    enum model_input input;
    int64_t value;
    if (!input_word(c, &at, &input) || !expect(c, ","))
        return false;
    bool negative = take(c, "-");
    skip_space(c);
    if (!number_text(c, &value))
        return false;
    value = negative ? -value : value;
    part_of_input(c, input, at, ret);
    widen(ret, value);
    c->out->reads |= UINT64_C(1) << input;
    return emit(c, at, (struct expression_step){ .op = OP_DEFAULT, .input = (uint8_t)input, .number = value }, 1) &&
           expect(c, ")");
}

static bool parse_extreme(struct compiler *c, enum function function, struct part *ret)
{
    if (!parse_any(c, ret))
        return false;
    unsigned count = 1;
    while (take(c, ",")) {
        struct part next;
        if (!parse_any(c, &next) || !want_numbers(c, ret, &next) || !want_same_unit(c, next.at, ret, &next) ||
            !emit_op(c, next.at, function == F_MIN ? OP_MIN : OP_MAX, -1))
            return false;
        unit_choose(ret, &next);
        range_corners(ret, ret, &next, function == F_MIN ? smaller : larger);
        count++;
    }
    return count > 1 ? expect(c, ")") : refuse(c, here(c), "min and max compare at least two numbers");
}

static bool parse_clamp(struct compiler *c, struct part *ret)
{
    struct part low, high;
    if (!parse_any(c, ret) || !expect(c, ",") || !parse_any(c, &low) || !want_numbers(c, ret, &low) ||
        !want_same_unit(c, low.at, ret, &low) || !emit_op(c, low.at, OP_MAX, -1))
        return false;
    unit_choose(ret, &low);
    range_corners(ret, ret, &low, larger);
    if (!expect(c, ",") || !parse_any(c, &high) || !want_numbers(c, ret, &high) ||
        !want_same_unit(c, high.at, ret, &high) || !emit_op(c, high.at, OP_MIN, -1))
        return false;
    if (low.low > high.high)
        return refuse(c, low.at, "clamp(x, low, high): low is always above high");
    unit_choose(ret, &high);
    range_corners(ret, ret, &high, smaller);
    return expect(c, ")");
}

static bool parse_one(struct compiler *c, enum function function, struct part *ret)
{
    if (!parse_any(c, ret) || !want_numbers(c, ret, ret))
        return false;
    if (function == F_ABS) {
        int64_t low = ret->low, high = ret->high;
        ret->low = low > 0 ? low : high < 0 ? -high : 0;
        ret->high = larger(-low, high);
        return emit_op(c, ret->at, OP_ABS, 0) && expect(c, ")");
    }
    if (!want_plain(c, ret, functions[function]))
        return false;
    if (function == F_LOG && ret->low <= 0)
        return refuse(c, ret->at, "log of what may be 0 or less; write log(max(x, 0.01))");
    ret->low = function == F_LOG ? nano_log(ret->low) : nano_exp(ret->low);
    ret->high = function == F_LOG ? nano_log(ret->high) : nano_exp(ret->high);
    ret->unit = (struct unit){ .any = false };
    return emit_op(c, ret->at, function == F_LOG ? OP_LOG : OP_EXP, 0) && expect(c, ")");
}

static bool parse_pow(struct compiler *c, struct part *ret)
{
    struct part power;
    if (!parse_any(c, ret) || !expect(c, ",") || !parse_any(c, &power) || !want_numbers(c, ret, &power) ||
        !want_plain(c, ret, "pow") || !want_plain(c, &power, "a power"))
        return false;
    if (ret->low <= 0)
        return refuse(c, ret->at, "pow of what may be 0 or less; write pow(max(x, 0.01), y)");
    range_corners(ret, ret, &power, nano_pow);
    ret->unit = (struct unit){ .any = false };
    return emit_op(c, ret->at, OP_POW, -1) && expect(c, ")");
}

static bool parse_if(struct compiler *c, struct part *ret)
{
    struct part condition, other;
    if (!parse_any(c, &condition) || !want_condition(c, &condition) || !expect(c, ",") || !parse_any(c, ret) ||
        !expect(c, ",") || !parse_any(c, &other) || !want_numbers(c, ret, &other) ||
        !want_same_unit(c, other.at, ret, &other) || !emit_op(c, condition.at, OP_IF, -2))
        return false;
    unit_choose(ret, &other);
    widen(ret, other.low);
    widen(ret, other.high);
    ret->at = condition.at;
    return expect(c, ")");
}

static bool parse_call(struct compiler *c, enum function function, struct part *ret)
{
    switch (function) {
    case F_MIN:
    case F_MAX: return parse_extreme(c, function, ret);
    case F_CLAMP: return parse_clamp(c, ret);
    case F_ABS:
    case F_EXP:
    case F_LOG: return parse_one(c, function, ret);
    case F_POW: return parse_pow(c, ret);
    case F_IF: return parse_if(c, ret);
    case F_KNOWN: return parse_known(c, ret);
    case F_DEFAULT: return parse_default(c, ret);
    case FUNCTION_COUNT: break;
    }
    return false;
}

static bool parse_word(struct compiler *c, struct part *ret)
{
    size_t bytes = word_bytes(c->at);
    for (unsigned i = 0; i < FUNCTION_COUNT; i++) {
        if (strlen(functions[i]) != bytes || memcmp(functions[i], c->at, bytes) != 0)
            continue;
        c->at += bytes;
        return expect(c, "(") && parse_call(c, (enum function)i, ret);
    }
    size_t at;
    enum model_input input;
    if (!input_word(c, &at, &input))
        return false;
    part_of_input(c, input, at, ret);
    c->out->reads |= UINT64_C(1) << input;
    c->out->needs |= UINT64_C(1) << input;
    return emit(c, at, (struct expression_step){ .op = OP_INPUT, .input = (uint8_t)input }, 1);
}

static bool parse_single(struct compiler *c, struct part *ret)
{
    skip_space(c);
    if (is_digit(*c->at) || *c->at == '.')
        return parse_number(c, ret);
    if (take(c, "("))
        return parse_any(c, ret) && expect(c, ")");
    if (is_letter(*c->at))
        return parse_word(c, ret);
    return refuse(c, here(c),
                  *c->at == '\0' ? "the expression ends where a value is expected"
                                 : "expected a number, an input, a function or \"(\" here");
}

static bool parse_unary(struct compiler *c, struct part *ret)
{
    skip_space(c);
    size_t at = here(c);
    if (!take(c, "-"))
        return parse_single(c, ret);
    if (++c->nested > EXPRESSION_DEPTH_MAX)
        return refuse(c, at, "nested more than %u deep", EXPRESSION_DEPTH_MAX);
    bool good = parse_unary(c, ret);
    c->nested--;
    if (!good)
        return false;
    int64_t low = ret->low;
    ret->low = -ret->high;
    ret->high = -low;
    return want_numbers(c, ret, ret) && emit_op(c, at, OP_NEGATE, 0);
}

static bool parse_product(struct compiler *c, struct part *ret)
{
    if (!parse_unary(c, ret))
        return false;
    for (;;) {
        struct part right;
        bool divide = take(c, "/");
        if (!divide && !take(c, "*"))
            return true;
        size_t at = here(c) - 1;
        if (!parse_unary(c, &right) || !want_numbers(c, ret, &right))
            return false;
        if (divide && right.low <= 0 && right.high >= 0)
            return refuse(c, right.at, "division by what may be 0; write / max(x, 0.01)");
        if (!emit_op(c, at, divide ? OP_DIVIDE : OP_MULTIPLY, -1))
            return false;
        unit_multiply(ret, &right, divide ? -1 : 1);
        range_corners(ret, ret, &right, divide ? nano_div : nano_mul);
    }
}

static bool parse_sum(struct compiler *c, struct part *ret)
{
    if (!parse_product(c, ret))
        return false;
    for (;;) {
        struct part right;
        bool minus = take(c, "-");
        if (!minus && !take(c, "+"))
            return true;
        size_t at = here(c) - 1;
        if (!parse_product(c, &right) || !want_numbers(c, ret, &right) || !want_same_unit(c, at, ret, &right) ||
            !emit_op(c, at, minus ? OP_SUBTRACT : OP_ADD, -1))
            return false;
        unit_choose(ret, &right);
        range_corners(ret, ret, &right, minus ? subtract : add);
    }
}

static bool parse_compare(struct compiler *c, struct part *ret)
{
    static const struct {
        const char *sign;
        enum expression_op op;
        bool invert; /* a > b is not a <= b */
    } signs[] = { { "<=", OP_LESS_EQUAL, false }, { ">=", OP_LESS, true }, { "==", OP_EQUAL, false },
                  { "!=", OP_NOT_EQUAL, false },  { "<", OP_LESS, false }, { ">", OP_LESS_EQUAL, true } };
    if (!parse_sum(c, ret))
        return false;
    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++) {
        skip_space(c);
        size_t at = here(c);
        struct part right;
        if (!take(c, signs[i].sign))
            continue;
        if (!parse_sum(c, &right) || !want_numbers(c, ret, &right) || !want_same_unit(c, at, ret, &right) ||
            !emit_op(c, at, signs[i].op, -1) || (signs[i].invert && !emit_op(c, at, OP_NOT, 0)))
            return false;
        *ret = (struct part){ .high = NANO, .condition = true, .at = ret->at };
        return true;
    }
    skip_space(c);
    return *c->at != '=' || refuse(c, here(c), "equal is written ==");
}

static bool parse_not(struct compiler *c, struct part *ret)
{
    skip_space(c);
    size_t at = here(c);
    if (!take_word(c, "not"))
        return parse_compare(c, ret);
    if (++c->nested > EXPRESSION_DEPTH_MAX)
        return refuse(c, at, "nested more than %u deep", EXPRESSION_DEPTH_MAX);
    if (!parse_not(c, ret) || !want_condition(c, ret) || !emit_op(c, at, OP_NOT, 0))
        return false;
    c->nested--;
    return true;
}

static bool parse_and(struct compiler *c, struct part *ret)
{
    if (!parse_not(c, ret))
        return false;
    while (take_word(c, "and")) {
        struct part right;
        if (!want_condition(c, ret) || !parse_not(c, &right) || !want_condition(c, &right) ||
            !emit_op(c, right.at, OP_AND, -1))
            return false;
    }
    return true;
}

static bool parse_any(struct compiler *c, struct part *ret)
{
    if (++c->nested > EXPRESSION_DEPTH_MAX)
        return refuse(c, here(c), "nested more than %u deep", EXPRESSION_DEPTH_MAX);
    if (!parse_and(c, ret))
        return false;
    while (take_word(c, "or")) {
        struct part right;
        if (!want_condition(c, ret) || !parse_and(c, &right) || !want_condition(c, &right) ||
            !emit_op(c, right.at, OP_OR, -1))
            return false;
    }
    c->nested--;
    return true;
}

static bool check_want(struct compiler *c, enum expression_want want, const struct part *part)
{
    struct unit unit = unit_of(want == WANT_UNITS_PER_DAY ? "units/day" : "ratio");
    char text[64];
    if (want == WANT_CONDITION)
        return want_condition(c, part);
    if (!want_numbers(c, part, part))
        return false;
    return unit_equal(&part->unit, &unit) ||
           refuse(c, 0, "impossible units: expected %s, found %s%s",
                  want == WANT_UNITS_PER_DAY ? "units a day" : "a plain number",
                  unit_text(&part->unit, sizeof text, text),
                  want == WANT_RATIO && part->unit.power[MONEY] == 1 ? "; divide it by list" : "");
}

bool expression_compile(const char *text, enum expression_want want, const struct model_attributes *own,
                        struct expression *ret, struct expression_fault *fault)
{
    struct compiler c = { .text = text, .at = text, .own = own, .out = ret, .fault = fault };
    struct part part;
    if (!parse_any(&c, &part))
        return false;
    skip_space(&c);
    if (*c.at != '\0')
        return refuse(&c, here(&c), "expected the end of the expression, or + - * / < > and or");
    if (!check_want(&c, want, &part))
        return false;
    ret->low = part.low;
    ret->high = part.high;
    return true;
}

bool expression_number(struct expression *ret, int64_t nano)
{
    return add_step(ret, (struct expression_step){ .op = OP_NUMBER, .number = nano }, 1);
}

bool expression_choose(struct expression *ret)
{
    return add_step(ret, (struct expression_step){ .op = OP_IF }, -2);
}

/* ---- evaluating --------------------------------------------------------------------------------------------------- */

static int64_t apply_two(enum expression_op op, int64_t a, int64_t b)
{
    switch (op) {
    case OP_ADD: return add(a, b);
    case OP_SUBTRACT: return subtract(a, b);
    case OP_MULTIPLY: return nano_mul(a, b);
    case OP_DIVIDE: return nano_div(a, b);
    case OP_MIN: return smaller(a, b);
    case OP_MAX: return larger(a, b);
    case OP_POW: return nano_pow(a, b);
    case OP_LESS: return a < b ? NANO : 0;
    case OP_LESS_EQUAL: return a <= b ? NANO : 0;
    case OP_EQUAL: return a == b ? NANO : 0;
    case OP_NOT_EQUAL: return a != b ? NANO : 0;
    case OP_AND: return a != 0 && b != 0 ? NANO : 0;
    case OP_OR: return a != 0 || b != 0 ? NANO : 0;
    default: return 0;
    }
}

static int64_t apply_one(enum expression_op op, int64_t a)
{
    switch (op) {
    case OP_NEGATE: return -a;
    case OP_NOT: return a == 0 ? NANO : 0;
    case OP_ABS: return a < 0 ? -a : a;
    case OP_EXP: return nano_exp(a);
    case OP_LOG: return nano_log(a);
    default: return 0;
    }
}

static int64_t input_value(const struct expression *expression, unsigned input, const int64_t *input_micro)
{
    if (input >= INPUT_COUNT) {
        const struct expression_range *own = &expression->own[input - INPUT_COUNT];
        return nano_of_micro(clamp_i64(input_micro[input], own->low, own->high));
    }
    return nano_of_micro(clamp_i64(input_micro[input], model_inputs[input].low, model_inputs[input].high));
}

bool expression_value(const struct expression *expression, const int64_t *input_micro, uint64_t present, int64_t *ret)
{
    int64_t stack[EXPRESSION_STACK_MAX] = { 0 };
    size_t top = 0; /* values on the stack; the compiler counted them, so that it stays within */
    if ((expression->needs & ~present) != 0 || expression->count == 0)
        return false;
    for (uint32_t i = 0; i < expression->count; i++) {
        const struct expression_step *step = &expression->step[i];
        enum expression_op op = (enum expression_op)step->op;
        bool known = (present >> step->input) & 1u;
        if (op == OP_NUMBER) {
            stack[top++] = step->number;
        } else if (op == OP_INPUT) {
            stack[top++] = input_value(expression, step->input, input_micro);
        } else if (op == OP_DEFAULT) {
            stack[top++] = known ? input_value(expression, step->input, input_micro) : step->number;
        } else if (op == OP_KNOWN) {
            stack[top++] = known ? NANO : 0;
        } else if (op == OP_IF) {
            stack[top - 3] = stack[top - 3] != 0 ? stack[top - 2] : stack[top - 1];
            top -= 2;
        } else if (op >= OP_NEGATE) {
            stack[top - 1] = apply_one(op, stack[top - 1]);
        } else {
            stack[top - 2] = apply_two(op, stack[top - 2], stack[top - 1]);
            top--;
        }
    }
    *ret = stack[0];
    return true;
}
