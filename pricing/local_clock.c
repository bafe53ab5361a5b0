/* local_clock.c - TZif files and the rule in their footer ("CET-1CEST,M3.5.0,M10.5.0/3") as one list of changes. */
#include "pricing/local_clock.h"
#include "pricing/nearest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FROM_S         INT64_C(946684800)  /* 2000 */
#define UNTIL_S        INT64_C(4102444800) /* 2100 */
#define FILE_BYTES_MAX 65536u
#define HEAD_BYTES     44u
#define DAY_S          86400
#define DAY_MS         INT64_C(86400000)

/* ---- dates: H. Hinnant, "chrono-compatible low-level date algorithms" ----------------------------------------------- */

int32_t date_days(int year, int month, int day)
{
    static const int lengths[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    if (year < 1970 || year > 2199 || month < 1 || month > 12 || day < 1)
        return INT32_MIN;
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (day > lengths[month - 1] + (month == 2 && leap))
        return INT32_MIN;
    int y = month <= 2 ? year - 1 : year, era = y / 400, of_era = y - era * 400;
    int of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

void date_split(int32_t days, int *ret_year, int *ret_month, int *ret_day)
{
    int z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097, of_era = z - era * 146097;
    int year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int of_year = of_era - (365 * year + year / 4 - year / 100), m = (5 * of_year + 2) / 153;
    *ret_day = of_year - (153 * m + 2) / 5 + 1;
    *ret_month = m < 10 ? m + 3 : m - 9;
    *ret_year = year + era * 400 + (*ret_month <= 2);
}

/* ---- TZif ----------------------------------------------------------------------------------------------------------- */

struct head {
    uint32_t isutcnt, isstdcnt, leapcnt, timecnt, typecnt, charcnt;
};

static uint32_t be32(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static int64_t be64(const unsigned char *at)
{
    return (int64_t)((uint64_t)be32(at) << 32 | be32(at + 4));
}

static bool read_head(const unsigned char *bytes, size_t size, struct head *ret)
{
    if (size < HEAD_BYTES || memcmp(bytes, "TZif", 4) != 0 || bytes[4] < '2')
        return false;
    *ret = (struct head){ be32(bytes + 20), be32(bytes + 24), be32(bytes + 28),
                          be32(bytes + 32), be32(bytes + 36), be32(bytes + 40) };
    const uint32_t most = FILE_BYTES_MAX;
    return ret->isutcnt < most && ret->isstdcnt < most && ret->leapcnt < most && ret->timecnt < most &&
           ret->typecnt > 0 && ret->typecnt <= 256 && ret->charcnt < most;
}

static size_t body_bytes(const struct head *head, size_t time_bytes)
{
    return head->timecnt * (time_bytes + 1) + (size_t)head->typecnt * 6 + head->charcnt +
           head->leapcnt * (time_bytes + 4) + head->isstdcnt + head->isutcnt;
}

static bool add_change(struct local_clock *clock, int64_t at_s, int32_t offset_s)
{
    if (clock->count == 0 && at_s <= FROM_S) {
        clock->first_offset_s = offset_s;
        return true;
    }
    if (clock->count == LOCAL_CLOCK_CHANGES_MAX)
        return false;
    clock->change[clock->count].at_s = at_s;
    clock->change[clock->count].offset_s = offset_s;
    clock->count++;
    return true;
}

/* ---- the footer's rule ------------------------------------------------------------------------------------------------ */

struct rule {                 /* a change of every year */
    int month, week, weekday; /* Mm.w.d: week 5 is the last; month 0: a day of the year */
    int day;                  /* of the year: from 0, leap days counted; or from 1, not counted (Julian) */
    bool julian;
    int32_t seconds; /* local time of the change, in seconds of the day */
};

static bool skip_name(const char **at)
{
    const char *p = *at;
    if (*p == '<') {
        p = strchr(p, '>');
        if (p == NULL)
            return false;
        p++;
    } else {
        while ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z'))
            p++;
    }
    bool moved = p != *at;
    *at = p;
    return moved;
}

static bool read_number(const char **at, int high, int *ret)
{
    int value = 0, digits = 0;
    for (; **at >= '0' && **at <= '9' && digits < 4; (*at)++, digits++)
        value = value * 10 + (**at - '0');
    *ret = value;
    return digits > 0 && value <= high;
}

static bool read_time(const char **at, int32_t *ret_seconds) /* [+-]hh[:mm[:ss]] */
{
    int sign = **at == '-' ? -1 : 1, part[3] = { 0, 0, 0 };
    if (**at == '-' || **at == '+')
        (*at)++;
    if (!read_number(at, 167, &part[0]))
        return false;
    for (int i = 1; i < 3 && **at == ':'; i++) {
        (*at)++;
        if (!read_number(at, 59, &part[i]))
            return false;
    }
    *ret_seconds = sign * (part[0] * 3600 + part[1] * 60 + part[2]);
    return true;
}

static bool read_rule(const char **at, struct rule *ret)
{
    *ret = (struct rule){ .seconds = 2 * 3600 };
    if (*(*at)++ != ',')
        return false;
    if (**at == 'M') {
        (*at)++;
        if (!read_number(at, 12, &ret->month) || *(*at)++ != '.' || !read_number(at, 5, &ret->week) ||
            *(*at)++ != '.' || !read_number(at, 6, &ret->weekday) || ret->month < 1 || ret->week < 1)
            return false;
    } else {
        ret->julian = **at == 'J';
        *at += ret->julian;
        if (!read_number(at, 365, &ret->day) || (ret->julian && ret->day < 1))
            return false;
    }
    if (**at != '/')
        return true;
    (*at)++;
    return read_time(at, &ret->seconds);
}

static int64_t rule_local_s(const struct rule *rule, int year)
{
    int32_t day;
    if (rule->month > 0) {
        int32_t first = date_days(year, rule->month, 1);
        day = first + (rule->weekday - (first + 4) % 7 + 7) % 7 +
              (rule->week - 1) * 7; /* 1 January 1970: a Thursday, 4 */
        int32_t next = rule->month == 12 ? date_days(year + 1, 1, 1) : date_days(year, rule->month + 1, 1);
        day = day >= next ? day - 7 : day;
    } else {
        bool after_leap_day = rule->julian && rule->day > 59 && date_days(year, 2, 29) != INT32_MIN;
        day = date_days(year, 1, 1) + rule->day - rule->julian + after_leap_day;
    }
    return (int64_t)day * DAY_S + rule->seconds;
}

/* A footer that says nothing, or only one offset, adds no change. */
static bool add_footer(const char *text, struct local_clock *clock)
{
    int32_t standard, summer;
    struct rule begin, end;
    if (*text == '\0')
        return true;
    if (!skip_name(&text) || !read_time(&text, &standard))
        return false;
    standard = -standard; /* POSIX counts west of Greenwich */
    if (*text == '\0') {
        if (clock->count == 0)
            clock->first_offset_s = standard;
        return true;
    }
    if (!skip_name(&text))
        return false;
    summer = standard + 3600;
    if (*text != ',') {
        if (!read_time(&text, &summer))
            return false;
        summer = -summer;
    }
    if (!read_rule(&text, &begin) || !read_rule(&text, &end) || *text != '\0')
        return false;
    int64_t last = clock->count > 0 ? clock->change[clock->count - 1].at_s : FROM_S;
    for (int year = 2000; year < 2100; year++) {
        int64_t begin_s = rule_local_s(&begin, year) - standard, end_s = rule_local_s(&end, year) - summer;
        bool north = begin_s < end_s;
        int64_t at[2] = { north ? begin_s : end_s, north ? end_s : begin_s };
        int32_t offset[2] = { north ? summer : standard, north ? standard : summer };
        for (int i = 0; i < 2; i++)
            if (at[i] > last && at[i] < UNTIL_S && !add_change(clock, at[i], offset[i]))
                return false;
    }
    return true;
}

bool local_clock_parse(const unsigned char *bytes, size_t size, struct local_clock *ret, const char **ret_reason)
{
    struct head head;
    *ret_reason = "the time zone's data are damaged";
    if (!read_head(bytes, size, &head))
        return false;
    size_t skip = HEAD_BYTES + body_bytes(&head, 4); /* version 1 data, for programs of the last century */
    if (skip > size || !read_head(bytes + skip, size - skip, &head))
        return false;
    const unsigned char *body = bytes + skip + HEAD_BYTES;
    size_t left = size - skip - HEAD_BYTES, need = body_bytes(&head, 8);
    if (need > left)
        return false;
    const unsigned char *types = body + head.timecnt * 8, *infos = types + head.timecnt;
    ret->count = 0;
    ret->first_offset_s = (int32_t)be32(infos);
    for (uint32_t i = 0; i < head.timecnt; i++) {
        if (types[i] >= head.typecnt)
            return false;
        int64_t at_s = be64(body + (size_t)i * 8);
        if (at_s < UNTIL_S && !add_change(ret, at_s, (int32_t)be32(infos + (size_t)types[i] * 6)))
            return false;
    }
    char footer[128];
    size_t footer_bytes = left - need;
    if (footer_bytes < 2 || footer_bytes > sizeof footer || body[need] != '\n' || body[left - 1] != '\n')
        return false;
    memcpy(footer, body + need + 1, footer_bytes - 2);
    footer[footer_bytes - 2] = '\0';
    return add_footer(footer, ret);
}

static bool is_zone_name(const char *name)
{
    size_t bytes = strlen(name);
    if (bytes == 0 || bytes >= LOCAL_CLOCK_NAME_MAX || name[0] == '/' || strstr(name, "..") != NULL)
        return false;
    return strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/") == bytes;
}

static FILE *open_data(const char *name)
{
    char path[512];
    const char *folder = getenv("TZDIR");
    int length =
        snprintf(path, sizeof path, "%s/%s", folder != NULL && folder[0] == '/' ? folder : "/usr/share/zoneinfo", name);
    return length > 0 && length < (int)sizeof path ? fopen(path, "re") : NULL;
}

bool local_clock_load(const char *name, struct local_clock *ret, const char **ret_reason)
{
    *ret_reason = "no such time zone; they are called Europe/Berlin, Asia/Shanghai, UTC";
    if (!is_zone_name(name))
        return false;
    if (strcmp(name, "UTC") == 0) {
        *ret = (struct local_clock){ .name = "UTC" };
        return true;
    }
    FILE *file = open_data(name);
    if (file == NULL)
        return false;
    unsigned char *bytes = malloc(FILE_BYTES_MAX);
    size_t size = bytes != NULL ? fread(bytes, 1, FILE_BYTES_MAX, file) : 0;
    (void)fclose(file);
    bool good = size > 0 && size < FILE_BYTES_MAX && local_clock_parse(bytes, size, ret, ret_reason);
    free(bytes);
    if (good)
        (void)snprintf(ret->name, sizeof ret->name, "%s", name);
    return good;
}

bool local_clock_nearest(const char *name, char ret[LOCAL_CLOCK_NAME_MAX])
{
    FILE *file = open_data("tzdata.zi"); /* "Z Europe/Berlin ...", "L Europe/Berlin Arctic/Longyearbyen" */
    char line[512], zone[LOCAL_CLOCK_NAME_MAX];
    ret[0] = '\0';
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "Z %47s", zone) != 1 && sscanf(line, "L %*s %47s", zone) != 1)
            continue;
        const char *names[] = { ret, zone };
        const char *near = nearest_name(name, 2, names);
        if (near == zone)
            memcpy(ret, zone, sizeof zone);
    }
    if (file != NULL)
        (void)fclose(file);
    return ret[0] != '\0';
}

