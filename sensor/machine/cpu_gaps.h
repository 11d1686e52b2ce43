/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPUs whose events had stopped counting, as they were offline for a while: noted by the sources when they
 * have opened the events again, reported once by collect after the tick's reading. Whether events are dead is
 * judged by the time that they say they were enabled. Allocates nothing.
 */
#pragma once

#include <stdint.h>

#define CPU_GAPS_MAX 1024 /* in one tick; those beyond are only counted */

struct cpu_gap {
	unsigned cpu;
	uint64_t lost_ns; /* at most */
};

struct cpu_gaps {
	unsigned n, n_beyond;
	struct cpu_gap gaps[CPU_GAPS_MAX];
};

/* Several sources may note the same CPU: one gap, the longest of theirs. NULL: nobody wants to know. */
void cpu_gaps_note(struct cpu_gaps *gaps, unsigned cpu, uint64_t lost_ns);
/*
 * How much of the elapsed time an event was not enabled; 0: it is alive. Events of a CPU that is there are
 * enabled all the time, but for a moment after they were opened.
 */
uint64_t cpu_gaps_missing(uint64_t elapsed_ns, uint64_t enabled_ns);
