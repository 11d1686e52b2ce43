/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which containers a hierarchy holds, found by the names of their cgroups: to choose among hierarchies, and
 * to say which containers are in another one than that which is watched. Called at start and now and then,
 * not in the tick.
 */
#pragma once

#include "cgroup/cgroup.h"

/* Is any container, VM or job in this hierarchy? */
bool cgroup_find_any(const char *mount);
/*
 * Containers that are in one of layout->others and not in the hierarchy that is watched; ret_path: the cgroup
 * of one of them. 0 where there are none, or no memory.
 */
unsigned cgroup_find_unseen(const struct cgroup_layout *layout, char *ret_path, size_t size);
