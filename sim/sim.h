/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulated machine: sockets, cores, containers with a character, and the true cost of each. Pure except
 * for reading its scenario file: no clock, no log; the same scenario, seed and law give the same numbers.
 * Used by sensor/source_sim.c (the sensor's `--sim`) and by tests/sim/simgen.c.
 */
#pragma once

#include "document/batch.h"
#include "document/report.h"
#include "base/reason.h"

#include <stdbool.h>
#include <stdint.h>

struct sim;

enum sim_count { SIM_REF, SIM_CYCLES, SIM_INSTRUCTIONS, SIM_MISSES, SIM_PACKED, SIM_COUNTS };

#define SIM_SYSTEM 0 /* slot of the machine's own activity outside containers */

struct sim_options {
	const char *scenario; /* path of a scenario file (docs/simulation.md) */
	uint64_t seed;        /* draws the characters, the machine and all noise */
	unsigned law;         /* 1 or 2; 0: the scenario's own, else 1 */
	uint64_t ticks;       /* 0: the scenario's own */
	uint64_t interval_ms; /* 0: the scenario's own, else 1,000 */
	/*
	 * Truth: false: the power of waking uncore and memory is static; true: it is dynamic, divided by the
	 * time that each ran.
	 */
	bool step_is_shared;
};

/* 0, or a negative errno with a sentence naming file, place and fix in `why`. */
int sim_new(const struct sim_options *options, struct sim **ret_sim, struct reason *why);
void sim_free(struct sim *sim);

/* Runs the machine for one tick. 1; 0 when the scenario has ended. */
int sim_step(struct sim *sim);

/* The machine's shape, and the data that its manufacturer and firmware would report. */
struct sim_shape {
	unsigned sockets, cores; /* physical cores, of one socket */
	unsigned cpus;           /* logical, of the machine; cpu = thread * cores + socket * cores + core */
	double base_mhz;
	double design_w, limit_w; /* of a socket */
	double idle_latency_us;   /* to wake from the deepest idle state */
	bool dram, msr;
	bool cpu_time; /* only CPU time is known: SIM_REF is in nanoseconds */
	bool count[SIM_COUNTS];
	uint64_t ticks; /* of the scenario */
	const char *scenario;
};
const struct sim_shape *sim_shape(const struct sim *sim);
unsigned sim_cpu_socket(const struct sim *sim, unsigned cpu);

/* The last tick. */
uint64_t sim_seq(const struct sim *sim); /* 1 for the first */
int64_t sim_time_ms(const struct sim *sim);
uint64_t sim_monotonic_ns(const struct sim *sim);
double sim_interval_s(const struct sim *sim);
/* Energy since the previous reading in 2^-32 J, like the perf `power` PMU. */
uint64_t sim_energy(const struct sim *sim, unsigned socket, enum report_scope scope);
/* TSC, APERF, MPERF deltas of a CPU. */
void sim_msr(const struct sim *sim, unsigned cpu, uint64_t ret_tsc_aperf_mperf[3]);
/* Machine-wide counts of a socket. */
void sim_machine_counts(const struct sim *sim, unsigned socket, uint64_t ret_counts[SIM_COUNTS]);

/*
 * Containers by slot; slot SIM_SYSTEM is not a container. A slot keeps its meaning until its container has
 * ended; the number of slots never shrinks. `generation` changes when the slot is reused.
 */
unsigned sim_slots(const struct sim *sim);
bool sim_alive(const struct sim *sim, unsigned slot); /* during a part of the last tick */
bool sim_partial(const struct sim *sim, unsigned slot);
bool sim_ran(const struct sim *sim, unsigned slot); /* counted anything in the last tick */
unsigned sim_generation(const struct sim *sim, unsigned slot);
const char *sim_name(const struct sim *sim, unsigned slot);
const char *sim_container_id(const struct sim *sim, unsigned slot); /* 64 hex digits */
const char *sim_kind(const struct sim *sim, unsigned slot);         /* its group in the scenario */
/*
 * Replaces the inode of the container's cgroup: identifies this life of this slot. The activity source takes
 * it as activity_cgroup.id, with any path (the runtime's, "/docker/" and sim_container_id(), gives the usual
 * identity).
 */
uint64_t sim_cgroup_id(const struct sim *sim, unsigned slot);
/* Slot of the live container with this ID; SIM_SYSTEM if there is none. */
unsigned sim_find(const struct sim *sim, uint64_t cgroup_id);
void sim_counts(const struct sim *sim, unsigned slot, unsigned socket, uint64_t ret_counts[SIM_COUNTS]);
double sim_running_ratio(const struct sim *sim, unsigned slot); /* running / enabled of its counters */
/* True cost in the last tick, J. */
double sim_true_dynamic_j(const struct sim *sim, unsigned slot, unsigned socket, enum report_scope scope);
double sim_true_static_j(const struct sim *sim, unsigned socket, enum report_scope scope);

/* sim_report.c: the truth of the last tick as power reports. 0 or -ENOMEM. */
int sim_add_truth(const struct sim *sim, const char *sensor, struct batch *batch);
