/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How sure the model is of each row: the standard deviation of its part of a socket's dynamic power, from the
 * filters' covariances (delta method) and from what they leave out. docs/energy-model.md derives it; the
 * constants were calibrated on simulated machines (docs/accuracy.md).
 *
 * A part is d_i / D, so an error that all rows share cancels: only differences between rows count.
 */
#include "formula/pooled/pooled.h"

#include <math.h>
#include <string.h>

#define TERMS 8 /* states that one row depends on, at most */

/* What the covariances leave out, by scope; all but `model`, `jitter` and `calm` relative to a row's watts.
 */
struct doubt {
	double model;  /* factor on the filters' own standard deviation */
	double counts; /* new in each tick: counters, the skew between readings */
	double jitter; /* factor on the jitter that the row's own frequency shows: how noisy counters are here
			*/
	double habit;  /* lasting: what a linear model cannot express */
	double young;  /* a factor of which nothing is known yet may be far from the usual */
	double calm;   /* factor on habit where loads are constant */
	double floor;  /* of the socket's dynamic power: work that moves between rows unseen */
};
static const struct doubt doubts[REPORT_SCOPES] = {
	[REPORT_SCOPE_CPU] = {.model = 1,
			      .counts = 0.02,
			      .jitter = 3.5,
			      .habit = 0.05,
			      .young = 0.4,
			      .calm = 1,
			      .floor = 0.004},
	[REPORT_SCOPE_DRAM] =
		{.model = 1, .counts = 0.04, .habit = 0.12, .young = 0.15, .calm = 2, .floor = 0.006},
};
#define JITTER_MOST 0.15
#define CALM_KNOWN  0.25 /* so much less of the model's variance where the answer leans on CPU time */
#define CALM_YOUNG  0.8  /* nothing was learnt there, but the answer leans on CPU time too */
#define UNSETTLED   0.1 /* more counts noise in a container's first and last tick, or when its work changes */

/* A row's derivatives by the few states that it depends on. */
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
	double log_freq = filter->log_freq[view->socket] + input->lean[at], e = exp(view->power * log_freq);
	double g = e * view->shared, core = x[POOLED_B0] * cycles + x[POOLED_B3] * vector, extra = 0;

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

		for (unsigned b = 0; b < gradient->n; b++)
			own += gradient->slope[a] * gradient->slope[b] * row[gradient->state[b]];
		cross += gradient->slope[a] * ph[gradient->state[a]];
	}
	*ret_own = own;
	*ret_cross = cross;
}

/* A row that shares the common cost has a factor that nobody estimates. */
static double unslotted(const struct view *view, unsigned i)
{
	const struct pooled_filter *filter = view->filter;
	size_t at = (size_t)view->socket * view->input->n_rows + i;
	bool cycles = filter->scope == REPORT_SCOPE_CPU || !filter->with_misses;
	double sd = pooled_slots_spread(filter) * pooled_slots_scale(filter, view->member);

	if (filter->slot[i] >= 0)
		return 0;
	return sd * view->input->rates[cycles ? TICK_CYCLES : TICK_MISSES][at];
}

/* Variances of the parts by one member of the bank, weighted, added to filter->doubt; of the whole, to
 * doubt_w. */
static void add_member(struct pooled *pooled, struct pooled_filter *filter,
		       const struct pooled_member *member, double weight, unsigned k)
{
	const struct pooled_input *input = &pooled->input;
	const struct doubt *doubt = &doubts[filter->scope];
	struct view view = {input,
			    filter,
			    member,
			    k,
			    fmin(fmax(member->x[POOLED_POWER], -0.5), 3),
			    1 - fmin(fmax(member->x[POOLED_KAPPA], 0), 0.6) * input->pair[k]};
	const double *watts = filter->dynamic + (size_t)k * input->n_rows;
	double *variance = filter->doubt + (size_t)k * input->n_rows, sum = 0, whole = 0;
	struct gradient gradient;

	memset(filter->h, 0, filter->size * sizeof(*filter->h));
	for (unsigned i = 0; i < input->n_rows; i++) {
		sum += watts[i] > 0 ? watts[i] : 0;
		take(&view, i, &gradient);
		for (unsigned a = 0; a < gradient.n; a++)
			filter->h[gradient.state[a]] += gradient.slope[a];
	}
	pooled_matrix_times(member->p, filter->size, member->n_used, filter->h, filter->ph);
	for (unsigned j = 0; j < member->n_used; j++)
		whole += filter->ph[j] * filter->h[j];
	filter->doubt_w[k] += weight * doubt->model * doubt->model * fmax(whole, 0);
	for (unsigned i = 0; i < input->n_rows && sum > 0; i++) {
		double part = watts[i] > 0 ? watts[i] / sum : 0, own, cross, lone;

		take(&view, i, &gradient);
		quadratic(&view, &gradient, &own, &cross);
		lone = unslotted(&view, i) * (1 - part);
		own += part * (part * whole - 2 * cross) + lone * lone;
		variance[i] += weight * doubt->model * doubt->model * fmax(own, 0) / (sum * sum);
	}
}

