/* retail.h - UCI Online Retail: a British online gift shop's invoices, as signals.
 *
 *   first row of an article      -> product (list price: the first positive unit price seen, in pence)
 *   first row of a country       -> zone
 *   row of an invoice            -> demand, event order, with customer, quantity, amount
 *   row of a cancellation (C...) -> demand, event return
 *
 * Passed over and counted: what is no article, stock corrections, rows without a price, malformed rows. */
#ifndef DEMO_RETAIL_H
#define DEMO_RETAIL_H

#include "demo/recording.h"

struct retail;

enum rialto_status retail_open(const char *path, struct retail **ret, struct fault *fault);
void retail_close(struct retail *retail);

/* retail_next - the next signal in time order, its times as recorded, the shop's clock taken as UTC. */
enum recorded_next retail_next(struct retail *retail, struct recorded *ret, struct fault *fault);

int64_t retail_begin_ms(const struct retail *retail); /* midnight before the first row */
const struct account *retail_account(const struct retail *retail);

/* country_zone - "United Kingdom" -> "gb"; "" (the world) for a country that is not known. */
const char *country_zone(const char *country);
#endif
