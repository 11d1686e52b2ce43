/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decoder of untrusted reports of counts: ours, hwpc-sensor's or PowerAPI's. Unknown fields are skipped;
 * a required field that is missing or mistyped is named in `why`. Called by the server for every document, so
 * nothing here allocates once the arrays have grown.
 */
#include "document/report_bson.h"
#include "base/array.h"
#include "document/bson_cursor.h"
#include "document/report_names.h"
#include "base/text.h"
#include "base/reason.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMPARED_MAX 32000000 /* a tenth of a second, at most; 1,024 CPUs with 32 events each take half */

struct reader {
	struct report_names *names;
	struct report_decoded *decoded;
	uint16_t group;
	uint16_t package;
	uint64_t compared; /* keys compared in the search for duplicates */
	struct reason *why;
};

static int refuse(const struct reader *reader, const char *problem, const char *field)
{
	return reason_set(reader->why, -EBADMSG, "%s '%.64s'", problem, field);
}

static int refuse_broken(const struct reader *reader)
{
	return refuse(reader, "malformed BSON in", "document");
}

/* A key that is the decimal number of a package or a CPU. */
static bool key_number(const struct bson_cursor *cursor, uint16_t *ret_number)
{
	unsigned number = 0;

	if (cursor->key_length == 0 || cursor->key_length > 5)
		return false;
	for (size_t i = 0; i < cursor->key_length; i++) {
		if (cursor->key[i] < '0' || cursor->key[i] > '9')
			return false;
		number = number * 10 + (unsigned)(cursor->key[i] - '0');
	}
	*ret_number = (uint16_t)number;
	return number <= UINT16_MAX;
}

/*
 * True for a duplicate key: a second group, package, CPU or event of the same name at the same place. Only
 * the first one is used, because adding both would count twice. `first`: the first value that can have the
 * key. Also true if the report has already taken too long: it is then refused.
 */
static bool is_twice(struct reader *reader, unsigned first, size_t field, uint16_t key)
{
	const struct report_decoded *decoded = reader->decoded;

	reader->compared += decoded->n_values - first;
	if (reader->compared > COMPARED_MAX)
		return true;
	for (unsigned i = first; i < decoded->n_values; i++) {
		uint16_t has;

		memcpy(&has, (const uint8_t *)&decoded->values[i] + field, sizeof(has));
		if (has == key)
			return true;
	}
	return false;
}

static int add_value(struct reader *reader, uint16_t cpu, unsigned first, const struct bson_cursor *cursor)
{
	struct report_decoded *decoded = reader->decoded;
	double value;
	int event;

	if (!bson_cursor_number(cursor, &value))
		return refuse(reader, "no number in event", cursor->key);
	if (!isfinite(value))
		return 0;
	event = report_names_intern(reader->names, REPORT_NAMES_EVENT, cursor->key, cursor->key_length);
	if (event < 0)
		return event;
	if (is_twice(reader, first, offsetof(struct report_value, event), (uint16_t)event))
		return 0;
	if (!ARRAY_RESERVE(decoded->values, decoded->capacity, (size_t)decoded->n_values + 1))
		return -ENOMEM;
	decoded->values[decoded->n_values++] = (struct report_value){
		.group = reader->group,
		.event = (uint16_t)event,
		.package = reader->package,
		.cpu = cpu,
		.value = value,
	};
	return 0;
}

/*
 * `package_first`: the package's first value; `*ret_highest`: the highest CPU so far, so that duplicates are
 * only searched below it.
 */
static int read_cpu(struct reader *reader, const struct bson_cursor *outer, unsigned package_first,
		    int *highest)
{
	const unsigned first = reader->decoded->n_values;
	struct bson_cursor cursor;
	uint16_t cpu;
	int r;

	if (!key_number(outer, &cpu))
		return refuse(reader, "not a CPU number:", outer->key);
	if (!bson_cursor_enter(outer, &cursor))
		return refuse(reader, "no document for CPU", outer->key);
	if (cpu <= *highest && is_twice(reader, package_first, offsetof(struct report_value, cpu), cpu))
		return 0;
	*highest = cpu > *highest ? cpu : *highest;
	while ((r = bson_cursor_next(&cursor)) > 0) {
		r = add_value(reader, cpu, first, &cursor);
		if (r < 0)
			return r;
	}
	return r < 0 ? refuse_broken(reader) : 0;
}

static int read_package(struct reader *reader, const struct bson_cursor *outer, unsigned group_first)
{
	const unsigned first = reader->decoded->n_values;
	struct bson_cursor cursor;
	int highest = -1, r;

	if (!key_number(outer, &reader->package))
		return refuse(reader, "not a package number:", outer->key);
	if (!bson_cursor_enter(outer, &cursor))
		return refuse(reader, "no document for package", outer->key);
	if (is_twice(reader, group_first, offsetof(struct report_value, package), reader->package))
		return 0;
	while ((r = bson_cursor_next(&cursor)) > 0) {
		r = read_cpu(reader, &cursor, first, &highest);
		if (r < 0)
			return r;
	}
	return r < 0 ? refuse_broken(reader) : 0;
}

