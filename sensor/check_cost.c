/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The costs of one tick, measured with one tick per second on a machine with 2 CPUs (docs/performance.md,
 * "The sensor"); after new measurements, update them here too.
 */
#include "check_parts.h"

#include <string.h>

#define BPF_MS               0.25    /* for any number of containers */
#define BPF_MS_EACH          0.00004 /* per container; mostly for writing its report */
#define PERF_MS_EACH_FD      0.00054
#define CPUSTAT_MS_EACH      0.0032
#define CPUSTAT_MS_EACH_OPEN 0.009 /* if its file is opened in each tick because no descriptor is left */

static unsigned smaller(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

struct check_cost check_cost_estimate(const char *source, unsigned fds_each, unsigned budget,
				      double ticks_per_s, unsigned containers)
{
	struct check_cost cost = {.containers = containers};
	double ms = 0;

	if (strcmp(source, "bpf") == 0) {
		cost.fds = fds_each; /* of the whole machine */
		ms = BPF_MS + BPF_MS_EACH * containers;
	} else if (strcmp(source, "perf") == 0 && fds_each > 0) {
		const unsigned counted = smaller(containers, budget / fds_each);

		cost.fds = counted * fds_each;
		cost.by_cpustat = containers - counted;
		ms = PERF_MS_EACH_FD * cost.fds + CPUSTAT_MS_EACH_OPEN * cost.by_cpustat;
	} else if (strcmp(source, "cpustat") == 0) {
		cost.fds = smaller(containers, budget);
		ms = CPUSTAT_MS_EACH * cost.fds + CPUSTAT_MS_EACH_OPEN * (containers - cost.fds);
	}
	cost.cpu_ms_per_s = ms * ticks_per_s;
	return cost;
}
