/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Priors of this machine: a model that learnt from known loads (`wattribute calibrate`) provides the filters'
 * initial state instead of general values for processors. Only properties of the machine are taken: common
 * costs and static power, not the costs of the programs that it ran.
 */
#include "formula/pooled/pooled.h"
#include "base/reason.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define LEAST_SAMPLES 30
/*
 * Future loads differ from the known ones: variances grow by this factor, and no value is known better than
 * this part of itself (a common cost) or of the power (static).
 */
#define WIDEN      4
#define COST_SURE  0.10
#define POWER_SURE 0.06 /* of the exponent of frequency, and of the saving by siblings */
#define FIXED_SURE 0.02

/* Does the machine still have all sockets and cores of the calibration, and no more, and the same kind of
 * energy? */
static bool is_same_machine(const struct pooled *pooled)
{
	double n_cores = pooled->taught->filters[REPORT_SCOPE_CPU].n_cores;

	if (pooled->input.estimated != pooled->taught->input.estimated)
		return false;
	for (unsigned k = 0; k < pooled->n_packages; k++)
		if (pooled->tick_socket[k] == TICK_SOCKETS_MAX)
			return false;
	return !(n_cores > 0 && pooled->input.n_cores > 0) ||
	       pooled_cores_alike(pooled->input.n_cores, n_cores);
}

static bool fits(const struct pooled *pooled, const struct pooled_filter *filter)
{
	const struct pooled_filter *taught = pooled->taught ? &pooled->taught->filters[filter->scope] : NULL;

	return taught && is_same_machine(pooled) && taught->ready && taught->n_samples >= LEAST_SAMPLES &&
	       taught->n_sockets == filter->n_sockets && taught->n_members == filter->n_members &&
	       taught->with_misses == pooled->input.has_misses &&
	       taught->with_instructions == pooled->input.has_instructions &&
	       memcmp(pooled->packages, pooled->taught->packages,
		      filter->n_sockets * sizeof(*pooled->packages)) == 0;
}

bool pooled_taught_fits(const struct pooled *pooled, enum report_scope scope)
{
	return fits(pooled, &pooled->filters[scope]);
}

static double least_sd(const struct pooled_filter *filter, unsigned state, const struct pooled_member *member)
{
	const double *x = member->x;

	if (filter->scope == REPORT_SCOPE_CPU && (state == POOLED_POWER || state == POOLED_KAPPA))
		return POWER_SURE;
	if (state < POOLED_COMMON)
		return COST_SURE * fabs(x[state]);
	if ((state - POOLED_COMMON) % POOLED_STATIC == POOLED_SL)
		return 0;
	return FIXED_SURE * fabs(x[state - (state - POOLED_COMMON) % POOLED_STATIC + POOLED_S0]);
}

/*
 * A calibration teaches the cost of a cycle (or miss), frequency, siblings and static power. How costs differ
 * between kinds of work cannot be learnt from the few programs of a calibration: the general priors stay,
 * relative to the cost of a cycle.
 */
static bool is_taught(const struct pooled_filter *filter, unsigned state)
{
	if (filter->scope == REPORT_SCOPE_DRAM)
		return state != POOLED_B1 && state != POOLED_B2;
	return state == POOLED_B0 || state > POOLED_B4;
}

static void start_member(struct pooled_filter *filter, struct pooled_member *member,
			 const struct pooled_filter *taught, const struct pooled_member *teacher)
{
	double ratio = filter->scope == REPORT_SCOPE_CPU ? teacher->x[POOLED_B0] / member->x[POOLED_B0] : 1;

	for (unsigned i = 0; i < filter->n_fixed; i++) {
		double *row = member->p + (size_t)i * filter->size;
		if (!is_taught(filter, i)) {
			member->x[i] *= i == POOLED_B2 ? 1 : ratio;
			row[i] *= i == POOLED_B2 ? 1 : ratio * ratio;
			continue;
		}
		member->x[i] = teacher->x[i];
		for (unsigned j = 0; j < filter->n_fixed; j++)
			row[j] = is_taught(filter, j) ? WIDEN * teacher->p[(size_t)i * taught->size + j] : 0;
		row[i] += pow(least_sd(filter, i, member), 2);
	}
	memcpy(member->noise, teacher->noise, sizeof(member->noise));
	member->error_w = teacher->error_w;
}

bool pooled_taught_start(const struct pooled *pooled, struct pooled_filter *filter)
{
	const struct pooled_filter *taught;

	if (!fits(pooled, filter))
		return false;
	taught = &pooled->taught->filters[filter->scope];
	for (unsigned m = 0; m < filter->n_members; m++)
		start_member(filter, &filter->members[m], taught, &taught->members[m]);
	memcpy(filter->slow_first_w, taught->slow_first_w, sizeof(filter->slow_first_w));
	memcpy(filter->most_w, taught->most_w, sizeof(filter->most_w));
	memcpy(filter->most_load, taught->most_load, sizeof(filter->most_load));
	memcpy(filter->trend.least_w, taught->trend.least_w, sizeof(filter->trend.least_w));
	memcpy(filter->pair_slope, taught->pair_slope, sizeof(filter->pair_slope));
	return true;
}

/* Takes the part of the input that belongs to the machine. */
static void take_input(struct pooled_input *input, const struct pooled_input *taught)
{
	input->usual_ipc = taught->usual_ipc;
	input->usual_n = taught->usual_n;
	input->first_freq = taught->first_freq;
	input->cores = taught->cores;
	memcpy(input->power_max_w, taught->power_max_w, sizeof(input->power_max_w));
}

int pooled_taught_take(struct pooled *pooled, const bson_t *document, bool estimated, struct reason *why)
{
	struct pooled *taught = formula_pooled.make(NULL);
	int r = taught ? pooled_load(taught, document, why) : -ENOMEM;

	if (r == 0 && (!taught->filters[REPORT_SCOPE_CPU].ready ||
		       taught->filters[REPORT_SCOPE_CPU].n_samples < LEAST_SAMPLES))
		r = reason_set(why, -EINVAL, "it has seen fewer than %d readings of the machine's energy",
			       LEAST_SAMPLES);
	if (r < 0) {
		formula_pooled.free(taught);
		return r;
	}
	formula_pooled.free(pooled->taught);
	pooled->taught = taught;
	taught->input.estimated = estimated;
	if (pooled->input.tick > 0)
		return 0;
	pooled->n_packages = taught->n_packages;
	memcpy(pooled->packages, taught->packages, sizeof(pooled->packages));
	take_input(&pooled->input, &taught->input);
	return 0;
}
