/* signal_describe.c - SIGNAL_TYPES, SIGNAL_FIELDS and SIGNAL_REASONS as Markdown: the tables of docs/signals.md. */
#include "service/signal_rows.h"

#include "pricing/fixed.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const TYPE_TEXTS[SIGNAL_TYPE_COUNT] = {
#define TYPE_TEXT(name_, text_) [SIGNAL_##name_] = text_,
    SIGNAL_TYPES(TYPE_TEXT)
#undef TYPE_TEXT
};

/* Words of a choice, each as code. */
static void choices_write(FILE *out, const char *choices)
{
    for (int i = 0; i < choice_count(choices); i++) {
        size_t bytes = 0;
        const char *word = choice_at(choices, i, &bytes);
        (void)fprintf(out, "%s`%.*s`", i == 0 ? "" : ", ", (int)bytes, word);
    }
}

/* Millionths as a decimal number without trailing zeros. */
static void micro_write(FILE *out, int64_t micro)
{
    int64_t rest = (micro < 0 ? -micro : micro) % MICRO;
    int digits = 6;
    (void)fprintf(out, "%s%" PRId64, micro < 0 && micro > -MICRO ? "-" : "", micro / MICRO);
    for (; rest != 0 && rest % 10 == 0; rest /= 10)
        digits--;
    if (rest != 0)
        (void)fprintf(out, ".%0*" PRId64, digits, rest);
}

static void range_write(FILE *out, const struct signal_row *row)
{
    if (row->kind != FIELD_NUMBER) {
        (void)fprintf(out, "%" PRId64 " to %" PRId64, row->low, row->high);
        return;
    }
    micro_write(out, row->low);
    (void)fprintf(out, " to ");
    micro_write(out, row->high);
}

static void value_write(FILE *out, const struct signal_row *row)
{
    switch (row->kind) {
    case FIELD_TEXT:
    case FIELD_SKU:
    case FIELD_CUSTOMER:
    case FIELD_ZONE:
        (void)fprintf(out, "%s, ", row->kind == FIELD_ZONE ? "zone" : "text");
        range_write(out, row);
        (void)fprintf(out, " bytes");
        break;
    case FIELD_MONEY:
        (void)fprintf(out, "integer, ");
        range_write(out, row);
        (void)fprintf(out, " minor units");
        break;
    case FIELD_NUMBER:
        (void)fprintf(out, "number, ");
        range_write(out, row);
        (void)fprintf(out, " %s", row->unit);
        break;
    case FIELD_INTEGER:
        (void)fprintf(out, "integer, ");
        range_write(out, row);
        (void)fprintf(out, " %s", row->unit);
        break;
    case FIELD_TIME: (void)fprintf(out, "time"); break;
    case FIELD_SWITCH: (void)fprintf(out, "`true` or `false`"); break;
    case FIELD_CHOICE: choices_write(out, row->choices); break;
    case FIELD_CURRENCY: (void)fprintf(out, "three letters of ISO 4217"); break;
    case FIELD_CONSENT:
        (void)fprintf(out, "object: ");
        choices_write(out, row->choices);
        break;
    case FIELD_ATTRIBUTES:
        (void)fprintf(out, "object of at most %u names, each with a number ", ATTRIBUTES_MAX);
        micro_write(out, row->low);
        (void)fprintf(out, " to ");
        micro_write(out, row->high);
        break;
    case FIELD_WORDS:
        (void)fprintf(out, "list of at most %u texts, ", TERMS_SEGMENTS_MAX);
        range_write(out, row);
        (void)fprintf(out, " bytes each, or objects");
        break;
    }
}

static void field_write(FILE *out, const struct signal_row *row, uint32_t type)
{
    (void)fprintf(out, "| `%s` | ", row->pointer + 1);
    value_write(out, row);
    (void)fprintf(out, " | %s | %s |\n", row->must & type ? "yes" : "", row->text);
}

static void type_write(FILE *out, enum signal_type type)
{
    (void)fprintf(out, "\n### %s\n\n%c%s.\n\n| field | value | needed | what it says |\n|---|---|---|---|\n",
                  signal_type_name(type), TYPE_TEXTS[type][0] - 'a' + 'A', TYPE_TEXTS[type] + 1);
    for (int i = 0; i < SIGNAL_FIELD_COUNT; i++)
        if (signal_rows[i].types != T_ALL && signal_rows[i].types & (1u << type))
            field_write(out, &signal_rows[i], 1u << type);
}

/* What stands in a list or an object of fields above. */
static void inner_write(FILE *out)
{
    (void)fprintf(
        out,
        "\n### a consent\n\nOf one kind in `consent`, instead of true or false.\n\n| field | value | needed | what it "
        "says |\n|---|---|---|---|\n"
        "| `granted` | `true` or `false` | yes | whether this kind of data is permitted |\n"
        "| `source` | text, 1 to %u bytes |  | who said so, or where: a label such as app, web or till-25; nobody's "
        "e-mail address or phone number |\n"
        "| `text` | text, 1 to %u bytes |  | version of the wording that the customer saw |\n"
        "| `time` | time |  | when it was given or refused, however long ago; left out: when the signal says |\n",
        CONSENT_SOURCE_MAX - 1, CONSENT_TEXT_MAX - 1);
    (void)fprintf(
        out,
        "\n### a segment\n\nIn `segments`, instead of its name alone.\n\n| field | value | needed | what it says "
        "|\n|---|---|---|---|\n"
        "| `name` | text, 1 to %u bytes | yes | the segment or status, as models name it |\n"
        "| `until` | time |  | it holds until; left out, and at the latest: attribute_age_max_s after the signal |\n"
        "| `party` | ",
        RIALTO_NAME_MAX - 1);
    choices_write(out, CHOICES_PARTY);
    (void)fprintf(out, " |  | whose word it is; left out: as the signal says |\n");
}

static void common_write(FILE *out)
{
    (void)fprintf(out, "### every signal\n\n| field | value | needed | what it says |\n|---|---|---|---|\n");
    (void)fprintf(out, "| `type` | ");
    for (int i = 0; i < SIGNAL_TYPE_COUNT; i++)
        (void)fprintf(out, "%s`%s`", i == 0 ? "" : ", ", signal_type_name((enum signal_type)i));
    (void)fprintf(out, " | yes | which kind of fact |\n");
    for (int i = 0; i < SIGNAL_FIELD_COUNT; i++)
        if (signal_rows[i].types == T_ALL)
            field_write(out, &signal_rows[i], 0);
}

static void reasons_write(FILE *out)
{
    (void)fprintf(out, "\n### reasons\n\n| reason | the signal is | what it means |\n|---|---|---|\n");
    for (int i = REASON_none + 1; i < REASON_COUNT; i++) {
        enum signal_reason reason = (enum signal_reason)i;
        (void)fprintf(out, "| `%s` | %s | %s |\n", signal_reason_name(reason),
                      signal_reason_rejects(reason) ? "rejected" : "accepted", signal_reason_text(reason));
    }
}

void signal_describe(void *out)
{
    common_write(out);
    for (int i = 0; i < SIGNAL_TYPE_COUNT; i++)
        type_write(out, (enum signal_type)i);
    inner_write(out);
    reasons_write(out);
}
