/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPU time that new cgroups used before their events were opened, which matters if the sensor was stalled or
 * had to wait for the privileged process. The counts of their first tick are raised accordingly. Used by
 * source_perf.c.
 */
#pragma once

#include "source/source.h"

/* A cgroup whose counts of the present tick lack its first `late_ns` of CPU time. */
struct perf_late_slot {
	unsigned slot;
	uint64_t late_ns;
};

struct perf_late {
	const struct source_context *context;
	struct perf_late_slot *slots;
	unsigned n, capacity;
	uint64_t read_ns;    /* monotonic time of the last read; 0: never */
	uint64_t machine_ns; /* CPU time of the root cgroup then; 0: unknown */
};

/* CPU time of the cgroup until now ("": the root); 0: unknown, as before the first read. */
uint64_t perf_late_usage(const struct perf_late *late, const char *cgroup);
/*
 * The events of a slot were opened when its cgroup had used `usage_ns`. Has no effect before the first read,
 * or if the cgroup cannot have used so much since the last one: then it is older than the tick.
 */
void perf_late_note(struct perf_late *late, unsigned slot, uint64_t usage_ns);
void perf_late_forget(struct perf_late *late, unsigned slot);
/* After a read: raises the counts and times of the slots noted since the last one. */
void perf_late_apply(struct perf_late *late, struct activity_frame *frame);
void perf_late_done(struct perf_late *late);
