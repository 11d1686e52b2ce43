/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A time for people and JSON, and back. Documents may contain any 64 bits as their time, so every value is
 * handled. Pure.
 */
#include "base/text.h"
#include "base/cleanup.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

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
	if (!rest)
		return NULL;
	*ret_time_ms = (int64_t)timegm(&parts) * 1000;
	if (*rest == '.')
		for (rest++; *rest >= '0' && *rest <= '9'; rest++, scale /= 10)
			*ret_time_ms += (*rest - '0') * scale;
	return rest;
}
