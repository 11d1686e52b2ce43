/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The descriptors of a perf plan for many targets, read in one pass ordered by CPU into an activity frame.
 * Used by the perf sources: for cgroups a slot each, for a system group a single one.
 */
#pragma once

#include "source/perf/perf_plan.h"

struct perf_slot {
	int *fds;         /* [n_fds]; NULL: the slot is empty */
	uint64_t *before; /* for each unit: enabled, running; then its counts */
	char *cgroup;     /* for opening it again */
	bool first;       /* not read yet */
};

/* What shows that a unit's events are alive: by those of slot ACTIVITY_SLOT_MACHINE, as a cgroup's time
 * stands still while it idles. */
struct perf_pulse {
	unsigned cpu;        /* where the unit is open: its own CPU, or another one of the package */
	uint64_t looked_ns;  /* when it was looked at last */
	uint64_t read_ns;    /* when it was read last */
	uint64_t enabled_ns; /* of that read */
	uint64_t before_ns;  /* of the look before */
	uint64_t alive_ns;   /* until when it counted for sure */
};

struct perf_slots {
	struct source_context *context;
	const struct perf_plan *plan;
	struct perf_slot *slots;
	unsigned n_slots;
	struct perf_pulse *pulses; /* [n_units]; NULL until the first slot is reserved */
	bool *failed;              /* [n_units]: not read the last time; NULL: nobody wants to know */
};

/* Room for one more slot number, in the frame too. 0 or -ENOMEM. */
int perf_slots_reserve(struct perf_slots *slots, struct activity_frame *frame, unsigned n_slots);
/*
 * Opens the plan for a cgroup ("": the machine). -EMFILE: the budget is spent; -EBUSY: the slot is taken;
 * others as the kernel says. Descriptors are taken from and given back to context->fd_budget.
 */
int perf_slots_open(struct perf_slots *slots, struct activity_frame *frame, unsigned slot,
		    const char *cgroup);
void perf_slots_close(struct perf_slots *slots, struct activity_frame *frame, unsigned slot);
/*
 * Deltas since the last read into the frame, scaled for multiplexing; energy in 2^-32 J. A read that fails
 * marks its slot and leaves its baseline, so that the next one catches up. Returns 0, or the last error when
 * no read worked. Events that are dead, as their CPU was offline, give their last counts and are opened again
 * as soon as the CPU is back; what counts for a whole package moves to another of its CPUs.
 */
int perf_slots_read(struct perf_slots *slots, struct activity_frame *frame);
/* Opens again what could not be read the last time (`failed`). */
void perf_slots_reopen(struct perf_slots *slots);
void perf_slots_done(struct perf_slots *slots, struct activity_frame *frame);
/* Closes and forgets descriptors. */
void perf_slots_close_fds(int *fds, unsigned n);
/* Opens one unit for a cgroup where it is now; its descriptors are -1 on failure. */
int perf_slots_open_unit(struct perf_slots *slots, unsigned index, const char *cgroup, int *fds);
/* A unit's baseline in a slot: its two times, then its counts. */
uint64_t *perf_slots_baseline(const struct perf_slots *slots, const struct perf_slot *slot, unsigned index);
/* perf_revive.c: after all slots of a unit were read. */
void perf_revive_look(struct perf_slots *slots, unsigned index);
