/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Groups of events that get no counter because another user holds all of them: logged once if it lasts, and
 * once when it is over. Called by the sources that count by perf events, after each read.
 */
#pragma once

struct starved {
	unsigned n;       /* groups in this read; the source counts them */
	unsigned n_reads; /* in a row with any */
};

/* Called at the end of a read of n_groups groups; resets `n` to 0. */
void starved_tell(struct starved *starved, unsigned n_groups);
