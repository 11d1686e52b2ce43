/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a file store: documents from an offset on, or one by its ID. Damage is skipped if a codec can find
 * the next document, and counted. Called through store.c.
 */
#include "store/file/store_file.h"
#include "base/cleanup.h"
#include "store/store_document.h"
#include "document/collections.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK_FIRST  ((size_t)16 * 1024) /* new data since the last read is usually less */
#define CHUNK_BYTES  ((size_t)256 * 1024)
#define DOCUMENT_MAX ((size_t)48 * 1024 * 1024) /* 16 MiB of BSON can be three times as long in JSON */

/* Fills the chunk after its end, by `more` bytes at most. Bytes read, 0 at the end of the file. */
static ssize_t fill_chunk(struct batch *chunk, int fd, uint64_t file_offset, size_t more)
{
	ssize_t n;
	int r = batch_reserve(chunk, more);

	if (r < 0)
		return r;
	do
		n = pread(fd, chunk->data + chunk->length, more, (off_t)(file_offset + chunk->length));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	chunk->length += (size_t)n;
	return n;
}

/* The next document of the file's bytes, in place or decoded. As a codec's decode(); *ret_length 0: none. */
static ssize_t next_document(struct store_file *file, const uint8_t *data, size_t length,
			     const uint8_t **ret_document, size_t *ret_length)
{
	ssize_t taken;

	*ret_document = data;
	if (file->codec->measure) {
		taken = file->codec->measure(data, length);
		*ret_length = taken > 0 ? (size_t)taken : 0;
		return taken;
	}
	batch_clear(&file->one);
	taken = file->codec->decode(data, length, &file->one);
	*ret_document = file->one.data;
	*ret_length = file->one.n_documents ? file->one.length : 0;
	return taken;
}

/* Passes on the complete documents of the chunk. *ret_used: bytes consumed. 1: continue, 0: stop. */
static int walk_chunk(struct store_file *file,
		      int (*each)(void *data, const uint8_t *document, size_t length), void *data,
		      size_t *ret_used)
{
	const struct batch *chunk = &file->chunk;
	const uint8_t *document;
	size_t length;
	int r = 1;

	*ret_used = 0;
	while (r > 0 && *ret_used < chunk->length) {
		ssize_t taken = next_document(file, chunk->data + *ret_used, chunk->length - *ret_used,
					      &document, &length);

		if (taken == -EBADMSG && file->codec->pass) {
			*ret_used += file->codec->pass(chunk->data + *ret_used, chunk->length - *ret_used);
			file->n_damaged++;
			continue;
		}
		if (taken <= 0)
			return taken < 0 ? (int)taken : 1;
		*ret_used += (size_t)taken;
		if (length)
			r = each(data, document, length);
	}
	return r;
}

/* The end of a file: a last line without its line break is a document if it is a whole one. */
static int walk_rest(struct store_file *file, uint64_t *offset,
		     int (*each)(void *data, const uint8_t *document, size_t length), void *data,
		     uint64_t *ret_torn)
{
	struct batch *chunk = &file->chunk;
	const uint8_t *document;
	size_t length, used = 0, rest = chunk->length;
	ssize_t taken;
	int r = 1;

	*ret_torn = rest;
	if (!rest || !file->takes_rest || !file->codec->decode || batch_reserve(chunk, 1) < 0)
		return 0;
	chunk->data[chunk->length++] = '\n';
	while (r > 0 && used < rest) {
		taken = next_document(file, chunk->data + used, chunk->length - used, &document, &length);
		if (taken <= 0)
			break;
		used += (size_t)taken;
		if (length)
			r = each(data, document, length);
	}
	used = used < rest ? used : rest;
	*offset += used;
	/* If nothing is torn, the rest is just no longer wanted. */
	*ret_torn = r > 0 ? rest - used : 0;
	return r < 0 ? r : 0;
}

int store_file_walk(struct store_file *file, int fd, uint64_t *offset,
		    int (*each)(void *data, const uint8_t *document, size_t length), void *data,
		    uint64_t *ret_torn)
{
	struct batch *chunk = &file->chunk;
	size_t used, more = CHUNK_FIRST;
	int r;

	batch_clear(chunk);
	*ret_torn = 0;
	file->n_damaged = 0;
	for (;;) {
		ssize_t n = fill_chunk(chunk, fd, *offset, more);

		if (n < 0)
			return (int)n;
		if (n == 0)
			return walk_rest(file, offset, each, data, ret_torn);
		more = (size_t)n == more && more < CHUNK_BYTES ? 2 * more : more;
		r = walk_chunk(file, each, data, &used);
		*offset += used;
		if (r <= 0)
			return r;
		chunk->length -= used;
		memmove(chunk->data, chunk->data + used, chunk->length);
		if (chunk->length > DOCUMENT_MAX)
			return -EBADMSG;
	}
}

