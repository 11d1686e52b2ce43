/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mount table as far as cgroups go: a hierarchy may be mounted several times, and some of the mounts show
 * only a part of it. Pure but for the reading of the table. Used by cgroup.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct cgroup_mounts;

/* Reads "/proc/self/mountinfo". 0, or a negative errno. */
int cgroup_mounts_read(const char *path, struct cgroup_mounts **ret_mounts);
void cgroup_mounts_free(struct cgroup_mounts *mounts);
/*
 * How much of its hierarchy the mount at this path shows: the less, the more; INT_MAX where no cgroups are
 * mounted. Of two that show the same, the one below /sys/fs/cgroup comes first.
 */
int cgroup_mounts_rank(const struct cgroup_mounts *mounts, const char *path);
/* The best mount of the unified hierarchy that is_visible() agrees to; "" when there is none. */
void cgroup_mounts_find_unified(const struct cgroup_mounts *mounts, bool (*is_visible)(const char *path),
				char *ret_path, size_t size);
