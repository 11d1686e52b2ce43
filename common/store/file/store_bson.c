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

static const char *const also[] = {".bson.gz", NULL}; /* mongodump --gzip */

static const struct store_file_codec bson_codec = {.suffix = ".bson", .also = also, .measure = measure};

const struct store_backend store_backend_bson = STORE_FILE_BACKEND("bson", &bson_codec);
