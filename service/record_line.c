/* record_line.c - see record_line.h. */
#include "service/record_line.h"

#include "pricing/demand.h"
#include "pricing/fixed.h"
#include "service/signal_rows.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct line {
    char *text;
    size_t bytes;
};

__attribute__((format(printf, 2, 3))) static void add(struct line *line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int bytes = vsnprintf(line->text + line->bytes, RECORD_LINE_MAX - line->bytes, format, arguments);
    va_end(arguments);
    assert(bytes >= 0 && (size_t)bytes < RECORD_LINE_MAX - line->bytes);
    line->bytes += (size_t)bytes;
}

/* Texts of signals are UTF-8 without control characters: quotes and backslashes are what is left to escape. */
static void add_text(struct line *line, const char *text)
{
    assert(RECORD_LINE_MAX - line->bytes > 2 * strlen(text) + 2);
    line->text[line->bytes++] = '"';
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            line->text[line->bytes++] = '\\';
        line->text[line->bytes++] = *text;
    }
    line->text[line->bytes++] = '"';
}

/* Millionths as a decimal number: read again they are the same ones. */
static void add_micro(struct line *line, int64_t micro)
{
    uint64_t size = micro < 0 ? 0 - (uint64_t)micro : (uint64_t)micro;
    add(line, "%s%" PRIu64, micro < 0 ? "-" : "", size / MICRO);
    if (size % MICRO != 0)
        add(line, ".%06" PRIu64, size % MICRO);
}

static void add_attributes(struct line *line, const struct signal *signal)
{
    add(line, "{");
    for (int64_t i = 0; i < signal->attributes.count; i++) {
        add(line, "%s\"%s\":", i > 0 ? "," : "", signal->attributes.name[i]); /* names hold nothing to escape */
        add_micro(line, signal->attributes.micro[i]);
    }
    add(line, "}");
}

static void add_value(struct line *line, const struct signal_row *row, const struct signal *signal)
{
    const char *member = (const char *)signal + row->offset;
    int64_t number = 0;
    size_t bytes = 0;
    const char *word;
    if (row->size == sizeof number)
        memcpy(&number, member, sizeof number);
    switch (row->kind) {
    case FIELD_TEXT:
    case FIELD_SKU:
    case FIELD_ZONE:
    case FIELD_CURRENCY: add_text(line, member); break;
    case FIELD_MONEY:
    case FIELD_INTEGER:
    case FIELD_TIME: add(line, "%" PRId64, number); break;
    case FIELD_NUMBER: add_micro(line, number); break;
    case FIELD_SWITCH: add(line, "%s", number != 0 ? "true" : "false"); break;
    case FIELD_CHOICE:
        word = choice_at(row->choices, (int)number, &bytes);
        add(line, "\"%.*s\"", (int)bytes, word);
        break;
    case FIELD_ATTRIBUTES: add_attributes(line, signal); break;
    case FIELD_CUSTOMER:
    case FIELD_CONSENT:
    case FIELD_WORDS: assert(false); /* the table gives them to no product or common part */
    }
}

static void add_id(struct line *line, const struct wire_record *head)
{
    if (head->number != 0)
        add(line, ",\"source\":\"%016" PRIx64 "\",\"seq\":%" PRIu64, head->id_hash, head->number);
    else if (head->id_hash != 0)
        add(line, ",\"source\":\"recorded\",\"id\":\"%016" PRIx64 "\"", head->id_hash);
}

/* What is free of cost counts once for each visit. Whose visit it was is not known here; that it was a new one is. */
static void add_visit(struct line *line, const struct wire_record *head, const struct signal *signal, uint64_t batch)
{
    if (signal->type != SIGNAL_demand || signal->event == DEMAND_ORDER || signal->event == DEMAND_RETURN)
        return;
    if (signal->repeated)
        add(line, ",\"repeated\":true");
    else
        add(line, ",\"session\":\"v%" PRIx64 ".%x\"", batch, head->ref);
}

size_t record_line(const struct wire_record *head, const struct signal *signal, uint64_t batch, char *ret)
{
    struct line line = { ret, 0 };
    if ((head->part != PART_PRODUCT && head->part != PART_COMMON) || head->type >= SIGNAL_TYPE_COUNT)
        return 0;
    add(&line, "{\"type\":\"%s\",\"time\":%" PRId64, signal_type_name(signal->type), signal->time_ms);
    for (uint64_t left = signal->present; left != 0; left &= left - 1) {
        const struct signal_row *row = &signal_rows[__builtin_ctzll(left)];
        if ((row->parts & head->part) == 0)
            continue;
        add(&line, ",\"%s\":", row->pointer + 1);
        add_value(&line, row, signal);
    }
    add_id(&line, head);
    add_visit(&line, head, signal, batch);
    add(&line, "}\n");
    return line.bytes;
}
