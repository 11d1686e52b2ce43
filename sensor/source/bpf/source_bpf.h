/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bpf source's own state, between source_bpf.c (tried, opened, closed) and source_bpf_read.c (cgroups
 * that come and go, the reading of a tick). Nobody else includes it.
 */
#pragma once

#include "priv/count.h"
#include "source/perf/perf_plan.h"
#include "priv/priv_bpf.h"
#include "source/source.h"

#include <limits.h>

/* A cgroup whose counts since its birth go to a slot at the next read. */
struct source_bpf_adopted {
	uint64_t birth; /* its number, from 0 */
	uint32_t slot;
};

struct source_bpf {
	struct activity_source source; /* first: the sensor sees only this */
	struct source_context *context;
	struct perf_plan *plan; /* NULL: time only */
	struct report_group time_group;
	struct report_place *time_places;
	unsigned n_cpus, n_slots;
	uint32_t *place_of_cpu;
	const struct count_cell *cells, *totals; /* mapped */
	uint64_t *touched; /* mapped; a byte for each slot that has had anything, until it is taken away */
	uint64_t *touched_before; /* those of the last read: a CPU's byte may be seen before its count is */
	const struct count_pulse *pulses; /* mapped */
	struct count_pulse *pulses_before;
	uint64_t gap_ns; /* CPU time in this tick that no event has counted */
	const struct count_birth
		*births; /* mapped: [n_births], and one more that says whether they are told */
	size_t cells_size, totals_size, touched_size, births_size, pulses_size;
	bool births_told;
	unsigned n_births;
	uint64_t next_birth;             /* births before this number were handed on */
	uint64_t tick_birth;             /* births before this number were so before the last read */
	struct priv_bpf_change *changes; /* not told to the kernel yet */
	unsigned n_changes;
	unsigned n_mapped;                  /* cgroups that go to a slot */
	struct source_bpf_adopted *adopted; /* [n_births]: what was counted before its target was known */
	unsigned n_adopted;
	struct count_cell *before;        /* [n_slots * n_places] */
	struct count_cell *totals_before; /* [2 * n_cpus] */
	uint32_t *fresh;                  /* slots that were not read yet, then those that have just been */
	unsigned n_fresh, n_first;
	unsigned n_used; /* slots below this number may be open */
};

int source_bpf_add(struct activity_source *source, const struct activity_cgroup *cgroup);
void source_bpf_remove(struct activity_source *source, const struct activity_cgroup *cgroup);
void source_bpf_births(struct activity_source *source, activity_born *born, void *data);
int source_bpf_read(struct activity_source *source);

/* source_bpf_cpus.c: opens the events of a CPU, or of all. 0 or the first error. */
#define SOURCE_BPF_ALL_CPUS UINT_MAX
int source_bpf_open_events(struct source_bpf *bpf, unsigned cpu);
/* After the flush: events that are dead are opened again. */
void source_bpf_look_at_cpus(struct source_bpf *bpf);
