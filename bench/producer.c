/* producer.c - see producer.h. */
#include "bench/producer.h"

#include "bench/bench.h"

#include <nng/protocol/pipeline0/push.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_  160u
#define SEQ_DIGITS 10u

static bool prepare(struct prepared *message, uint64_t *random)
{
    message->text = malloc(PRODUCER_BATCH * LINE_MAX_);
    if (message->text == NULL)
        return false;
    size_t at = 0;
    for (uint32_t i = 0; i < PRODUCER_BATCH; i++) {
        uint64_t roll = bench_random(random);
        uint32_t shop = (uint32_t)(roll >> 20) % PRODUCER_SHOPS;
        at += (size_t)snprintf(message->text + at, LINE_MAX_,
                               "{\"type\":\"demand\",\"sku\":\"sku-%06u\",\"event\":\"order\",\"quantity\":%u,\"zone\":"
                               "\"c%u/s%u\",\"source\":\"pos-%02u\",\"seq\":",
                               (uint32_t)(roll % PRODUCER_PRODUCTS), 1 + (uint32_t)(roll >> 50) % 4, shop % 2, shop,
                               shop);
        message->seq_at[i] = (uint32_t)at;
        at += (size_t)snprintf(message->text + at, LINE_MAX_, "1000000000}\n");
    }
    message->bytes = at;
    return true;
}

static void number(struct prepared *message, uint64_t seq)
{
    for (uint32_t i = 0; i < PRODUCER_BATCH; i++, seq++) {
        uint64_t left = seq;
        for (uint32_t digit = SEQ_DIGITS; digit-- > 1; left /= 10) /* the first stays 1 */
            message->text[message->seq_at[i] + digit] = (char)('0' + left % 10);
    }
}

bool producer_send(struct producer *producer, uint64_t turn)
{
    struct prepared *message = &producer->message[turn % PRODUCER_MESSAGES];
    nng_msg *copy;
    number(message, producer->sent);
    if (nng_msg_alloc(&copy, message->bytes) != 0)
        return false;
    memcpy(nng_msg_body(copy), message->text, message->bytes);
    if (nng_sendmsg(producer->socket, copy, 0) != 0) {
        nng_msg_free(copy);
        return false;
    }
    producer->sent += PRODUCER_BATCH;
    return true;
}

bool producer_setup(struct producer *producer, const char *url, uint64_t random)
{
    memset(producer, 0, sizeof *producer);
    for (uint32_t i = 0; i < PRODUCER_MESSAGES; i++)
        if (!prepare(&producer->message[i], &random))
            return false;
    return nng_push0_open(&producer->socket) == 0 && nng_socket_set_int(producer->socket, NNG_OPT_SENDBUF, 16) == 0 &&
           nng_socket_set_ms(producer->socket, NNG_OPT_SENDTIMEO, 20000) == 0 &&
           nng_dial(producer->socket, url, NULL, 0) == 0;
}

void producer_teardown(struct producer *producer)
{
    (void)nng_close(producer->socket);
    for (uint32_t i = 0; i < PRODUCER_MESSAGES; i++)
        free(producer->message[i].text);
}
