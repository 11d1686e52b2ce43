/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks the elements of an untrusted BSON document: every length is checked before use. Faster than a general
 * iterator because it allocates nothing and stays on one level.
 */
#pragma once

#include <bson/bson.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bson_cursor {
	const uint8_t *at;
	const uint8_t *end;
	uint8_t type;
	const char *key;
	size_t key_length;
	const uint8_t *value;
	size_t length; /* bytes of the value, including its own length words */
};

/* Starts on a whole document. False if its length word or its end byte is invalid. */
bool bson_cursor_init(struct bson_cursor *cursor, const uint8_t *document, size_t length);
extern const uint8_t bson_cursor_sizes[256]; /* of values by their type; 0: the value contains its length */
/*
 * Sets the length of a value that contains its own length; false if it does not fit, or the type is unknown.
 */
bool bson_cursor_measure(struct bson_cursor *cursor);
/* Next element: 1, 0 at the end, -EBADMSG. */
static inline int bson_cursor_next(struct bson_cursor *cursor)
{
	size_t left = (size_t)(cursor->end - cursor->at);
	const uint8_t *key_end;

	if (left == 0)
		return 0;
	cursor->type = *cursor->at;
	cursor->key = (const char *)cursor->at + 1;
	key_end = memchr(cursor->key, 0, left - 1);
	if (!key_end)
		return -EBADMSG;
	cursor->key_length = (size_t)((const char *)key_end - cursor->key);
	cursor->value = key_end + 1;
	cursor->length = bson_cursor_sizes[cursor->type];
	if (cursor->length ? cursor->length > (size_t)(cursor->end - cursor->value)
			   : !bson_cursor_measure(cursor))
		return -EBADMSG;
	cursor->at = cursor->value + cursor->length;
	return 1;
}
/* Enters the document or array that the cursor is at. */
bool bson_cursor_enter(const struct bson_cursor *cursor, struct bson_cursor *ret_inner);
/* Inline, so that a literal's length and bytes are known at compile time. */
static inline bool bson_cursor_is(const struct bson_cursor *cursor, const char *key)
{
	size_t length = strlen(key);

	return cursor->key_length == length && memcmp(cursor->key, key, length) == 0;
}
/* A string of valid UTF-8 without a NUL inside; NULL for anything else. */
const char *bson_cursor_string(const struct bson_cursor *cursor);
/* Double or integer; false for other types. */
bool bson_cursor_number(const struct bson_cursor *cursor, double *ret_value);
/* Date, or a number of milliseconds; false for other types and for values beyond int64. */
bool bson_cursor_time(const struct bson_cursor *cursor, int64_t *ret_time_ms);
