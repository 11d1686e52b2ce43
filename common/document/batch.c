/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Growing buffer of BSON documents end to end; also used as a plain byte buffer by ipc_put_*. Of a document
 * it knows only the length word and the _id.
 */
#include "document/batch.h"
#include "base/bson_get.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_START  4096
#define DOCUMENT_MIN 5 /* length word and the end byte */

int batch_reserve(struct batch *batch, size_t more)
{
	if (more > SIZE_MAX / 2 - batch->length)
		return -ENOMEM;
	size_t need = batch->length + more;
	if (need <= batch->capacity)
		return 0;
	size_t capacity = batch->capacity ? batch->capacity : BATCH_START;
	while (capacity < need)
		capacity *= 2;
	uint8_t *data = realloc(batch->data, capacity);
	if (!data)
		return -ENOMEM;
	batch->data = data;
	batch->capacity = capacity;
	return 0;
}

/* The length word, or 0 if it cannot be valid within `left` bytes. */
static size_t document_length(const uint8_t *document, size_t left)
{
	if (left < DOCUMENT_MIN)
		return 0;
	uint32_t length = (uint32_t)document[0] | (uint32_t)document[1] << 8 | (uint32_t)document[2] << 16 |
			  (uint32_t)document[3] << 24;
	if (length < DOCUMENT_MIN || length > left || length > INT32_MAX)
		return 0;
	return length;
}

int batch_add_bytes(struct batch *batch, const void *bytes, size_t length)
{
	int r = batch_reserve(batch, length);
	if (r < 0)
		return r;
	if (length)
		memcpy(batch->data + batch->length, bytes, length);
	batch->length += length;
	return 0;
}

static int append(struct batch *batch, const uint8_t *bytes, size_t length, unsigned n_documents)
{
	int r = batch_add_bytes(batch, bytes, length);

	batch->n_documents += r < 0 ? 0 : n_documents;
	return r;
}

int batch_append(struct batch *batch, const uint8_t *document, size_t length)
{
	if (length == 0 || document_length(document, length) != length)
		return -EBADMSG;
	return append(batch, document, length, 1);
}

int batch_append_batch(struct batch *batch, const struct batch *from)
{
	if (batch != from)
		return append(batch, from->data, from->length, from->n_documents);
	int r = batch_reserve(batch, batch->length); /* called first: the data may move */
	if (r < 0)
		return r;
	return append(batch, batch->data, batch->length, batch->n_documents);
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
	if (*offset == batch->length)
		return 0;
	if (*offset > batch->length)
		return -EBADMSG;
	size_t length = document_length(batch->data + *offset, batch->length - *offset);
	if (!length)
		return -EBADMSG;
	*ret_document = batch->data + *offset;
	*ret_length = length;
	*offset += length;
	return 1;
}

bool batch_next_bson(const struct batch *batch, size_t *offset, bson_t *ret_document)
{
	const uint8_t *bytes;
	size_t length;

	while (batch_next(batch, offset, &bytes, &length) == 1) {
		if (bson_init_static(ret_document, bytes, length))
			return true;
	}
	return false;
}

bool batch_find_bson(const struct batch *batch, const char *id, bson_t *ret_document)
{
	size_t offset = 0;

	while (batch_next_bson(batch, &offset, ret_document)) {
		if (bson_has_text(ret_document, "_id", id))
			return true;
	}
	return false;
}
