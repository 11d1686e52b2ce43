/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents and numbers as plain JSON for the API's answers.
 */
#include "api/api_private.h"
#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define DEPTH_MAX 32

json_t *api_number(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

static json_t *json_of_date(int64_t time_ms)
{
	char text[TEXT_TIME_SIZE];

	return text_format_time(time_ms, text, sizeof(text)) ? json_sprintf("%sZ", text) : json_null();
}

static json_t *json_of_children(const bson_iter_t *iterator, bool array, unsigned depth);

static json_t *json_of_value(const bson_iter_t *iterator, unsigned depth)
{
	char oid[25];
	json_t *text;

	switch (bson_iter_type(iterator)) {
	case BSON_TYPE_DOUBLE:
		return api_number(bson_iter_double(iterator));
	case BSON_TYPE_INT32:
	case BSON_TYPE_INT64:
		return json_integer(bson_iter_as_int64(iterator));
	case BSON_TYPE_UTF8:
		text = json_string(bson_iter_utf8(iterator, NULL));
		return text ? text : json_null();
	case BSON_TYPE_BOOL:
		return json_boolean(bson_iter_bool(iterator));
	case BSON_TYPE_DATE_TIME:
		return json_of_date(bson_iter_date_time(iterator));
	case BSON_TYPE_OID:
		bson_oid_to_string(bson_iter_oid(iterator), oid);
		return json_string(oid);
	case BSON_TYPE_DOCUMENT:
		return json_of_children(iterator, false, depth + 1);
	case BSON_TYPE_ARRAY:
		return json_of_children(iterator, true, depth + 1);
	default:
		return json_null();
	}
}

static json_t *json_of_iterator(bson_iter_t *each, bool array, unsigned depth)
{
	json_t *value = array ? json_array() : json_object();

	while (value && depth < DEPTH_MAX && bson_iter_next(each)) {
		json_t *child = json_of_value(each, depth);

		if (array ? json_array_append_new(value, child) < 0
			  : json_object_set_new(value, bson_iter_key(each), child) < 0) {
			json_decref(value);
			return NULL;
		}
	}
	return value;
}

static json_t *json_of_children(const bson_iter_t *iterator, bool array, unsigned depth)
{
	bson_iter_t each;

	return bson_iter_recurse(iterator, &each) ? json_of_iterator(&each, array, depth) : json_null();
}

json_t *api_json_of_bson(const bson_t *document)
{
	bson_iter_t each;

	return bson_iter_init(&each, document) ? json_of_iterator(&each, false, 0) : NULL;
}

void api_answer_json(struct http_request *request, unsigned status, json_t *value)
{
	char *text = value ? json_dumps(value, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(12))
			   : NULL;

	if (text)
		http_answer_json(request, status, text);
	else
		http_answer_error(request, 500, "out of memory for the answer");
	free(text);
	json_decref(value);
}
