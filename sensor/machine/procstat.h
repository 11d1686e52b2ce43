/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPU times of each package from /proc/stat, for the estimate and for the machine-wide time that cpu.stat
 * lacks.
 */
#pragma once

#include "machine/topology.h"

#include <stdint.h>

struct procstat_times {
	uint64_t busy_ns; /* user, nice, system, irq, softirq; not steal */
	uint64_t all_ns;  /* with idle, iowait and steal */
};

struct procstat {
	const struct topology *topology;
	int fd;
	char *buffer;
	size_t size;
	struct procstat_times *cpus;     /* [n_cpus], cumulative, never falling */
	struct procstat_times *packages; /* [n_packages], deltas of the last read */
};

/* Opens <procfs_root>/stat. 0 or a negative errno. */
int procstat_open(const char *procfs_root, const struct topology *topology, struct procstat *ret_stat);
/* Deltas since the last read by package; the first read sets the baseline and returns zeroes. */
int procstat_read(struct procstat *stat);
void procstat_close(struct procstat *stat);
/* One "cpuN user nice system idle iowait irq softirq steal …" line in clock ticks; false for any other line.
 * Pure. */
bool procstat_parse_line(const char *line, unsigned *ret_cpu, uint64_t *ret_busy, uint64_t *ret_all);
/* True if the kernel's NMI watchdog uses a counter of each CPU. */
bool procstat_has_watchdog(const char *procfs_root);
