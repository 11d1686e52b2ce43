/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times as text for people and JSON, and back. Documents may contain any 64-bit value as their time, so every
 * value is handled. Pure.
 */
#include "base/text.h"
#include "base/cleanup.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define ZONE_HOURS_MAX 15

bool text_format_time(int64_t time_ms, char *ret, size_t size)
{
	time_t seconds = (time_t)(time_ms / 1000);
	struct tm parts;

	if (size)
		ret[0] = '\0';
	if (time_ms < 0 || time_ms > TEXT_TIME_MS_MAX || !gmtime_r(&seconds, &parts))
		return false;
	return snprintf(ret, size, "%04d-%02d-%02dT%02d:%02d:%02d.%03d", parts.tm_year + 1900,
			parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
			(int)(time_ms % 1000)) < (int)size;
}

/* timegm() takes the 30th of February for a day of March. */
static bool is_day(const struct tm *parts)
{
	struct tm day = {.tm_year = parts->tm_year, .tm_mon = parts->tm_mon, .tm_mday = parts->tm_mday};

	(void)timegm(&day);
	return day.tm_mday == parts->tm_mday;
}

const char *text_parse_time(const char *text, int64_t *ret_time_ms)
{
	static const char *const formats[] = {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M",
					      "%Y-%m-%d %H:%M", "%Y-%m-%d"};
	const char *rest = NULL;
	struct tm parts;
	int64_t scale = 100;

	for (size_t i = 0; i < ARRAY_SIZE(formats) && !rest; i++) {
		parts = (struct tm){0};
		rest = strptime(text, formats[i], &parts);
	}
	if (!rest || !is_day(&parts))
		return NULL;
	*ret_time_ms = (int64_t)timegm(&parts) * 1000;
	if (*rest == '.')
		for (rest++; *rest >= '0' && *rest <= '9'; rest++, scale /= 10)
			*ret_time_ms += (*rest - '0') * scale;
	return rest;
}

static int two_digits(const char *text)
{
	return strspn(text, "0123456789") >= 2 ? (text[0] - '0') * 10 + text[1] - '0' : -1;
}

/* Hours and minutes of "+01:00", "-0130", "+01", "Z" or nothing, in seconds. False for anything else. */
static bool parse_zone(const char *text, int *ret_seconds)
{
	int hours, minutes = 0;

	*ret_seconds = 0;
	if (text[0] == '\0' || strcmp(text, "Z") == 0)
		return true;
	hours = text[0] == '+' || text[0] == '-' ? two_digits(text + 1) : -1;
	if (hours >= 0 && text[3]) {
		const char *rest = text + 3 + (text[3] == ':');

		minutes = two_digits(rest);
		if (minutes >= 0 && rest[2])
			return false;
	}
	*ret_seconds = (hours * 60 + minutes) * (text[0] == '-' ? -60 : 60);
	return hours >= 0 && hours <= ZONE_HOURS_MAX && minutes >= 0 && minutes < 60;
}

bool text_parse_zoned_time(const char *text, int64_t *ret_time_ms)
{
	const char *zone = text_parse_time(text, ret_time_ms);
	int zone_s;

	if (!zone || !parse_zone(zone, &zone_s))
		return false;
	*ret_time_ms -= (int64_t)zone_s * 1000;
	return true;
}

int64_t text_time_of_number(double number)
{
	static const struct {
		double from, to, unit_ms;
	} units[] = {{1e9, 1e10, 1e3}, {1e15, 1e16, 1e-3}, {1e18, 1e19, 1e-6}};

	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (number >= units[i].from && number < units[i].to) {
			number *= units[i].unit_ms;
			break;
		}
	return number > -1e15 && number < 1e15 ? llround(number) : INT64_MAX;
}

const char *text_duration(double seconds, char *ret, size_t size)
{
	if (seconds < 90)
		(void)snprintf(ret, size, "%.0f seconds", seconds);
	else if (seconds < 5400)
		(void)snprintf(ret, size, "%.0f minutes", seconds / 60);
	else if (seconds < 2.5 * 86400)
		(void)snprintf(ret, size, "%.0f hours", seconds / 3600);
	else
		(void)snprintf(ret, size, "%.0f days", seconds / 86400);
	return ret;
}
