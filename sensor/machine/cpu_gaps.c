/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records the CPUs with a gap in this tick, and detects dead events. Pure.
 */
#include "machine/cpu_gaps.h"

#define GAP_SLACK_NS 20000000 /* reopening events takes a moment, and longer on a busy machine */

void cpu_gaps_note(struct cpu_gaps *gaps, unsigned cpu, uint64_t lost_ns)
{
	if (!gaps)
		return;
	for (unsigned i = 0; i < gaps->n; i++)
		if (gaps->gaps[i].cpu == cpu) {
			if (lost_ns > gaps->gaps[i].lost_ns)
				gaps->gaps[i].lost_ns = lost_ns;
			return;
		}
	if (gaps->n < CPU_GAPS_MAX)
		gaps->gaps[gaps->n++] = (struct cpu_gap){.cpu = cpu, .lost_ns = lost_ns};
	else
		gaps->n_beyond++;
}

uint64_t cpu_gaps_missing(uint64_t elapsed_ns, uint64_t enabled_ns)
{
	const uint64_t missing = elapsed_ns > enabled_ns ? elapsed_ns - enabled_ns : 0;

	return enabled_ns == 0 || missing > elapsed_ns / 8 + GAP_SLACK_NS ? missing : 0;
}

enum cpu_gaps_verdict cpu_gaps_confirm(uint64_t seen_ns, uint64_t enabled_ns, uint64_t seen_again_ns,
				       uint64_t enabled_again_ns)
{
	if (enabled_again_ns != enabled_ns)
		return CPU_GAPS_ALIVE;
	return seen_again_ns != seen_ns ? CPU_GAPS_DEAD : CPU_GAPS_UNKNOWN;
}
