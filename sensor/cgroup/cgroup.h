/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cgroup hierarchies of this machine, and where the sensor reads perf events, CPU time and quotas. Found
 * with libcgroup at start; the watch (cgroup_watch.h), the table and the sources use the result.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CGROUP_PATH_MAX        4096
#define CGROUP_HIERARCHIES_MAX 3

enum cgroup_version {
	CGROUP_VERSION_NONE, /* no cgroup file system: a plain directory given as base (tests) */
	CGROUP_VERSION_1,
	CGROUP_VERSION_2,
};

struct cgroup_layout {
	char mount[CGROUP_PATH_MAX]; /* hierarchy whose directories become targets; perf events take paths
					below it */
	char start[CGROUP_PATH_MAX]; /* where the walk starts below the mount: "" or "/docker/<id>" (the base
					path) */
	enum cgroup_version version;
	bool perf;      /* perf events can be opened on its directories */
	bool hybrid;    /* v1 and v2 are both mounted */
	bool read_only; /* no cgroup can be created here */
	bool partial;   /* the mount shows only a part of the host (a container's own view) */
	char others[CGROUP_HIERARCHIES_MAX][CGROUP_PATH_MAX]; /* that could have been watched instead */
	unsigned n_others;
	char cpu_time[CGROUP_PATH_MAX]; /* mount with cpu.stat (v2) or cpuacct.usage (v1); "": none */
	enum cgroup_version cpu_time_version;
	char cpu_quota[CGROUP_PATH_MAX]; /* mount with cpu.max or cpu.cfs_quota_us; "": none */
	enum cgroup_version cpu_quota_version;
	char cpuset[CGROUP_PATH_MAX]; /* mount with cpuset.cpus.effective or cpuset.cpus; "": none */
	enum cgroup_version cpuset_version;
	char text[1024]; /* one sentence about what was found and what is used */
};

/*
 * base: NULL or "" for the machine's own hierarchies; "/sys/fs/cgroup" on a host where it is a tmpfs, or
 * "/sys/fs/cgroup/perf_event" where it does not exist, mean the same and are noted in `text`. A directory of
 * a cgroup file system is watched from there down; any other directory is walked as it is (version NONE). 0,
 * or a negative errno; `text` then says what is missing, with a fix.
 */
int cgroup_layout_detect(const char *base, struct cgroup_layout *ret_layout);

/*
 * The same for a machine of which only the files are available: its mount table is
 * <procfs_root>/self/mountinfo, and its mounts below /sys are below sysfs_root.
 */
int cgroup_layout_describe(const char *sysfs_root, const char *procfs_root, struct cgroup_layout *ret_layout);

/*
 * CPUs that a cgroup may use by its own quota and its ancestors', or by its cpuset if that is smaller than
 * the machine; 0: no limit known. `path` is below the mounts. Reads small files; not for the tick path.
 */
double cgroup_cpu_limit(const struct cgroup_layout *layout, const char *path);
/* "max 100000", "50000 100000" of cpu.max: CPUs, 0 for no limit or nonsense. Pure. */
double cgroup_parse_cpu_max(const char *text);
/* cpu.cfs_quota_us and cpu.cfs_period_us. Pure. */
double cgroup_parse_cfs(const char *quota_us, const char *period_us);
