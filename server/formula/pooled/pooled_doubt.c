/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The uncertainty of each row: the standard deviation of its part of a socket's dynamic power, from the
 * filters' covariances (delta method) and from effects that they do not model. docs/energy-model.md derives
 * it; the constants were calibrated on simulated machines (docs/accuracy.md).
 *
 * A part is d_i / D, so an error that all rows share cancels: only differences between rows count.
 */
#include "formula/pooled/pooled.h"

#include <math.h>
#include <string.h>

#define TERMS 8 /* states that one row depends on, at most */

/*
 * Contributions to a row's variance, by scope. `d` is the row's watts, `part` = d / D; `trouble` combines the
 * recent prediction errors and the noise of the readings, 1 if both are usual.
 */
struct doubt {
	/* Factor on the variance from the filters' covariance, and its increase with trouble; the part that
	 * is left out if loads are constant, because priors are better than they claim. */
	double model, model_trouble, model_calm;
	double counts; /* of d, new in each tick: counters, the skew between readings */
	double small;  /* of d, for rows too small for their own cost to be learnt */
	double spread; /* factor on the spread of own costs, for rows without a slot */
	/* Lasting, of d (1 - part): what the model cannot express, in trouble; without instructions (cpu) or
	 * misses (dram), because kinds of work look alike; with constant loads, because nothing corrects the
	 * model; at rest, because predictions hardly ever miss. */
	double habit, blind, calm, rest;
	double rest_power;     /* exponent of the degree to which the socket is at rest */
	double counts_trouble; /* part of it that follows trouble */
	double lean; /* factor on the distance between model and CPU-time share, if the answer lies between
			them */
	double miss_power, noise_power; /* exponents of misses (squared) and noise in trouble */
	double miss_most;               /* upper limit of a miss */
	/* Exponent of (what is usually dynamic) / (what is dynamic now) in a miss: a small miss of the power
	 * is a large one of its dynamic part. */
	double miss_dynamic;
};
static const struct doubt doubts[REPORT_SCOPES] = {
	[REPORT_SCOPE_CPU] = {.model = 0.6,
			      .model_trouble = 0.077,
			      .model_calm = 0.49,
			      .counts = 0.02,
			      .small = 0.08,
			      .spread = 1.12,
			      .counts_trouble = 0.28,
			      .habit = 0.15,
			      .blind = 0.15,
			      .calm = 0.01,
			      .rest = 0.4,
			      .rest_power = 0.5,
			      .lean = 0.49,
			      .miss_power = 1.15,
			      .noise_power = 1.17,
			      .miss_most = 2.2,
			      .miss_dynamic = 0.65},
	[REPORT_SCOPE_DRAM] = {.model = 1.2,
			       .model_trouble = 0.31,
			       .counts = 0.01,
			       .spread = 1,
			       .blind = 0.26,
			       .calm = 0.13,
			       .rest = 1,
			       .rest_power = 0.7,
			       .miss_power = 1,
			       .miss_most = 1.9,
			       .miss_dynamic = -1.45},
};
#define MISS_USUAL    0.01 /* of the measured power: the prediction error that counts as 1 */
#define DYNAMIC_USUAL 0.45 /* of the measured power */
#define DYNAMIC_LEAST 0.02
#define TRIFLE        1e-5 /* of the sum; for smaller rows the covariances miss more than they cover */
#define SPEAKS        0.15 /* least weight of a member of the bank to be included */
#define UNSETTLED     0.1  /* of d, in a container's first and last tick and when its work changes */

/* A row's derivatives with respect to the few states that it depends on. */
struct gradient {
	unsigned n;
	unsigned state[TERMS];
	double slope[TERMS];
};

static inline void add_term(struct gradient *gradient, unsigned state, double slope)
{
	gradient->state[gradient->n] = state;
	gradient->slope[gradient->n++] = slope;
}

struct view {
	const struct pooled_input *input;
	struct pooled_filter *filter;
	const struct pooled_member *member;
	unsigned socket;
	double power, shared; /* exponent of frequency; factor of busy siblings */
};

static void take_cpu(const struct view *view, unsigned i, struct gradient *gradient)
{
	const struct pooled_input *input = view->input;
	const struct pooled_filter *filter = view->filter;
	const double *x = view->member->x;
	size_t at = (size_t)view->socket * input->n_rows + i;
	double cycles = input->rates[TICK_CYCLES][at], vector = input->rates[TICK_VECTOR][at];
	double efficient = input->rates[TICK_EFFICIENT][at];
	double log_freq = filter->log_freq[view->socket] + input->lean[at], e = exp(view->power * log_freq);
	double g = e * view->shared, extra = 0;
	double core = x[POOLED_B0] * cycles + x[POOLED_B3] * vector + x[POOLED_B4] * efficient;

	add_term(gradient, POOLED_B2, filter->moved[at] > 0 ? filter->moved[at] : 0);
	if (!(cycles > 0))
		return;
	if (input->has_instructions)
		extra = input->rates[TICK_INSTRUCTIONS][at] - input->usual_ipc * cycles;
	core += x[POOLED_B1] * extra;
	if (filter->slot[i] >= 0) {
		unsigned j = filter->n_fixed + (unsigned)filter->slot[i] * view->member->width;

		core += x[j] * cycles;
		add_term(gradient, j, g * cycles);
	}
	add_term(gradient, POOLED_B0, g * cycles);
	add_term(gradient, POOLED_B1, g * extra);
	add_term(gradient, POOLED_B3, g * vector);
	add_term(gradient, POOLED_B4, g * efficient);
	add_term(gradient, POOLED_POWER, g * core * log_freq);
	add_term(gradient, POOLED_KAPPA, -e * core * input->pair[view->socket]);
}

