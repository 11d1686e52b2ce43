/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Detects machines on which a cycle costs many times what the priors assume: an emulated counter, or energy
 * of more than the processor. The linear fit of power over cycles shows it. If the model with its priors
 * follows the power much worse than that line, the filter restarts with the line's cost. Called once per tick
 * by pooled_filter.c.
 */
#include "formula/pooled/pooled.h"

#include <math.h>

#define SCALE_MEMORY 0.98
#define SCALE_AFTER  20  /* ticks */
#define SCALE_COST   10. /* nJ per cycle; the first core that wakes a large package may look like this, too */
#define SCALE_LINE   0.8 /* of the variance of power that the line explains */
#define SCALE_WORSE  1.5 /* times the line's error */
#define SCALE_MORE   2.  /* times the assumed cost */

static void learn(struct pooled_scale *scale, double load, double power)
{
	const double gain = fmax(1 / (scale->n + 1), 1 - SCALE_MEMORY);
	const double dx = load - scale->load, dy = power - scale->power;

	scale->n++;
	scale->load += gain * dx;
	scale->power += gain * dy;
	scale->xx += gain * ((1 - gain) * dx * dx - scale->xx);
	scale->xy += gain * ((1 - gain) * dx * dy - scale->xy);
	scale->yy += gain * ((1 - gain) * dy * dy - scale->yy);
}

bool pooled_scale_learn(const struct pooled_input *input, struct pooled_filter *filter)
{
	struct pooled_scale *scale = &filter->scale_of_cost;
	double load = 0, power = 0, error = 0, slope, line;

	for (unsigned k = 0; k < filter->n_sockets; k++) {
		const double y = input->power_w[filter->scope][k];
		const double *cycles = input->rates[TICK_CYCLES] + (size_t)k * input->n_rows;

		if (!isfinite(y) || input->bridged[filter->scope][k])
			return false;
		power += y;
		error += filter->error_w[k];
		for (unsigned i = 0; i < input->n_rows; i++)
			load += cycles[i];
	}
	learn(scale, load, power);
	if (scale->n < SCALE_AFTER || !(scale->xx > 0) || !(scale->yy > 0))
		return false;
	slope = scale->xy / scale->xx;
	line = scale->xy * slope / scale->yy;
	if (!(slope > SCALE_COST) || !(slope > SCALE_MORE * pooled_filter_mean(filter, POOLED_B0)) ||
	    line < SCALE_LINE || !(error > SCALE_WORSE * sqrt((1 - line) * scale->yy)))
		return false;
	scale->n = 0;
	scale->cost = slope;
	return true;
}
