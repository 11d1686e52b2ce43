/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of BSON documents end to end, as mongodump writes them and mongorestore and bsondump read them.
 */
#include "store/file/store_file.h"

#include <errno.h>
#include <string.h>

#define DOCUMENT_SMALLEST 5
#define DOCUMENT_LARGEST  (16 * 1024 * 1024 + 16 * 1024)

static ssize_t measure(const uint8_t *data, size_t length)
{
	uint32_t word;

	if (length < sizeof(word))
		return 0;
	memcpy(&word, data, sizeof(word));
	if (word < DOCUMENT_SMALLEST || word > DOCUMENT_LARGEST)
		return -EBADMSG;
	if (word > length)
		return 0;
	return data[word - 1] == 0 ? (ssize_t)word : -EBADMSG;
}

static const struct store_file_codec bson_codec = {.suffix = ".bson", .measure = measure};

static int bson_open(struct store *store, const char *location, const struct store_options *options)
{
	return store_file_open(store, &bson_codec, location, options);
}

const struct store_backend store_backend_bson = {
	.name = "bson",
	.form = "bson:PATH",
	.traits = STORE_LOCAL | STORE_STREAM | STORE_BY_OFFSET,
	.open = bson_open,
	.close = store_file_close,
	.ensure = store_file_ensure,
	.append = store_file_append,
	.read = store_file_read,
	.put = store_file_put,
	.get = store_file_get,
	.list = store_file_list,
};
