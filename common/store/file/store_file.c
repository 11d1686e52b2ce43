/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of documents: opening and appending. A batch is written completely or, on a full disk, not at all; a
 * document truncated by a crash is removed at the next write. Called by the bson and jsonl backends.
 */
#include "store/file/store_file.h"
#include "base/array.h"
#include "base/folder.h"
#include "store/store_path.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Checks permission, and that no other process writes to the file: the lock is taken permanently at the first
 * write.
 */
static int check_writable(const struct store_file *file)
{
	int r = store_path_check_writable(file->location, file->directory);
	int fd = r < 0 || file->directory ? -1 : open(file->location, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return r;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		r = -EBUSY;
	(void)close(fd);
	return r;
}

/* Written data is read again, to continue after the last document, which is impossible for a pipe. */
static bool is_pipe(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 && (S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode));
}

/* Standard output, or a device: it has no end at which to continue, and reading it may never end. */
static bool is_stream(const char *path)
{
	struct stat status;

	return strcmp(path, "-") == 0 || (stat(path, &status) == 0 && S_ISCHR(status.st_mode));
}

static bool is_standard_input(const char *location)
{
	return strcmp(location, "-") == 0 || strcmp(location, "/dev/stdin") == 0 ||
	       strcmp(location, "/dev/fd/0") == 0;
}

/* Explains why a file cannot be opened, with a fix. */
static void refuse_open(struct store *store, const char *location, bool write, int error)
{
	if (error == -ESPIPE && write)
		(void)store_fail(store, STORE_DROP,
				 "'%s' is a pipe: write '%s:-' and redirect standard output to it", location,
				 store->backend->name);
	else if (error == -ESPIPE)
		(void)store_fail(store, STORE_DROP,
				 "cannot read '%s': documents are read by their position in a file: save "
				 "standard input to a file, and give its path",
				 location);
	else if (write)
		(void)store_fail(store, STORE_RETRY, "cannot write '%s': %s; choose another path", location,
				 error == -EBUSY ? "it is being written by another process"
						 : strerror(-error));
	else
		(void)store_fail(store, STORE_RETRY, "cannot read '%s': %s", location, strerror(-error));
}

int store_file_open(struct store *store, const char *location, const struct store_options *options)
{
	struct store_file *file = store_file_of(store);
	size_t length = strlen(location);
	int r;

	file->location = store->location;
	file->codec = store->backend->codec;
	file->flags = options->flags;
	file->directory = location[length - 1] == '/' || store_path_is_directory(location);
	if (file->directory && length > 1 && location[length - 1] == '/')
		store->location[length - 1] = '\0';
	file->stream = options->flags & STORE_WRITE && is_stream(location);
	if (options->flags & STORE_WRITE)
		r = strcmp(location, "-") == 0 ? 0 : is_pipe(location) ? -ESPIPE : check_writable(file);
	else
		r = is_standard_input(location) ? -ESPIPE : access(location, R_OK) < 0 ? -errno : 0;
	if (r < 0)
		refuse_open(store, location, options->flags & STORE_WRITE, r);
	return r;
}

static void close_output(struct store_file_output *output)
{
	if (output->fd > STDERR_FILENO)
		(void)close(output->fd);
	free(output->collection);
	free(output->path);
}

void store_file_close(struct store *store)
{
	struct store_file *file = store_file_of(store);

	for (unsigned i = 0; i < file->n_outputs; i++)
		close_output(&file->outputs[i]);
	store_file_forget_plains(file);
	store_file_forget_marks(file);
	free(file->outputs);
	batch_done(&file->encoded);
	batch_done(&file->chunk);
	batch_done(&file->one);
}

void store_file_forget(struct store_file *file, const char *path)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < file->n_outputs; i++) {
		if (strcmp(file->outputs[i].path, path) == 0)
			close_output(&file->outputs[i]);
		else
			file->outputs[kept++] = file->outputs[i];
	}
	file->n_outputs = kept;
}

