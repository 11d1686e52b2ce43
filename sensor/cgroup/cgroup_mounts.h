/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cgroup part of the mount table: a hierarchy may be mounted several times, and some of the mounts show
 * only a part of it. Pure, except that the table is read. Used by cgroup.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct cgroup_mounts;

/* Reads "/proc/self/mountinfo". 0, or a negative errno. */
int cgroup_mounts_read(const char *path, struct cgroup_mounts **ret_mounts);
void cgroup_mounts_free(struct cgroup_mounts *mounts);
/*
 * Ranks how much of its hierarchy the mount at this path shows: lower is more; INT_MAX if no cgroups are
 * mounted there. Of two equal ones, the one below /sys/fs/cgroup comes first.
 */
int cgroup_mounts_rank(const struct cgroup_mounts *mounts, const char *path);
/* Each mount, with the options of its hierarchy: v1's controllers are among them ("rw,cpu,cpuacct"). */
struct cgroup_mount {
	const char *root, *path, *options; /* as in the table */
	bool unified, read_only;
};
void cgroup_mounts_each(const struct cgroup_mounts *mounts,
			void (*each)(void *data, const struct cgroup_mount *mount), void *data);
/* Is the controller one of these options? */
bool cgroup_mounts_has(const char *options, const char *controller);
/* The best mount of the unified hierarchy that is_visible() accepts; "" if there is none. */
void cgroup_mounts_find_unified(const struct cgroup_mounts *mounts, bool (*is_visible)(const char *path),
				char *ret_path, size_t size);