/* How much of a factor's prior variance is left, 0..1; 1 for a row without a factor of its own. */
static double youth(const struct pooled_filter *filter, unsigned i)
{
	double sd = pooled_slots_spread(filter), left = 0;

	if (filter->slot[i] < 0)
		return 1;
	for (unsigned m = 0; m < filter->n_members; m++) {
		const struct pooled_member *member = &filter->members[m];
		unsigned j = filter->n_fixed + (unsigned)filter->slot[i] * member->width;
		double scale = sd * pooled_slots_scale(filter, member);

		if (filter->weights[m] > 0)
			left += filter->weights[m] * member->p[(size_t)j * (filter->size + 1)] /
				(scale * scale);
	}
	return fmin(fmax(left, 0), 1);
}

/* Relative variance of a row's watts that the covariances leave out. */
static double left_out(const struct pooled *pooled, const struct pooled_filter *filter, unsigned k,
		       unsigned i)
{
	const struct pooled_input *input = &pooled->input;
	const struct doubt *doubt = &doubts[filter->scope];
	double jitter = pooled->book.leans[(size_t)input->records[i] * input->n_sockets + k].jitter;
	double counts = doubt->counts, habit = doubt->habit * (1 + (doubt->calm - 1) * input->calmness);
	double young = doubt->young * youth(filter, i) * (1 - CALM_YOUNG * input->calmness);

	if (jitter > 0)
		counts += doubt->jitter * fmin(sqrt(jitter), JITTER_MOST);
	if (input->partial[i] || filter->alarm[i])
		counts += UNSETTLED;
	return counts * counts + habit * habit + young * young;
}

/* From variances to standard deviations. */
static void finish(const struct pooled *pooled, struct pooled_filter *filter, unsigned k)
{
	const struct pooled_input *input = &pooled->input;
	const struct doubt *doubt = &doubts[filter->scope];
	const double *watts = filter->dynamic + (size_t)k * input->n_rows;
	double *sd = filter->doubt + (size_t)k * input->n_rows, sum = 0;
	double known = 1 - CALM_KNOWN * input->calmness;

	for (unsigned i = 0; i < input->n_rows; i++)
		sum += watts[i] > 0 ? watts[i] : 0;
	for (unsigned i = 0; i < input->n_rows; i++) {
		double part = sum > 0 && watts[i] > 0 ? watts[i] / sum : 0, free = part * (1 - part);

		sd[i] = sqrt(known * sd[i] + free * free * left_out(pooled, filter, k, i) +
			     doubt->floor * doubt->floor * (1 - part));
	}
	filter->doubt_w[k] = sqrt(filter->doubt_w[k]);
}

void pooled_doubt_fill(struct pooled *pooled, struct pooled_filter *filter)
{
	const struct pooled_input *input = &pooled->input;

	memset(filter->doubt, 0, (size_t)input->n_rows * input->n_sockets * sizeof(*filter->doubt));
	memset(filter->doubt_w, 0, sizeof(filter->doubt_w));
	for (unsigned k = 0; k < input->n_sockets; k++) {
		for (unsigned m = 0; m < filter->n_members; m++)
			if (filter->weights[m] > 0.01)
				add_member(pooled, filter, &filter->members[m], filter->weights[m], k);
		finish(pooled, filter, k);
	}
}
