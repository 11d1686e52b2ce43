/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files for targets whose readers open paths: a folder in memory, made once for the process and removed at
 * its exit. A rewritten file keeps its descriptor and inode, which is several times cheaper than a
 * new one. A header with static functions, so that a target needs no further object.
 */
#pragma once

#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FUZZ_FUNCTION  __attribute__((unused)) static
#define FUZZ_FILES_MAX 24
#define FUZZ_BEGIN_MAX 512

struct fuzz_file {
	const char *path; /* below the folder; compared by address first */
	int fd;
	bool is_open;
	size_t size;
	uint8_t begin[FUZZ_BEGIN_MAX]; /* of the content */
};

static char fuzz_root[64];
static struct fuzz_file fuzz_files[FUZZ_FILES_MAX];

FUZZ_FUNCTION int fuzz_remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
	(void)status, (void)kind, (void)where;
	return remove(path);
}

/* At the end: a later count of descriptors sees only those that the readers have left open. */
FUZZ_FUNCTION void fuzz_remove(void)
{
	for (struct fuzz_file *file = fuzz_files; file < fuzz_files + FUZZ_FILES_MAX; file++)
		if (file->is_open)
			(void)close(file->fd);
	(void)nftw(fuzz_root, fuzz_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* The folder; made by the first call. */
FUZZ_FUNCTION const char *fuzz_folder(void)
{
	if (fuzz_root[0])
		return fuzz_root;
	(void)snprintf(fuzz_root, sizeof(fuzz_root), "%s/wattribute-fuzz-XXXXXX",
		       access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (!mkdtemp(fuzz_root) || atexit(fuzz_remove) != 0)
		abort();
	return fuzz_root;
}

FUZZ_FUNCTION int fuzz_create(const char *path)
{
	char whole[256];
	int fd;

	(void)snprintf(whole, sizeof(whole), "%s/%s", fuzz_folder(), path);
	for (char *at = whole + strlen(fuzz_root) + 1; (at = strchr(at, '/')); *at++ = '/') {
		*at = '\0';
		(void)mkdir(whole, 0700);
	}
	fd = open(whole, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		abort();
	return fd;
}

FUZZ_FUNCTION struct fuzz_file *fuzz_find(const char *path)
{
	struct fuzz_file *file = fuzz_files;

	while (file->path && file->path != path && strcmp(file->path, path) != 0)
		if (++file == fuzz_files + FUZZ_FILES_MAX)
			abort();
	if (!file->is_open)
		*file = (struct fuzz_file){.path = path, .fd = fuzz_create(path), .is_open = true};
	return file;
}

/* The content of a file of the folder. `path` stays valid. */
FUZZ_FUNCTION void fuzz_write(const char *path, const void *data, size_t size)
{
	const struct fuzz_file *file = fuzz_find(path);

	if (ftruncate(file->fd, 0) < 0 || pwrite(file->fd, data, size, 0) != (ssize_t)size)
		abort();
}

/* The same for a file that is written only here: it is left alone if it already has this content. */
FUZZ_FUNCTION void fuzz_keep(const char *path, const void *data, size_t size)
{
	struct fuzz_file *file = fuzz_find(path);

	if (size <= FUZZ_BEGIN_MAX && size == file->size && memcmp(file->begin, data, size) == 0)
		return;
	if ((size < file->size && ftruncate(file->fd, (off_t)size) < 0) ||
	    pwrite(file->fd, data, size, 0) != (ssize_t)size)
		abort();
	file->size = size;
	if (size <= FUZZ_BEGIN_MAX)
		memcpy(file->begin, data, size);
}

/* Removes a file; the next fuzz_write() makes a new one. False: there was none. */
FUZZ_FUNCTION bool fuzz_unlink(const char *path)
{
	char whole[256];

	for (struct fuzz_file *file = fuzz_files; file < fuzz_files + FUZZ_FILES_MAX && file->path; file++) {
		if (file->is_open && strcmp(file->path, path) == 0) {
			(void)close(file->fd);
			file->is_open = false;
		}
	}
	(void)snprintf(whole, sizeof(whole), "%s/%s", fuzz_folder(), path);
	return unlink(whole) == 0;
}
