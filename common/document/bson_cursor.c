/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads BSON elements from untrusted bytes. Called by report_bson_read.c and by the stores; knows none of our
 * fields.
 */
#include "document/bson_cursor.h"

#include "base/text.h"

#include <string.h>

const uint8_t bson_cursor_sizes[256] = {
	[BSON_TYPE_BOOL] = 1,        [BSON_TYPE_INT32] = 4, [BSON_TYPE_DOUBLE] = 8,
	[BSON_TYPE_DATE_TIME] = 8,   [BSON_TYPE_INT64] = 8, [BSON_TYPE_TIMESTAMP] = 8,
	[BSON_TYPE_DECIMAL128] = 16, [BSON_TYPE_OID] = 12,
};

static uint32_t get_u32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

bool bson_cursor_init(struct bson_cursor *cursor, const uint8_t *document, size_t length)
{
	if (length < 5 || get_u32(document) != length || document[length - 1] != 0)
		return false;
	*cursor = (struct bson_cursor){.at = document + 4, .end = document + length - 1};
	return true;
}

/* Length of "string\0string\0" (regular expressions), 0 if it is not terminated in time. */
static size_t two_strings_length(const uint8_t *at, size_t left)
{
	const uint8_t *first = memchr(at, 0, left);
	const uint8_t *second = first ? memchr(first + 1, 0, left - (size_t)(first + 1 - at)) : NULL;

	return second ? (size_t)(second + 1 - at) : 0;
}

/* Types with a length word: `extra` bytes in addition to its value. 0: invalid. */
static size_t counted_length(const uint8_t *at, size_t left, size_t smallest, size_t extra)
{
	size_t length;

	if (left < 4)
		return 0;
	length = get_u32(at);
	if (length < smallest || length > left || length + extra > left)
		return 0;
	return length + extra;
}

/* Size of a value that contains its own length; 0: it does not fit, or the type is unknown. */
static size_t told_length(uint8_t type, const uint8_t *at, size_t left)
{
	switch (type) {
	case BSON_TYPE_UTF8:
	case BSON_TYPE_CODE:
	case BSON_TYPE_SYMBOL:
		return counted_length(at, left, 1, 4);
	case BSON_TYPE_DOCUMENT:
	case BSON_TYPE_ARRAY:
		return counted_length(at, left, 5, 0);
	case BSON_TYPE_CODEWSCOPE:
		return counted_length(at, left, 14, 0);
	case BSON_TYPE_BINARY:
		return counted_length(at, left, 0, 5);
	case BSON_TYPE_DBPOINTER:
		return counted_length(at, left, 1, 16);
	case BSON_TYPE_REGEX:
		return two_strings_length(at, left);
	default:
		return 0;
	}
}

static bool has_no_value(uint8_t type)
{
	return type == BSON_TYPE_UNDEFINED || type == BSON_TYPE_NULL || type == BSON_TYPE_MAXKEY ||
	       type == BSON_TYPE_MINKEY;
}

bool bson_cursor_measure(struct bson_cursor *cursor)
{
	size_t left = (size_t)(cursor->end - cursor->value);

	cursor->length = told_length(cursor->type, cursor->value, left);
	return cursor->length ? cursor->length <= left : has_no_value(cursor->type);
}

bool bson_cursor_enter(const struct bson_cursor *cursor, struct bson_cursor *ret_inner)
{
	if (cursor->type != BSON_TYPE_DOCUMENT && cursor->type != BSON_TYPE_ARRAY)
		return false;
	return bson_cursor_init(ret_inner, cursor->value, cursor->length);
}

const char *bson_cursor_string(const struct bson_cursor *cursor)
{
	const char *text;
	size_t length;

	if (cursor->type != BSON_TYPE_UTF8 || cursor->value[cursor->length - 1] != 0)
		return NULL;
	text = (const char *)cursor->value + 4;
	length = cursor->length - 5;
	if (memchr(text, 0, length))
		return NULL;
	if (!text_is_ascii(text, length) && !bson_utf8_validate(text, length, false))
		return NULL;
	return text;
}

static int64_t get_i64(const uint8_t *at)
{
	int64_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

bool bson_cursor_number(const struct bson_cursor *cursor, double *ret_value)
{
	switch (cursor->type) {
	case BSON_TYPE_DOUBLE:
		memcpy(ret_value, cursor->value, sizeof(*ret_value));
		return true;
	case BSON_TYPE_INT32:
		*ret_value = (double)(int32_t)get_u32(cursor->value);
		return true;
	case BSON_TYPE_INT64:
		*ret_value = (double)get_i64(cursor->value);
		return true;
	default:
		return false;
	}
}

bool bson_cursor_time(const struct bson_cursor *cursor, int64_t *ret_time_ms)
{
	double value;

	if (cursor->type == BSON_TYPE_DATE_TIME || cursor->type == BSON_TYPE_INT64) {
		*ret_time_ms = get_i64(cursor->value);
		return true;
	}
	if (!bson_cursor_number(cursor, &value) || !(value > -9.2e18 && value < 9.2e18))
		return false;
	*ret_time_ms = (int64_t)value;
	return true;
}
