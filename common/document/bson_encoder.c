/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of the encoder that need not be inline: nested documents, and keys and strings that may need
 * correction. Called by the encoders of report_bson.c and by the CSV store.
 */
#include "document/bson_encoder.h"

#include <stdio.h>

void bson_encoder_begin(struct bson_encoder *encoder, struct batch *batch)
{
	*encoder = (struct bson_encoder){.batch = batch, .starts = {batch->length}, .depth = 1};
	encoder->error = batch_reserve(batch, sizeof(uint32_t));
	if (!encoder->error)
		batch->length += sizeof(uint32_t);
}

void bson_encoder_close(struct bson_encoder *encoder)
{
	struct batch *batch = encoder->batch;
	uint32_t length;

	if (!encoder->error && batch->length == batch->capacity)
		encoder->error = batch_reserve(batch, 1);
	if (encoder->error)
		return;
	batch->data[batch->length++] = 0;
	encoder->depth--;
	length = (uint32_t)(batch->length - encoder->starts[encoder->depth]);
	memcpy(batch->data + encoder->starts[encoder->depth], &length, sizeof(length));
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

/* `at`: of the length word, which close() fills in. */
static void open_at(struct bson_encoder *encoder, const uint8_t *at)
{
	if (encoder->depth == BSON_ENCODER_DEPTH)
		encoder->error = -E2BIG;
	if (!encoder->error)
		encoder->starts[encoder->depth++] = (size_t)(at - encoder->batch->data);
}

void bson_encoder_open(struct bson_encoder *encoder, const char *key)
{
	open_at(encoder, bson_encoder_element(encoder, BSON_TYPE_DOCUMENT, key, sizeof(uint32_t)));
}

void bson_encoder_open_array(struct bson_encoder *encoder, const char *key)
{
	open_at(encoder, bson_encoder_element(encoder, BSON_TYPE_ARRAY, key, sizeof(uint32_t)));
}

void bson_encoder_open_number(struct bson_encoder *encoder, unsigned key)
{
	char text[12] = "0";

	if (key < 10)
		text[0] = (char)('0' + key);
	else
		(void)snprintf(text, sizeof(text), "%u", key);
	bson_encoder_open(encoder, text);
}

static uint8_t *named_element(struct bson_encoder *encoder, bson_type_t type, const char *name, size_t size)
{
	uint8_t *at = bson_encoder_element(encoder, type, name, size);
	char *key = at ? (char *)at - strlen(name) - 1 : NULL;

	if (!key)
		return NULL;
	if (key[0] == '$')
		key[0] = '_';
	while ((key = strchr(key, '.')))
		*key = ':';
	return at;
}

void bson_encoder_open_named(struct bson_encoder *encoder, const char *name)
{
	open_at(encoder, named_element(encoder, BSON_TYPE_DOCUMENT, name, sizeof(uint32_t)));
}

void bson_encoder_double_named(struct bson_encoder *encoder, const char *name, double value)
{
	uint8_t *at = isfinite(value) ? named_element(encoder, BSON_TYPE_DOUBLE, name, sizeof(value)) : NULL;

	if (at)
		memcpy(at, &value, sizeof(value));
}

size_t bson_encoder_copy_text(char *ret, const char *text, size_t length)
{
	if (!bson_utf8_validate(text, length, false))
		return text_escape(text, length, ret, BSON_STRING_MAX(length));
	memcpy(ret, text, length + 1);
	return length;
}

void bson_encoder_pair(struct bson_encoder *encoder, const char *key, const char *first, const char *second)
{
	const size_t n_first = strlen(first), n_second = strlen(second);
	uint8_t *at = bson_encoder_element(encoder, BSON_TYPE_UTF8, key,
					   sizeof(uint32_t) + BSON_STRING_MAX(n_first + 1 + n_second));
	char *text;
	size_t length;

	if (!at)
		return;
	text = (char *)at + sizeof(uint32_t);
	length = bson_encoder_copy_text(text, first, n_first);
	text[length++] = '=';
	length += bson_encoder_copy_text(text + length, second, n_second);
	memcpy(at, &(uint32_t){(uint32_t)length + 1}, sizeof(uint32_t));
	encoder->batch->length = (size_t)((uint8_t *)text + length + 1 - encoder->batch->data);
}
