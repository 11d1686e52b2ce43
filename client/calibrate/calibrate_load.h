/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The known loads of `wattribute calibrate`: processes that compute until they are ended, in one cgroup per
 * kind. Also measures how much CPU time other programs used. Called by client_calibrate.c.
 */
#pragma once

#include "calibrate/calibrate_plan.h"
#include "run/run_cgroup.h"

#include <sys/types.h>

#define CALIBRATE_LOADS_MAX 2048

struct calibrate_loads {
	const char *commands[CALIBRATE_KINDS]; /* to run instead of the built-in load; NULL: none */
	struct run_cgroup cgroups[CALIBRATE_KINDS];
	double cpu_s; /* of the cgroups, until the end of the last phase */
	unsigned n;
	pid_t pids[CALIBRATE_LOADS_MAX];
};

/* 0, or a negative errno with a reason; call calibrate_loads_remove() in either case. */
int calibrate_loads_make(struct calibrate_loads *loads, struct reason *why);
/* Starts a phase's processes. 0 or a negative errno; processes started before the failure keep running. */
int calibrate_loads_start(struct calibrate_loads *loads, const struct calibrate_phase *phase);
/* 0, or -ECHILD and how a process ended by itself, which no load does. */
int calibrate_loads_alive(const struct calibrate_loads *loads, struct reason *why);
/* Ends them. Their CPU time in seconds. */
double calibrate_loads_end(struct calibrate_loads *loads);
void calibrate_loads_remove(struct calibrate_loads *loads);

/* CPU time used by all CPUs since the machine started, s; NAN: unknown. */
double calibrate_busy_s(void);
unsigned calibrate_machine_cpus(void);
/* Those on which this process, and so the loads, may run. */
unsigned calibrate_cpus(void);

/* About 10 ms of a worker's load, for tests. The result is meaningless. */
double calibrate_compute(enum calibrate_kind kind, double *area, size_t n);
