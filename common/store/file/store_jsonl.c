/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of JSON lines: one document per line, relaxed extended JSON, for tools like jq and for PowerAPI's
 * JSON input. `jsonl:-` is standard output.
 */
#include "store/file/store_file.h"
#include "document/bson_json.h"

#include <errno.h>
#include <string.h>

static int encode(struct batch *bytes, const uint8_t *document, size_t length)
{
	return bson_json_append(bytes, BSON_JSON_LINES, document, length);
}

static ssize_t decode(const uint8_t *data, size_t length, struct batch *ret_documents)
{
	const uint8_t *end = memchr(data, '\n', length);
	size_t line_length;
	int r;

	if (!end)
		return 0;
	line_length = (size_t)(end - data);
	/* Blanks at the end, and the comma of an array's element that was put on its own line. */
	while (line_length > 0 && strchr("\r \t,", data[line_length - 1]))
		line_length--;
	r = line_length > 0 ? bson_json_parse((const char *)data, line_length, ret_documents) : 0;
	return r < 0 ? r : end + 1 - data;
}

/* A damaged line does not affect the others. */
static size_t pass(const uint8_t *data, size_t length)
{
	const uint8_t *end = memchr(data, '\n', length);

	return end ? (size_t)(end + 1 - data) : length;
}

static const char *const also[] = {".jsonl.gz", ".json", ".json.gz", ".ndjson", ".ndjson.gz", NULL};

static const struct store_file_codec jsonl_codec = {
	.suffix = ".jsonl",
	.also = also,
	.encode = encode,
	.decode = decode,
	.pass = pass,
};

const struct store_backend store_backend_jsonl = STORE_FILE_BACKEND("jsonl", &jsonl_codec);
