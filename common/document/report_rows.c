/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The encoder of a tick's power reports. A shape is a report that the plain encoder made, with the places of
 * what differs from row to row; a row is a copy of it with its own name, identity and numbers. A row that the
 * shape does not fit (a number that is left out, a name to be mended) goes through the plain encoder.
 */
#include "document/report_rows.h"
#include "document/bson_cursor.h"
#include "document/report_id.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include <bson/bson.h>

#define ID_AT          9 /* the length word, then "\7_id\0" */
#define DOCUMENT_ENDS  2 /* of metadata and of the report */
#define CONTAINER_HEAD "\2container_id"

/* In the order of a row's numbers. */
static const char *const number_keys[REPORT_ROWS_NUMBERS] = {"power", "ratio", "energy", "dynamic", "static"};

uint64_t report_rows_begin(int64_t time_ms, const char *sensor)
{
	return report_id_add(report_id_begin(time_ms), REPORT_ID_SENSOR, sensor);
}

static bool is_plain(const char *text, size_t length)
{
	uint8_t all = 0;

	for (size_t i = 0; i < length; i++)
		all |= (uint8_t)text[i];
	return all < 0x80 || bson_utf8_validate(text, length, false);
}

struct report_rows_target report_rows_target(uint64_t begun, const char *name, const char *container_id)
{
	struct report_rows_target target = {
		.name = name,
		.container_id = container_id,
		.name_length = strlen(name),
		.container_id_length = container_id ? strlen(container_id) : 0,
		.hash = report_id_add(begun, REPORT_ID_TARGET, name),
	};

	target.plain = is_plain(name, target.name_length) &&
		       (!container_id || is_plain(container_id, target.container_id_length));
	return target;
}

static size_t find_number(const struct bson_cursor *cursor)
{
	for (unsigned i = 0; i < REPORT_ROWS_NUMBERS; i++) {
		if (strcmp(cursor->key, number_keys[i]) == 0)
			return i;
	}
	return REPORT_ROWS_NUMBERS;
}

/* Notes where the numbers of one level are. */
static void find_numbers(struct report_rows_shape *shape, struct bson_cursor *cursor)
{
	struct bson_cursor inner;

	while (bson_cursor_next(cursor) > 0) {
		size_t at = (size_t)(cursor->value - shape->bytes.data), number = find_number(cursor);

		if (strcmp(cursor->key, "target") == 0)
			shape->target_at = at;
		if (number < REPORT_ROWS_NUMBERS && cursor->type == BSON_CURSOR_DOUBLE)
			shape->numbers_at[number] = at;
		if (strcmp(cursor->key, "metadata") == 0 && bson_cursor_enter(cursor, &inner)) {
			shape->metadata_at = at;
			find_numbers(shape, &inner);
		}
	}
}

int report_rows_shape(struct report_rows_shape *shape, const struct report_power *common)
{
	struct report_power empty = *common;
	struct bson_cursor cursor;
	int r;

	shape->common = *common;
	empty.target = "";
	empty.container_id = NULL;
	empty.power = empty.ratio = empty.energy_j = empty.dynamic = empty.fixed = 0;
	batch_clear(&shape->bytes);
	r = report_bson_add_power(&shape->bytes, &empty);
	if (r < 0)
		return r;
	if (!bson_cursor_init(&cursor, shape->bytes.data, shape->bytes.length))
		return -EINVAL;
	find_numbers(shape, &cursor);
	shape->rest_at = shape->target_at + sizeof(uint32_t) + 1;
	return 0;
}

static int add_plainly(struct batch *batch, const struct report_rows_shape *shape,
		       const struct report_rows_target *target, const struct report_power *row)
{
	struct report_power power = shape->common;

	power.target = target->name;
	power.container_id = target->container_id;
	power.power = row->power;
	power.ratio = row->ratio;
	power.energy_j = row->energy_j;
	power.dynamic = row->dynamic;
	power.fixed = row->fixed;
	return report_bson_add_power(batch, &power);
}

static void put_word(uint8_t *at, size_t value)
{
	uint32_t word = (uint32_t)value;

	memcpy(at, &word, sizeof(word));
}

/* A string's length word, its text and its NUL. */
static uint8_t *put_text(uint8_t *at, const char *text, size_t length)
{
	put_word(at, length + 1);
	memcpy(at + sizeof(uint32_t), text, length + 1);
	return at + sizeof(uint32_t) + length + 1;
}

static void put_id(uint8_t *report, const struct report_rows_shape *shape,
		   const struct report_rows_target *target)
{
	uint64_t hash = report_id_add(target->hash, REPORT_ID_SCOPE, report_scope_names[shape->common.scope]);

	hash = report_id_add(hash, REPORT_ID_SOCKET, shape->common.socket);
	report_id_end(hash, shape->common.time_ms, report + ID_AT);
}

int report_rows_add(struct batch *batch, const struct report_rows_shape *shape,
		    const struct report_rows_target *target, const struct report_power *row)
{
	const double numbers[REPORT_ROWS_NUMBERS] = {row->power, row->ratio, row->energy_j, row->dynamic,
						     row->fixed};
	size_t shift = target->name_length, rest = shape->bytes.length - shape->rest_at - DOCUMENT_ENDS;
	/* Not finite, any of them: the sum is not, either. */
	double sum = numbers[0] * 0 + numbers[1] * 0 + numbers[2] * 0 + numbers[3] * 0 + numbers[4] * 0;
	uint8_t *report, *at;

	if (!target->plain || !(sum == 0))
		return add_plainly(batch, shape, target, row);
	if (batch_reserve(batch, shape->bytes.length + shift + sizeof(CONTAINER_HEAD) + sizeof(uint32_t) +
					 target->container_id_length + 1) < 0)
		return -ENOMEM;
	report = batch->data + batch->length;
	memcpy(report, shape->bytes.data, shape->target_at);
	put_id(report, shape, target);
	at = put_text(report + shape->target_at, target->name, target->name_length);
	memcpy(at, shape->bytes.data + shape->rest_at, rest);
	for (unsigned i = 0; i < REPORT_ROWS_NUMBERS; i++)
		memcpy(report + shape->numbers_at[i] + shift, &numbers[i], sizeof(numbers[i]));
	at += rest;
	if (target->container_id_length) {
		memcpy(at, CONTAINER_HEAD, sizeof(CONTAINER_HEAD));
		at = put_text(at + sizeof(CONTAINER_HEAD), target->container_id, target->container_id_length);
	}
	memset(at, 0, DOCUMENT_ENDS);
	put_word(report + shape->metadata_at + shift, (size_t)(at + 1 - report) - shape->metadata_at - shift);
	put_word(report, (size_t)(at - report) + DOCUMENT_ENDS);
	batch->length += (size_t)(at - report) + DOCUMENT_ENDS;
	batch->n_documents++;
	return 0;
}

void report_rows_shape_done(struct report_rows_shape *shape)
{
	batch_done(&shape->bytes);
}
