/* reject.h - a dead letter: what is kept of a rejected signal, and how it stands in Redis.
 *
 *   gateway: value or record --reject_of_*()--> struct reject --gateway_rejects.c--> stream PREFIX:rejects --> `rialto rejects`
 *
 * Privacy    nothing of a customer is ever kept, with consent or without: of the types that are about a customer only type, reason
 *            and place; of demand the product part. Members that the signal table does not know are left out, with their names
 *            where these are more than a plain word, and so are texts that read like an e-mail address or a phone number. So
 *            there is nothing that a `forget` would have to take out.
 * Whole      `whole` says that nothing was left out: then, and for a part that a worker refused, the text can be sent again. */
#ifndef SERVICE_REJECT_H
#define SERVICE_REJECT_H

#include "service/signal.h"

#define REJECT_TEXT_MAX 1536u /* bytes of the kept signal; what does not fit is left out */
#define REJECT_BY_MAX   16u

struct reject {
    int64_t at_ms;  /* service time of the rejection */
    uint32_t index; /* of the signal in its message; UINT32_MAX: not known any more */
    enum signal_reason reason;
    bool whole;
    char type[RIALTO_NAME_MAX]; /* "" = not known */
    char source[RIALTO_ID_MAX]; /* "" = none said, or one that looks personal */
    char by[REJECT_BY_MAX];     /* "gateway", "worker.3" */
    char pointer[FAULT_POINTER_MAX];
    char text[FAULT_REASON_MAX];  /* the reason in words; never a value */
    char signal[REJECT_TEXT_MAX]; /* JSON object; "" = nothing may be kept */
};

/* reject_of_value - of a JSON value that the gateway refused; NULL: it was not even JSON. Fills everything but at_ms, index, by. */
void reject_of_value(const cJSON *value, const struct signal_rules *rules, enum signal_reason reason,
                     const struct fault *fault, struct reject *ret);

/* source_tells - does the customer's id stand in what a sender calls himself (an app's, /customers/C123)? Then it is not kept. "" does not. */
bool source_tells(const char *source, const char *customer);

/* reject_of_part - of one part of a good signal that a worker refused. Source is the caller's to fill in. */
void reject_of_part(const struct signal *signal, enum signal_part part, enum signal_reason reason, struct reject *ret);

/* Fields of an entry of the stream. */
#define REJECT_FIELDS(X)         X(at) X(reason) X(pointer) X(text) X(source) X(type) X(by) X(index) X(whole) X(signal)
#define REJECT_FIELD_ENUM_(name) REJECT_FIELD_##name,
enum reject_field { REJECT_FIELDS(REJECT_FIELD_ENUM_) REJECT_FIELD_COUNT };
#undef REJECT_FIELD_ENUM_
extern const char *const reject_field_name[REJECT_FIELD_COUNT];
#define REJECTS_KEY_FORMAT "%s:rejects" /* of the instance */
#endif
