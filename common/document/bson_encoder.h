/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes one BSON document directly after the end of a batch, element by element, with no memory of its own.
 * Inline, so that the length of a literal key is known at compile time: half the time of libbson's writer.
 * bson_cursor.h reads documents. Knows none of our fields.
 */
#pragma once

#include "base/text.h"
#include "document/batch.h"

#include <bson/bson.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#define BSON_ENCODER_DEPTH 8
#define ALWAYS_INLINE      static inline __attribute__((always_inline))

struct bson_encoder {
	struct batch *batch;
	size_t starts[BSON_ENCODER_DEPTH]; /* where each open document begins */
	unsigned depth;
	int error; /* first failure, kept until the end */
};

void bson_encoder_begin(struct bson_encoder *encoder, struct batch *batch);
/* Closes the document: 0, or the first error; the batch is then as it was before. */
int bson_encoder_end(struct bson_encoder *encoder);

/* Opens and closes a nested document or array. */
void bson_encoder_open(struct bson_encoder *encoder, const char *key);
void bson_encoder_open_number(struct bson_encoder *encoder, unsigned key);
void bson_encoder_open_array(struct bson_encoder *encoder, const char *key);
void bson_encoder_close(struct bson_encoder *encoder);

/*
 * For untrusted keys: '.' becomes ':' and a leading '$' becomes '_', because databases with MongoDB's
 * protocol reject them.
 */
void bson_encoder_open_named(struct bson_encoder *encoder, const char *name);
void bson_encoder_double_named(struct bson_encoder *encoder, const char *name, double value);
/* "first=second", for arrays of pairs. */
void bson_encoder_pair(struct bson_encoder *encoder, const char *key, const char *first, const char *second);

/* Writes an element for which there is room; returns its end. A caller's `at` stays in a register. */
ALWAYS_INLINE uint8_t *bson_put(uint8_t *at, bson_type_t type, const char *key, const void *value,
				size_t size)
{
	size_t key_size = strlen(key) + 1;

	*at = (uint8_t)type;
	memcpy(at + 1, key, key_size);
	memcpy(at + 1 + key_size, value, size);
	return at + 1 + key_size + size;
}

/* Ends a document and writes its length at `begin`. */
ALWAYS_INLINE uint8_t *bson_put_end(uint8_t *begin, uint8_t *at)
{
	uint32_t length = (uint32_t)(at + 1 - begin);

	*at = 0;
	memcpy(begin, &length, sizeof(length));
	return at + 1;
}

/* A value that is not finite is omitted. */
ALWAYS_INLINE uint8_t *bson_put_double(uint8_t *at, const char *key, double value)
{
	return isfinite(value) ? bson_put(at, BSON_TYPE_DOUBLE, key, &value, sizeof(value)) : at;
}

/*
 * Names come from the kernel and from container engines: non-ASCII bytes are rare, so they may cost more.
 * Invalid UTF-8 is escaped (text_escape). Returns the length at `ret`, which has room for
 * BSON_STRING_MAX(length).
 */
#define BSON_STRING_MAX(length) (TEXT_ESCAPED_MAX * (length) + 1)
size_t bson_encoder_copy_text(char *ret, const char *text, size_t length);

/* NULL is omitted. The value needs room for BSON_STRING_MAX(length). */
ALWAYS_INLINE uint8_t *bson_put_string(uint8_t *at, const char *key, const char *text, size_t length)
{
	uint32_t size = (uint32_t)length + 1;

	if (!text)
		return at;
	at = bson_put(at, BSON_TYPE_UTF8, key, &size, sizeof(size));
	if (text_is_ascii(text, length)) {
		memcpy(at, text, size);
	} else {
		size = (uint32_t)bson_encoder_copy_text((char *)at, text, length) + 1;
		memcpy(at - sizeof(size), &size, sizeof(size));
	}
	return at + size;
}

/*
 * Writes type and key, and returns the place for a value of `size` bytes; NULL: out of memory, which is
 * recorded.
 */
ALWAYS_INLINE uint8_t *bson_encoder_element(struct bson_encoder *encoder, bson_type_t type, const char *key,
					    size_t size)
{
	size_t key_size = strlen(key) + 1;
	struct batch *batch = encoder->batch;
	uint8_t *at;

	if (batch->capacity - batch->length < 1 + key_size + size &&
	    batch_reserve(batch, 1 + key_size + size) < 0) {
		encoder->error = -ENOMEM;
		return NULL;
	}
	at = batch->data + batch->length;
	batch->length += 1 + key_size + size;
	*at = (uint8_t)type;
	memcpy(at + 1, key, key_size);
	return at + 1 + key_size;
}

/* All machines that we build for are little-endian, like BSON. */
ALWAYS_INLINE void bson_encoder_value(struct bson_encoder *encoder, bson_type_t type, const char *key,
				      const void *value, size_t size)
{
	uint8_t *at = bson_encoder_element(encoder, type, key, size);

	if (at)
		memcpy(at, value, size);
}

/* A value that is not finite is omitted. */
static inline void bson_encoder_double(struct bson_encoder *encoder, const char *key, double value)
{
	if (isfinite(value))
		bson_encoder_value(encoder, BSON_TYPE_DOUBLE, key, &value, sizeof(value));
}

static inline void bson_encoder_i32(struct bson_encoder *encoder, const char *key, int32_t value)
{
	bson_encoder_value(encoder, BSON_TYPE_INT32, key, &value, sizeof(value));
}

static inline void bson_encoder_i64(struct bson_encoder *encoder, const char *key, int64_t value)
{
	bson_encoder_value(encoder, BSON_TYPE_INT64, key, &value, sizeof(value));
}

static inline void bson_encoder_bool(struct bson_encoder *encoder, const char *key, bool value)
{
	bson_encoder_value(encoder, BSON_TYPE_BOOL, key, &value, 1);
}

static inline void bson_encoder_date(struct bson_encoder *encoder, const char *key, int64_t time_ms)
{
	bson_encoder_value(encoder, BSON_TYPE_DATE_TIME, key, &time_ms, sizeof(time_ms));
}

static inline void bson_encoder_object_id(struct bson_encoder *encoder, const char *key, const uint8_t id[12])
{
	bson_encoder_value(encoder, BSON_TYPE_OID, key, id, 12);
}

/* NULL is omitted. */
ALWAYS_INLINE void bson_encoder_string(struct bson_encoder *encoder, const char *key, const char *value)
{
	size_t length = value ? strlen(value) : 0;
	struct batch *batch = encoder->batch;

	if (batch_reserve(batch, 1 + strlen(key) + 1 + sizeof(uint32_t) + BSON_STRING_MAX(length)) < 0)
		encoder->error = -ENOMEM;
	else
		batch->length = (size_t)(bson_put_string(batch->data + batch->length, key, value, length) -
					 batch->data);
}
