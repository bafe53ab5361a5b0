/* chain.h - a list price through its factors, and rounded to money: docs/pricing.md, 2. Pure.
 *
 * list: minor units, not below 0. values_micro: `count` factors in millionths, from 0 to 10.0, and zeros behind them. Both return false, and leave
 * *ret_raw alone, where an amount on the way takes more than 64 bits. */
#ifndef PRICING_CHAIN_H
#define PRICING_CHAIN_H

#include "pricing/model.h"

/* chain_apply - what chain_steps() comes to, mostly without taking its steps. */
bool chain_apply(int64_t list, const int32_t values_micro[MODEL_FACTORS_MAX], uint32_t count, int64_t *ret_raw);

/* chain_steps - each rounding where the formula has it. */
bool chain_steps(int64_t list, const int32_t values_micro[MODEL_FACTORS_MAX], uint32_t count, int64_t *ret_raw);
#endif