struct reading {
	const struct store_query *query;
	struct batch *documents;
	unsigned n;
	bool bounded; /* by time or target */
	bool full;
	int error;
};

static int read_one(void *data, const uint8_t *bytes, size_t length)
{
	struct reading *reading = data;
	struct store_document document;

	/* Without bounds, damaged documents are passed on too: the reader counts them. */
	if (reading->bounded && (!store_document_read(bytes, length, &document) ||
				 !store_document_matches(&document, reading->query)))
		return 1;
	reading->error = batch_append(reading->documents, bytes, length);
	reading->n++;
	reading->full = reading->query->limit && reading->n >= reading->query->limit;
	return reading->error < 0 ? reading->error : !reading->full;
}

/* Opens the file, or in a folder the same one with another suffix. Like open(2); returns the file's path. */
static int open_any_form(const struct store_file *file, char path[PATH_MAX])
{
	/* O_NONBLOCK: do not wait for the writer of a pipe. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	size_t stem = strlen(path) - strlen(file->codec->suffix);

	if (fd >= 0 || errno != ENOENT || !file->directory)
		return fd;
	for (const char *const *also = file->codec->also; also && *also && fd < 0; also++) {
		char other[PATH_MAX];

		if ((size_t)snprintf(other, sizeof(other), "%.*s%s", (int)stem, path, *also) >= sizeof(other))
			continue;
		fd = open(other, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (fd >= 0)
			memcpy(path, other, strlen(other) + 1);
		else if (errno != ENOENT)
			break;
	}
	return fd;
}

/* Documents are read, and reread, by their offset in a file: a pipe or a folder has none. */
static int check_is_file(struct store *store, const char *path, int fd)
{
	struct stat status;

	if (fstat(fd, &status) < 0 || S_ISREG(status.st_mode))
		return fd;
	(void)close(fd);
	(void)store_fail(store, STORE_DROP, "cannot read '%s': it is %s", path,
			 S_ISDIR(status.st_mode)    ? "a directory"
			 : S_ISFIFO(status.st_mode) ? "a pipe: save its output to a file first"
						    : "not a regular file");
	return -EPROTO;
}

/* Opens a collection's file to read. -ENOENT: there is none yet. */
static int open_to_read(struct store *store, const char *collection, char path[PATH_MAX])
{
	int fd;

	/* A collection that cannot be a file name does not exist. */
	if (!store_file_path(store_file_of(store), collection, path))
		return -ENOENT;
	fd = open_any_form(store_file_of(store), path);
	if (fd >= 0)
		fd = check_is_file(store, path, fd);
	if (fd >= 0 || fd == -EPROTO)
		return fd < 0 ? fd : store_file_open_form(store, path, fd);
	fd = -errno;
	(void)store_fail(store, STORE_RETRY, "cannot read '%s': %s", path, strerror(errno));
	return fd;
}

static enum store_result fail_walk(struct store *store, const char *path, uint64_t offset, int error)
{
	const struct batch *chunk = &store_file_of(store)->chunk;

	if (error == -EBADMSG && offset == 0 && chunk->length > 0 && memchr("{[", chunk->data[0], 2))
		return store_fail(store, STORE_DROP,
				  "'%s' holds no BSON, but looks like JSON: write jsonl:PATH", path);
	if (error == -EBADMSG)
		return store_fail(store, STORE_DROP,
				  "'%s' is damaged: no document at byte %" PRIu64
				  "; everything before it was read",
				  path, offset);
	return store_fail(store, STORE_RETRY, "cannot read '%s': %s", path, strerror(-error));
}

enum store_result store_file_read(struct store *store, const struct store_query *query,
				  struct batch *ret_documents, struct store_read *ret_read)
{
	struct reading reading = {
		.query = query,
		.documents = ret_documents,
		.bounded = query->after_ms != INT64_MIN || query->until_ms != INT64_MAX || query->target,
	};
	uint64_t torn;
	char path[PATH_MAX];
	int fd = store_file_of(store)->stream ? -ENOENT : open_to_read(store, query->collection, path);
	int r;

	if (fd < 0) {
		ret_read->end = true;
		return fd == -ENOENT ? STORE_OK : fd == -EPROTO ? STORE_DROP : STORE_RETRY;
	}
	ret_read->replaced = store_file_is_replaced(store_file_of(store), path, fd, ret_read->offset);
	ret_read->offset = ret_read->replaced ? 0 : ret_read->offset;
	store_file_of(store)->takes_rest = true;
	r = store_file_walk(store_file_of(store), fd, &ret_read->offset, read_one, &reading, &torn);
	store_file_of(store)->takes_rest = false;
	if (query->limit != 1) /* first_sensor() follows no file */
		store_file_mark(store_file_of(store), path, fd, ret_read->offset);
	(void)close(fd);
	store->statistics.round_trips++;
	if (r < 0)
		return fail_walk(store, path, ret_read->offset, r);
	ret_read->end = !reading.full;
	ret_read->damaged = store_file_of(store)->n_damaged;
	if (ret_read->damaged)
		(void)store_fail(store, STORE_OK,
				 "'%s': %u malformed lines before byte %" PRIu64 " were skipped", path,
				 ret_read->damaged, ret_read->offset);
	else if (ret_read->end && store_file_of(store)->unpacking_failed)
		(void)store_fail(
			store, STORE_OK,
			"'%s': the compressed file is damaged or cut short: everything before that was read",
			path);
	else if (torn)
		(void)store_fail(store, STORE_OK,
				 "'%s' ends with the first %" PRIu64 " bytes of an incomplete document", path,
				 torn);
	return STORE_OK;
}

/* Looks for one string _id; the last document with it counts. */
struct lookup {
	const char *id;
	struct batch *documents;
	size_t start; /* start of the found document in `documents` */
	unsigned before;
};

static int look_at_one(void *data, const uint8_t *bytes, size_t length)
{
	struct lookup *lookup = data;
	struct store_document document;
	int r;

	if (!store_document_read(bytes, length, &document))
		return 1;
	if (lookup->id && !store_document_has_id(&document, lookup->id))
		return 1;
	if (lookup->id) {
		lookup->documents->length = lookup->start;
		lookup->documents->n_documents = lookup->before;
	}
	r = batch_append(lookup->documents, bytes, length);
	return r < 0 ? r : 1;
}

enum store_result store_file_get(struct store *store, const char *collection, const char *id,
				 struct batch *ret_documents)
{
	struct lookup lookup = {id, ret_documents, ret_documents->length, ret_documents->n_documents};
	uint64_t offset = 0;
	uint64_t torn;
	char path[PATH_MAX];
	int fd = store_file_of(store)->stream ? -ENOENT : open_to_read(store, collection, path);
	int r;

	if (fd < 0)
		return fd == -ENOENT ? STORE_OK : STORE_RETRY;
	r = store_file_walk(store_file_of(store), fd, &offset, look_at_one, &lookup, &torn);
	(void)close(fd);
	return r < 0 ? fail_walk(store, path, offset, r) : STORE_OK;
}

static bool is_replaced(const struct batch *batch, const struct store_document *old)
{
	struct store_document document;
	const uint8_t *data;
	size_t offset = 0;
	size_t length;

	while (batch_next(batch, &offset, &data, &length) > 0)
		if (store_document_read(data, length, &document) && store_document_same_id(&document, old))
			return true;
	return false;
}

/* All documents of the collection, with those of the batch replacing older ones. */
static int merge(const struct batch *old, const struct batch *batch, struct batch *ret_merged)
{
	struct store_document document;
	const uint8_t *data;
	size_t offset = 0;
	size_t length;
	int r = 0;

	while (r == 0 && batch_next(old, &offset, &data, &length) > 0)
		if (store_document_read(data, length, &document) && !is_replaced(batch, &document))
			r = batch_append(ret_merged, data, length);
	return r < 0 ? r : batch_append_batch(ret_merged, batch);
}

/* Written to another file and renamed, so that a crash leaves either the old file or the new one. */
static enum store_result replace_file(struct store *store, const char *collection, const struct batch *merged)
{
	struct store_file *file = store_file_of(store);
	char path[PATH_MAX];
	char beside[PATH_MAX + 8];
	enum store_result result;

	if (!store_file_path(file, collection, path))
		return store_file_refuse_name(store, collection, merged->n_documents);
	(void)snprintf(beside, sizeof(beside), "%s.new", path);
	store_file_forget(file, path);
	result = store_file_write_whole(store, beside, merged);
	if (result != STORE_OK)
		return result;
	if (rename(beside, path) < 0)
		return store_fail(store, STORE_RETRY, "cannot replace '%s': %s", path, strerror(errno));
	return STORE_OK;
}

enum store_result store_file_put(struct store *store, const char *collection, const struct batch *batch)
{
	struct batch old = {0};
	struct batch merged = {0};
	enum store_result result;

	/* A stream cannot replace documents; a recap is written once. */
	if (store_file_of(store)->stream)
		return collection_machine(COLLECTION_RECAPS, collection)
			       ? store_file_append(store, collection, batch)
			       : STORE_OK;
	result = store_file_get(store, collection, NULL, &old);
	if (result == STORE_OK && merge(&old, batch, &merged) < 0)
		result = store_fail(store, STORE_RETRY, "out of memory replacing documents");
	if (result == STORE_OK)
		result = replace_file(store, collection, &merged);
	if (result == STORE_OK)
		store->statistics.appended += batch->n_documents;
	batch_done(&old);
	batch_done(&merged);
	return result;
}
