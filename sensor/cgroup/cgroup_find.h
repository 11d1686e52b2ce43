/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the containers in a hierarchy by the names of their cgroups: to choose a hierarchy, and to report
 * containers outside the watched one. Called at start and from time to time, not in the tick.
 */
#pragma once

#include "cgroup/cgroup.h"

/* Is any container, VM or job in this hierarchy? */
bool cgroup_find_any(const char *mount);
/*
 * Number of containers that are in one of layout->others but not in the watched hierarchy; ret_path: the
 * cgroup of one of them. 0 if there are none, or if out of memory.
 */
unsigned cgroup_find_unseen(const struct cgroup_layout *layout, char *ret_path, size_t size);
