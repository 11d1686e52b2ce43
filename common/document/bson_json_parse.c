/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line of JSON as a BSON document: extended JSON through libbson, then `timestamp`, plain text or a number
 * of milliseconds, as a Date. Called by the jsonl store; the lines come from anywhere.
 */
#include "document/bson_json.h"
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <bson/bson.h>

/* Hours and minutes of "+01:00", "-0130", "Z" or nothing, in seconds. False for anything else. */
static bool parse_zone(const char *text, int *ret_seconds)
{
	int hours = 0;
	int minutes = 0;
	int length = 0;

	*ret_seconds = 0;
	if (text[0] == '\0' || strcmp(text, "Z") == 0)
		return true;
	if (text[0] != '+' && text[0] != '-')
		return false;
	if ((sscanf(text + 1, "%2d:%2d%n", &hours, &minutes, &length) != 2 || !length) &&
	    (sscanf(text + 1, "%2d%2d%n", &hours, &minutes, &length) != 2 || !length))
		return false;
	*ret_seconds = (hours * 60 + minutes) * (text[0] == '-' ? -60 : 60);
	return text[1 + length] == '\0';
}

/* "2019-11-18T14:25:12.345678+00:00"; no zone means UTC. */
static bool parse_iso_time(const char *text, int64_t *ret_time_ms)
{
	const char *zone = text_parse_time(text, ret_time_ms);
	int zone_s;

	if (!zone || !parse_zone(zone, &zone_s))
		return false;
	*ret_time_ms -= (int64_t)zone_s * 1000;
	return true;
}

/* The time in a field: a Date, text, or a number of milliseconds. */
static bool time_of(const bson_iter_t *iter, int64_t *ret_time_ms)
{
	if (BSON_ITER_HOLDS_DATE_TIME(iter))
		*ret_time_ms = bson_iter_date_time(iter);
	else if (BSON_ITER_HOLDS_UTF8(iter))
		return parse_iso_time(bson_iter_utf8(iter, NULL), ret_time_ms);
	else if (BSON_ITER_HOLDS_INT(iter))
		*ret_time_ms = bson_iter_as_int64(iter);
	else if (BSON_ITER_HOLDS_DOUBLE(iter) && bson_iter_double(iter) > -9e18 &&
		 bson_iter_double(iter) < 9e18)
		*ret_time_ms = (int64_t)bson_iter_double(iter);
	else
		return false;
	return true;
}

static bool copy_field(bson_t *to, const bson_iter_t *iter)
{
	int64_t time_ms;

	if (strcmp(bson_iter_key(iter), "timestamp") == 0 && time_of(iter, &time_ms))
		return BSON_APPEND_DATE_TIME(to, "timestamp", time_ms);
	return bson_append_iter(to, NULL, 0, iter);
}

int bson_json_parse(const char *line, size_t length, struct batch *ret_documents)
{
	bson_t parsed;
	bson_t document = BSON_INITIALIZER;
	bson_error_t error;
	bson_iter_t iter;
	bool good = true;
	int r = -EBADMSG;

	if (!bson_init_from_json(&parsed, line, (ssize_t)length, &error)) {
		bson_destroy(&document);
		return -EBADMSG;
	}
	if (bson_iter_init(&iter, &parsed)) {
		while (good && bson_iter_next(&iter))
			good = copy_field(&document, &iter);
		r = good ? batch_append(ret_documents, bson_get_data(&document), document.len) : -EBADMSG;
	}
	bson_destroy(&parsed);
	bson_destroy(&document);
	return r;
}
