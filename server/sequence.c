/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers and times of ticks. Times waver by their own, so a single tick says nothing: what they claim too much is summed
 * up and slowly forgotten.
 */
#include "sequence.h"

#define OVERLAP_TICKS 5.0  /* so many ticks too much are no wavering */
#define FORGET        0.95 /* of the surplus, what is left after a tick; two sensors settle at 10 ticks */

uint64_t sequence_note(struct sequence *sequence, uint64_t seq, int64_t time_ms, double interval_s,
		       bool *ret_overlaps)
{
	const struct sequence before = *sequence;
	double passed_s = (double)(time_ms - before.time_ms) / 1000;

	*ret_overlaps = false;
	*sequence = (struct sequence){.known = true, .seq = seq, .time_ms = time_ms};
	if (!before.known || !(interval_s > 0))
		return 0;
	sequence->surplus_s = before.surplus_s * FORGET + interval_s - passed_s;
	if (sequence->surplus_s < 0)
		sequence->surplus_s = 0;
	*ret_overlaps = sequence->surplus_s > OVERLAP_TICKS * interval_s;
	/* As soon as times overlap a little more than they waver, numbers may be those of two. */
	if (sequence->surplus_s > interval_s || seq <= before.seq)
		return 0;
	return seq - before.seq - 1;
}
