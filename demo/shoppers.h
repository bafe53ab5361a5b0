/* shoppers.h - what the recorded data do not tell: which data customers permit, where they are, what they look at.
 *
 * All of it is MADE UP, always the same for the same customer id (a fixed hash), and stated in demo/README.md:
 *
 *   first seen    consents (60 % profile, 50 % purchases, 40 % behaviour, 30 % location), a tier, perhaps "family";
 *                 with profile: some get an offer or a price lock on a grocery
 *   location      with that consent: in one of the shops for 12 hours, from 9 h shop time every day
 *   looks         on a day with an order: two groceries, seen in no particular shop
 *
 * The tier is sent whether or not the customer permits it to be used: the service has to see to that. */
#ifndef DEMO_SHOPPERS_H
#define DEMO_SHOPPERS_H

#include "demo/block.h"
#include "demo/names.h"
#include "demo/recording.h"

struct shopper {      /* what the hash says about one customer */
    uint8_t consent;  /* RIALTO_KIND_* */
    const char *tier; /* "" = none */
    bool family;
};
struct shopper shopper_of(const char *customer);

struct shoppers;

/* shoppers_create - skus and stores are what the groceries' reader has announced so far; NULL where there is none. */
struct shoppers *shoppers_create(const struct names *skus, const struct names *stores);
void shoppers_destroy(struct shoppers *shoppers);

/* shoppers_order - a customer's order is about to go out: add what goes with it to the block. */
void shoppers_order(struct shoppers *shoppers, const struct recorded *order, struct block *block);

/* shoppers_due_ms - when the next daily round of locations is; INT64_MAX = none. shoppers_round - add it to the
 * block. */
int64_t shoppers_due_ms(const struct shoppers *shoppers);
void shoppers_round(struct shoppers *shoppers, struct block *block);
#endif
