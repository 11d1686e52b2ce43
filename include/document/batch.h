/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A batch: BSON documents laid end to end in one buffer that is reused (the layout of a mongodump file).
 * It is what the encoders fill, what goes between processes, and what a store appends.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct batch {
	uint8_t *data;
	size_t length;
	size_t capacity;
	unsigned n_documents;
};

/* Makes room for `more` bytes behind the present end. 0 or -ENOMEM; a warm batch does not allocate. */
int batch_reserve(struct batch *batch, size_t more);
/* Appends one encoded BSON document (checked only for its length word). */
int batch_append(struct batch *batch, const uint8_t *document, size_t length);
/* Appends all documents of `from`. */
int batch_append_batch(struct batch *batch, const struct batch *from);
/* Forgets the documents, keeps the memory. */
void batch_clear(struct batch *batch);
/* Frees the memory; the batch is empty and usable afterwards. */
void batch_done(struct batch *batch);
/*
 * Next document behind `*offset` (start with 0): 1 and its bytes, 0 at the end, -EBADMSG when the length word
 * is out of bounds.
 */
int batch_next(const struct batch *batch, size_t *offset, const uint8_t **ret_document, size_t *ret_length);
