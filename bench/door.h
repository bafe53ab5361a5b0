/* door.h - a client of the HTTP door: one kept connection, one answer at a time, every amount compared. Answers are searched for the amount,
 * not parsed as JSON, which a shop pays on top. */
#ifndef BENCH_DOOR_H
#define BENCH_DOOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DOOR_PAGE         50u
#define DOOR_ANSWER_BYTES 65536u

struct door {
    int fd; /* -1: none */
    uint16_t port;
    uint32_t first_amount; /* of sku-000000; each product costs one more */
    char answer[DOOR_ANSWER_BYTES];
};

/* door_free_port - one that nobody listens at now; 0: none. */
uint16_t door_free_port(void);

/* door_enter - connect; false where nobody listens. door_leave - close, which may be done twice. */
bool door_enter(struct door *door);
void door_leave(struct door *door);

/* door_request - the request for one product (GET), or for a page of up to DOOR_PAGE (POST), for the customer anna. Its length. */
size_t door_request(char *ret, size_t room, size_t n, const uint32_t product[]);

/* door_ask - ask and wait; true when the answer has the amounts of these products, in this order. */
bool door_ask(struct door *door, size_t n, const uint32_t product[]);

/* door_amounts_are - does the text hold them? */
bool door_amounts_are(const char *text, uint32_t first_amount, size_t n, const uint32_t product[]);
#endif
