/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The private folder of a `wattribute run` or `calibrate`. The lock on a file in it ends with its owner,
 * however that ends. Everything is removed relative to open folders, so that no link can lead elsewhere.
 */
#include "run/run_folder.h"
#include "base/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PREFIX    "wattribute-run."
#define LOCK      "owner"
#define DEPTH_MAX 4
#define TRIES_MAX 10

static int open_folder(int at, const char *name)
{
	return openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static void remove_content(int fd, unsigned depth)
{
	int copy = open_folder(fd, ".");
	DIR *entries = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *entry;

	if (!entries && copy >= 0)
		(void)close(copy);
	while (entries && (entry = readdir(entries))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (unlinkat(fd, entry->d_name, 0) < 0 && errno != ENOENT && depth < DEPTH_MAX) {
			cleanup_(cleanup_close) int below = open_folder(fd, entry->d_name);

			if (below >= 0)
				remove_content(below, depth + 1);
			(void)unlinkat(fd, entry->d_name, AT_REMOVEDIR);
		}
	}
	if (entries)
		(void)closedir(entries);
}

/*
 * Locks the folder's file. 0 with the lock, or a negative errno: -EWOULDBLOCK while its owner lives, -ENOENT
 * if it is being removed.
 */
static int lock(int folder, int flags, int *ret)
{
	struct stat one, other;
	int fd = openat(folder, LOCK, O_RDWR | O_NOFOLLOW | O_CLOEXEC | flags, 0600);
	int r = 0;

	if (fd < 0)
		return -errno;
	/* On a file system without locks nobody else gets one, either, and the folder stays. */
	if (flock(fd, LOCK_EX | LOCK_NB) < 0 && (errno == EWOULDBLOCK || !(flags & O_CREAT)))
		r = -errno;
	else if (fstat(fd, &one) < 0 || fstatat(folder, LOCK, &other, AT_SYMLINK_NOFOLLOW) < 0 ||
		 one.st_ino != other.st_ino)
		r = -ENOENT;
	if (r < 0)
		(void)close(fd);
	else
		*ret = fd;
	return r;
}

static void remove_if_dead(int at, const char *name)
{
	cleanup_(cleanup_close) int folder = open_folder(at, name);
	cleanup_(cleanup_close) int owner = -1;
	struct stat status;

	if (folder < 0 || fstat(folder, &status) < 0 || status.st_uid != geteuid() ||
	    lock(folder, 0, &owner) < 0)
		return;
	remove_content(folder, 0);
	(void)unlinkat(at, name, AT_REMOVEDIR);
}

static void remove_dead(const char *parent)
{
	DIR *entries = opendir(parent);
	const struct dirent *entry;

	while (entries && (entry = readdir(entries)))
		if (!strncmp(entry->d_name, PREFIX, strlen(PREFIX)))
			remove_if_dead(dirfd(entries), entry->d_name);
	if (entries)
		(void)closedir(entries);
}

static int make_one(const char *parent, struct run_folder *ret)
{
	cleanup_(cleanup_close) int folder = -1;
	int r;

	(void)snprintf(ret->path, sizeof(ret->path), "%s/" PREFIX "XXXXXX", parent);
	if (!mkdtemp(ret->path))
		return -errno;
	folder = open_folder(AT_FDCWD, ret->path);
	r = folder < 0 ? -errno : lock(folder, O_CREAT | O_EXCL, &ret->owner);
	if (r < 0)
		(void)rmdir(ret->path);
	return r;
}

int run_folder_make(const char *parent, struct run_folder *ret)
{
	int r = -EAGAIN;

	remove_dead(parent);
	/* Between its creation and its lock another run may take it for a dead one's. */
	for (unsigned i = 0; i < TRIES_MAX && (r == -EAGAIN || r == -EWOULDBLOCK || r == -ENOENT); i++)
		r = make_one(parent, ret);
	if (r < 0)
		ret->path[0] = '\0';
	return r;
}

void run_folder_remove(struct run_folder *folder)
{
	int fd;

	if (!folder->path[0])
		return;
	fd = open_folder(AT_FDCWD, folder->path);
	if (fd >= 0) {
		remove_content(fd, 0);
		(void)close(fd);
	}
	(void)rmdir(folder->path);
	(void)close(folder->owner);
	folder->path[0] = '\0';
}
