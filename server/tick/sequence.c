/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers and times of ticks. Times waver by their own, so a single tick says nothing: what they claim too
 * much is summed up and slowly forgotten. Two sensors of one machine tick at the same instants, and of each
 * instant one tick is kept: then times are those of one sensor, and numbers tell.
 */
#include "tick/sequence.h"

#define OVERLAP_TICKS 5.0  /* so many ticks too much are no wavering */
#define FORGET        0.95 /* of the surplus, what is left after a tick; two sensors settle at 10 ticks */
#define TURN_TICKS                                                                                           \
	4.0 /* what a number that goes back is worth: once may be a restart whose first ticks are lost */
#define TIMES_FASTER 4.0 /* numbers that run ahead of time by more are another sensor's */

/* How many ticks are missing before this one, if time has passed for them. */
static uint64_t missing_before(const struct sequence *before, const struct sequence *now, double passed_s)
{
	double tick_s = now->interval_s < before->interval_s ? now->interval_s : before->interval_s;

	if (now->seq <= before->seq ||
	    (double)(now->seq - before->seq) * tick_s > TIMES_FASTER * (passed_s + tick_s))
		return 0;
	return now->seq - before->seq - 1;
}

uint64_t sequence_note(struct sequence *sequence, uint64_t seq, int64_t time_ms, double interval_s,
		       bool *ret_overlaps)
{
	const struct sequence before = *sequence;
	double passed_s = (double)(time_ms - before.time_ms) / 1000;

	*ret_overlaps = false;
	*sequence =
		(struct sequence){.known = true, .seq = seq, .time_ms = time_ms, .interval_s = interval_s};
	if (!before.known || !(interval_s > 0))
		return 0;
	sequence->surplus_s = before.surplus_s * FORGET + interval_s - passed_s;
	if (seq <= before.seq && seq > 1)
		sequence->surplus_s += TURN_TICKS * interval_s;
	if (sequence->surplus_s < 0)
		sequence->surplus_s = 0;
	*ret_overlaps = sequence->surplus_s > OVERLAP_TICKS * interval_s;
	/* As soon as times overlap a little more than they waver, numbers may be those of two. */
	return sequence->surplus_s > interval_s ? 0 : missing_before(&before, sequence, passed_s);
}
