/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Detects machines on which a cycle costs many times what the priors assume: an emulated counter, or energy
 * of more than the processor. A linear fit of power over cycles, and over the degree to which sockets are
 * awake, shows it. If the model with its priors follows the power much worse than that fit, the filter
 * restarts with the fit's cost. Called once per tick by pooled_filter.c.
 */
#include "formula/pooled/pooled.h"

#include <math.h>

#define SCALE_MEMORY 0.98
#define SCALE_AFTER  20   /* ticks */
#define SCALE_COST   15.  /* nJ per cycle */
#define SCALE_APART  0.01 /* of the load's variance, that a socket's waking does not explain */
#define SCALE_FIT    0.8  /* of the variance of power that the fit explains */
#define SCALE_WORSE  1.5  /* times the fit's error */
#define SCALE_MORE   2.   /* times the assumed cost */

static void learn(struct pooled_scale *scale, double load, double awake, double power)
{
	const double gain = fmax(1 / (scale->n + 1), 1 - SCALE_MEMORY);
	const double dx = load - scale->load, dz = awake - scale->awake, dy = power - scale->power;

	scale->n++;
	scale->load += gain * dx;
	scale->awake += gain * dz;
	scale->power += gain * dy;
	scale->xx += gain * ((1 - gain) * dx * dx - scale->xx);
	scale->xz += gain * ((1 - gain) * dx * dz - scale->xz);
	scale->zz += gain * ((1 - gain) * dz * dz - scale->zz);
	scale->xy += gain * ((1 - gain) * dx * dy - scale->xy);
	scale->zy += gain * ((1 - gain) * dz * dy - scale->zy);
	scale->yy += gain * ((1 - gain) * dy * dy - scale->yy);
}

/*
 * Least squares of power over load and awake. Waking costs something, or nothing, never less. 0: the load
 * does not differ from the degree to which sockets are awake, as if a single load goes on and off.
 */
static double cost_of(const struct pooled_scale *scale, double *ret_explained)
{
	double apart = scale->xx - (scale->zz > 0 ? scale->xz * scale->xz / scale->zz : 0);
	double cost, waking = 0;

	if (!(apart > SCALE_APART * scale->xx) || !(scale->yy > 0))
		return 0;
	cost = scale->xy / scale->xx;
	if (scale->zz > 0 && scale->zy > cost * scale->xz) {
		cost = (scale->xy - scale->zy * scale->xz / scale->zz) / apart;
		waking = (scale->zy - cost * scale->xz) / scale->zz;
	}
	*ret_explained = (cost * scale->xy + waking * scale->zy) / scale->yy;
	return cost;
}

/* Adds a tick. False: the energy of a socket is not of this tick. */
static bool take(const struct pooled_input *input, struct pooled_filter *filter, double *ret_error_w)
{
	double load = 0, awake = 0, power = 0, error = 0, terms[POOLED_STATIC];

	for (unsigned k = 0; k < filter->n_sockets; k++) {
		const double y = input->power_w[filter->scope][k];
		const double *cycles = input->rates[TICK_CYCLES] + (size_t)k * input->n_rows;

		if (!isfinite(y) || input->bridged[filter->scope][k])
			return false;
		(void)pooled_static_terms(filter, input, &filter->members[0], k, terms);
		awake += terms[POOLED_S1];
		power += y;
		error += filter->error_w[k];
		for (unsigned i = 0; i < input->n_rows; i++)
			load += cycles[i];
	}
	learn(&filter->scale_of_cost, load, awake, power);
	*ret_error_w = error;
	return true;
}

bool pooled_scale_learn(const struct pooled_input *input, struct pooled_filter *filter)
{
	struct pooled_scale *scale = &filter->scale_of_cost;
	double error_w, cost, explained = 0;

	if (!take(input, filter, &error_w) || scale->n < SCALE_AFTER)
		return false;
	cost = cost_of(scale, &explained);
	if (!(cost > SCALE_COST) || !(cost <= POOLED_COST_MOST) ||
	    !(cost > SCALE_MORE * pooled_filter_mean(filter, POOLED_B0)) || explained < SCALE_FIT ||
	    !(error_w > SCALE_WORSE * sqrt((1 - explained) * scale->yy)))
		return false;
	scale->n = 0;
	scale->cost = cost;
	return true;
}