static int read_group(struct reader *reader, const struct bson_cursor *outer)
{
	const unsigned first = reader->decoded->n_values;
	struct bson_cursor cursor;
	int r;

	r = report_names_intern(reader->names, REPORT_NAMES_GROUP, outer->key, outer->key_length);
	if (r < 0)
		return r;
	reader->group = (uint16_t)r;
	if (!bson_cursor_enter(outer, &cursor))
		return refuse(reader, "no document for group", outer->key);
	if (is_twice(reader, 0, offsetof(struct report_value, group), reader->group))
		return 0;
	while ((r = bson_cursor_next(&cursor)) > 0) {
		r = read_package(reader, &cursor, first);
		if (r < 0)
			return r;
	}
	return r < 0 ? refuse_broken(reader) : 0;
}

static int read_groups(struct reader *reader, const struct bson_cursor *outer)
{
	struct bson_cursor cursor;
	int r;

	if (!bson_cursor_enter(outer, &cursor))
		return refuse(reader, "no document in field", "groups");
	while ((r = bson_cursor_next(&cursor)) > 0) {
		r = read_group(reader, &cursor);
		if (r < 0)
			return r;
	}
	if (r == 0 && reader->compared > COMPARED_MAX)
		return refuse(reader, "more events, CPUs and packages than any machine has in", "groups");
	return r < 0 ? refuse_broken(reader) : 0;
}

static uint64_t read_lost(const struct bson_cursor *outer)
{
	struct bson_cursor cursor;
	double value;
	double total = 0;

	if (!bson_cursor_enter(outer, &cursor))
		return 0;
	while (bson_cursor_next(&cursor) > 0)
		if (bson_cursor_number(&cursor, &value) && value > 0 && value < 1e15)
			total += value;
	return (uint64_t)total;
}

/* The machine's power and clocks; a value that no machine can have counts as unknown. */
static void read_machine_field(struct report_tick *said, const struct bson_cursor *cursor, double number)
{
	const bool watts = number >= REPORT_MACHINE_W_LEAST && number <= REPORT_MACHINE_W_MOST;

	if (bson_cursor_is(cursor, "design_power"))
		said->design_w = watts ? number : 0;
	else if (bson_cursor_is(cursor, "power_limit"))
		said->limit_w = watts ? number : 0;
	else if (bson_cursor_is(cursor, "idle_latency"))
		said->idle_latency_us = number > 0 && number <= 1 ? number * 1e6 : 0;
}

/* One field of `metadata`. A field of an unexpected type is not ours and is skipped. */
static void read_metadata_field(struct report_decoded *decoded, const struct bson_cursor *cursor)
{
	const char *text = cursor->type == BSON_TYPE_UTF8 ? bson_cursor_string(cursor) : NULL;
	double number = NAN;

	(void)bson_cursor_number(cursor, &number);
	if (text && bson_cursor_is(cursor, "container_id")) {
		decoded->container_id = text;
	} else if (cursor->type == BSON_TYPE_BOOL && bson_cursor_is(cursor, "partial")) {
		decoded->partial = cursor->value[0] != 0;
	} else if (cursor->type == BSON_TYPE_BOOL && bson_cursor_is(cursor, "estimated")) {
		decoded->said.estimated = cursor->value[0] != 0;
	} else if (cursor->type == BSON_TYPE_BOOL && bson_cursor_is(cursor, "energy_reset")) {
		decoded->said.energy_reset = cursor->value[0] != 0;
	} else if (number >= 0 && number <= 1 && bson_cursor_is(cursor, "scaled")) {
		decoded->scaled = number;
	} else if (number >= 0 && number < 9e15 && bson_cursor_is(cursor, "seq")) {
		decoded->said.has_seq = true;
		decoded->said.seq = (uint64_t)number;
	} else if (isfinite(number) && bson_cursor_is(cursor, "interval")) {
		decoded->said.interval_s = number;
	} else if (number >= 0 && number < 1e9 && bson_cursor_is(cursor, "targets")) {
		decoded->said.n_targets = (int64_t)number;
	} else if (text && bson_cursor_is(cursor, "energy_source")) {
		decoded->energy_source = text;
		/* Sensors that do not write `estimated` have one source that estimates. */
		decoded->said.estimated |= strcmp(text, REPORT_SOURCE_ESTIMATE) == 0;
	} else if (text && bson_cursor_is(cursor, "activity_source")) {
		decoded->activity_source = text;
	} else if (text && bson_cursor_is(cursor, "cpu_model")) {
		decoded->cpu_model = text;
	} else if (text && bson_cursor_is(cursor, "version")) {
		decoded->version = text;
	} else if (number > 0 && isfinite(number) && bson_cursor_is(cursor, "base_frequency")) {
		decoded->said.base_frequency_mhz = number;
	} else if (number > 0 && isfinite(number) && bson_cursor_is(cursor, "cores")) {
		decoded->said.n_cores = number;
	} else if (number > 0 && number < 1e9 && bson_cursor_is(cursor, "lost_cpu_time")) {
		decoded->said.lost_cpu_s = number;
	} else if (bson_cursor_is(cursor, "lost")) {
		decoded->said.lost_total = read_lost(cursor);
	} else {
		read_machine_field(&decoded->said, cursor, number);
	}
}

