/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the bson and jsonl backends: files of documents that are appended to (store_file.c) and read by
 * offset (store_file_read.c, store_file_form.c). A codec defines the form of a document in the file. Private
 * to these.
 *
 * A location that is a directory, or ends in '/', holds one file for each collection. Any other location is
 * one file for the reports; `target*`, `recap*` and `state*` are stored next to it as STEM.COLLECTION.SUFFIX.
 */
#pragma once

#include "store/store_backend.h"

#include <limits.h>
#include <sys/stat.h>
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
	/* Bytes to skip after decode() returned -EBADMSG. NULL: the rest cannot be read either. */
	size_t (*pass)(const uint8_t *data, size_t length);
};

struct store_file_output {
	char *collection;
	char *path;
	int fd;
	off_t end; /* after the last complete document; -1: a stream that cannot be truncated */
};

#define STORE_FILE_PLAINS 64

/* A plain copy of a file that is compressed or in another form. */
struct store_file_plain {
	int fd; /* 0: none */
	struct stat of;
	bool cut; /* its end is damaged or missing */
};

struct store_file {
	const struct store_file_codec *codec;
	const char *location;
	bool directory;
	bool stream; /* standard output or a device: nothing is read, found or replaced there */
	unsigned flags;
	struct store_file_output *outputs;
	unsigned n_outputs;
	struct batch encoded; /* bytes to write */
	struct batch chunk;   /* bytes read */
	struct batch one;     /* the document under the cursor */
	unsigned n_damaged;   /* documents skipped in this walk */
	struct store_file_plain plains[STORE_FILE_PLAINS];
	unsigned next_plain;
	struct store_file_mark *marks; /* where reads of each file stopped: store_file_mark.c */
	bool takes_rest;       /* a last line without its line break counts; not if more will be appended */
	bool unpacking_failed; /* its end is damaged or missing */
};

/*
 * Returns the file itself, or a plain copy (see store_file_form.c). -EPROTO with the store's error set if it
 * is compressed in another way, or another errno; `fd` is then closed.
 */
int store_file_open_form(struct store *store, const char *path, int fd);
/* Closes the plain copies. */
void store_file_forget_plains(struct store_file *file);

/* Is it no longer the file that was read up to this offset? */
bool store_file_is_replaced(const struct store_file *file, const char *path, int fd, uint64_t offset);
/* Notes where a read stopped. */
void store_file_mark(struct store_file *file, const char *path, int fd, uint64_t offset);
void store_file_forget_marks(struct store_file *file);

static inline struct store_file *store_file_of(const struct store *store)
{
	return store->private;
}

/* The file of a collection. False if its name is too long for one, or contains a '/'. */
bool store_file_path(const struct store_file *file, const char *collection, char ret_path[PATH_MAX]);
/* Counts documents as refused because no such file can exist. */
enum store_result store_file_refuse_name(struct store *store, const char *collection, unsigned n_documents);
/*
 * Calls `each` for the documents from *offset on (1: continue, 0: stop after it). Ends with 0 and *offset
 * after the last document read; *ret_torn bytes remain that are not a complete document. -ENOENT, -EBADMSG,
 * other errno.
 */
int store_file_walk(struct store_file *file, int fd, uint64_t *offset,
		    int (*each)(void *data, const uint8_t *document, size_t length), void *data,
		    uint64_t *ret_torn);
/* Closes the output of a path that was replaced. */
void store_file_forget(struct store_file *file, const char *path);
/* Writes the documents to a new file of this name, and syncs it. */
enum store_result store_file_write_whole(struct store *store, const char *path, const struct batch *batch);

/* The backend of files in one form. */
#define STORE_FILE_BACKEND(name_, codec_)                                                                    \
	{                                                                                                    \
		.name = (name_), .form = name_ ":PATH", .codec = (codec_),                                   \
		.size = sizeof(struct store_file), .traits = STORE_LOCAL | STORE_STREAM | STORE_BY_OFFSET,   \
		.open = store_file_open, .close = store_file_close, .ensure = store_file_ensure,             \
		.append = store_file_append, .read = store_file_read, .put = store_file_put,                 \
		.get = store_file_get, .list = store_file_list,                                              \
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
