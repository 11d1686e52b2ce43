/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of BSON elements. Each function makes sure of the room first, so that a warm batch costs one
 * comparison for each element. Called by the encoders of report_bson.c only.
 */
#include "document/bson_encoder.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include <bson/bson.h>

enum bson_type_byte {
	TYPE_DOUBLE = 0x01,
	TYPE_STRING = 0x02,
	TYPE_DOCUMENT = 0x03,
	TYPE_ARRAY = 0x04,
	TYPE_OBJECT_ID = 0x07,
	TYPE_BOOL = 0x08,
	TYPE_DATE = 0x09,
	TYPE_I32 = 0x10,
	TYPE_I64 = 0x12,
};

static bool has_room(struct bson_encoder *encoder, size_t more)
{
	const struct batch *batch = encoder->batch;

	if (encoder->error)
		return false;
	if (batch->capacity - batch->length < more)
		encoder->error = batch_reserve(encoder->batch, more);
	return !encoder->error;
}

/* The callers have made room. All machines that we build for are little-endian, as BSON is. */
static void put_bytes(struct bson_encoder *encoder, const void *data, size_t length)
{
	memcpy(encoder->batch->data + encoder->batch->length, data, length);
	encoder->batch->length += length;
}

static void put_byte(struct bson_encoder *encoder, uint8_t byte)
{
	encoder->batch->data[encoder->batch->length++] = byte;
}

static void put_u32(struct bson_encoder *encoder, size_t value)
{
	uint32_t word = (uint32_t)value;

	put_bytes(encoder, &word, sizeof(word));
}

/* Type and key of an element whose value takes `more` bytes. False: nothing was written. */
static bool put_head(struct bson_encoder *encoder, uint8_t type, const char *key, size_t more)
{
	size_t length = strlen(key);

	if (!has_room(encoder, length + 2 + more))
		return false;
	put_byte(encoder, type);

	uint8_t *to = encoder->batch->data + encoder->batch->length;

	memcpy(to, key, length + 1);
	if (to[0] == '$')
		to[0] = '_';
	for (uint8_t *dot = memchr(to, '.', length); dot; dot = memchr(dot, '.', length - (size_t)(dot - to)))
		*dot = ':';
	encoder->batch->length += length + 1;
	return true;
}

static void open_frame(struct bson_encoder *encoder)
{
	if (encoder->depth == BSON_ENCODER_DEPTH) {
		encoder->error = -E2BIG;
		return;
	}
	encoder->starts[encoder->depth++] = encoder->batch->length;
	put_u32(encoder, 0);
}

void bson_encoder_begin(struct bson_encoder *encoder, struct batch *batch)
{
	*encoder = (struct bson_encoder){.batch = batch};
	encoder->starts[0] = batch->length;
	if (has_room(encoder, 5))
		open_frame(encoder);
}

void bson_encoder_close(struct bson_encoder *encoder)
{
	uint8_t *data;
	uint32_t length;

	if (!has_room(encoder, 1))
		return;
	put_byte(encoder, 0);
	encoder->depth--;
	data = encoder->batch->data + encoder->starts[encoder->depth];
	length = (uint32_t)(encoder->batch->length - encoder->starts[encoder->depth]);
	memcpy(data, &length, sizeof(length));
}

int bson_encoder_end(struct bson_encoder *encoder)
{
	bson_encoder_close(encoder);
	if (!encoder->error && encoder->depth != 0)
		encoder->error = -EINVAL;
	if (encoder->error)
		encoder->batch->length = encoder->starts[0];
	else
		encoder->batch->n_documents++;
	return encoder->error;
}

void bson_encoder_open(struct bson_encoder *encoder, const char *key)
{
	if (put_head(encoder, TYPE_DOCUMENT, key, 5))
		open_frame(encoder);
}

void bson_encoder_open_array(struct bson_encoder *encoder, const char *key)
{
	if (put_head(encoder, TYPE_ARRAY, key, 5))
		open_frame(encoder);
}

void bson_encoder_open_number(struct bson_encoder *encoder, unsigned key)
{
	char text[12];
	char *at = text + sizeof(text) - 1;

	*at = '\0';
	do {
		*--at = (char)('0' + key % 10);
		key /= 10;
	} while (key);
	bson_encoder_open(encoder, at);
}

void bson_encoder_double(struct bson_encoder *encoder, const char *key, double value)
{
	if (isfinite(value) && put_head(encoder, TYPE_DOUBLE, key, sizeof(value)))
		put_bytes(encoder, &value, sizeof(value));
}

void bson_encoder_i32(struct bson_encoder *encoder, const char *key, int32_t value)
{
	if (put_head(encoder, TYPE_I32, key, sizeof(value)))
		put_bytes(encoder, &value, sizeof(value));
}

void bson_encoder_i64(struct bson_encoder *encoder, const char *key, int64_t value)
{
	if (put_head(encoder, TYPE_I64, key, sizeof(value)))
		put_bytes(encoder, &value, sizeof(value));
}

void bson_encoder_bool(struct bson_encoder *encoder, const char *key, bool value)
{
	if (put_head(encoder, TYPE_BOOL, key, 1))
		put_byte(encoder, value);
}

void bson_encoder_date(struct bson_encoder *encoder, const char *key, int64_t time_ms)
{
	if (put_head(encoder, TYPE_DATE, key, sizeof(time_ms)))
		put_bytes(encoder, &time_ms, sizeof(time_ms));
}

void bson_encoder_object_id(struct bson_encoder *encoder, const char *key, const uint8_t id[12])
{
	if (put_head(encoder, TYPE_OBJECT_ID, key, 12))
		put_bytes(encoder, id, 12);
}

/* Names come from the kernel and from container engines: a byte that is not ASCII is seldom, so it may cost
 * more. */
static void make_utf8(uint8_t *text, size_t length)
{
	uint8_t all = 0;

	for (size_t i = 0; i < length; i++)
		all |= text[i];
	if (all < 0x80 || bson_utf8_validate((const char *)text, length, false))
		return;
	for (size_t i = 0; i < length; i++)
		if (text[i] >= 0x80)
			text[i] = '?';
}

void bson_encoder_string(struct bson_encoder *encoder, const char *key, const char *value)
{
	size_t length;

	if (!value)
		return;
	length = strlen(value);
	if (!put_head(encoder, TYPE_STRING, key, sizeof(uint32_t) + length + 1))
		return;
	put_u32(encoder, length + 1);
	make_utf8(memcpy(encoder->batch->data + encoder->batch->length, value, length + 1), length);
	encoder->batch->length += length + 1;
}

void bson_encoder_pair(struct bson_encoder *encoder, const char *key, const char *first, const char *second)
{
	size_t length = strlen(first) + 1 + strlen(second);
	uint8_t *text;

	if (!put_head(encoder, TYPE_STRING, key, sizeof(uint32_t) + length + 1))
		return;
	put_u32(encoder, length + 1);
	text = encoder->batch->data + encoder->batch->length;
	put_bytes(encoder, first, strlen(first));
	put_byte(encoder, '=');
	put_bytes(encoder, second, strlen(second) + 1);
	make_utf8(text, length);
}
