/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cost of counting a number of containers, by source: descriptors exactly, CPU time from the measurements
 * in docs/performance.md. Pure; called by check_machine.
 */
#pragma once

struct check_cost {
	unsigned containers;
	unsigned fds;        /* counters, or files that are kept open */
	unsigned by_cpustat; /* containers that no descriptor is left for */
	double cpu_ms_per_s;
};

/*
 * fds_each: events times CPUs. budget: descriptors that may be opened. source: its name; for an unknown one,
 * the cost is unknown (all 0).
 */
struct check_cost check_cost_estimate(const char *source, unsigned fds_each, unsigned budget,
				      double ticks_per_s, unsigned containers);
