/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPUs whose events had stopped counting because they were offline for a while: recorded by the sources after
 * reopening the events, reported once by collect after the tick's reading. Dead events are detected by their
 * enabled times. Allocates nothing.
 */
#pragma once

#include <stdint.h>

#define CPU_GAPS_MAX 1024 /* in one tick; further ones are only counted */

struct cpu_gap {
	unsigned cpu;
	uint64_t lost_ns; /* at most */
};

struct cpu_gaps {
	unsigned n, n_beyond;
	struct cpu_gap gaps[CPU_GAPS_MAX];
};

/* Several sources may report the same CPU: the longest of their gaps counts. NULL: ignored. */
void cpu_gaps_note(struct cpu_gaps *gaps, unsigned cpu, uint64_t lost_ns);
/*
 * How much of the elapsed time an event was not enabled; 0: it is alive. On an online CPU, events are always
 * enabled, except for a moment after they were opened.
 */
uint64_t cpu_gaps_missing(uint64_t elapsed_ns, uint64_t enabled_ns);
/*
 * Result of two looks at a CPU whose event missed some time, the second one after the CPU was made to count.
 * A machine that is kept from running, such as a guest on a busy host, may miss time although its events are
 * alive.
 */
enum cpu_gaps_verdict {
	CPU_GAPS_ALIVE,
	CPU_GAPS_DEAD,
	CPU_GAPS_UNKNOWN, /* it did not count */
};
enum cpu_gaps_verdict cpu_gaps_confirm(uint64_t seen_ns, uint64_t enabled_ns, uint64_t seen_again_ns,
				       uint64_t enabled_again_ns);
