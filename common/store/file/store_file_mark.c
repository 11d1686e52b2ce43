/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recognises a file that is no longer the one that was read up to an offset: cut, rotated or replaced. Copies
 * that keep their beginning (rsync) are still the same, and so is a file that has been compressed since.
 * Called by store_file_read.c.
 */
#include "store/file/store_file.h"
#include "base/hash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>

#define MARK_BYTES 256

struct store_file_mark {
	uint64_t offset;
	uint64_t hash; /* of the bytes before it */
	UT_hash_handle hh;
	char path[];
};

static uint64_t hash_before(int fd, uint64_t offset)
{
	char bytes[MARK_BYTES];
	const size_t want = offset < sizeof(bytes) ? (size_t)offset : sizeof(bytes);
	ssize_t n;

	do
		n = pread(fd, bytes, want, (off_t)(offset - want));
	while (n < 0 && errno == EINTR);
	return hash_bytes(HASH_START, bytes, n > 0 ? (size_t)n : 0);
}

bool store_file_is_replaced(const struct store_file *file, const char *path, int fd, uint64_t offset)
{
	struct store_file_mark *mark;

	HASH_FIND_STR(file->marks, path, mark);
	return mark && offset > 0 && mark->offset == offset && mark->hash != hash_before(fd, offset);
}

void store_file_mark(struct store_file *file, const char *path, int fd, uint64_t offset)
{
	struct store_file_mark *mark;
	const size_t size = strlen(path) + 1;

	HASH_FIND_STR(file->marks, path, mark);
	if (mark && mark->offset == offset)
		return;
	if (!mark) {
		mark = calloc(1, sizeof(*mark) + size);
		if (!mark)
			return;
		memcpy(mark->path, path, size);
		HASH_ADD_STR(file->marks, path, mark);
	}
	mark->offset = offset;
	mark->hash = hash_before(fd, offset);
}

void store_file_forget_marks(struct store_file *file)
{
	struct store_file_mark *mark, *next;

	HASH_ITER(hh, file->marks, mark, next)
	{
		HASH_DEL(file->marks, mark);
		free(mark);
	}
}
