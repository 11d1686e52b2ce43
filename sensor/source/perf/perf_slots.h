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

struct perf_slots {
	struct source_context *context;
	const struct perf_plan *plan;
	struct perf_slot *slots;
	unsigned n_slots;
	bool *away;   /* [n_units]: its CPU is offline; NULL: none ever was */
	bool *failed; /* [n_units]: not read the last time; NULL: nobody wants to know */
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
 * no read worked.
 */
int perf_slots_read(struct perf_slots *slots, struct activity_frame *frame);
/*
 * A CPU went offline: that its groups cannot be read is no longer a failure. Or it is back: they are opened
 * again. A target that came meanwhile has none of them until then.
 */
void perf_slots_cpu_changed(struct perf_slots *slots, unsigned cpu, bool online);
/* Opens again what could not be read the last time (`failed`). */
void perf_slots_reopen(struct perf_slots *slots);
void perf_slots_done(struct perf_slots *slots, struct activity_frame *frame);