/* ---- looking up --------------------------------------------------------------------------------------------------------- */

int32_t local_clock_offset(const struct local_clock *clock, int64_t now_ms)
{
    uint32_t low = 0, high = clock->count; /* the first change after now lies in [low, high] */
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (clock->change[middle].at_s * 1000 <= now_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low == 0 ? clock->first_offset_s : clock->change[low - 1].offset_s;
}

int64_t local_clock_utc_ms(const struct local_clock *clock, int64_t local_ms)
{
    /* The offset a day before is that of before any change nearby; where it lets the time stand, that is the first time it is shown. */
    int64_t before = (int64_t)local_clock_offset(clock, local_ms - DAY_MS) * 1000;
    int64_t after = (int64_t)local_clock_offset(clock, local_ms + DAY_MS) * 1000;
    bool shown_before = (int64_t)local_clock_offset(clock, local_ms - before) * 1000 == before;
    bool shown_after = (int64_t)local_clock_offset(clock, local_ms - after) * 1000 == after;
    return local_ms - (!shown_before && shown_after ? after : before);
}

/* ---- months --------------------------------------------------------------------------------------------------------------- */

int32_t local_clock_month(const struct local_clock *clock, int64_t now_ms)
{
    int64_t local_ms = now_ms + (int64_t)local_clock_offset(clock, now_ms) * 1000;
    int64_t days = (local_ms < 0 ? local_ms - (DAY_MS - 1) : local_ms) / DAY_MS;
    int year, month, day;
    date_split((int32_t)days, &year, &month, &day);
    return year * 12 + month - 1;
}

int64_t local_clock_month_ms(const struct local_clock *clock, int32_t month)
{
    int32_t days = date_days(month / 12, month % 12 + 1, 1);
    return days == INT32_MIN ? INT64_MAX : local_clock_utc_ms(clock, days * DAY_MS);
}
