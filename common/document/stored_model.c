/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the model within a stored document. What is in it is known only to the formula that wrote it. Pure.
 */
#include "document/stored_model.h"

#include <errno.h>

int stored_model_read(const bson_t *document, bson_t *ret_model, struct reason *why)
{
	bson_iter_t iterator;
	const uint8_t *data;
	uint32_t length;

	if (!bson_iter_init_find(&iterator, document, "model") || !BSON_ITER_HOLDS_DOCUMENT(&iterator))
		return reason_set(why, -ENODATA, "the stored document has no model");
	bson_iter_document(&iterator, &length, &data);
	if (!bson_init_static(ret_model, data, length))
		return reason_set(why, -EINVAL, "the stored model is malformed");
	return 0;
}
