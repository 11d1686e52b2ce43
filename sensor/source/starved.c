/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Detects counters that are missing for longer than multiplexing explains. Independent of how they are read.
 */
#include "source/starved.h"

#include "base/log.h"

#include <stdbool.h>

#define STARVED_READS 3 /* in a row */

void starved_tell(struct starved *starved, unsigned n_groups)
{
	const bool was_told = starved->n_reads >= STARVED_READS;

	starved->n_reads = starved->n ? starved->n_reads + 1 : 0;
	if (starved->n_reads == STARVED_READS)
		log_warning("perf", 0,
			    "%u of %u groups of events get no counter: another user holds them (a pinned "
			    "event, or the NMI watchdog), and their counts are missing until it releases "
			    "them. Fix: sysctl kernel.nmi_watchdog=0, or count fewer events",
			    starved->n, n_groups);
	else if (was_told && !starved->n)
		log_notice("perf", 0, "all groups of events have counters again");
	starved->n = 0;
}
