/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Detects changes of a container's work: if its instructions per cycle or misses per instruction change, its
 * factor was learnt on different work. A first sign only raises the measurement noise; a second or a strong
 * one lets the factor forget.
 */
#include "formula/pooled/pooled.h"

#include <math.h>

#define ACTIVE         0.3 /* of full weight; below this, counts are too few to judge */
#define IPC_LIMIT      0.15
#define MISSING_LIMIT  0.225
#define SPREADS        4
#define AT_ONCE        0.3
#define FORGET_WIDTH   0.25
#define FIRST_SPREAD   0.03
#define REFERENCE_MIX  0.1
#define SPREAD_MIX     0.05
#define MEAN_DEVIATION 1.25 /* standard deviation over mean absolute deviation */

/* IPC falls beside busy siblings: the slope is learnt from all containers' steps. */
static double pair_slope(const struct pooled_filter *filter)
{
	double slope = filter->pair_slope[1] > 0 ? filter->pair_slope[0] / filter->pair_slope[1] : 0;

	return fmin(fmax(slope, -0.8), 0);
}

static void learn_slope(struct pooled_filter *filter, const struct pooled_signature *signature, double ipc,
			double pair)
{
	double dp = pair - signature->last_pair, dl = ipc - signature->last_ipc;

	if (signature->tick + 1 != filter->tick || !(fabs(dp) > 0.05) || !(fabs(dl) < 0.6))
		return;
	filter->pair_slope[0] = 0.999 * filter->pair_slope[0] + dp * dl;
	filter->pair_slope[1] = 0.999 * filter->pair_slope[1] + dp * dp;
}

/* Squared distance between two characters, for forgetting; 0: no change, -1: wait for the next tick. */
static double judge(struct pooled_signature *s, enum report_scope scope, double ipc, double missing)
{
	double di = fabs(ipc - s->ipc), dm = fabs(missing - s->missing);
	double ei = di > fmax(IPC_LIMIT, SPREADS * s->ipc_spread) ? di : 0;
	double em = dm > fmax(MISSING_LIMIT, SPREADS * s->missing_spread) ? dm : 0;
	bool agrees = s->alarmed && fabs(ipc - s->alarm_ipc) < 0.5 * di + 0.05 &&
		      fabs(missing - s->alarm_missing) < 0.5 * dm + 0.1;

	if (ei == 0 && em == 0) {
		s->alarmed = false;
		s->ipc += REFERENCE_MIX * (ipc - s->ipc);
		s->missing += REFERENCE_MIX * (missing - s->missing);
		s->ipc_spread += SPREAD_MIX * (MEAN_DEVIATION * di - s->ipc_spread);
		s->missing_spread += SPREAD_MIX * (MEAN_DEVIATION * dm - s->missing_spread);
		return 0;
	}
	if (!agrees && fmax(ei, 0.5 * em) < AT_ONCE) {
		s->alarmed = true;
		s->alarm_ipc = ipc;
		s->alarm_missing = missing;
		return -1;
	}
	s->alarmed = false;
	s->ipc = ipc;
	s->missing = missing;
	return scope == REPORT_SCOPE_CPU ? ei * ei + 0.1 * em * em : 0.5 * ei * ei + 0.5 * em * em;
}

static void check_row(struct pooled *pooled, struct pooled_filter *filter, unsigned i, double slope)
{
	const struct pooled_input *input = &pooled->input;
	struct pooled_signature *s = &pooled->book.records[input->records[i]].signature[filter->scope];
	double cycles = 0, instructions = 0, misses = 0, paired = 0, ipc, missing, distance;
	double keep[POOLED_MEMBERS];

	for (unsigned k = 0; k < input->n_sockets; k++) {
		size_t at = (size_t)k * input->n_rows + i;
		cycles += input->rates[TICK_CYCLES][at];
		instructions += input->rates[TICK_INSTRUCTIONS][at];
		misses += input->rates[TICK_MISSES][at];
		paired += input->rates[TICK_CYCLES][at] * input->pair[k];
	}
	paired /= fmax(cycles, 1e-12);
	ipc = log(fmax(instructions, 1e-9) / fmax(cycles, 1e-9));
	missing = log(fmax(misses, 1e-9) / fmax(instructions, 1e-9));
	if (s->tick == 0) {
		*s = (struct pooled_signature){
			ipc - slope * paired, missing, FIRST_SPREAD, FIRST_SPREAD, ipc, paired, 0, 0,
			filter->tick,         false};
		return;
	}
	learn_slope(filter, s, ipc, paired);
	s->last_ipc = ipc;
	s->last_pair = paired;
	s->tick = filter->tick;
	distance = judge(s, filter->scope, ipc - slope * paired, missing);
	filter->alarm[i] = distance < 0;
	if (distance <= 0)
		return;
	for (unsigned m = 0; m < filter->n_members; m++)
		keep[m] = exp(-0.5 * distance / (FORGET_WIDTH * FORGET_WIDTH));
	pooled_slots_decay(filter, (unsigned)filter->slot[i], keep);
}

void pooled_signature_check(struct pooled *pooled, struct pooled_filter *filter)
{
	double slope = pair_slope(filter);

	for (unsigned i = 0; i < pooled->input.n_rows; i++)
		if (filter->slot[i] >= 0 && filter->weight[i] > ACTIVE && pooled->input.has_instructions)
			check_row(pooled, filter, i, slope);
}
