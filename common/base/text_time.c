/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A time for people and JSON. Documents may contain any 64 bits as their time, so every value is handled.
 * Pure.
 */
#include "base/text.h"

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
