/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quality of the predictions of the machine's power: compared with the measured power, and with the largest
 * power seen so far plus the part explained by the load's own rise. Pure.
 */
#include "sim/score/score.h"

#include "sim/score/score_data.h"

#include <math.h>

#define LOAD_LEAST 1. /* of a container over all its ticks: below this, its cost is unknown */

/* The machine in one tick, sockets added up. */
struct machine {
	double rapl_w, predicted_w, true_w, static_w, load;
	bool whole, has_load;
};

/* The largest values of earlier ticks. */
struct seen {
	double rapl_w, true_w, static_w, load;
};

static double rise(double now, double seen)
{
	return now > seen ? now - seen : 0;
}

/* W per unit of load of the most expensive container, by the truth. */
static double most_expensive(const struct score *score)
{
	double most = 0;

	for (uint32_t i = 0; i < score->n_names; i++) {
		const struct score_name *name = score->by_index[i];

		if (name->counted && name->load > LOAD_LEAST)
			most = fmax(most, name->dynamic_w / name->load);
	}
	return most;
}

static void take(struct score_foresight *foresight, const struct machine *tick, uint64_t number,
		 const struct seen *seen, double cost)
{
	const bool first = number < SCORE_FIRST_TICKS;
	const double error = fabs(tick->predicted_w - tick->rapl_w);

	if (!tick->whole)
		return;
	*(first ? &foresight->first_w : &foresight->after_w) += error;
	(*(first ? &foresight->first_ticks : &foresight->after_ticks))++;
	if (first)
		foresight->early_w[number] = error;
	if (!(seen->rapl_w > 0) || !tick->has_load)
		return;
	foresight->beyond = fmax(foresight->beyond, (tick->predicted_w - cost * rise(tick->load, seen->load) -
						     rise(tick->static_w, seen->static_w)) /
							    seen->rapl_w);
	foresight->beyond_true = fmax(foresight->beyond_true,
				      (tick->predicted_w - rise(tick->true_w, seen->true_w)) / seen->rapl_w);
}

static void see(struct seen *seen, const struct machine *tick)
{
	seen->rapl_w = fmax(seen->rapl_w, tick->rapl_w);
	seen->true_w = fmax(seen->true_w, tick->true_w);
	seen->static_w = fmax(seen->static_w, tick->static_w);
	seen->load = fmax(seen->load, tick->load);
}

/* The tick that begins at `*sum`, which is advanced; false: there is none. */
static bool next_tick(const struct score_sum **sum, unsigned scope, struct machine *ret)
{
	int64_t time_ms = 0;
	bool any = false;

	*ret = (struct machine){.whole = true, .has_load = true};
	for (; *sum; *sum = (*sum)->hh.next) {
		const struct score_sum *now = *sum;

		if (now->key.scope != scope || !now->has_rapl)
			continue;
		if (any && now->key.time_ms != time_ms)
			return true;
		time_ms = now->key.time_ms;
		any = true;
		ret->rapl_w += now->rapl;
		ret->predicted_w += now->predicted;
		ret->true_w += now->true_w;
		ret->static_w += now->true_static_w;
		ret->load += now->load;
		ret->whole = ret->whole && now->has_predicted;
		ret->has_load = ret->has_load && now->has_load;
	}
	return any;
}

void score_foresee(const struct score *score, unsigned scope, struct score_foresight *ret)
{
	const struct score_sum *sum = score->sums;
	const double cost = most_expensive(score);
	struct seen seen = {0};
	struct machine tick;

	*ret = (struct score_foresight){.beyond = NAN, .beyond_true = NAN};
	for (unsigned i = 0; i < SCORE_FIRST_TICKS; i++)
		ret->early_w[i] = NAN;
	for (uint64_t number = 0; next_tick(&sum, scope, &tick); number++) {
		take(ret, &tick, number, &seen, cost);
		see(&seen, &tick);
	}
	ret->first_w /= (double)ret->first_ticks;
	ret->after_w /= (double)ret->after_ticks;
}
