/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BSON to JSON text, and a line of JSON to BSON: extended JSON through libbson, then `timestamp`, plain text
 * or a number of milliseconds, as a Date. Called by the jsonl and socket stores for each document, and by the
 * API. Lines to be parsed are untrusted.
 */
#include "document/bson_json.h"
#include "document/bson_cursor.h"
#include "base/cleanup.h"
#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bson/bson.h>

#define DEPTH_MAX     32
#define EXACT_INTEGER 9007199254740992.0     /* 2^53 */
#define COUNT_END     18446744073709551616.0 /* 2^64 */

struct printer {
	struct batch *text;
	enum bson_json_style style;
	int error;
};

static void put(struct printer *printer, const char *text, size_t length)
{
	if (!printer->error)
		printer->error = batch_add_bytes(printer->text, text, length);
}

static void put_text(struct printer *printer, const char *text)
{
	put(printer, text, strlen(text));
}

static void put_string(struct printer *printer, const char *text, size_t length)
{
	char escape[8];
	size_t start = 0;

	put(printer, "\"", 1);
	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		put(printer, text + start, i - start);
		if (c == '"' || c == '\\')
			(void)snprintf(escape, sizeof(escape), "\\%c", c);
		else
			(void)snprintf(escape, sizeof(escape), "\\u%04x", c);
		put_text(printer, escape);
		start = i + 1;
	}
	put(printer, text + start, length - start);
	put(printer, "\"", 1);
}

/* The shortest decimal form that reads back as the same double; always with a point or an exponent, so that
 * it stays a double. */
static void put_double(struct printer *printer, double value)
{
	char digits[40];

	if (!isfinite(value) && printer->style == BSON_JSON_PLAIN) {
		put_text(printer, "null");
		return;
	}
	if (!isfinite(value)) {
		put_text(printer, isnan(value) ? "{\"$numberDouble\":\"NaN\"}"
				  : value > 0  ? "{\"$numberDouble\":\"Infinity\"}"
					       : "{\"$numberDouble\":\"-Infinity\"}");
		return;
	}
	if (printer->style == BSON_JSON_SENSOR && value == trunc(value) && value >= 0 && value < COUNT_END) {
		(void)snprintf(digits, sizeof(digits), "%" PRIu64, (uint64_t)value);
		put_text(printer, digits);
		return;
	}
	if (value == trunc(value) && fabs(value) < EXACT_INTEGER) {
		(void)snprintf(digits, sizeof(digits), "%.1f", value);
		put_text(printer, digits);
		return;
	}
	for (int precision = 15; precision <= 17; precision++) {
		double back;

		(void)snprintf(digits, sizeof(digits), "%.*g", precision, value);
		if (sscanf(digits, "%lf", &back) == 1 && back == value)
			break;
	}
	put_text(printer, digits);
	if (!strpbrk(digits, ".e"))
		put_text(printer, ".0");
}

static void put_date(struct printer *printer, int64_t time_ms, bool plain)
{
	char moment[TEXT_TIME_SIZE], text[96];
	bool known = text_format_time(time_ms, moment, sizeof(moment));

	if (printer->style == BSON_JSON_PLAIN)
		(void)snprintf(text, sizeof(text), known ? "\"%sZ\"" : "null", moment);
	else if (plain && printer->style == BSON_JSON_SENSOR)
		(void)snprintf(text, sizeof(text), "%" PRId64, time_ms);
	else if (!known)
		(void)snprintf(text, sizeof(text), "{\"$date\":{\"$numberLong\":\"%" PRId64 "\"}}", time_ms);
	else
		(void)snprintf(text, sizeof(text), plain ? "\"%s+00:00\"" : "{\"$date\":\"%sZ\"}", moment);
	put_text(printer, text);
}

static void put_object_id(struct printer *printer, const uint8_t *id)
{
	const bool plain = printer->style == BSON_JSON_PLAIN;
	char hex[25];

	for (unsigned i = 0; i < 12; i++)
		(void)snprintf(hex + 2 * (size_t)i, 3, "%02x", id[i]);
	put_text(printer, plain ? "\"" : "{\"$oid\":\"");
	put_text(printer, hex);
	put_text(printer, plain ? "\"" : "\"}");
}

static void put_document(struct printer *printer, const struct bson_cursor *outer, unsigned depth,
			 bool array);

static int64_t integer_of(const struct bson_cursor *cursor)
{
	int64_t wide;
	int32_t narrow;

	if (cursor->type == BSON_TYPE_INT32) {
		memcpy(&narrow, cursor->value, sizeof(narrow));
		return narrow;
	}
	memcpy(&wide, cursor->value, sizeof(wide));
	return wide;
}

/* Binary data (a formula's state) and types that our documents do not use are printed by libbson, in a
 * document. */
