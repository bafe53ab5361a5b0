/* status.h - the one list of answers that Rialto's functions give.
 *
 * Codes are stable: a code never changes its number or meaning. Zero is success; everything else
 * names what was wrong. The text is written for the person who reads a log or a terminal. */
#ifndef RIALTO_STATUS_H
#define RIALTO_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

/* clang-format off */
#define RIALTO_API __attribute__((visibility("default")))

/*    name               code  text                                                                      */
#define RIALTO_STATUSES(X)                                                                                \
    X(OK,                  0, "ok")                                                                       \
    X(BAD_INPUT,           1, "an argument is outside its domain")                                        \
    X(UNKNOWN_PRODUCT,     2, "no price: the product is not known in this zone or any zone around it")    \
    X(OTHER_CURRENCY,      3, "no price in the currency that was asked for")                              \
    X(NO_CACHE,            4, "the cache folder or a table in it is not there (yet)")                     \
    X(OTHER_LAYOUT,        5, "the table was written by another version of Rialto")                       \
    X(OTHER_BYTE_ORDER,    6, "the table was written on a machine of the other byte order")               \
    X(TRUNCATED,           7, "the table's file is shorter than its header says")                         \
    X(NO_PERMISSION,       8, "the cache may not be read by this user or group")                          \
    X(RETIRED,             9, "the cache was replaced by a newer one: close the handle and open it again") \
    X(BUSY,               10, "a line stayed in writing for longer than the bound")                       \
    X(FULL,               11, "the table's segment has no room left")                                     \
    X(NO_SPACE,           12, "the file system has no room for the table")                                \
    X(SYSTEM,             13, "a system call failed; errno says why")                                     \
    X(NO_MEMORY,          14, "out of memory")                                                            \
    X(NOT_FOUND,          15, "no such entry")                                                            \
    X(OVERFLOW,           16, "an amount went outside the range of money")                                \
    X(REFUSED,            17, "the input was refused; the fault says where and why")                      \
    X(SUPERSEDED,         18, "another version of Rialto has taken over: these prices are frozen, and go away after a while") \
    X(OTHER_SECRET,       19, "the handle was made with another cache's secret: make it anew")
/* clang-format on */

#define RIALTO_STATUS_ENUM_(name, code, text) RIALTO_##name = code,
enum rialto_status { RIALTO_STATUSES(RIALTO_STATUS_ENUM_) };
#undef RIALTO_STATUS_ENUM_

/* rialto_status_text - a sentence for a code; "unknown status" for a number that is none. Thread-safe. */
RIALTO_API const char *rialto_status_text(enum rialto_status status);

/* rialto_status_name - the code's name, such as "UNKNOWN_PRODUCT". Thread-safe. */
RIALTO_API const char *rialto_status_name(enum rialto_status status);

#ifdef __cplusplus
}
#endif
#endif
