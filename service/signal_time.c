/* signal_time.c - RFC 3339 to Unix milliseconds. No time zone tables, no locale: timegm() and friends are not needed.
 */
#include "service/signal_rows.h"

#define DAY_S INT64_C(86400)

struct digits { /* a cursor over fixed-width decimal fields */
    const char *at;
    bool good;
};

static int take_number(struct digits *digits, int width)
{
    int value = 0;
    for (int i = 0; i < width && digits->good; i++) {
        char c = *digits->at;
        digits->good = c >= '0' && c <= '9';
        if (digits->good) {
            value = value * 10 + (c - '0');
            digits->at++;
        }
    }
    return value;
}

static void take_either(struct digits *digits, char a, char b)
{
    digits->good = digits->good && (*digits->at == a || *digits->at == b);
    digits->at += digits->good;
}

/* Decimals of a second, as milliseconds; further ones are cut. */
static int take_fraction(struct digits *digits)
{
    int ms = 0, scale = 100;
    if (!digits->good || *digits->at != '.')
        return 0;
    digits->at++;
    digits->good = *digits->at >= '0' && *digits->at <= '9';
    for (; *digits->at >= '0' && *digits->at <= '9'; digits->at++, scale /= 10)
        ms += (*digits->at - '0') * scale;
    return ms;
}

/* "Z", or "+01:00": minutes east of UTC. */
static int take_offset(struct digits *digits)
{
    char sign = digits->good ? *digits->at : '\0';
    if (sign == 'Z' || sign == 'z') {
        digits->at++;
        return 0;
    }
    take_either(digits, '+', '-');
    int hours = take_number(digits, 2);
    take_either(digits, ':', ':');
    int minutes = take_number(digits, 2);
    digits->good = digits->good && hours <= 23 && minutes <= 59;
    return (sign == '-' ? -1 : 1) * (hours * 60 + minutes);
}

static int days_in_month(int year, int month)
{
    static const int DAYS[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return DAYS[month - 1] + (month == 2 && leap);
}

/* Days since 1970-01-01 in the proleptic Gregorian calendar: years are counted from March, so that the leap day comes
 * last. */
static int64_t days_since_1970(int year, int month, int day)
{
    int64_t y = year - (month <= 2);
    int64_t era = (y >= 0 ? y : y - 399) / 400, year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

bool time_parse(const char *text, int64_t *ret_ms)
{
    struct digits digits = { .at = text, .good = true };
    int year = take_number(&digits, 4);
    take_either(&digits, '-', '-');
    int month = take_number(&digits, 2);
    take_either(&digits, '-', '-');
    int day = take_number(&digits, 2);
    take_either(&digits, 'T', 't');
    int hour = take_number(&digits, 2);
    take_either(&digits, ':', ':');
    int minute = take_number(&digits, 2);
    take_either(&digits, ':', ':');
    int second = take_number(&digits, 2);
    int ms = take_fraction(&digits);
    int offset_min = take_offset(&digits);
    if (!digits.good || *digits.at != '\0')
        return false;
    if (month < 1 || month > 12 || day < 1 || day > days_in_month(year, month) || hour > 23 || minute > 59 ||
        second > 60)
        return false;
    int64_t minutes = days_since_1970(year, month, day) * (DAY_S / 60) + hour * 60 + minute - offset_min;
    *ret_ms = (minutes * 60 + second) * 1000 + ms;
    return true;
}
