/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of a file store, for the files that make it up: store_file.c (open, append), store_file_read.c
 * (read, get, put; which collection is in which file).
 */
#pragma once

#include "store/file/store_file.h"

#include <limits.h>

struct store_file_output {
	char *collection;
	char *path;
	int fd;
	off_t end; /* behind the last whole document; -1: a stream that cannot be cut */
};

struct store_file {
	const struct store_file_codec *codec;
	char *location;
	bool directory;
	unsigned flags;
	struct store_file_output *outputs;
	unsigned n_outputs;
	struct batch encoded; /* bytes to write */
	struct batch chunk;   /* bytes read */
	struct batch one;     /* the document under the cursor */
	unsigned n_damaged;   /* documents passed over in this walk */
};

static inline struct store_file *store_file_of(const struct store *store)
{
	return store->private;
}

/* The file of a collection. False when the name does not fit, or holds a '/'. */
bool store_file_path(const struct store_file *file, const char *collection, char ret_path[PATH_MAX]);
/*
 * Calls `each` for the documents from *offset on (1: go on, 0: stop behind it). Ends with 0 and *offset
 * behind the last document taken; *ret_torn bytes are left that are no whole document. -ENOENT, -EBADMSG,
 * other errno.
 */
int store_file_walk(struct store_file *file, int fd, uint64_t *offset,
		    int (*each)(void *data, const uint8_t *document, size_t length), void *data,
		    uint64_t *ret_torn);
/* Closes the output of a path that was replaced. */
void store_file_forget(struct store_file *file, const char *path);
/* Writes the documents into a new file of that name, down to the disk. */
enum store_result store_file_write_whole(struct store *store, const char *path, const struct batch *batch);
