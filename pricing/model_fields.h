/* model_fields.h - objects of a model file, described by tables: one row per key. Private to pricing/.
 *
 * A row says what a key may hold, within which bounds, and where it goes. A key without a row is refused. The tables
 * are visible so that models/schema/model.schema.json can be made from them (model_schema.c). */
#ifndef PRICING_MODEL_FIELDS_H
#define PRICING_MODEL_FIELDS_H

#include "pricing/json_text.h"

/* Where the reader stands: the text for places, the pointer to the value in hand. */
struct reader {
    const char *text;
    size_t bytes;
    const char *file;
    struct fault_list *faults;
    char pointer[512];
    size_t pointer_length;
};

enum field_kind {
    FIELD_NAME,  /* letters, digits and _ . : + - ; low..high bytes         -> char[high + 1]   */
    FIELD_TEXT,  /* UTF-8 without control characters; low..high bytes       -> char[high + 1]   */
    FIELD_MICRO, /* number with at most 6 decimals; low..high in millionths -> int64_t          */
    FIELD_COUNT, /* whole number low..high                                  -> uint32_t         */
    FIELD_SPAN,  /* "90s", "15m", "6h", "7d"; low..high seconds             -> uint32_t         */
    FIELD_FLAG,  /* true or false                                           -> bool             */
    FIELD_PART   /* whatever `part` reads                                                       */
};

struct field {
    const char *key;
    const char *text; /* for people */
    const char
        *shape; /* members of its JSON schema, where `part` reads it; @INPUTS@ stands for the names of all inputs */
    const char *preset; /* the default as JSON, if there is one that can be written down */
    enum field_kind kind;
    bool required;
    int64_t low, high;
    size_t offset; /* into the target */
    enum rialto_status (*part)(struct reader *reader, const cJSON *value, void *target);
};

struct field_table {
    const char *name; /* of the object, for the schema */
    const struct field *field;
    uint32_t count;
    const char *rules; /* members of the object's JSON schema that are about several keys; NULL = none */
};

/* fields_read - an object by its table. Keys that are missing leave the target as it is. Goes on behind a fault, so that all
 * are found. RIALTO_OK, or REFUSED with at least one fault added. */
enum rialto_status fields_read(struct reader *reader, const struct field_table *table, const cJSON *object,
                               void *target);

/* value_read - one value by one row, whose `key` is not looked at. */
enum rialto_status value_read(struct reader *reader, const struct field *field, const cJSON *value, void *target);

/* reader_enter - step down to a key or an index; returns what reader_leave() needs to step back. */
size_t reader_enter(struct reader *reader, const char *key);
size_t reader_enter_index(struct reader *reader, uint32_t index);
void reader_leave(struct reader *reader, size_t back);

/* reader_refuse - a fault at the value in hand, reader_refuse_at - at a byte of the text in hand. Return RIALTO_REFUSED. */
__attribute__((format(printf, 2, 3))) enum rialto_status reader_refuse(struct reader *reader, const char *reason, ...);
__attribute__((format(printf, 3, 4))) enum rialto_status reader_refuse_at(struct reader *reader, size_t byte,
                                                                          const char *reason, ...);

/* model_tables - every object of the model file with its rows. */
extern const struct field_table *const model_tables[];
extern const uint32_t model_table_count;

/* policy_tables - the same of a policy file. */
extern const struct field_table *const policy_tables[];
extern const uint32_t policy_table_count;
#endif