static int read_metadata(const struct reader *reader, const struct bson_cursor *outer)
{
	struct bson_cursor cursor;
	int r;

	if (outer->type != BSON_TYPE_DOCUMENT)
		return 0;
	if (!bson_cursor_enter(outer, &cursor))
		return refuse_broken(reader);
	while ((r = bson_cursor_next(&cursor)) > 0)
		read_metadata_field(reader->decoded, &cursor);
	return r < 0 ? refuse_broken(reader) : 0;
}

/* One top-level field; sets the bits of the required ones. */
static int read_field(struct reader *reader, const struct bson_cursor *cursor, unsigned *seen)
{
	struct report_decoded *decoded = reader->decoded;

	if (bson_cursor_is(cursor, "timestamp")) {
		*seen |= 1;
		if (!bson_cursor_time(cursor, &decoded->time_ms))
			return refuse(reader, "no time in field", cursor->key);
		/* With times in this range, additions and subtractions cannot overflow. */
		return decoded->time_ms >= 0 && decoded->time_ms <= TEXT_TIME_MS_MAX
			       ? 0
			       : refuse(reader, "a time outside the years 1970 to 9999 in field",
					cursor->key);
	}
	if (bson_cursor_is(cursor, "sensor")) {
		*seen |= 2;
		decoded->sensor = bson_cursor_string(cursor);
		return decoded->sensor ? 0 : refuse(reader, "no text in field", cursor->key);
	}
	if (bson_cursor_is(cursor, "target")) {
		*seen |= 4;
		decoded->target = bson_cursor_string(cursor);
		return decoded->target ? 0 : refuse(reader, "no text in field", cursor->key);
	}
	if (bson_cursor_is(cursor, "groups")) {
		if (*seen & 8)
			return refuse(reader, "duplicate field", cursor->key);
		*seen |= 8;
		return read_groups(reader, cursor);
	}
	if (bson_cursor_is(cursor, "metadata"))
		return read_metadata(reader, cursor);
	if (bson_cursor_is(cursor, "_id") && cursor->type == BSON_TYPE_OID)
		memcpy(decoded->id, cursor->value, REPORT_ID_BYTES);
	return 0;
}

static void reset_decoded(struct report_decoded *decoded)
{
	struct report_value *values = decoded->values;
	unsigned capacity = decoded->capacity;

	*decoded = (struct report_decoded){
		.values = values,
		.capacity = capacity,
		.scaled = 1,
		.said = REPORT_TICK_UNKNOWN,
	};
}

int report_bson_decode(const uint8_t *document, size_t length, struct report_names *names,
		       struct report_decoded *decoded, struct reason *why)
{
	static const char *const needed[] = {"timestamp", "sensor", "target", "groups"};
	struct reader reader = {.names = names, .decoded = decoded, .why = why};
	struct bson_cursor cursor;
	unsigned seen = 0;
	int r;

	reset_decoded(decoded);
	if (!bson_cursor_init(&cursor, document, length))
		return refuse_broken(&reader);
	while ((r = bson_cursor_next(&cursor)) > 0) {
		r = read_field(&reader, &cursor, &seen);
		if (r == -E2BIG)
			reason_set(why, 0, "more than %d names of groups or events", REPORT_NAMES_MAX);
		if (r == -ENAMETOOLONG)
			reason_set(why, 0, "a group or event name longer than %d bytes", REPORT_KEY_MAX);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return refuse_broken(&reader);
	for (unsigned i = 0; i < 4; i++)
		if (!(seen & (1U << i)))
			return refuse(&reader, "missing field", needed[i]);
	return 0;
}

void report_decoded_done(struct report_decoded *decoded)
{
	free(decoded->values);
	*decoded = (struct report_decoded){0};
}

const char *report_bson_sensor(const uint8_t *document, size_t length)
{
	struct bson_cursor cursor;

	if (!bson_cursor_init(&cursor, document, length))
		return NULL;
	while (bson_cursor_next(&cursor) > 0) {
		if (bson_cursor_is(&cursor, "sensor"))
			return bson_cursor_string(&cursor);
	}
	return NULL;
}
