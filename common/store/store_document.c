/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Identity, time and target from a document's bytes, and the comparison with a query. Pure. Called by the
 * stores.
 */
#include "store/store_document.h"
#include "document/bson_cursor.h"

#include <string.h>

bool store_document_read(const uint8_t *data, size_t length, struct store_document *ret_document)
{
	struct bson_cursor cursor;
	int r;

	*ret_document = (struct store_document){.data = data, .length = length};
	if (!bson_cursor_init(&cursor, data, length))
		return false;
	while ((r = bson_cursor_next(&cursor)) > 0) {
		if (bson_cursor_is(&cursor, "_id")) {
			ret_document->id_type = cursor.type;
			ret_document->id = cursor.value;
			ret_document->id_length = cursor.length;
		} else if (bson_cursor_is(&cursor, "timestamp")) {
			ret_document->has_time = bson_cursor_time(&cursor, &ret_document->time_ms);
		} else if (bson_cursor_is(&cursor, "target")) {
			ret_document->target = bson_cursor_string(&cursor);
		} else if (bson_cursor_is(&cursor, "groups")) {
			ret_document->kind = STORE_DOCUMENT_REPORT;
		} else if (bson_cursor_is(&cursor, "power")) {
			ret_document->kind = STORE_DOCUMENT_POWER;
		}
	}
	return r == 0;
}

bool store_document_has_id(const struct store_document *document, const char *id)
{
	size_t length = strlen(id) + 1;

	return document->id_type == BSON_TYPE_UTF8 && document->id_length == length + 4 &&
	       memcmp(document->id + 4, id, length) == 0;
}

bool store_document_same_id(const struct store_document *a, const struct store_document *b)
{
	return a->id_type && a->id_type == b->id_type && a->id_length == b->id_length &&
	       memcmp(a->id, b->id, a->id_length) == 0;
}

bool store_document_matches(const struct store_document *document, const struct store_query *query)
{
	if (query->after_ms != INT64_MIN && !(document->has_time && document->time_ms > query->after_ms))
		return false;
	if (query->until_ms != INT64_MAX && !(document->has_time && document->time_ms <= query->until_ms))
		return false;
	return !query->target || (document->target && strcmp(document->target, query->target) == 0);
}
