/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks where file stores may write. Called by their backends when they open.
 */
#include "store/store_path.h"
#include "base/folder.h"
#include "base/reason.h"
#include "store/store.h"
#include "store/store_uri.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool store_path_is_directory(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/* access() is not reliable for root, for example in /proc; only creating a file is. */
static int try_to_make(const char *folder)
{
	char path[PATH_MAX + 32];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/.wattribute-XXXXXX", folder);
	fd = mkstemp(path);
	if (fd < 0)
		return -errno;
	(void)unlink(path);
	(void)close(fd);
	return 0;
}

int store_path_check_writable(const char *path, bool is_directory)
{
	char above[PATH_MAX];
	struct stat status;

	int r = folder_make_above(path);
	if (r < 0)
		return r;
	if (stat(path, &status) == 0) {
		if (S_ISDIR(status.st_mode) != is_directory)
			return is_directory ? -ENOTDIR : -EISDIR;
		return access(path, is_directory ? W_OK | X_OK : W_OK) < 0 ? -errno : 0;
	}
	if (snprintf(above, sizeof(above), "%s", path) >= (int)sizeof(above))
		return -ENAMETOOLONG;
	char *slash = strrchr(above, '/');
	if (slash)
		slash[slash == above ? 1 : 0] = '\0';
	return access(slash ? above : ".", W_OK | X_OK) < 0 ? -errno : try_to_make(slash ? above : ".");
}

bool store_place_fits(const char *uri, struct reason *why)
{
	char path[PATH_MAX], display[256];
	struct store_uri parsed;
	struct stat status;
	bool file, folder;

	if (store_uri_parse(uri, &parsed, why) < 0)
		return false;
	if (!store_uri_path(uri, path, sizeof(path))[0] || strcmp(path, "-") == 0)
		return true;
	file = parsed.backend == &store_backend_sqlite;
	folder = parsed.backend == &store_backend_csv;
	(void)store_uri_display(uri, display, sizeof(display));
	if (stat(path, &status) < 0 && errno == ENOTDIR)
		reason_set(why, 0, "store '%s' cannot be opened: a part of its path is not a directory",
			   display);
	else if (stat(path, &status) == 0 && file && !S_ISREG(status.st_mode))
		reason_set(why, 0, "store '%s' cannot be opened: it is %s", display,
			   S_ISDIR(status.st_mode) ? "a directory: name a file in it" : "not a regular file");
	else if (stat(path, &status) == 0 && folder && !S_ISDIR(status.st_mode))
		reason_set(
			why, 0,
			"store '%s' cannot be opened: it is not a directory; csv: takes the directory that "
			"holds the files",
			display);
	else
		return true;
	return false;
}

int store_path_write(int fd, off_t at, const void *data, size_t length)
{
	const uint8_t *bytes = data;

	while (length > 0) {
		ssize_t n = at < 0 ? write(fd, bytes, length) : pwrite(fd, bytes, length, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		bytes += n;
		length -= (size_t)n;
		at += at < 0 ? 0 : n;
	}
	return 0;
}
