/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cgroup of its own for a measured command: /wattribute/NAME in each hierarchy in which the sensor may
 * count (v2; of v1 perf_event and cpuacct). client_run.c calls it, and client_calibrate.c
 * for its loads.
 */
#pragma once

#include "base/reason.h"

#include <limits.h>

#define RUN_CGROUP_HIERARCHIES 4
#define RUN_CGROUP_NAME_SIZE   64

struct run_cgroup {
	char name[RUN_CGROUP_NAME_SIZE];
	unsigned n_paths;
	char paths[RUN_CGROUP_HIERARCHIES][PATH_MAX];
	char homes[RUN_CGROUP_HIERARCHIES][PATH_MAX]; /* the cgroup that this process is in */
	int locks[RUN_CGROUP_HIERARCHIES];            /* held while its client lives */
};

/*
 * Creates it. The name is `wanted`, with invalid characters replaced by '-', and a number appended if it is
 * taken; an empty one that a killed client left behind is replaced. 0, or a negative errno with the reason
 * and the fix in `why`; then nothing is left over.
 */
int run_cgroup_make(const char *wanted, struct run_cgroup *ret_cgroup, struct reason *why);
/* The same with exactly this name; -EBUSY: it is taken. */
int run_cgroup_make_only(const char *wanted, struct run_cgroup *ret_cgroup, struct reason *why);
/* Moves the calling process into it. Safe after fork(). 0 or a negative errno. */
int run_cgroup_enter(const struct run_cgroup *cgroup);
/* CPU time of all processes that were ever in it, s; NAN: its files do not tell. */
double run_cgroup_cpu_s(const struct run_cgroup *cgroup);
/* Kills its processes and waits until they have ended. */
void run_cgroup_kill(const struct run_cgroup *cgroup);
/*
 * Moves its remaining processes to this process's own cgroup, and removes it. Returns the number of these
 * processes.
 */
unsigned run_cgroup_remove(struct run_cgroup *cgroup);
