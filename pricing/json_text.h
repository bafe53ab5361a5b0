/* json_text.h - JSON that came from outside: strictly checked, then parsed by cJSON, with places for error messages.
 *
 * cJSON alone accepts 01, 1., raw control characters, invalid UTF-8, \u0000, duplicate keys and trailing garbage, and
 * keeps no positions. Everything that Rialto reads as JSON (signals, models, configuration) comes through here.
 * Thread-safe. */
#ifndef PRICING_JSON_TEXT_H
#define PRICING_JSON_TEXT_H

#include <cjson/cJSON.h>
#include <rialto/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAULT_FILE_MAX    128u
#define FAULT_POINTER_MAX 128u
#define FAULT_REASON_MAX  192u

struct fault {                       /* what is wrong with an input, and where */
    char file[FAULT_FILE_MAX];       /* "" when the text did not come from a file; of a long path the end */
    uint32_t line;                   /* from 1; 0 = not known */
    uint32_t column;                 /* from 1, in bytes */
    char pointer[FAULT_POINTER_MAX]; /* RFC 6901, such as /factors/2/curve */
    char reason[FAULT_REASON_MAX];   /* one sentence without a full stop */
};

#define FAULTS_MAX 64u /* of one list; more are counted */
struct fault_list {
    uint32_t count;   /* kept */
    uint32_t dropped; /* found beyond FAULTS_MAX */
    /* NULL, or which faults are neither kept nor counted: those that were told already. */
    bool (*is_known)(const void *context, const struct fault *fault);
    const void *context;
    struct fault fault[FAULTS_MAX];
};

#define JSON_COMMENTS       1u /* slash-slash and slash-star comments are allowed (models, configuration) */
#define JSON_DEPTH_MAX      32u
#define JSON_FILE_BYTES_MAX (1u << 20)

/* json_parse - check strictly (RFC 8259 grammar, UTF-8, no \u0000, no duplicate keys in an object of up to 64
 * members, depth, finite numbers), then parse. Returns the tree (the caller's; cJSON_Delete) or NULL with *fault
 * filled (file untouched). */
cJSON *json_parse(const char *text, size_t bytes, unsigned options, struct fault *fault);

/* json_utf8_bytes - bytes of the UTF-8 character at `text`, of which `left` bytes are there; 0 if it is none (RFC 3629: no
 * overlong forms, no surrogates, nothing above U+10FFFF). json_is_utf8 - are all of them? */
size_t json_utf8_bytes(const char *text, size_t left);
bool json_is_utf8(const char *text, size_t bytes);

/* json_place - line and column where the value that a pointer names begins. False if there is no such value. */
bool json_place(const char *text, size_t bytes, const char *pointer, uint32_t *ret_line, uint32_t *ret_column);

/* fault_set - fill pointer and reason (printf style) and, from text, line and column. Returns RIALTO_REFUSED, so that
 * a parser can `return fault_set(...)`. text may be NULL: then no place. */
__attribute__((format(printf, 5, 6))) enum rialto_status fault_set(struct fault *fault, const char *text, size_t bytes,
                                                                   const char *pointer, const char *reason, ...);

/* fault_path - whose fault it is. Of a path that is too long "..." and its end are kept, for the end names the file. */
void fault_path(char ret[FAULT_FILE_MAX], const char *path);

/* fault_add - append a fault, in the order of finding. Returns RIALTO_REFUSED. */
enum rialto_status fault_add(struct fault_list *list, const struct fault *fault);

/* fault_text - "models/gifts.json:12:9: /factors/0/curve: reason", what is not known left out. Writes at most n bytes
 * with 0. */
size_t fault_text(const struct fault *fault, size_t n, char *ret);

/* file_read - a whole file of at most JSON_FILE_BYTES_MAX bytes, 0-terminated; the caller frees *ret_text. On failure
 * *fault says which file and why. */
enum rialto_status file_read(const char *path, char **ret_text, size_t *ret_bytes, struct fault *fault);
#endif
