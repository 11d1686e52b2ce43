/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents and numbers as plain JSON for the API's answers.
 */
#include "api/api_private.h"
#include "document/bson_json.h"

#include <math.h>
#include <stdlib.h>

json_t *api_number(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

json_t *api_json_of_bson(const bson_t *document)
{
	struct batch text = {0};
	json_t *value = NULL;

	if (bson_json_append(&text, BSON_JSON_PLAIN, bson_get_data(document), document->len) == 0)
		value = json_loadb((const char *)text.data, text.length, 0, NULL);
	batch_done(&text);
	return value;
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
