/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Untrusted requests for recaps: "name=value" lines, parsed and checked, then written as documents;
 * and the same bytes as a stored request. Nothing may crash, and accepted requests must be valid.
 */
#include "recap/recap_query.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use_document(const struct recap_query *query)
{
	const struct recap_window *window = &query->request.window;
	bson_t document = BSON_INITIALIZER;
	struct recap recap;
	char text[512];

	if (!(window->begin_ms <= window->warmup_ms && window->warmup_ms <= window->execution_ms &&
	      window->execution_ms <= window->end_ms))
		abort();
	recap_init(&recap, window);
	if (recap_bson_write(&document, &query->request, &recap) < 0)
		abort();
	(void)recap_text(&query->request, &recap, text, sizeof(text));
	bson_destroy(&document);
}

static void use_lines(char *text)
{
	struct recap_query query;
	char *rest = text;

	if (recap_query_init(&query, "n1") < 0)
		return;
	for (char *line; (line = strsep(&rest, "\n"));) {
		char *value = strchr(line, '=');

		if (value)
			*value++ = '\0';
		recap_query_add(&query, line, value ? value : "");
	}
	if (recap_query_finish(&query, INT64_C(1700000100000)) == 0)
		use_document(&query);
	recap_query_done(&query);
}

static void use_stored(const uint8_t *data, size_t size)
{
	struct recap_request request;
	bson_iter_t each;
	bson_t document;

	if (!bson_init_static(&document, data, size) || !bson_iter_init(&each, &document))
		return;
	while (bson_iter_next(&each)) {
		if (recap_bson_read_request(&each, &request) == 0)
			recap_request_done(&request);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	if (!text)
		return 0;
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	use_lines(text);
	use_stored(data, size);
	free(text);
	return 0;
}
