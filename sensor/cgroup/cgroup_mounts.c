/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines of mountinfo: "36 35 98:0 /root /mount/point options tags - type source super-options". The root is
 * the directory of the hierarchy that the mount shows. Called by cgroup.c at start.
 */
#include "cgroup/cgroup_mounts.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TABLE_MAX (16 << 20)

struct cgroup_mounts {
	char *text;
	struct cgroup_mount *mounts;
	size_t n;
};

/* "\040" is a space, "\134" a backslash, as the kernel writes them; in place. */
static void unescape(char *text)
{
	char *to = text;

	for (const char *at = text; *at; at++) {
		unsigned code;

		if (*at == '\\' && sscanf(at + 1, "%3o", &code) == 1 && at[1] && at[2] && at[3]) {
			*to++ = (char)code;
			at += 3;
		} else {
			*to++ = *at;
		}
	}
	*to = '\0';
}

/* One line, split into its fields. False if it is malformed or not about cgroups. */
static bool parse_line(char *line, struct cgroup_mount *ret_mount)
{
	char *fields[6], *rest = line, *after = strstr(line, " - "), *type;

	if (!after)
		return false;
	*after = '\0';
	after += 3;
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (!(fields[i] = strsep(&rest, " ")))
			return false;
	type = strsep(&after, " ");
	if (strcmp(type, "cgroup") != 0 && strcmp(type, "cgroup2") != 0)
		return false;
	unescape(fields[3]);
	unescape(fields[4]);
	(void)strsep(&after, " "); /* the source */
	*ret_mount = (struct cgroup_mount){.root = fields[3],
					   .path = fields[4],
					   .options = after ? after : "",
					   .unified = strcmp(type, "cgroup2") == 0,
					   .read_only = cgroup_mounts_has(fields[5], "ro")};
	return true;
}

int cgroup_mounts_read(const char *path, struct cgroup_mounts **ret_mounts)
{
	struct cgroup_mounts *mounts = calloc(1, sizeof(*mounts));
	cleanup_(cleanup_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t length, n_lines = 1;
	char *rest;
	int r = !mounts ? -ENOMEM : fd < 0 ? -errno : text_read_whole(fd, TABLE_MAX, &mounts->text, &length);

	for (const char *at = r < 0 ? "" : mounts->text; *at; at++)
		n_lines += *at == '\n';
	if (r >= 0)
		mounts->mounts = calloc(n_lines, sizeof(*mounts->mounts));
	if (r < 0 || !mounts->mounts) {
		cgroup_mounts_free(mounts);
		return r < 0 ? r : -ENOMEM;
	}
	rest = mounts->text;
	for (char *line; (line = strsep(&rest, "\n"));)
		mounts->n += parse_line(line, &mounts->mounts[mounts->n]);
	*ret_mounts = mounts;
	return 0;
}

void cgroup_mounts_free(struct cgroup_mounts *mounts)
{
	if (!mounts)
		return;
	free(mounts->text);
	free(mounts->mounts);
	free(mounts);
}

/*
 * Number of folders between the hierarchy's root and the mounted directory. A mount from outside our cgroup
 * namespace shows "/..": more than our own root.
 */
static int depth_of(const char *root)
{
	int depth = 0;

	for (const char *at = root; (at = strchr(at, '/')) && at[1]; at++)
		depth += strncmp(at, "/..", 3) == 0 && (at[3] == '/' || !at[3]) ? -1 : 1;
	return depth;
}

static int rank_of(const struct cgroup_mount *mount)
{
	static const char usual[] = "/sys/fs/cgroup";

	return 2 * depth_of(mount->root) + (strncmp(mount->path, usual, strlen(usual)) != 0);
}

/* A later mount at the same place hides an earlier one. */
static const struct cgroup_mount *find_mount(const struct cgroup_mounts *mounts, const char *path)
{
	for (size_t i = mounts->n; i > 0; i--)
		if (strcmp(mounts->mounts[i - 1].path, path) == 0)
			return &mounts->mounts[i - 1];
	return NULL;
}

int cgroup_mounts_rank(const struct cgroup_mounts *mounts, const char *path)
{
	const struct cgroup_mount *mount = find_mount(mounts, path);

	return mount ? rank_of(mount) : INT_MAX;
}

void cgroup_mounts_find_unified(const struct cgroup_mounts *mounts, bool (*is_visible)(const char *path),
				char *ret_path, size_t size)
{
	int best = INT_MAX;

	ret_path[0] = '\0';
	for (size_t i = 0; i < mounts->n; i++) {
		const struct cgroup_mount *mount = &mounts->mounts[i];

		if (!mount->unified || find_mount(mounts, mount->path) != mount || rank_of(mount) >= best ||
		    !is_visible(mount->path))
			continue;
		best = rank_of(mount);
		(void)snprintf(ret_path, size, "%s", mount->path);
	}
}

void cgroup_mounts_each(const struct cgroup_mounts *mounts,
			void (*each)(void *data, const struct cgroup_mount *mount), void *data)
{
	for (size_t i = 0; i < mounts->n; i++)
		each(data, &mounts->mounts[i]);
}

bool cgroup_mounts_has(const char *options, const char *controller)
{
	const size_t n = strlen(controller);

	for (const char *at = options; at && *at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
		if (strncmp(at, controller, n) == 0 && (!at[n] || at[n] == ','))
			return true;
	return false;
}
