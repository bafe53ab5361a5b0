/* fuzz_signal.c - any bytes as a message: every value in it is refused with a reason, or becomes a signal whose parts
 * survive the way to a worker.
 *
 * The first byte chooses the levels of zones in use. */
#include "service/gateway.h"
#include "service/signal_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition, const char *what)
{
    if (!condition) {
        (void)fprintf(stderr, "fuzz_signal: %s\n", what);
        abort();
    }
}

static void check_fault(enum signal_reason reason, const struct fault *fault)
{
    require(signal_reason_rejects(reason), "a refusal that does not reject");
    require(memchr(fault->reason, '\0', sizeof fault->reason) != NULL && fault->reason[0] != '\0', "no reason");
    require(memchr(fault->pointer, '\0', sizeof fault->pointer) != NULL, "a pointer without an end");
    require(fault->pointer[0] == '\0' || fault->pointer[0] == '/', "a pointer that is none");
}

static void check_parts(const struct signal *signal)
{
    unsigned parts = signal_parts(signal);
    require(parts != 0 && (parts & ~7u) == 0, "no parts");
    for (unsigned part = PART_PRODUCT; part <= PART_COMMON; part <<= 1) {
        uint8_t bytes[WIRE_RECORD_MAX];
        struct wire_record head;
        struct signal got;
        size_t at = 0;
        if (!(parts & part))
            continue;
        size_t written = wire_record_encode(signal, (enum signal_part)part, 1, 2, 3, 4, bytes);
        require(wire_record_decode(bytes, written, &at, &head, &got) && at == written, "a part does not come back");
        require((got.present & ~signal->present) == 0, "a part has more than the signal");
        require(part == PART_CUSTOMER || got.customer[0] == '\0', "a customer in the wrong part");
        for (unsigned i = 0; i < SIGNAL_FIELD_COUNT; i++)
            require(!signal_has(&got, (enum signal_field)i) ||
                        memcmp((char *)&got + signal_rows[i].offset, (const char *)signal + signal_rows[i].offset,
                               signal_rows[i].size) == 0,
                    "a field changed on the way");
    }
}

static void check_signal(const struct signal *signal, const struct signal_rules *rules)
{
    require(signal->time_ms >= rules->now_ms - rules->age_max_ms &&
                signal->time_ms <= rules->now_ms + rules->future_max_ms,
            "a time outside its bounds");
    require(signal->type != SIGNAL_location || (signal->lat == 0 && signal->lon == 0),
            "a customer's position was kept");
    require(signal->customer[0] == '\0' || !customer_looks_personal(signal->customer),
            "a customer who is no pseudonym");
    struct zone_chain chain;
    require(zone_chain_of(&rules->levels, signal->zone, strlen(signal->zone), &chain), "a zone that is none");
    require(strcmp(signal->zone, chain.count > 0 ? chain.name[0] : "") == 0, "a zone that was not cut");
    check_parts(signal);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct signal_rules rules = { .levels = { { 3, 5 }, { 1, 2, 3 } },
                                  .now_ms = INT64_C(1767225600000),
                                  .age_max_ms = INT64_C(604800000),
                                  .future_max_ms = 60000 };
    struct message message;
    const cJSON *value = NULL;
    enum signal_reason reason = REASON_none;
    if (size == 0)
        return 0;
    if (data[0] & 1u)
        memset(rules.levels.geohash_lengths, 0, sizeof rules.levels.geohash_lengths);
    if (data[0] & 2u)
        memset(rules.levels.path_depths, 0, sizeof rules.levels.path_depths);
    char *text = malloc(size); /* of its own, so that one byte read past the end is seen */
    if (text == NULL)
        return 0;
    memcpy(text, data + 1, size - 1);
    struct fault fault = { .reason = "" };
    message_open(&message, text, size - 1);
    while (message_next(&message, &value, &reason, &fault)) {
        struct signal signal;
        if (reason == REASON_none)
            reason = signal_parse(value, &rules, &signal, &fault);
        if (reason == REASON_none)
            check_signal(&signal, &rules);
        else
            check_fault(reason, &fault);
    }
    message_close(&message);
    free(text);
    return 0;
}
