/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks a hierarchy's directories down to the first container on each path. Called by cgroup.c and by
 * collect.
 */
#include "cgroup/cgroup_find.h"

#include "base/cleanup.h"
#include "base/folder.h"
#include "cgroup/identity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#define FIND_DEPTH_MAX 24

/* A container as described by its cgroup's name. */
struct found {
	UT_hash_handle hh;
	char key[];
};

struct walk {
	const char *mount;
	struct found *seen; /* the set that is filled or compared with */
	bool compare;
	unsigned n; /* containers, or those that are not in the set */
	bool first_only;
	char first[CGROUP_PATH_MAX];
};

static void note(struct walk *walk, const char *path, const struct identity *identity)
{
	const char *key = identity->id[0] ? identity->id : path;
	const size_t length = strlen(key);
	struct found *found;

	HASH_FIND(hh, walk->seen, key, length, found);
	if (walk->compare && found)
		return;
	if (walk->n++ == 0)
		(void)snprintf(walk->first, sizeof(walk->first), "%.*s%.*s", 255, walk->mount,
			       (int)sizeof(walk->first) - 256, path);
	if (walk->compare || found || walk->first_only)
		return;
	found = calloc(1, sizeof(*found) + length + 1);
	if (!found)
		return;
	memcpy(found->key, key, length + 1);
	HASH_ADD_KEYPTR(hh, walk->seen, found->key, length, found);
}

static bool is_container(const struct identity *identity)
{
	switch (identity->kind) {
	case IDENTITY_OTHER:
	case IDENTITY_SERVICE:
	case IDENTITY_SCOPE:
	case IDENTITY_FLATPAK:
	case IDENTITY_SNAP:
	case IDENTITY_SLICE:
	case IDENTITY_MONITOR:
	case IDENTITY_KINDS:
		return false;
	default:
		return identity->role == IDENTITY_ROLE_TARGET;
	}
}

static void walk_below(struct walk *walk, char *path, size_t length, unsigned depth)
{
	cleanup_(folder_close) DIR *dir = folder_open("%s%.*s", walk->mount, (int)length, path);

	for (const struct dirent *entry; dir && (entry = readdir(dir));) {
		const size_t n = strlen(entry->d_name);
		struct identity identity;

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.' || length + n + 2 > CGROUP_PATH_MAX ||
		    (walk->first_only && walk->n > 0))
			continue;
		(void)snprintf(path + length, CGROUP_PATH_MAX - length, "/%s", entry->d_name);
		if (identity_parse(path, 0, &identity) < 0)
			continue;
		if (is_container(&identity))
			note(walk, path, &identity);
		else if (depth < FIND_DEPTH_MAX)
			walk_below(walk, path, length + n + 1, depth + 1);
	}
}

static void run(struct walk *walk, const char *mount)
{
	char path[CGROUP_PATH_MAX] = "";

	walk->mount = mount;
	walk_below(walk, path, 0, 0);
}

bool cgroup_find_any(const char *mount)
{
	struct walk walk = {.first_only = true};

	run(&walk, mount);
	return walk.n > 0;
}

unsigned cgroup_find_unseen(const struct cgroup_layout *layout, char *ret_path, size_t size)
{
	struct walk walk = {0};
	struct found *found, *next;

	run(&walk, layout->mount);
	walk.compare = true;
	walk.n = 0;
	for (unsigned i = 0; i < layout->n_others; i++)
		run(&walk, layout->others[i]);
	if (walk.n > 0)
		(void)snprintf(ret_path, size, "%s", walk.first);
	HASH_ITER(hh, walk.seen, found, next)
	{
		HASH_DEL(walk.seen, found);
		free(found);
	}
	return walk.n;
}
