/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as the target of an HTTP request: parsed within bounds, all decoded text is UTF-8, and
 * routes match or not. The first line of the input is the target.
 */
#include "http/http_target.h"
#include "base/text.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_be_utf8(const char *text)
{
	while (*text) {
		size_t length = text_utf8_length(text);
		if (length == 0)
			abort();
		text += length;
	}
}

static void match_all(const struct http_target *target)
{
	static const char *const patterns[] = {
		"/", "/metrics", "/{database}/{machine}", "/api/{a}/x/{b}", "/static/*", "/*", ""};
	const char *parts[HTTP_PARTS_MAX];
	unsigned n;

	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
		n = 0;
		if (!http_target_match(target, patterns[i], parts, &n))
			continue;
		for (unsigned k = 0; k < n; k++) {
			if (strlen(parts[k]) >= HTTP_TARGET_MAX)
				abort();
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = memchr(data, '\n', size);
	size_t length = end ? (size_t)(end - data) : size;
	char *raw = malloc(length + 1), *form = malloc(size - length + 1);
	struct http_target *target = malloc(sizeof(*target)); /* so that a sanitizer guards its ends */

	if (!raw || !form || !target)
		abort();
	memcpy(form, data + length, size - length);
	form[size - length] = '\0';
	memcpy(raw, data, length);
	raw[length] = '\0';
	/* The rest of the input is a form in the body. */
	if (http_target_parse(raw, target) == 0 && http_target_add_form(target, form) == 0) {
		for (unsigned i = 0; i < target->n_parts; i++)
			must_be_utf8(target->parts[i]);
		for (unsigned i = 0; i < target->n_parameters; i++) {
			must_be_utf8(target->parameters[i].name);
			must_be_utf8(target->parameters[i].value);
		}
		match_all(target);
	}
	free(raw);
	free(form);
	free(target);
	return 0;
}
