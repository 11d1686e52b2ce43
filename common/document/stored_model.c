/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the model within a stored document. What is in it is known only to the formula that wrote it. Pure.
 */
#include "document/stored_model.h"
#include "base/bson_get.h"

#include <errno.h>

int stored_model_read(const bson_t *document, bson_t *ret_model, struct reason *why)
{
	bson_iter_t at;

	if (!bson_iter_init_find(&at, document, "model") || !BSON_ITER_HOLDS_DOCUMENT(&at))
		return reason_set(why, -ENODATA, "the stored document has no model");
	if (!bson_get_inner(&at, ret_model))
		return reason_set(why, -EINVAL, "the stored model is malformed");
	return 0;
}
