/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bpf source's private state, shared by source_bpf.c (probe, open, close) and source_bpf_read.c (cgroups
 * that come and go, reading a tick).
 */
#pragma once

#include "priv/count.h"
#include "source/starved.h"
#include "source/perf/perf_plan.h"
#include "priv/priv_bpf.h"
#include "source/source.h"

#include <limits.h>

/* A cgroup whose counts since its creation go to a slot at the next read. */
struct source_bpf_adopted {
	uint64_t birth; /* sequence number, from 0 */
	uint32_t slot;
};

/* Last values read from a cell. An event that has had no counter since then keeps them. */
struct source_bpf_seen_event {
	uint64_t count, waited, running;
};
struct source_bpf_seen {
	uint64_t ns, enabled;
	struct source_bpf_seen_event events[]; /* as many as are counted */
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
	uint64_t *touched; /* mapped; a byte for each slot that has counted anything, until it is cleared */
	uint64_t *
		touched_before; /* bytes of the last read: a CPU's byte may become visible before its count */
	const struct count_pulse *pulses; /* mapped */
	struct count_pulse *pulses_before;
	uint64_t gap_ns; /* CPU time of this tick that no event has covered */
	struct starved starved;
	const struct count_birth
		*births; /* mapped: [n_births], and one more that says whether births are reported */
	void *maps[PRIV_BPF_MAPS]; /* these five, as returned by priv_bpf_attach() */
	size_t map_sizes[PRIV_BPF_MAPS];
	bool births_told;
	unsigned n_births;
	uint64_t next_birth;             /* births before this number have been reported */
	uint64_t tick_birth;             /* births before this number were reported before the last read */
	struct priv_bpf_change *changes; /* not sent to the kernel yet */
	unsigned n_changes;
	unsigned n_mapped;                  /* cgroups that are mapped to a slot */
	struct source_bpf_adopted *adopted; /* [n_births]: counts from before the target was known */
	unsigned n_adopted;
	struct source_bpf_seen *before;        /* [n_slots * n_places] */
	struct source_bpf_seen *totals_before; /* [2 * n_cpus] */
	uint32_t *fresh;                       /* slots not read yet, then those read for the first time */
	unsigned n_fresh, n_first;
	unsigned n_used; /* slots below this number may be open */
};

static inline unsigned source_bpf_n_events(const struct source_bpf *bpf)
{
	return bpf->plan ? bpf->plan->n_events : 0;
}
/* Their sizes depend on the number of events. */
static inline const struct count_cell *source_bpf_cell(const struct source_bpf *bpf,
						       const struct count_cell *cells, size_t i)
{
	return (const void *)((const char *)cells + i * COUNT_CELL_SIZE(source_bpf_n_events(bpf)));
}
static inline size_t source_bpf_seen_size(const struct source_bpf *bpf)
{
	return sizeof(struct source_bpf_seen) +
	       source_bpf_n_events(bpf) * sizeof(struct source_bpf_seen_event);
}
static inline struct source_bpf_seen *source_bpf_seen(const struct source_bpf *bpf,
						      struct source_bpf_seen *seen, size_t i)
{
	return (void *)((char *)seen + i * source_bpf_seen_size(bpf));
}

/* From a cell's totals to its counts of this tick. */
void source_bpf_see(const struct source_bpf *bpf, const struct count_cell *cell,
		    struct source_bpf_seen *ret_seen);
/* Lowers the baseline by counts of another cell: they are included in the next take. */
void source_bpf_unsee(const struct source_bpf *bpf, const struct count_cell *cell,
		      struct source_bpf_seen *seen);
/* Adds the cell's counts since `before` to a place of a slot. True if there were any. */
bool source_bpf_take(struct source_bpf *bpf, const struct count_cell *cell, struct source_bpf_seen *before,
		     unsigned slot, unsigned place);

int source_bpf_add(struct activity_source *source, const struct activity_cgroup *cgroup);
void source_bpf_remove(struct activity_source *source, const struct activity_cgroup *cgroup);
void source_bpf_births(struct activity_source *source, activity_born *born, void *data);
int source_bpf_read(struct activity_source *source);

/* Opens the events of a CPU, or of all. 0 or the first error. */
#define SOURCE_BPF_ALL_CPUS UINT_MAX
int source_bpf_open_events(struct source_bpf *bpf, unsigned cpu);
