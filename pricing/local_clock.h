/* local_clock.h - the time of day in a named time zone, out of the system's time zone data (IANA, package tzdata).
 *
 * A clock is filled when a model is loaded: every change of the offset from 2000 to 2099 is written down, so that pricing looks
 * it up and reads no file. Source: RFC 8536 (TZif), version 2 data and the footer's rule for the years after the last entry. */
#ifndef PRICING_LOCAL_CLOCK_H
#define PRICING_LOCAL_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOCAL_CLOCK_CHANGES_MAX 512u
#define LOCAL_CLOCK_NAME_MAX    48u

struct local_clock {
    char name[LOCAL_CLOCK_NAME_MAX]; /* "Europe/Berlin"; "" = none */
    uint32_t count;
    int32_t first_offset_s; /* before the first change */
    struct {
        int64_t at_s;                  /* Unix time */
        int32_t offset_s;              /* local time minus UTC from then on */
    } change[LOCAL_CLOCK_CHANGES_MAX]; /* ascending */
};

/* local_clock_load - by name; "UTC" needs no file. False with *ret_reason (static text). Reads one file below /usr/share/zoneinfo (or $TZDIR). */
bool local_clock_load(const char *name, struct local_clock *ret, const char **ret_reason);

/* local_clock_nearest - the name of a time zone that was probably meant. False if there is none, or no list of them (tzdata.zi in the same
 * folder). */
bool local_clock_nearest(const char *name, char ret[LOCAL_CLOCK_NAME_MAX]);

/* local_clock_parse - the same out of a file's bytes; ret->name stays as it is. */
bool local_clock_parse(const unsigned char *bytes, size_t size, struct local_clock *ret, const char **ret_reason);

/* local_clock_offset - local time minus UTC in seconds at a Unix time in ms. Pure. */
int32_t local_clock_offset(const struct local_clock *clock, int64_t now_ms);

/* local_clock_utc_ms - the moment at which the clock shows a local time (ms since 1970 on that clock): the first where a time comes
 * twice; where it is skipped, by the offset before, so that what was to begin at a midnight that is not begins when clocks are put on. Pure. */
int64_t local_clock_utc_ms(const struct local_clock *clock, int64_t local_ms);

/* local_clock_month - the calendar month in which a moment lies on the clock, as months since the year 0. local_clock_month_ms - the
 * moment at which such a month begins on it. Pure. */
int32_t local_clock_month(const struct local_clock *clock, int64_t now_ms);
int64_t local_clock_month_ms(const struct local_clock *clock, int32_t month);

/* date_days - days since 1970 of a date of the Gregorian calendar, or INT32_MIN if there is no such day. date_split - its inverse. */
int32_t date_days(int year, int month, int day);
void date_split(int32_t days, int *ret_year, int *ret_month, int *ret_day);
#endif
