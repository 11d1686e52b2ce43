/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Typed look-ups in BSON documents, by libbson. Called by all code that reads stored documents.
 */
#include "base/bson_get.h"

#include <errno.h>
#include <math.h>
#include <string.h>

const char *bson_get_text(const bson_t *document, const char *key)
{
	bson_iter_t at;

	return bson_iter_init_find(&at, document, key) && BSON_ITER_HOLDS_UTF8(&at)
		       ? bson_iter_utf8(&at, NULL)
		       : NULL;
}

bool bson_has_text(const bson_t *document, const char *key, const char *text)
{
	const char *found = bson_get_text(document, key);

	return found && strcmp(found, text) == 0;
}

double bson_get_double(const bson_t *document, const char *key)
{
	bson_iter_t at;

	return bson_iter_init_find(&at, document, key) && BSON_ITER_HOLDS_DOUBLE(&at) ? bson_iter_double(&at)
										      : NAN;
}

bool bson_get_date(const bson_t *document, const char *key, int64_t *ret_ms)
{
	bson_iter_t at;

	if (!bson_iter_init_find(&at, document, key) || !BSON_ITER_HOLDS_DATE_TIME(&at))
		return false;
	*ret_ms = bson_iter_date_time(&at);
	return true;
}

bool bson_get_bool(const bson_t *document, const char *key)
{
	bson_iter_t at;

	return bson_iter_init_find(&at, document, key) && BSON_ITER_HOLDS_BOOL(&at) && bson_iter_bool(&at);
}

int64_t bson_get_int32(const bson_t *document, const char *key, int64_t most)
{
	bson_iter_t at;

	if (!bson_iter_init_find(&at, document, key) || !BSON_ITER_HOLDS_INT32(&at) ||
	    bson_iter_int32(&at) < 0 || bson_iter_int32(&at) > most)
		return -1;
	return bson_iter_int32(&at);
}

const uint8_t *bson_get_binary(const bson_t *document, const char *key, uint32_t *ret_length)
{
	const uint8_t *bytes = NULL;
	bson_subtype_t subtype;
	bson_iter_t at;

	*ret_length = 0;
	if (bson_iter_init_find(&at, document, key) && BSON_ITER_HOLDS_BINARY(&at))
		bson_iter_binary(&at, &subtype, ret_length, &bytes);
	return bytes;
}

bool bson_get_array(const bson_t *document, const char *key, bson_iter_t *ret_elements)
{
	bson_iter_t at;

	return bson_iter_init_find(&at, document, key) && BSON_ITER_HOLDS_ARRAY(&at) &&
	       bson_iter_recurse(&at, ret_elements);
}

bool bson_get_inner(const bson_iter_t *iterator, bson_t *ret_document)
{
	const uint8_t *bytes;
	uint32_t length;

	if (!BSON_ITER_HOLDS_DOCUMENT(iterator))
		return false;
	bson_iter_document(iterator, &length, &bytes);
	return bson_init_static(ret_document, bytes, length);
}

int bson_get_document(const bson_t *document, const char *key, bson_t *ret_inner, struct reason *why)
{
	bson_iter_t at;

	if (!bson_iter_init_find(&at, document, key) || !BSON_ITER_HOLDS_DOCUMENT(&at))
		return reason_set(why, -ENODATA, "the stored document has no %s", key);
	return bson_get_inner(&at, ret_inner) ? 0
					      : reason_set(why, -EINVAL, "the stored %s is malformed", key);
}
