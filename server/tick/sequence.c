/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers and times of ticks. Times jitter, so a single tick proves nothing: excess lengths are summed up and
 * slowly forgotten. Two sensors of one machine tick at the same instants, and only one tick per instant is
 * kept: the times then look like those of one sensor, but the numbers show both.
 */
#include "tick/sequence.h"
#include "base/unit.h"

#include <string.h>

#define OVERLAP_TICKS 5.0  /* an excess of this many ticks is no jitter */
#define FORGET        0.95 /* part of the excess kept after a tick; with two sensors it settles at 10 ticks */
#define TURN_TICKS                                                                                           \
	4.0 /* weight of a decreasing number: a single one may be a restart whose first ticks are lost */
#define TIMES_FASTER 4.0 /* numbers further ahead of time belong to another sensor */

#define TURNS_MOST 8 /* this many are not a coincidence */

static bool has_other(const struct sequence_targets *a, const struct sequence_targets *b)
{
	bool other = false;

	for (unsigned i = 0; i < SEQUENCE_BITS / 64; i++)
		other |= (a->bits[i] & ~b->bits[i]) != 0;
	return other;
}

bool sequence_note_targets(struct sequence_turns *turns, const struct sequence_targets *targets)
{
	bool turn = memcmp(targets, &turns->before, sizeof(*targets)) == 0 &&
		    has_other(targets, &turns->last) && has_other(&turns->last, targets);

	turns->n = turn ? turns->n + 1 : 0;
	turns->before = turns->last;
	turns->last = *targets;
	return turns->n >= TURNS_MOST;
}

/* Number of ticks missing before this one, if enough time has passed for them. */
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
	double passed_s = UNIT_S_OF_MS(time_ms - before.time_ms);

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
	/* If times overlap by more than jitter, the numbers may come from two sensors. */
	return sequence->surplus_s > interval_s ? 0 : missing_before(&before, sequence, passed_s);
}
