/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of a file store, for its files: store_file.c (open, append), store_file_read.c (read, get, put;
 * which collection is in which file).
 */
#pragma once

#include "store/file/store_file.h"

#include <limits.h>
#include <sys/stat.h>

struct store_file_output {
	char *collection;
	char *path;
	int fd;
	off_t end; /* after the last complete document; -1: a stream that cannot be truncated */
};

#define STORE_FILE_PLAINS 64

/* A file in the form that is read here, of one that is packed or written otherwise. */
struct store_file_plain {
	int fd; /* 0: none */
	struct stat of;
	bool cut; /* its end is damaged or missing */
};

struct store_file {
	const struct store_file_codec *codec;
	char *location;
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
	bool takes_rest; /* a last line without its line break counts; not where more will be appended */
	bool unpacking_failed; /* its end is damaged or missing */
};

/*
 * The file itself, or one with its documents in the form that is read here (see store_file_form.c). -EPROTO
 * with the store's error set where it is packed otherwise, or another errno; `fd` is closed then.
 */
int store_file_open_form(struct store *store, const char *path, int fd);
/* Closes what is unpacked. */
void store_file_forget_plains(struct store_file *file);

static inline struct store_file *store_file_of(const struct store *store)
{
	return store->private;
}

/* The file of a collection. False if the name does not fit, or contains a '/'. */
bool store_file_path(const struct store_file *file, const char *collection, char ret_path[PATH_MAX]);
/* The same, with an error of the store where there is none. */
bool store_file_name(struct store *store, const char *collection, char ret_path[PATH_MAX]);
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
/* Writes the documents to a new file of that name, and syncs it. */
enum store_result store_file_write_whole(struct store *store, const char *path, const struct batch *batch);
