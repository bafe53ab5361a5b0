/* fresh.h - FreshRetailNet-50K: perishable goods in city shops, hour by hour, as signals.
 *
 *   fresh_daily_price   promotion = discount where 0.01 <= discount < 1, in that shop until the end of that day
 *   fresh_store_weather weather of the day in that shop, until its end
 *   fresh_hourly        hourly_sale > 0 -> one order; a change of the stock-out flag from 6 to 22 h -> supply
 *   fresh_product       categories
 *
 * Prices and weather of days before the first and after the last hourly row are passed over.
 *
 * A shop is announced with its city when it is first seen (zone signals), a product likewise (product signal, world).
 * demo/README.md states what is read from the data and what is made up (list prices, cost, capacity). */
#ifndef DEMO_FRESH_H
#define DEMO_FRESH_H

#include "demo/names.h"
#include "demo/recording.h"

struct fresh;

#define FRESH_FILES          4u
#define FRESH_UTC_OFFSET_MIN 480 /* the shops' clock */

/* fresh_open - RIALTO_OK, or REFUSED with *fault. */
enum rialto_status fresh_open(const char *folder, struct fresh **ret, struct fault *fault);
void fresh_close(struct fresh *fresh);

/* fresh_next - the next signal in time order, its times as recorded (UTC). */
enum recorded_next fresh_next(struct fresh *fresh, struct recorded *ret, struct fault *fault);

/* fresh_begin_ms - the midnight, shop time, before the first sale. 0 if the hourly file is empty. */
int64_t fresh_begin_ms(const struct fresh *fresh);

const struct account *fresh_accounts(const struct fresh *fresh); /* FRESH_FILES of them */

/* What has been announced so far; numbers stay, so that others may keep them. */
const struct names *fresh_skus(const struct fresh *fresh);
const struct names *fresh_stores(const struct fresh *fresh);

/* fresh_list_price - made-up list price in fen of a product of this first category. */
int64_t fresh_list_price(int first_category, int product);

/* wind_m_s - wind speed in the middle of a Beaufort force: v = 0.836 B^(3/2) (World Meteorological Organization). */
double wind_m_s(double beaufort);
#endif
