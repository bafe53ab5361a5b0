/* expression.h - formulas of pricing teams: "clamp(1 + 0.02 * (temperature_c - 25), 1, 1.1)".
 *
 *   text --expression_compile(): names, units, ranges--> straight program of a stack machine --expression_value()--> nano
 *
 * There are no loops and no jumps: both sides of an if are computed and one is taken. Values are pricing/nano.h's. At
 * compile time each part carries the unit and the range of values that it can have for any values of the inputs, so that
 * adding hours to degrees, dividing by what may be 0 and taking a logarithm of what may be 0 are refused then, and
 * cannot happen later. Compiling allocates nothing; neither does evaluating. Pure.
 *
 *   or        a or b                         lowest precedence
 *   and       a and b
 *   not       not a
 *   compare   a < b  a <= b  a > b  a >= b  a == b  a != b
 *   sum       a + b  a - b
 *   product   a * b  a / b
 *   unary     -a
 *   single    1.25   input   product.weight_kg   (a)   min(a, b...)  max(a, b...)  clamp(x, low, high)  abs(x)  exp(x)  log(x)  pow(x, y)
 *             if(condition, a, b)   known(input)   default(input, number)  */
#ifndef PRICING_EXPRESSION_H
#define PRICING_EXPRESSION_H

#include "pricing/inputs.h"

#include <stddef.h>

#define EXPRESSION_STEPS_MAX  96u
#define EXPRESSION_STACK_MAX  24u
#define EXPRESSION_BYTES_MAX  511u
#define EXPRESSION_DEPTH_MAX  32u
#define EXPRESSION_REASON_MAX 160u

enum expression_op {
    OP_NUMBER,  /* push `number`                             */
    OP_INPUT,   /* push an input                             */
    OP_DEFAULT, /* push an input, or `number` if it is missing */
    OP_KNOWN,   /* push 1 if an input is there, else 0       */
    OP_ADD,
    OP_SUBTRACT,
    OP_MULTIPLY,
    OP_DIVIDE,
    OP_MIN,
    OP_MAX,
    OP_POW,
    OP_LESS,
    OP_LESS_EQUAL,
    OP_EQUAL,
    OP_NOT_EQUAL,
    OP_AND,
    OP_OR, /* two off, one on; conditions are 1 or 0 */
    OP_NEGATE,
    OP_NOT,
    OP_ABS,
    OP_EXP,
    OP_LOG, /* one off, one on */
    OP_IF   /* condition, a, b off; one on */
};

struct expression_range {
    int64_t low, high; /* micro */
};

struct expression_step {
    uint8_t op;
    uint8_t input;
    int64_t number; /* nano */
};

struct expression {
    uint32_t count;                                    /* of steps; 0 = none */
    uint32_t depth;                                    /* values that the steps leave on the stack */
    uint64_t needs;                                    /* bit i: without input i there is no value */
    uint64_t reads;                                    /* bit i: input i is looked at */
    int64_t low, high;                                 /* nano: every value lies within */
    struct expression_range own[MODEL_ATTRIBUTES_MAX]; /* of the attributes that it looks at */
    struct expression_step step[EXPRESSION_STEPS_MAX];
};

struct expression_fault {
    size_t at; /* byte of the text */
    char reason[EXPRESSION_REASON_MAX];
};

/* What the value has to be. */
enum expression_want { WANT_RATIO, WANT_CONDITION, WANT_UNITS_PER_DAY };

/* expression_compile - append to `ret` (zeroed at first): a second text leaves its value above the first one's. False with
 * *fault. `own`: inputs that the model declares; NULL = none. */
bool expression_compile(const char *text, enum expression_want want, const struct model_attributes *own,
                        struct expression *ret, struct expression_fault *fault);

/* expression_unit_known - is this a unit: "ratio", or one of those that docs/models.md lists, or two of them such as "units/m^2"? */
bool expression_unit_known(const char *unit);

/* expression_number, expression_choose - append a number; append the choice between the last three values (condition, a, b).
 * False if there is no room. */
bool expression_number(struct expression *ret, int64_t nano);
bool expression_choose(struct expression *ret);

/* expression_value - of a program that leaves one value. input_micro[INPUT_SLOTS], present: bit i. False if an input that is
 * needed is missing, and then *ret is untouched. */
bool expression_value(const struct expression *expression, const int64_t *input_micro, uint64_t present, int64_t *ret);
#endif
