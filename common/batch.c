/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents end to end in one growing buffer. Called by encoders, stores and the messages between processes.
 */
#include "batch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_SMALLEST    4096
#define DOCUMENT_SMALLEST 5

int batch_reserve(struct batch *batch, size_t more)
{
	size_t capacity = batch->capacity ? batch->capacity : BATCH_SMALLEST;
	uint8_t *data;

	if (more <= batch->capacity - batch->length)
		return 0;
	if (more > SIZE_MAX / 4 - batch->length)
		return -ENOMEM;
	while (capacity - batch->length < more)
		capacity *= 2;
	data = realloc(batch->data, capacity);
	if (!data)
		return -ENOMEM;
	batch->data = data;
	batch->capacity = capacity;
	return 0;
}

static size_t length_word(const uint8_t *document)
{
	uint32_t word;

	memcpy(&word, document, sizeof(word));
	return word;
}

int batch_append(struct batch *batch, const uint8_t *document, size_t length)
{
	int r;

	if (length < DOCUMENT_SMALLEST || length_word(document) != length)
		return -EBADMSG;
	r = batch_reserve(batch, length);
	if (r < 0)
		return r;
	memcpy(batch->data + batch->length, document, length);
	batch->length += length;
	batch->n_documents++;
	return 0;
}

int batch_append_batch(struct batch *batch, const struct batch *from)
{
	int r;

	if (from->length == 0)
		return 0;
	r = batch_reserve(batch, from->length);
	if (r < 0)
		return r;
	memcpy(batch->data + batch->length, from->data, from->length);
	batch->length += from->length;
	batch->n_documents += from->n_documents;
	return 0;
}

void batch_clear(struct batch *batch)
{
	batch->length = 0;
	batch->n_documents = 0;
}

void batch_done(struct batch *batch)
{
	free(batch->data);
	*batch = (struct batch){0};
}

int batch_next(const struct batch *batch, size_t *offset, const uint8_t **ret_document, size_t *ret_length)
{
	size_t left = batch->length - *offset;

	if (*offset > batch->length)
		return -EBADMSG;
	if (left == 0)
		return 0;
	if (left < DOCUMENT_SMALLEST)
		return -EBADMSG;
	*ret_document = batch->data + *offset;
	*ret_length = length_word(*ret_document);
	if (*ret_length < DOCUMENT_SMALLEST || *ret_length > left)
		return -EBADMSG;
	*offset += *ret_length;
	return 1;
}
