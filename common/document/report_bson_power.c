/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decoder of power reports, ours or PowerAPI's. Used by exports, recaps after a restart, and scoring.
 */
#include "document/report_bson.h"
#include "base/cleanup.h"
#include "document/bson_cursor.h"
#include "base/text.h"
#include "base/reason.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

struct power_number {
	const char *key;
	double *value;
};

static void read_metadata(struct report_power *power, const struct bson_cursor *outer, bool *ret_scope)
{
	const struct power_number numbers[] = {
		{"ratio", &power->ratio},     {"interval", &power->interval_s}, {"energy", &power->energy_j},
		{"dynamic", &power->dynamic}, {"static", &power->fixed},        {"error", &power->error},
		{"sd", &power->sd},
	};
	struct bson_cursor cursor;

	if (!bson_cursor_enter(outer, &cursor))
		return;
	while (bson_cursor_next(&cursor) > 0) {
		const char *text = bson_cursor_string(&cursor);

		for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
			if (bson_cursor_is(&cursor, numbers[i].key))
				(void)bson_cursor_number(&cursor, numbers[i].value);
		for (unsigned i = 0; text && i < REPORT_SCOPES_ALL && bson_cursor_is(&cursor, "scope"); i++) {
			if (strcmp(text, report_scope_names[i]) != 0)
				continue;
			power->scope = i;
			*ret_scope = true;
		}
		if (text && bson_cursor_is(&cursor, "socket"))
			power->socket = text;
		if (text && bson_cursor_is(&cursor, "formula"))
			power->formula = text;
		if (text && bson_cursor_is(&cursor, "container_id"))
			power->container_id = text;
		if (cursor.type == BSON_TYPE_BOOL && bson_cursor_is(&cursor, "estimated"))
			power->estimated = cursor.value[0] != 0;
		if (cursor.type == BSON_TYPE_BOOL && bson_cursor_is(&cursor, "calibrated"))
			power->calibrated = cursor.value[0] != 0;
	}
}

static const char *first_missing(const struct report_power *power, bool has_time, bool has_scope)
{
	if (!has_time)
		return "timestamp";
	if (!power->sensor)
		return "sensor";
	if (!power->target)
		return "target";
	if (!isfinite(power->power))
		return "power";
	if (!has_scope)
		return "metadata.scope";
	return power->socket ? NULL : "metadata.socket";
}

int report_bson_decode_power(const uint8_t *document, size_t length, struct report_power *ret_power,
			     struct reason *why)
{
	struct bson_cursor cursor;
	bool has_time = false;
	bool has_scope = false;
	const char *missing;
	int r = -EBADMSG;

	*ret_power = (struct report_power){.ratio = NAN,
					   .power = NAN,
					   .dynamic = NAN,
					   .fixed = NAN,
					   .energy_j = NAN,
					   .interval_s = NAN,
					   .error = NAN,
					   .sd = NAN};
	if (bson_cursor_init(&cursor, document, length))
		while ((r = bson_cursor_next(&cursor)) > 0) {
			if (bson_cursor_is(&cursor, "timestamp"))
				has_time = bson_cursor_time(&cursor, &ret_power->time_ms) &&
					   ret_power->time_ms >= 0 && ret_power->time_ms <= TEXT_TIME_MS_MAX;
			else if (bson_cursor_is(&cursor, "sensor"))
				ret_power->sensor = bson_cursor_string(&cursor);
			else if (bson_cursor_is(&cursor, "target"))
				ret_power->target = bson_cursor_string(&cursor);
			else if (bson_cursor_is(&cursor, "power"))
				(void)bson_cursor_number(&cursor, &ret_power->power);
			else if (bson_cursor_is(&cursor, "metadata"))
				read_metadata(ret_power, &cursor, &has_scope);
		}
	if (r < 0)
		return reason_set(why, -EBADMSG, "malformed BSON in a power report");
	missing = first_missing(ret_power, has_time, has_scope);
	if (!missing)
		return 0;
	return reason_set(why, -EBADMSG, "a power report lacks a usable field '%s'", missing);
}

bool report_bson_next_power(const struct batch *documents, size_t *offset, struct report_power *ret_power)
{
	const uint8_t *document;
	struct reason why;
	size_t length;

	while (batch_next(documents, offset, &document, &length) == 1)
		if (report_bson_decode_power(document, length, ret_power, &why) == 0)
			return true;
	return false;
}