static int go_on(void *data, const uint8_t *document, size_t length)
{
	(void)data, (void)document, (void)length;
	return 1;
}

static int stop_here(void *data, const uint8_t *document, size_t length)
{
	(void)document, (void)length;
	*(bool *)data = true;
	return 0;
}

/*
 * Of a file of lines, which may be long, only the first document and the last line break are looked for.
 * False: it has to be read.
 */
static bool find_last_line(struct store_file *file, int fd, uint64_t *ret_end, uint64_t *ret_torn)
{
	const off_t size = lseek(fd, 0, SEEK_END);
	uint64_t offset = 0;
	bool found = false;
	char block[4096];

	if (!file->codec->pass || size <= 0 ||
	    store_file_walk(file, fd, &offset, stop_here, &found, ret_torn) < 0 || !found)
		return false;
	for (off_t end = size; end > 0;) {
		const size_t length = end < (off_t)sizeof(block) ? (size_t)end : sizeof(block);
		const char *at;

		end -= (off_t)length;
		if (pread(fd, block, length, end) != (ssize_t)length)
			return false;
		at = memrchr(block, '\n', length);
		if (at) {
			*ret_end = (uint64_t)end + (uint64_t)(at - block) + 1;
			*ret_torn = (uint64_t)size - *ret_end;
			return true;
		}
	}
	return false;
}

/* Finds the end of the last complete document and truncates remains of a crash after it. */
static int mend_end(struct store *store, const char *path, int fd, off_t *ret_end)
{
	struct store_file *file = store_file_of(store);
	uint64_t offset = 0;
	uint64_t torn = 0;
	int r = find_last_line(file, fd, &offset, &torn)
			? 0
			: store_file_walk(file, fd, &offset, go_on, NULL, &torn);

	if (r < 0) {
		(void)store_fail(store, STORE_DROP,
				 "'%s' holds no %s documents at byte %" PRIu64 "; move it away", path,
				 file->codec->suffix + 1, offset);
		return r;
	}
	*ret_end = (off_t)offset;
	if (torn == 0)
		return 0;
	if (ftruncate(fd, *ret_end) < 0)
		return -errno;
	(void)store_fail(store, STORE_OK,
			 "'%s': the last document was cut short by a crash; its %" PRIu64
			 " bytes were removed",
			 path, torn);
	return 0;
}

/* All files are created here, including their folder. The descriptor, or a negative errno. */
static int create_file(const char *path, int flags)
{
	int fd;

	(void)folder_make_above(path);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | flags, 0644);
	return fd < 0 ? -errno : fd;
}

static int open_file(struct store *store, const char *path, off_t *ret_end)
{
	struct store_file *file = store_file_of(store);
	int fd;
	int r;

	*ret_end = -1;
	if (strcmp(path, "-") == 0)
		return STDOUT_FILENO;
	fd = create_file(path, 0);
	if (fd < 0) {
		(void)store_fail(store, STORE_RETRY, "cannot write '%s': %s", path, strerror(-fd));
		return fd;
	}
	if (file->stream)
		return fd;
	r = flock(fd, LOCK_EX | LOCK_NB) < 0 ? -EBUSY : 0;
	if (r < 0)
		(void)store_fail(store, STORE_RETRY, "'%s' is being written by another process", path);
	else if (file->flags & STORE_OVERWRITE && ftruncate(fd, 0) < 0)
		r = -errno;
	else
		r = mend_end(store, path, fd, ret_end);
	if (r == 0)
		return fd;
	(void)close(fd);
	return r;
}

static int add_output(struct store *store, const char *collection, const char *path)
{
	struct store_file *file = store_file_of(store);
	struct store_file_output output = {0};

	output.fd = open_file(store, path, &output.end);
	if (output.fd < 0)
		return output.fd;
	output.collection = strdup(collection);
	output.path = strdup(path);
	if (!output.collection || !output.path || !ARRAY_RESIZE(file->outputs, file->n_outputs + 1)) {
		close_output(&output);
		return -ENOMEM;
	}
	file->outputs[file->n_outputs++] = output;
	return 0;
}

