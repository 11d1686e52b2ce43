/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Folders and their parents. Called before rights are given up, and by stores when they open.
 */
#include "base/folder.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int folder_make_above(const char *path)
{
	char copy[PATH_MAX];

	if (snprintf(copy, sizeof(copy), "%s", path) >= (int)sizeof(copy))
		return -ENAMETOOLONG;
	for (char *slash = copy[0] ? strchr(copy + 1, '/') : NULL; slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(copy, 0755) < 0 && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	return 0;
}

int folder_make(const char *path, mode_t mode, uid_t uid, gid_t gid)
{
	int r = folder_make_above(path);

	if (r < 0)
		return r;
	if (mkdir(path, mode) < 0)
		return errno == EEXIST ? 0 : -errno;
	return uid != (uid_t)-1 && chown(path, uid, gid) < 0 ? -errno : 0;
}
