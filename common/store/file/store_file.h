/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the bson and jsonl backends share: files of documents that are appended to and read by offset. A codec
 * says how one document looks in the file. Private to the stores.
 *
 * A location that is a directory, or ends in '/', holds one file for each collection. Any other location is
 * one file: the reports go there; `target*`, `recap*` and `state*` go beside it into STEM.COLLECTION.SUFFIX.
 */
#pragma once

#include "store/store_backend.h"

#include <sys/types.h>

struct store_file_codec {
	const char *suffix;      /* ".bson" */
	const char *const *also; /* other suffixes of files that are read from a folder; NULL at the end */
	/* Appends the file's form of a document to `bytes`. NULL: the file contains BSON. */
	int (*encode)(struct batch *bytes, const uint8_t *document, size_t length);
	/*
	 * Length of the document at the start of the file's bytes, as in decode(); NULL: not BSON, use
	 * decode().
	 */
	ssize_t (*measure)(const uint8_t *data, size_t length);
	/*
	 * Reads the next document from the file's bytes. Returns the bytes consumed (an empty line adds no
	 * document), 0 if more bytes are needed, -EBADMSG if the bytes are not a document, -ENOMEM.
	 */
	ssize_t (*decode)(const uint8_t *data, size_t length, struct batch *ret_documents);
	/* Bytes to skip after decode() returned -EBADMSG. NULL: what follows cannot be read either. */
	size_t (*pass)(const uint8_t *data, size_t length);
};

/* The backend of files in one form. */
#define STORE_FILE_BACKEND(name_, codec_)                                                                    \
	{                                                                                                    \
		.name = (name_), .form = name_ ":PATH", .codec = (codec_),                                   \
		.traits = STORE_LOCAL | STORE_STREAM | STORE_BY_OFFSET, .open = store_file_open,             \
		.close = store_file_close, .ensure = store_file_ensure, .append = store_file_append,         \
		.read = store_file_read, .put = store_file_put, .get = store_file_get,                       \
		.list = store_file_list,                                                                     \
	}

int store_file_open(struct store *store, const char *location, const struct store_options *options);
void store_file_close(struct store *store);
enum store_result store_file_ensure(struct store *store, const char *collection, uint64_t retention_s,
				    int64_t now_ms);
enum store_result store_file_append(struct store *store, const char *collection, const struct batch *batch);
enum store_result store_file_read(struct store *store, const struct store_query *query,
				  struct batch *ret_documents, struct store_read *ret_read);
enum store_result store_file_put(struct store *store, const char *collection, const struct batch *batch);
enum store_result store_file_get(struct store *store, const char *collection, const char *id,
				 struct batch *ret_documents);
enum store_result store_file_list(struct store *store, const char *prefix,
				  void (*each)(void *data, const char *collection), void *data);
