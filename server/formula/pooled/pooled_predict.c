/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Predicts the machine's power before the tick's energy is known: the best member's prediction, corrected by
 * the last error as far as errors are autocorrelated, and limited to plausible values. Only the output is
 * corrected and limited: the filters learn from their own predictions. Called by pooled_measure.c and, after
 * the update, by pooled_filter.c.
 */
#include "formula/pooled/pooled.h"

#include <math.h>

#define ABOVE_SEEN                                                                                           \
	1.2 /* times the largest power seen: turbo, temperature, costlier work at the same load              \
	     */
#define ABOVE_BUILT    1.2 /* times the design power or the limit: neither is enforced within a tick */
#define BELOW_SEEN     0.9 /* times the least power seen: deeper sleep states, a cooler machine */
#define COST_MOST      2   /* nJ per cycle of a core that was idle before; few cores need more */
#define MISS_COST_MOST 120 /* nJ per miss, prefetched lines included */
#define LASTING_MOST   0.9
#define LASTING_MEMORY 0.97
#define ALIKE          0.1 /* a change of the modelled power by this part makes the last error count a third */
#define OUTLIER        5 /* times the recent error: a single larger one says nothing about autocorrelation */
#define OUTLIER_LEAST  0.5 /* W */

/* 1e9 counts/s that drive the scope's power. */
static double load_of(const struct pooled_input *input, const struct pooled_filter *filter, unsigned socket)
{
	bool cycles = filter->scope == REPORT_SCOPE_CPU || !filter->with_misses;
	const double *rates =
		input->rates[cycles ? TICK_CYCLES : TICK_MISSES] + (size_t)socket * input->n_rows;
	double sum = 0;

	for (unsigned i = 0; i < input->n_rows; i++)
		sum += rates[i];
	return sum;
}

/* Limits the prediction to the power seen on this socket, plus the possible cost of load beyond the largest
 * seen. */
static double guarded(const struct pooled_input *input, const struct pooled_filter *filter, unsigned socket,
		      double watts)
{
	const double cost =
		filter->scope == REPORT_SCOPE_CPU || !filter->with_misses ? COST_MOST : MISS_COST_MOST;
	double rise = load_of(input, filter, socket) - filter->most_load[socket];
	double seen = ABOVE_SEEN * filter->most_w[socket], most = seen + cost * fmax(rise, 0);
	double built = filter->scope == REPORT_SCOPE_CPU ? fmax(input->design_w, input->limit_w) : 0;

	if (!(filter->most_w[socket] > 0))
		return watts;
	/* A machine that has exceeded its assumed design power must have a larger one. */
	if (built > filter->most_w[socket])
		most = fmin(most, fmax(seen, ABOVE_BUILT * built));
	return fmax(fmin(watts, most), BELOW_SEEN * filter->trend.least_w[socket]);
}

/* Total of the predict-only member with the smallest recent error; the bank's mean if there is none. */
static double modelled(const struct pooled_filter *filter, unsigned socket)
{
	unsigned best = 0;
	double mean = 0;

	for (unsigned m = 0; m < filter->n_members; m++) {
		mean += filter->weights[m] * filter->members[m].predicted_w[socket];
		if (filter->members[m].error_w < filter->members[best].error_w)
			best = m;
	}
	return filter->members[best].assumed.predicts_only ? filter->members[best].predicted_w[socket] : mean;
}

/* The part of the last error that is expected to recur. */
static double lasting(const struct pooled_trend *trend, unsigned socket, double watts)
{
	double part = trend->square > 0 ? fmin(fmax(trend->cross / trend->square, 0), LASTING_MOST) : 0;
	double change = fabs(watts - trend->model_w[socket]) / (ALIKE * fmax(watts, 1));

	return isfinite(trend->miss_w[socket]) ? part * exp(-change) * trend->miss_w[socket] : 0;
}

void pooled_predict(const struct pooled_input *input, struct pooled_filter *filter, unsigned socket)
{
	double watts = modelled(filter, socket);

	filter->trend.now_w[socket] = watts;
	filter->predicted_w[socket] =
		guarded(input, filter, socket, watts + lasting(&filter->trend, socket, watts));
}

static double limited(double value, double most)
{
	return fmin(fmax(value, -most), most);
}

/* Updates the autocorrelation of errors with this tick's. */
static void learn_lasting(struct pooled_trend *trend, double error_w, double y, unsigned socket)
{
	double miss = y - trend->now_w[socket];
	double most = OUTLIER * (isfinite(error_w) ? error_w : 0) + OUTLIER_LEAST;

	if (!isfinite(miss))
		return;
	if (isfinite(trend->miss_w[socket])) {
		double last = limited(trend->miss_w[socket], most);
		trend->cross = LASTING_MEMORY * trend->cross + limited(miss, most) * last;
		trend->square = LASTING_MEMORY * trend->square + last * last;
	}
	trend->miss_w[socket] = miss;
	trend->model_w[socket] = trend->now_w[socket];
}

void pooled_predict_learn(const struct pooled_input *input, struct pooled_filter *filter)
{
	struct pooled_trend *trend = &filter->trend;

	for (unsigned k = 0; k < filter->n_sockets; k++) {
		double y = input->power_w[filter->scope][k];
		if (!isfinite(y))
			continue;
		learn_lasting(trend, filter->error_w[k], y, k);
		filter->most_w[k] = fmax(filter->most_w[k], y);
		filter->most_load[k] = fmax(filter->most_load[k], load_of(input, filter, k));
		trend->least_w[k] = trend->least_w[k] > 0 ? fmin(trend->least_w[k], y) : y;
	}
}

void pooled_predict_start(struct pooled_filter *filter)
{
	filter->trend = (struct pooled_trend){0};
	for (unsigned k = 0; k < filter->n_sockets; k++)
		filter->trend.miss_w[k] = NAN;
}
