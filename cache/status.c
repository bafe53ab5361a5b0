/* status.c - words for status codes, out of the one list in status.h. */
#include <rialto/status.h>

const char *rialto_status_text(enum rialto_status status)
{
    switch (status) {
#define TEXT_(name, code, text)                                                                                        \
    case RIALTO_##name: return text;
        RIALTO_STATUSES(TEXT_)
#undef TEXT_
    }
    return "unknown status";
}

const char *rialto_status_name(enum rialto_status status)
{
    switch (status) {
#define NAME_(name, code, text)                                                                                        \
    case RIALTO_##name: return #name;
        RIALTO_STATUSES(NAME_)
#undef NAME_
    }
    return "UNKNOWN_STATUS";
}
