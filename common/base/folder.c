/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Folders and their parents, and the default of --state-dir. Called when options are settled, before
 * privileges are dropped, and by stores when they open.
 */
#include "base/folder.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

DIR *folder_open(const char *format, ...)
{
	char path[PATH_MAX];
	va_list arguments;
	int n;

	va_start(arguments, format);
	n = vsnprintf(path, sizeof(path), format, arguments);
	va_end(arguments);
	if (n >= 0 && n < (int)sizeof(path))
		return opendir(path);
	errno = ENAMETOOLONG;
	return NULL;
}

void folder_close(DIR **folder)
{
	if (*folder)
		(void)closedir(*folder);
}

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

/* Made as its later owner: root without CAP_DAC_OVERRIDE, as in a container, may not write there. */
static int make_as(const char *path, mode_t mode, uid_t uid, gid_t gid)
{
	const uid_t own_uid = geteuid();
	const gid_t own_gid = getegid();
	int r = -EACCES;

	if (setegid(gid) < 0)
		return r;
	if (seteuid(uid) == 0)
		r = mkdir(path, mode) < 0 ? -errno : 0;
	if (seteuid(own_uid) < 0 || setegid(own_gid) < 0)
		return -EPERM; /* cannot happen: both are saved ids */
	return r;
}

int folder_make(const char *path, mode_t mode, uid_t uid, gid_t gid)
{
	int r = folder_make_above(path);

	if (r < 0)
		return r;
	if (mkdir(path, mode) == 0)
		r = uid != (uid_t)-1 && chown(path, uid, gid) < 0 ? -errno : 0;
	else if (errno == EACCES && uid != (uid_t)-1)
		return make_as(path, mode, uid, gid);
	else
		return errno == EEXIST ? 0 : -errno;
	if (r < 0)
		(void)rmdir(path); /* so that the next attempt finds it missing, not owned by another user */
	return r;
}

static char *join(const char *first, const char *second)
{
	char *joined = NULL;

	return asprintf(&joined, "%s%s", first, second) < 0 ? NULL : joined;
}

char *folder_state_default(void)
{
	const char *given = getenv("STATE_DIRECTORY"); /* systemd's StateDirectory= */
	const char *state = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME");

	if (given && given[0])
		return strdup(given);
	if (geteuid() == 0)
		return strdup("/var/lib/wattribute");
	if (state && state[0])
		return join(state, "/wattribute");
	return join(home && home[0] ? home : "/tmp", "/.local/state/wattribute");
}
