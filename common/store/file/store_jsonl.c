/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of JSON lines: one document per line (several are accepted when reading), relaxed extended JSON, for
 * tools like jq and for PowerAPI's JSON input. `jsonl:-` is standard output.
 */
#include "store/file/store_file.h"
#include "document/bson_json.h"

#include <errno.h>
#include <stdbool.h>

static int encode(struct batch *bytes, const uint8_t *document, size_t length)
{
	return bson_json_append(bytes, BSON_JSON_LINES, document, length);
}

/* Characters allowed around a document: blanks, and the comma of an array's element on a line of its own. */
static bool is_between(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == ',';
}

/*
 * The end of the document that begins here, or of the line if it closes none; *ret_closed tells which. A line
 * may have several documents; none extends beyond it.
 */
static size_t find_end(const uint8_t *data, size_t begin, size_t length, bool *ret_closed)
{
	bool in_text = false;
	unsigned depth = 0;
	size_t at = begin;

	*ret_closed = false;
	for (; at < length && data[at] != '\n' && !*ret_closed; at++) {
		const uint8_t c = data[at];

		if (in_text && c == '\\' && at + 1 < length && data[at + 1] != '\n')
			at++;
		else if (c == '"')
			in_text = !in_text;
		else if (!in_text && (c == '{' || c == '['))
			depth++;
		else if (!in_text && (c == '}' || c == ']') && depth > 0)
			*ret_closed = --depth == 0;
	}
	return at;
}

static ssize_t decode(const uint8_t *data, size_t length, struct batch *ret_documents)
{
	size_t begin = 0, end, next;
	bool closed;
	int r;

	while (begin < length && is_between(data[begin]))
		begin++;
	end = find_end(data, begin, length, &closed);
	for (next = end; next < length && is_between(data[next]);)
		next++;
	if (next == length)
		return 0;
	r = begin == end ? 0
	    : closed     ? bson_json_parse((const char *)data + begin, end - begin, ret_documents)
			 : -EBADMSG;
	return r < 0 ? r : (ssize_t)next + (data[next] == '\n');
}

/* A damaged document does not affect others. */
static size_t pass(const uint8_t *data, size_t length)
{
	bool closed;
	size_t end = find_end(data, 0, length, &closed);

	return end < length && data[end] == '\n' ? end + 1 : end;
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
