/* apply_customer.h - inside of apply_customer.c, apply_offer.c, apply_issue.c and apply_lock.c: a customer's record, and the offers and locks that hang
 * on it. Private to service/; within a batch, the state being open. */
#ifndef SERVICE_APPLY_CUSTOMER_H
#define SERVICE_APPLY_CUSTOMER_H

#include "cache/keys.h"
#include "service/worker.h"

#include <string.h>

static inline struct rialto_key id_key(const struct worker *worker, const char *id)
{
    return key_of_id(worker->control->secret, id, strlen(id));
}

static inline struct customer_record *customer_touch(struct partition *partition, uint32_t customer)
{
    return state_touch(partition->state, POOL_CUSTOMERS, customer);
}

/* customer_permits - any of these kinds. customer_permits_all - each of them. */
bool customer_permits(const struct partition *partition, uint32_t customer, unsigned kinds);
bool is_newer(const struct worker *worker, int64_t known_ms, int64_t time_ms); /* for what takes away: see there */
bool customer_permits_all(const struct partition *partition, uint32_t customer, unsigned kinds);
uint32_t customer_insert(struct worker *worker, struct partition *partition, const char *id); /* STATE_NONE: full */
void customer_drop_if_empty(struct worker *worker, struct partition *partition, uint32_t customer);

/* apply_affinity.c: affinity_learn - what a permitted event of the customer tells, if a model asks for it. affinity_revoke - takes away
 * what rested on any of `kinds`. affinity_due_ms - when affinity changes next, by time alone; 0 = there is none. affinity_tick -
 * takes away what has ended; true: there is some, and terms that rest on it are to be made anew. */
void affinity_learn(struct worker *worker, struct partition *partition, uint32_t customer, const struct signal *signal);
void affinity_revoke(struct customer_record *record, unsigned kinds);
int64_t affinity_due_ms(const struct worker *worker, const struct customer_record *record);
void affinity_tick(const struct worker *worker, struct customer_record *record);

#define OFFER_TIMES_LOOKED_AT 256u /* places, where there is no room */

/* offers_prune - takes away a customer's offers that are over or rest on any of `kinds`; locks are owed and stay. offers_delete - all,
 * locks too; the customer's record is the caller's to delete. */
void offers_prune(struct worker *worker, struct partition *partition, uint32_t customer, unsigned kinds);
void offers_delete(struct partition *partition, uint32_t customer);
/* offer_upsert - the record for the signal's customer and sku; STATE_NONE: full. due_at_latest - a deadline of a record, if it has no
 * earlier one. */
uint32_t offer_upsert(struct worker *worker, struct partition *partition, uint32_t customer, const struct signal *signal);
/* offer_clear - no offer any more; a lock, and what is remembered for models, stay. offer_settle - behind every change of a record: it gets its
 * deadline, is deleted when it holds nothing, and the customer's terms say whether there are offers. `was_shown`: before the change. */
void offer_clear(struct offer_record *record);
void offer_settle(struct worker *worker, struct partition *partition, uint32_t offer, bool was_shown);
/* offer_gives_way - one record that holds nothing but a time, of another customer than `owner`, is deleted for another that needs the room, and counted;
 * false: none was found in OFFER_TIMES_LOOKED_AT places. */
bool offer_gives_way(struct worker *worker, struct partition *partition, struct rialto_key owner, uint64_t from);
void due_at_latest(struct partition *partition, enum state_pool pool, uint32_t index, int64_t due_ms);

/* lock_has_room - may this record (or a new one: STATE_NONE) hold a lock? Counted where not. */
bool lock_has_room(const struct worker *worker, struct partition *partition, uint32_t offer);
/* locks_add - one more or less, where they were counted. lock_end_ms - when a lock ends that takes the record's place: not before the promised end of a lock that was asked for. */
void locks_add(struct partition *partition, int difference);
int64_t lock_end_ms(const struct offer_record *record, int64_t until_ms);
void lock_clear(struct partition *partition, struct offer_record *record);
bool lock_lives(const struct worker *worker, const struct offer_record *record);
/* currency_is_taken - a record has room for one currency: a lock is owed in its own, and an offer of money has its own until another offer takes
 * its place. May money in `currency` (`lock`: a lock, else an offer) not come in? */
bool currency_is_taken(const struct worker *worker, const struct offer_record *record, bool lock, uint16_t currency);

/* apply_issue.c: offers_heed - a view, cart or order that is permitted: counted where a model in force makes an offer of it, and perhaps one is
 * made. offer_forget - takes away what is remembered for models: of `kinds`, and what is over. */
void offers_heed(struct worker *worker, struct partition *partition, uint32_t customer, const struct signal *signal);
void offer_forget(const struct worker *worker, struct offer_record *record, unsigned kinds);

/* budget_look - adds up what is given away and left of a rule's budget in the window of the present tick, over this worker's partitions. `used_up`: of
 * so many of them nothing is left. */
struct budget_look {
    int64_t offers_given, offers_left, amount_given, amount_left; /* amounts 0 where the budget has none */
    int64_t from_ms, until_ms;
    uint32_t partitions, used_up;
};
void budget_look(const struct worker *worker, const struct model *model, const struct model_offer *rule,
                 struct budget_look *ret);

/* offer_meets - demand that is permitted meets an offer that stands for the product: orders use up so many units of the shop's, and what speaks
 * against an offer of a model ends it, whatever the price was. */
void offer_meets(struct worker *worker, struct partition *partition, uint32_t customer, const struct signal *signal);
enum signal_reason apply_offer(struct worker *worker, struct partition *partition, uint32_t customer, const struct signal *signal);
enum signal_reason apply_lock(struct worker *worker, struct partition *partition, uint32_t customer, const struct signal *signal);
#endif
