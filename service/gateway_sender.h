/* gateway_sender.h - who sent a message: a name for its share of what is taken (rates.h), and where from, for the audit log.
 *
 *   over TCP           the address, of IPv6 its first 64 bits: whoever has one has all below it. The port says nothing.
 *   on a local socket  the process at the other end, as the kernel tells
 *   over HTTP          what the process `web` says, on a socket of its own that nobody else may enter (WEB_DOOR, mode 0600): the name
 *                      of the token that was shown, or the client's address. It writes "NAME ADDRESS\n" before each message. */
#ifndef SERVICE_GATEWAY_SENDER_H
#define SERVICE_GATEWAY_SENDER_H

#include "service/config.h"
#include "service/rates.h"

#include <nng/nng.h>
#include <stdbool.h>

#define WEB_DOOR        "web.ipc" /* in DATA_DIR */
#define SENDER_FROM_MAX 64u
#define SENDER_HEAD_MAX (RATES_NAME_MAX + SENDER_FROM_MAX)

struct sender {
    char name[RATES_NAME_MAX];
    char from[SENDER_FROM_MAX];
};

/* sender_of - of a message just received; what `web` wrote before it is taken off. A connection that is gone already is "gone", one name
 * for all of them. Any thread. */
void sender_of(nng_msg *message, struct sender *ret);

/* sender_of_socket - whoever is at the other end of a connected local socket. */
void sender_of_socket(int fd, struct sender *ret);

/* sender_address - an address as the name of a producer. `bytes` is 4 or 16, in network order. */
void sender_address(const uint8_t *address, size_t bytes, char ret[RATES_NAME_MAX]);

/* sender_web_url - where `web` comes in. */
void sender_web_url(const struct config *config, char ret[CONFIG_TEXT_MAX]);
#endif