static void put_other(struct printer *printer, const struct bson_cursor *cursor)
{
	const size_t head = 4 + 1 + 2, total = head + cursor->length + 1;
	const uint32_t length = (uint32_t)total;
	cleanup_(cleanup_free) uint8_t *bytes = calloc(1, total);
	bson_t document;
	char *text, *value;

	if (printer->style == BSON_JSON_PLAIN || !bytes) {
		put_text(printer, "null");
		return;
	}
	memcpy(bytes, &(uint32_t){BSON_UINT32_TO_LE(length)}, 4);
	bytes[4] = cursor->type;
	bytes[5] = 'v';
	memcpy(bytes + head, cursor->value, cursor->length);
	text = bson_init_static(&document, bytes, total) ? bson_as_relaxed_extended_json(&document, NULL)
							 : NULL;
	value = text ? strchr(text, ':') : NULL;
	if (value)
		put(printer, value + 1, strlen(value + 1) - 1);
	else
		put_text(printer, "null");
	bson_free(text);
}

static void put_value(struct printer *printer, const struct bson_cursor *cursor, unsigned depth)
{
	const char *text_of_value;
	char text[32];
	double number;

	switch (cursor->type) {
	case BSON_TYPE_DOUBLE:
		(void)bson_cursor_number(cursor, &number);
		put_double(printer, number);
		break;
	case BSON_TYPE_UTF8:
		text_of_value = (const char *)cursor->value + 4;
		if (printer->style == BSON_JSON_PLAIN &&
		    !bson_utf8_validate(text_of_value, cursor->length - 5, false))
			put_text(printer, "null");
		else
			put_string(printer, text_of_value, cursor->length - 5);
		break;
	case BSON_TYPE_DOCUMENT:
	case BSON_TYPE_ARRAY:
		put_document(printer, cursor, depth + 1, cursor->type == BSON_TYPE_ARRAY);
		break;
	case BSON_TYPE_OID:
		put_object_id(printer, cursor->value);
		break;
	case BSON_TYPE_BOOL:
		put_text(printer, cursor->value[0] ? "true" : "false");
		break;
	case BSON_TYPE_DATE_TIME:
		put_date(printer, integer_of(cursor), depth == 0 && bson_cursor_is(cursor, "timestamp"));
		break;
	case BSON_TYPE_INT32:
	case BSON_TYPE_INT64:
		(void)snprintf(text, sizeof(text), "%" PRId64, integer_of(cursor));
		put_text(printer, text);
		break;
	default:
		put_other(printer, cursor);
		break;
	}
}

static void put_elements(struct printer *printer, struct bson_cursor *cursor, unsigned depth, bool array)
{
	bool first = true;
	int r;

	while ((r = bson_cursor_next(cursor)) > 0) {
		if (depth == 0 && printer->style == BSON_JSON_SENSOR && bson_cursor_is(cursor, "_id"))
			continue;
		if (!first)
			put(printer, ",", 1);
		first = false;
		if (!array) {
			put_string(printer, cursor->key, cursor->key_length);
			put(printer, ":", 1);
		}
		put_value(printer, cursor, depth);
	}
	if (r < 0 && !printer->error)
		printer->error = r;
}

static void put_document(struct printer *printer, const struct bson_cursor *outer, unsigned depth, bool array)
{
	struct bson_cursor cursor;

	if (depth > DEPTH_MAX || !bson_cursor_enter(outer, &cursor)) {
		printer->error = -EBADMSG;
		return;
	}
	put_text(printer, array ? "[" : "{");
	put_elements(printer, &cursor, depth, array);
	put_text(printer, array ? "]" : "}");
}

int bson_json_append(struct batch *text, enum bson_json_style style, const uint8_t *document, size_t length)
{
	struct printer printer = {.text = text, .style = style};
	struct bson_cursor whole = {.type = BSON_TYPE_DOCUMENT, .value = document, .length = length};
	size_t before = text->length;

	put_document(&printer, &whole, 0, false);
	put(&printer, "\n", 1);
	if (printer.error)
		text->length = before;
	return printer.error;
}

/* The time in a field: a Date, text, or a number since 1970. */
static bool time_of(const bson_iter_t *iter, int64_t *ret_time_ms)
{
	if (BSON_ITER_HOLDS_DATE_TIME(iter))
		*ret_time_ms = bson_iter_date_time(iter);
	else if (BSON_ITER_HOLDS_UTF8(iter))
		return text_parse_zoned_time(bson_iter_utf8(iter, NULL), ret_time_ms);
	else if (BSON_ITER_HOLDS_INT(iter))
		*ret_time_ms = text_time_of_number((double)bson_iter_as_int64(iter));
	else if (BSON_ITER_HOLDS_DOUBLE(iter))
		*ret_time_ms = text_time_of_number(bson_iter_double(iter));
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