/* The open file of a collection; two collections may share one. NULL: the store's error has the reason. */
static struct store_file_output *output_of(struct store *store, const char *collection)
{
	struct store_file *file = store_file_of(store);
	char path[PATH_MAX];

	for (unsigned i = 0; i < file->n_outputs; i++)
		if (strcmp(file->outputs[i].collection, collection) == 0)
			return &file->outputs[i];
	if (!store_file_path(file, collection, path))
		return NULL;
	for (unsigned i = 0; i < file->n_outputs; i++)
		if (strcmp(file->outputs[i].path, path) == 0)
			return &file->outputs[i];
	return add_output(store, collection, path) < 0 ? NULL : &file->outputs[file->n_outputs - 1];
}

/* The batch as bytes of the file: unchanged, or through the codec. */
static int encode_batch(struct store_file *file, const struct batch *batch, const struct batch **ret_bytes)
{
	const uint8_t *document;
	size_t offset = 0;
	size_t length;
	int r;

	*ret_bytes = batch;
	if (file->codec->encode) {
		*ret_bytes = &file->encoded;
		batch_clear(&file->encoded);
	}
	while ((r = batch_next(batch, &offset, &document, &length)) > 0) {
		r = file->codec->encode ? file->codec->encode(&file->encoded, document, length) : 0;
		if (r < 0)
			return r;
	}
	return r;
}

enum store_result store_file_write_whole(struct store *store, const char *path, const struct batch *batch)
{
	struct store_file_output output = {.fd = create_file(path, O_TRUNC)};
	const struct batch *bytes = batch;
	int r = output.fd < 0 ? output.fd : encode_batch(store_file_of(store), batch, &bytes);

	if (r == 0)
		r = store_path_write(output.fd, output.end, bytes->data, bytes->length);
	if (r == 0 && fdatasync(output.fd) < 0)
		r = -errno;
	if (output.fd >= 0)
		(void)close(output.fd);
	if (r == 0)
		return STORE_OK;
	(void)unlink(path);
	return store_fail(store, STORE_RETRY, "cannot write '%s': %s", path, strerror(-r));
}

enum store_result store_file_append(struct store *store, const char *collection, const struct batch *batch)
{
	struct store_file *file = store_file_of(store);
	struct store_file_output *output = output_of(store, collection);
	const struct batch *bytes;
	char path[PATH_MAX];
	int r;

	if (!output && !store_file_path(file, collection, path))
		return store_file_refuse_name(store, collection, batch->n_documents);
	if (!output)
		return STORE_RETRY;
	r = encode_batch(file, batch, &bytes);
	if (r < 0) {
		store->statistics.dropped += batch->n_documents;
		return store_fail(store, STORE_DROP, "a document is malformed: %s", strerror(-r));
	}
	r = store_path_write(output->fd, output->end, bytes->data, bytes->length);
	if (r < 0) {
		if (output->end >= 0)
			(void)!ftruncate(output->fd, output->end);
		return store_fail(store, STORE_RETRY, "cannot write '%s': %s%s", output->path, strerror(-r),
				  r == -ENOSPC ? "; free some space" : "");
	}
	if (output->end >= 0)
		output->end += (off_t)bytes->length;
	store->statistics.appended += batch->n_documents;
	store->statistics.round_trips++;
	return STORE_OK;
}

enum store_result store_file_ensure(struct store *store, const char *collection, uint64_t retention_s,
				    int64_t now_ms)
{
	(void)collection, (void)now_ms;
	if (retention_s == 0)
		return STORE_OK;
	return store_fail(store, STORE_OK,
			  "files keep every document: retention needs sqlite:PATH or mongodb://HOST");
}
