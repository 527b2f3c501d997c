/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP-dates (RFC 9110 §5.6.7): written in the one form that may be written, read in all three.
 * strptime and strftime are not used because they follow the program's locale. */
#include "conditional.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

static const char DAYS[7][10] = { "Sunday",   "Monday", "Tuesday", "Wednesday",
                                  "Thursday", "Friday", "Saturday" };
static const char MONTHS[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

/* Readers move *p behind what they read; after the first that failed the rest do nothing. */

static bool take(const char **p, const char *text)
{
    size_t length = strlen(text);

    if (!*p || strncmp(*p, text, length) != 0) {
        *p = NULL;
        return false;
    }
    *p += length;
    return true;
}

static int take_digits(const char **p, int count)
{
    int value = 0;

    for (int i = 0; i < count && *p; i++) {
        char c = **p;
        if (c < '0' || c > '9') {
            *p = NULL;
        } else {
            value = value * 10 + (c - '0');
            ++*p;
        }
    }
    return *p ? value : 0;
}

static int take_month(const char **p)
{
    for (int i = 0; *p && i < 12; i++) {
        if (strncmp(*p, MONTHS[i], 3) == 0) {
            *p += 3;
            return i;
        }
    }
    *p = NULL;
    return 0;
}

static void take_clock(const char **p, struct tm *tm)
{
    tm->tm_hour = take_digits(p, 2);
    take(p, ":");
    tm->tm_min = take_digits(p, 2);
    take(p, ":");
    tm->tm_sec = take_digits(p, 2);
}

/* "06 Nov 1994 08:49:37 GMT" */
static void take_imf(const char **p, struct tm *tm)
{
    tm->tm_mday = take_digits(p, 2);
    take(p, " ");
    tm->tm_mon = take_month(p);
    take(p, " ");
    tm->tm_year = take_digits(p, 4) - 1900;
    take(p, " ");
    take_clock(p, tm);
    take(p, " GMT");
}

/* "06-Nov-94 08:49:37 GMT"; a year that seems more than 50 years ahead is in the past. */
static void take_rfc850(const char **p, struct tm *tm, int64_t now_s)
{
    time_t now = (time_t)now_s;
    struct tm today;

    gmtime_r(&now, &today);
    tm->tm_mday = take_digits(p, 2);
    take(p, "-");
    tm->tm_mon = take_month(p);
    take(p, "-");
    tm->tm_year = take_digits(p, 2) + today.tm_year / 100 * 100;
    if (tm->tm_year > today.tm_year + 50) tm->tm_year -= 100;
    take(p, " ");
    take_clock(p, tm);
    take(p, " GMT");
}

/* "Nov  6 08:49:37 1994" */
static void take_asctime(const char **p, struct tm *tm)
{
    tm->tm_mon = take_month(p);
    take(p, " ");
    if (*p && **p == ' ') {
        ++*p;
        tm->tm_mday = take_digits(p, 1);
    } else {
        tm->tm_mday = take_digits(p, 2);
    }
    take(p, " ");
    take_clock(p, tm);
    take(p, " ");
    tm->tm_year = take_digits(p, 4) - 1900;
}

/* The weekday decides the form: "Sun, ", "Sunday, " or "Sun ". */
static void take_date(const char **p, struct tm *tm, int64_t now_s)
{
    for (int i = 0; i < 7; i++) {
        size_t whole = strlen(DAYS[i]);
        bool rfc850 = strncmp(*p, DAYS[i], whole) == 0;

        if (!rfc850 && strncmp(*p, DAYS[i], 3) != 0) continue;
        *p += rfc850 ? whole : 3;
        if (rfc850) {
            take(p, ", ");
            take_rfc850(p, tm, now_s);
        } else if (**p == ',') {
            take(p, ", ");
            take_imf(p, tm);
        } else {
            take(p, " ");
            take_asctime(p, tm);
        }
        return;
    }
    *p = NULL;
}

int64_t ae__http_date_parse(const char *text, int64_t now_s)
{
    struct tm tm = { 0 };
    const char *p = text;

    take_date(&p, &tm, now_s);
    if (!p || *p) return HTTP_NO_DATE;
    if (tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60) return HTTP_NO_DATE;

    int day = tm.tm_mday, month = tm.tm_mon;
    bool leap_second = tm.tm_sec == 60;
    if (leap_second) tm.tm_sec = 59;
    time_t when = timegm(&tm);
    /* timegm turns 30 Feb into 2 Mar instead of refusing it */
    if (tm.tm_mday != day || tm.tm_mon != month) return HTTP_NO_DATE;
    return (int64_t)when + leap_second;
}

void ae__http_date_format(int64_t when_s, char out[HTTP_DATE_BYTES])
{
    time_t when = (time_t)when_s;
    struct tm tm;

    gmtime_r(&when, &tm);
    /* the moduli change nothing: they show the compiler that the text fits */
    snprintf(out, HTTP_DATE_BYTES, "%.3s, %02u %s %04u %02u:%02u:%02u GMT", DAYS[tm.tm_wday],
             (unsigned)tm.tm_mday % 100, MONTHS[tm.tm_mon], (unsigned)(tm.tm_year + 1900) % 10000,
             (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
}
