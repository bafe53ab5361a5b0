/* markup.h - the price that earns most, in closed form. Prices and costs are parts of the list price ("relative": 1 = list), in
 * nano (pricing/nano.h). Pure.
 *
 *   constant elasticity  Q = k p^-e       p = c e / (e - 1)
 *       A. P. Lerner, Review of Economic Studies 1(3), 1934, pp. 157-175: (p - c) / p = 1 / e
 *   logit                Q = m s(p), s = e^(u - a p) / (1 + e^(u - a p))     p = c + (1 + W(e^(u - a c - 1))) / a
 *       K. Train, Discrete Choice Methods with Simulation, 2nd ed. 2009, ch. 3; first-order condition p - c = 1 / (a (1 - s))
 *   stock of n until t   customers arrive at rate A e^(-a p)      p = J(n) - J(n - 1) + 1 / a,
 *                        J(n) = (1/a) ln sum_{i=0..n} (A t / e)^i / i!
 *       G. Gallego, G. van Ryzin, Management Science 40(8), 1994, pp. 999-1020, section 2.3 */
#ifndef PRICING_MARKUP_H
#define PRICING_MARKUP_H

#include <stdint.h>

#define CLEARING_UNITS_MAX 256 /* more units than these are looked at as so many, with customers in proportion */

/* markup_elastic - cost > 0 or = 0, elasticity e > 1 (as a positive number). */
int64_t markup_elastic(int64_t cost, int64_t elasticity);

/* markup_logit - utility u of the product at price 0 against not buying, sensitivity a > 0 per list price. */
int64_t markup_logit(int64_t cost, int64_t utility, int64_t sensitivity);

/* markup_clearing - units >= 1; customers: those who would come until the end at price 0, A t; sensitivity a > 0. */
int64_t markup_clearing(int64_t units, int64_t customers, int64_t sensitivity);
#endif