static void take_dram(const struct view *view, unsigned i, struct gradient *gradient)
{
	const struct pooled_input *input = view->input;
	const struct pooled_filter *filter = view->filter;
	size_t at = (size_t)view->socket * input->n_rows + i;
	double misses = input->rates[TICK_MISSES][at], cycles = input->rates[TICK_CYCLES][at];

	add_term(gradient, POOLED_B0, misses);
	add_term(gradient, POOLED_B1, input->rates[TICK_INSTRUCTIONS][at]);
	add_term(gradient, POOLED_B2, cycles);
	if (filter->slot[i] >= 0) {
		unsigned j = filter->n_fixed + (unsigned)filter->slot[i] * view->member->width;

		add_term(gradient, j, filter->with_misses ? misses : cycles);
		if (view->member->assumed.remote)
			add_term(gradient, j + 1, filter->moved[at]);
	}
}

static void take(const struct view *view, unsigned i, struct gradient *gradient)
{
	gradient->n = 0;
	if (view->filter->scope == REPORT_SCOPE_CPU)
		take_cpu(view, i, gradient);
	else
		take_dram(view, i, gradient);
}

/* h' P h of the row alone, and its product with `ph` = P H. */
static void quadratic(const struct view *view, const struct gradient *gradient, double *ret_own,
		      double *ret_cross)
{
	const double *p = view->member->p, *ph = view->filter->ph;
	double own = 0, cross = 0;

	for (unsigned a = 0; a < gradient->n; a++) {
		const double *row = p + (size_t)gradient->state[a] * view->filter->size;

		double before = 0; /* the matrix is symmetric */
		for (unsigned b = 0; b < a; b++)
			before += gradient->slope[b] * row[gradient->state[b]];
		own += gradient->slope[a] * (2 * before + gradient->slope[a] * row[gradient->state[a]]);
		cross += gradient->slope[a] * ph[gradient->state[a]];
	}
	*ret_own = own;
	*ret_cross = cross;
}

/* Of a socket, over its rows. */
struct totals {
	double watts, time;
	double trouble; /* see trouble() */
	double rest;    /* how much the socket is at rest, 0..1, to its power */
};

/* Laws and counters that differ from the model's show in the sum, and affect the parts as they affect the
 * sum. */
static double trouble(const struct pooled_input *input, const struct pooled_filter *filter, unsigned k,
		      double watts)
{
	const struct doubt *doubt = &doubts[filter->scope];
	double y = input->power_w[filter->scope][k], miss = filter->error_w[k] / (MISS_USUAL * y);
	double noise = filter->members[0].noise[input->busy[k] >= 0.5];
	double dynamic = fmin(fmax(watts / y, DYNAMIC_LEAST), 1);

	miss *= pow(DYNAMIC_USUAL / dynamic, doubt->miss_dynamic);
	miss = isfinite(miss) ? fmin(miss, doubt->miss_most) : 1;
	return pow(miss * miss, doubt->miss_power) * pow(noise, doubt->noise_power);
}

static struct totals total(const struct pooled_input *input, const struct pooled_filter *filter, unsigned k)
{
	size_t first = (size_t)k * input->n_rows;
	struct totals totals = {0};

	for (unsigned i = 0; i < input->n_rows; i++) {
		totals.watts += filter->dynamic[first + i] > 0 ? filter->dynamic[first + i] : 0;
		totals.time += input->rates[TICK_REF][first + i];
	}
	totals.trouble = trouble(input, filter, k, totals.watts);
	totals.rest = pow(pooled_input_rest(input, k), doubts[filter->scope].rest_power);
	return totals;
}

/* A row without a slot has an unknown factor. */
static double unslotted(const struct view *view, unsigned i)
{
	const struct pooled_filter *filter = view->filter;
	size_t at = (size_t)view->socket * view->input->n_rows + i;
	bool cycles = filter->scope == REPORT_SCOPE_CPU || !filter->with_misses;
	double sd = doubts[filter->scope].spread * pooled_slots_spread(filter) *
		    pooled_slots_scale(filter, view->member);

	if (filter->slot[i] >= 0)
		return 0;
	return sd * view->input->rates[cycles ? TICK_CYCLES : TICK_MISSES][at];
}

