/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The descriptors of a perf plan for many targets, read in one pass ordered by CPU into an activity frame.
 * Used by the perf sources: a slot for each cgroup, a single one for a system group.
 */
#pragma once

#include "source/starved.h"
#include "source/perf/perf_pages.h"
#include "source/perf/perf_plan.h"

struct perf_slot {
	int *fds;                /* [n_fds]; NULL: the slot is empty */
	uint64_t *before;        /* for each unit: enabled, running; then its counts */
	char *cgroup;            /* for reopening */
	bool first;              /* not read yet */
	struct perf_page *pages; /* [n_units]; NULL: everything is read in each tick */
};

/* Shows whether a unit's events are alive, by those of slot ACTIVITY_SLOT_MACHINE: a cgroup's time does not
 * advance while it is idle. */
struct perf_pulse {
	unsigned cpu;        /* where the unit is open: its own CPU, or another one of the package */
	uint64_t looked_ns;  /* when it was last checked */
	uint64_t begin_ns;   /* when the last read began, */
	uint64_t read_ns;    /* when it ended; on a busy machine much later */
	uint64_t enabled_ns; /* of that read */
	uint64_t before_ns;  /* of the previous check */
	uint64_t alive_ns;   /* the last time at which it certainly counted */
	enum perf_pages_trust trust;
};

struct perf_slots {
	struct source_context *context;
	struct perf_plan *plan; /* of which only the types of PMUs change */
	struct perf_slot *slots;
	unsigned n_slots;
	struct perf_pulse *pulses; /* [n_units]; NULL until the first slot is reserved */
	bool *failed;              /* [n_units]: the last read failed; NULL: not recorded */
	unsigned n_pages;
	uint32_t n_reads;       /* passes over all slots */
	uint64_t n_skipped;     /* groups that were skipped because they were idle */
	struct starved starved; /* of the machine's groups */
};

/* Room for one more slot number, in the frame too. 0 or -ENOMEM. */
int perf_slots_reserve(struct perf_slots *slots, struct activity_frame *frame, unsigned n_slots);
/*
 * Opens the plan for a cgroup ("": the machine). -EMFILE: the budget is exhausted; -EBUSY: the slot is in
 * use; others are the kernel's. Descriptors are taken from and returned to context->fd_budget.
 */
int perf_slots_open(struct perf_slots *slots, struct activity_frame *frame, unsigned slot,
		    const char *cgroup);
void perf_slots_close(struct perf_slots *slots, struct activity_frame *frame, unsigned slot);
/*
 * Deltas since the last read into the frame, scaled for multiplexing; energy in 2^-32 J. A failed read marks
 * its slot and keeps its baseline, so that the next one catches up. Returns 0, or the last error if no read
 * succeeded. Events that died because their CPU went offline return their last counts and are reopened when
 * the CPU is back; events that count for a whole package move to another of its CPUs.
 */
int perf_slots_read(struct perf_slots *slots, struct activity_frame *frame);
/* Reopens units that could not be read the last time (`failed`). */
void perf_slots_reopen(struct perf_slots *slots);
void perf_slots_done(struct perf_slots *slots, struct activity_frame *frame);
/* After all slots of a unit were read: closes dead events, and reopens them if possible. */
void perf_slots_look(struct perf_slots *slots, unsigned index);
