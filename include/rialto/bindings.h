/* bindings.h - what a binding to another language needs to know and a C program gets from quote.h: where the members of
 * struct rialto_quote lie in this build of the library, and what bits of flags and kinds are called. A binding that asks here
 * holds no second description of the struct, and goes on working when members are added at its end.
 *
 * Everything here is constant, and safe from any thread. */
#ifndef RIALTO_BINDINGS_H
#define RIALTO_BINDINGS_H

#include <rialto/quote.h>

#ifdef __cplusplus
extern "C" {
#endif

/* clang-format off */
/*    name          bit */
#define RIALTO_FLAGS(X)                       \
    X(ANONYMOUS,    RIALTO_FLAG_ANONYMOUS)    \
    X(PERSONAL,     RIALTO_FLAG_PERSONAL)     \
    X(OFFER,        RIALTO_FLAG_OFFER)        \
    X(LOCK,         RIALTO_FLAG_LOCK)         \
    X(STALE,        RIALTO_FLAG_STALE)        \
    X(WIDER_ZONE,   RIALTO_FLAG_WIDER_ZONE)   \
    X(BOUNDED,      RIALTO_FLAG_BOUNDED)      \
    X(GUARDED,      RIALTO_FLAG_GUARDED)      \
    X(IGNORED_ZONE, RIALTO_FLAG_IGNORED_ZONE) \
    X(LIST_MODE,    RIALTO_FLAG_LIST_MODE)    \
    X(DEMO,         RIALTO_FLAG_DEMO)         \
    X(NEUTRAL,      RIALTO_FLAG_NEUTRAL)      \
    X(SUPERSEDED,   RIALTO_FLAG_SUPERSEDED)   \
    X(STARTING,     RIALTO_FLAG_STARTING)

#define RIALTO_KINDS(X)                   \
    X(location,  RIALTO_KIND_LOCATION)    \
    X(behaviour, RIALTO_KIND_BEHAVIOUR)   \
    X(purchases, RIALTO_KIND_PURCHASES)   \
    X(profile,   RIALTO_KIND_PROFILE)     \
    X(partner,   RIALTO_KIND_PARTNER)
/* clang-format on */

struct rialto_field {
    const char *name; /* of the member of struct rialto_quote, such as "amount" */
    uint32_t offset;  /* bytes from the start of the struct */
    uint16_t bytes;
    char kind; /* 'i' signed, 'u' unsigned, in this machine's byte order; 's' UTF-8 text with a 0 at its end */
};

struct rialto_bit {
    const char *name;
    uint32_t bit;
};

/* rialto_quote_fields - the members of struct rialto_quote; the last one has the name NULL and the struct's size as offset. */
RIALTO_API const struct rialto_field *rialto_quote_fields(void);

/* rialto_flag_names, rialto_kind_names - the bits of a quote's flags and kinds; the last one has the name NULL. */
RIALTO_API const struct rialto_bit *rialto_flag_names(void);
RIALTO_API const struct rialto_bit *rialto_kind_names(void);

#ifdef __cplusplus
}
#endif
#endif