/* Adds one member's weighted variances of the parts to filter->doubt, and of the whole to doubt_w. */
static void add_member(struct pooled *pooled, struct pooled_filter *filter,
		       const struct pooled_member *member, double weight, unsigned k,
		       const struct totals *totals)
{
	const struct pooled_input *input = &pooled->input;
	const struct doubt *doubt = &doubts[filter->scope];
	double model = (doubt->model + doubt->model_trouble * totals->trouble) *
		       (1 - doubt->model_calm * input->calmness);
	struct view view = {input,
			    filter,
			    member,
			    k,
			    fmin(fmax(member->x[POOLED_POWER], -0.5), 3),
			    1 - fmin(fmax(member->x[POOLED_KAPPA], 0), 0.6) * input->pair[k]};
	const double *watts = filter->dynamic + (size_t)k * input->n_rows;
	double *variance = filter->doubt + (size_t)k * input->n_rows, sum = totals->watts, whole = 0;
	struct gradient gradient;

	memset(filter->h, 0, filter->size * sizeof(*filter->h));
	for (unsigned i = 0; i < input->n_rows; i++) {
		if (!(watts[i] > TRIFLE * sum))
			continue;
		take(&view, i, &gradient);
		for (unsigned a = 0; a < gradient.n; a++)
			filter->h[gradient.state[a]] += gradient.slope[a];
	}
	pooled_matrix_times(member->p, filter->size, member->n_used, filter->h, filter->ph);
	for (unsigned j = 0; j < member->n_used; j++)
		whole += filter->ph[j] * filter->h[j];
	filter->doubt_w[k] += weight * model * fmax(whole, 0);
	for (unsigned i = 0; i < input->n_rows && sum > 0; i++) {
		double part = watts[i] / sum, own, cross, lone;

		if (!(watts[i] > TRIFLE * sum))
			continue;
		take(&view, i, &gradient);
		quadratic(&view, &gradient, &own, &cross);
		lone = unslotted(&view, i) * (1 - part);
		own += part * (part * whole - 2 * cross) + lone * lone;
		variance[i] += weight * model * fmax(own, 0) / (sum * sum);
	}
}

/* If the answer lies between the model's and the CPU-time share's, both are estimates: the weight of the
 * share times the square of their distance, relative to the sum. */
static double leaned(const struct pooled_input *input, const struct pooled_filter *filter, size_t at,
		     const struct totals *totals)
{
	double lean = filter->scope == REPORT_SCOPE_CPU ? pooled_output_lean(input) : 0, distance;

	if (!(lean > 0) || !(totals->time > 0))
		return 0;
	distance = input->rates[TICK_REF][at] / totals->time - filter->dynamic[at] / totals->watts;
	return lean * pow(distance / (1 - lean), 2);
}

/* Variance of a row's part that is not in the covariances. */
static double left_out(const struct pooled_input *input, const struct pooled_filter *filter, unsigned k,
		       unsigned i, const struct totals *totals)
{
	const struct doubt *doubt = &doubts[filter->scope];
	size_t at = (size_t)k * input->n_rows + i;
	bool blind = filter->scope == REPORT_SCOPE_CPU ? !filter->with_instructions : !filter->with_misses;
	double part = filter->dynamic[at] / totals->watts, others = part * (1 - part);
	double habit = doubt->habit * doubt->habit * totals->trouble +
		       doubt->calm * doubt->calm * input->calmness +
		       doubt->rest * doubt->rest * totals->rest + (blind ? doubt->blind * doubt->blind : 0);
	double counts = doubt->counts * doubt->counts * (1 + doubt->counts_trouble * (totals->trouble - 1));

	counts += doubt->small * doubt->small * (1 - filter->weight[i]);
	if (input->partial[i] || filter->alarm[i])
		counts += UNSETTLED * UNSETTLED;
	return part * part * counts + others * others * habit +
	       doubt->lean * leaned(input, filter, at, totals);
}

/* From variances to standard deviations. */
static void finish(const struct pooled_input *input, struct pooled_filter *filter, unsigned k,
		   const struct totals *totals)
{
	size_t first = (size_t)k * input->n_rows;

	for (unsigned i = 0; i < input->n_rows; i++) {
		double *sd = &filter->doubt[first + i];
		if (totals->watts > 0 && filter->dynamic[first + i] > 0)
			*sd += left_out(input, filter, k, i, totals);
		*sd = sqrt(*sd);
	}
	filter->doubt_w[k] = sqrt(filter->doubt_w[k]);
}

void pooled_doubt_fill(struct pooled *pooled, struct pooled_filter *filter)
{
	const struct pooled_input *input = &pooled->input;
	double weights = 0;

	memset(filter->doubt, 0, (size_t)input->n_rows * input->n_sockets * sizeof(*filter->doubt));
	memset(filter->doubt_w, 0, sizeof(filter->doubt_w));
	for (unsigned m = 0; m < filter->n_members; m++)
		weights += filter->weights[m] > SPEAKS ? filter->weights[m] : 0;
	for (unsigned k = 0; k < input->n_sockets; k++) {
		struct totals totals = total(input, filter, k);
		for (unsigned m = 0; m < filter->n_members; m++)
			if (filter->weights[m] > SPEAKS)
				add_member(pooled, filter, &filter->members[m], filter->weights[m] / weights,
					   k, &totals);
		finish(input, filter, k, &totals);
	}
}
