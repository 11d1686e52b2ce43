/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A batch: BSON documents end to end in one reused buffer (the layout of a mongodump file). Encoders fill it,
 * processes exchange it, and stores append it.
 */
#pragma once

#include <bson/bson.h>
#include <stddef.h>
#include <stdint.h>

struct batch {
	uint8_t *data;
	size_t length;
	size_t capacity;
	unsigned n_documents;
};

/* Makes room for `more` bytes after the present end. 0 or -ENOMEM; a warm batch does not allocate. */
int batch_reserve(struct batch *batch, size_t more);
/* Appends arbitrary bytes. 0 or -ENOMEM. */
int batch_add_bytes(struct batch *batch, const void *bytes, size_t length);
/* Appends one encoded BSON document (checked only for its length word). */
int batch_append(struct batch *batch, const uint8_t *document, size_t length);
/* Appends all documents of `from`. */
int batch_append_batch(struct batch *batch, const struct batch *from);
/* Removes the documents, keeps the memory. */
void batch_clear(struct batch *batch);
/* Frees the memory; the batch is empty and usable afterwards. */
void batch_done(struct batch *batch);
/*
 * The next document after `*offset` (start with 0): 1 and its bytes, 0 at the end, -EBADMSG if the length
 * word is out of bounds.
 */
int batch_next(const struct batch *batch, size_t *offset, const uint8_t **ret_document, size_t *ret_length);
/* The same, skipping invalid BSON: stored documents may have been changed by others. */
bool batch_next_bson(const struct batch *batch, size_t *offset, bson_t *ret_document);
/* The first one with this _id. */
bool batch_find_bson(const struct batch *batch, const char *id, bson_t *ret_document);
