/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The measurement: what a socket's power should be, its derivatives, its noise, and the extended Kalman
 * update with Huber's weight, once per socket and member. Sequential over sockets.
 */
#include "formula/pooled/pooled.h"

#include <math.h>
#include <string.h>

#define NOISE_STATIC   0.03  /* of the static part */
#define NOISE_POWER    0.005 /* of the measured power */
#define NOISE_STEP     0.01  /* of the change since the last tick: energy and counts are not read together */
#define NOISE_ALARM    0.15  /* of the watts of a container that seems to change character */
#define NOISE_PARTIAL  0.10  /* of the watts of a container in its first or last tick */
#define NOISE_CALM     4 /* so much more of all of it where the loads are constant: there is little to learn */
#define NOISE_FLOOR    1e-6
#define HUBER          2.5
#define NOISE_LEARN    0.02
#define NOISE_MOST     9
#define LEARN_AFTER    20
#define ABOVE_SEEN     1.25 /* of the largest power: turbo, warmth, dearer work at the same load */
#define COST_MOST      3    /* nJ per cycle of a core that was idle before: few cores take more */
#define MISS_COST_MOST 120  /* nJ per miss, prefetched lines included */

struct measure {
	const struct pooled_input *input;
	struct pooled_filter *filter;
	const struct pooled_member *member;
	unsigned socket;
	size_t first;    /* of the socket's rows */
	double scale_sd; /* standard deviation of a factor */
	double power;    /* of the model */
	double dynamic;
	double fixed;
	double counts_var; /* from counts, W^2 */
};

/* Misses that fall on this socket's memory: of other sockets' threads, where the dram filter found so. */
static double other_misses(const struct pooled_input *input, unsigned socket, unsigned i)
{
	const double *misses = input->rates[TICK_MISSES];
	double sum = 0;

	for (unsigned k = 0; k < input->n_sockets; k++)
		sum += k == socket ? 0 : misses[(size_t)k * input->n_rows + i];
	return sum / fmax(input->n_sockets - 1.0, 1);
}

static inline void add_counts_noise(struct measure *m, unsigned i, double watts, double feature)
{
	double counts = m->member->assumed.counts_noise, var = counts * counts;

	if (m->filter->alarm[i])
		var += NOISE_ALARM * NOISE_ALARM;
	if (m->input->partial[i])
		var += NOISE_PARTIAL * NOISE_PARTIAL;
	m->counts_var += var * watts * watts;
	if (m->filter->slot[i] < 0)
		m->counts_var += feature * feature * m->scale_sd * m->scale_sd;
}

static void regress_cpu(struct measure *m)
{
	const struct pooled_input *input = m->input;
	const struct pooled_filter *filter = m->filter;
	const double *x = m->member->x, *cycles = input->calm[TICK_CYCLES] + m->first;
	const double *instructions = input->calm[TICK_INSTRUCTIONS] + m->first;
	const double *remote = filter->moved + m->first, *raw = input->rates[TICK_MISSES] + m->first;
	const double *misses = input->calm[TICK_MISSES] + m->first;
	const double *vector = input->calm[TICK_VECTOR] + m->first;
	double *h = filter->h, pair = input->pair[m->socket];
	double log_freq = filter->log_freq[m->socket];
	double power = fmin(fmax(x[POOLED_POWER], -0.5), 3);
	double shared = 1 - fmin(fmax(x[POOLED_KAPPA], 0), 0.6) * pair;

	for (unsigned i = 0; i < input->n_rows; i++) {
		double lf, e, g, extra, core, watts;
		int slot = filter->slot[i];
		h[POOLED_B2] += fmax(remote[i] + misses[i] - raw[i], 0);
		if (cycles[i] <= 0)
			continue;
		lf = log_freq + input->lean[m->first + i];
		e = exp(power * lf);
		g = e * shared;
		extra = input->has_instructions ? instructions[i] - input->usual_ipc * cycles[i] : 0;
		core = x[POOLED_B0] * cycles[i] + x[POOLED_B1] * extra + x[POOLED_B3] * vector[i];
		if (slot >= 0) {
			unsigned j = filter->n_fixed + (unsigned)slot * m->member->width;
			core += x[j] * cycles[i];
			h[j] = g * cycles[i];
		}
		watts = g * core;
		h[POOLED_B0] += g * cycles[i];
		h[POOLED_B1] += g * extra;
		h[POOLED_B3] += g * vector[i];
		h[POOLED_POWER] += watts * lf;
		h[POOLED_KAPPA] -= e * core * pair;
		m->dynamic += watts;
		add_counts_noise(m, i, watts, g * cycles[i]);
	}
	m->dynamic += x[POOLED_B2] * h[POOLED_B2];
}

static void regress_dram(struct measure *m)
{
	const struct pooled_input *input = m->input;
	const struct pooled_filter *filter = m->filter;
	const double *x = m->member->x, *misses = input->calm[TICK_MISSES] + m->first;
	const double *cycles = input->calm[TICK_CYCLES] + m->first;
	const double *instructions = input->calm[TICK_INSTRUCTIONS] + m->first;
	const double *feature = filter->with_misses ? misses : cycles;
	double common = filter->with_misses ? x[POOLED_B0] : x[POOLED_B2], *h = filter->h;

	for (unsigned i = 0; i < input->n_rows; i++) {
		int slot = filter->slot[i];
		double factor = common;
		if (slot < 0 && misses[i] + instructions[i] + cycles[i] == 0)
			continue;
		h[POOLED_B0] += misses[i];
		h[POOLED_B1] += instructions[i];
		h[POOLED_B2] += cycles[i];
		if (slot >= 0) {
			unsigned j = filter->n_fixed + (unsigned)slot * m->member->width;
			h[j] = feature[i];
			factor += x[j];
			m->dynamic += x[j] * feature[i];
			if (m->member->assumed.remote) {
				h[j + 1] = filter->moved[m->first + i];
				m->dynamic += x[j + 1] * h[j + 1];
			}
		}
		add_counts_noise(m, i, factor * feature[i], feature[i]);
	}
	for (unsigned j = 0; j <= POOLED_B2; j++)
		m->dynamic += x[j] * h[j];
}

/*
 * filter->moved: cpu: misses with their remote part moved home; dram: what a fully remote container's misses
 * would move to this socket. filter->log_freq: ln of the sockets' frequency against the first one.
 */
static void prepare_rows(struct pooled *pooled, struct pooled_filter *filter)
{
	const struct pooled_input *input = &pooled->input;
	const double *misses = input->rates[TICK_MISSES];

	for (unsigned k = 0; k < input->n_sockets; k++) {
		double ratio = input->freq[k] / input->first_freq;
		filter->log_freq[k] = isfinite(ratio) ? log(fmin(fmax(ratio, 0.2), 5)) : 0;
		for (unsigned i = 0; i < input->n_rows; i++) {
			size_t at = (size_t)k * input->n_rows + i;
			double remote = pooled->book.records[input->records[i]].remote, moved = 0;
			bool cpu = filter->scope == REPORT_SCOPE_CPU;
			if (input->n_sockets > 1 && (!cpu || remote > 0))
				moved = other_misses(input, k, i) - misses[at];
			filter->moved[at] = cpu ? misses[at] + remote * moved : moved;
		}
	}
}

static void measure(struct measure *m)
{
	struct pooled_filter *filter = m->filter;
	double terms[POOLED_STATIC];
	unsigned j = POOLED_COMMON + POOLED_STATIC * m->socket;

	memset(filter->h, 0, filter->size * sizeof(*filter->h));
	m->first = (size_t)m->socket * m->input->n_rows;
	m->scale_sd = pooled_slots_spread(filter) * pooled_slots_scale(filter, m->member);
	m->dynamic = 0;
	m->counts_var = 0;
	if (filter->scope == REPORT_SCOPE_CPU)
		regress_cpu(m);
	else
		regress_dram(m);
	m->fixed = pooled_static_terms(filter, m->input, m->member, m->socket, terms);
	memcpy(filter->h + j, terms, sizeof(terms));
	m->power = m->fixed + m->dynamic;
}

/* Of members that only predict, the one that missed least of late speaks for the total; else the bank's mean.
 */
static double predicted(const struct pooled_filter *filter, unsigned socket)
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

/*
 * No prediction above what this socket has been seen to take by more than a quarter and what the load beyond
 * the largest seen can cost. Only the answer is limited: the filters learn from what they expected.
 */
static double guarded(const struct pooled_input *input, const struct pooled_filter *filter, unsigned socket,
		      double watts)
{
	const double cost =
		filter->scope == REPORT_SCOPE_CPU || !filter->with_misses ? COST_MOST : MISS_COST_MOST;
	double rise = load_of(input, filter, socket) - filter->most_load[socket];
	double most = ABOVE_SEEN * filter->most_w[socket] + cost * fmax(rise, 0);

	return filter->most_w[socket] > 0 ? fmin(watts, most) : watts;
}

void pooled_measure_remember(const struct pooled_input *input, struct pooled_filter *filter)
{
	for (unsigned k = 0; k < filter->n_sockets; k++) {
		double y = input->power_w[filter->scope][k];

		if (!isfinite(y))
			continue;
		filter->most_w[k] = fmax(filter->most_w[k], y);
		filter->most_load[k] = fmax(filter->most_load[k], load_of(input, filter, k));
	}
}

void pooled_measure_predict(struct pooled *pooled, struct pooled_filter *filter)
{
	prepare_rows(pooled, filter);
	for (unsigned k = 0; k < filter->n_sockets; k++) {
		for (unsigned i = 0; i < filter->n_members; i++) {
			struct measure m = {&pooled->input, filter, &filter->members[i], .socket = k};
			measure(&m);
			filter->members[i].predicted_w[k] = m.power;
		}
		filter->predicted_w[k] = guarded(&pooled->input, filter, k, predicted(filter, k));
	}
}

static double measurement_noise(const struct measure *m, double y, double change)
{
	double var = pow(NOISE_STATIC * m->fixed, 2) + pow(NOISE_POWER * y, 2) + pow(NOISE_STEP * change, 2);

	return var + m->counts_var;
}

static void update_member(struct pooled_filter *filter, struct pooled_member *member, const struct measure *m,
			  double y)
{
	double change = y - filter->last_w[m->socket],
	       *noise = &member->noise[m->input->busy[m->socket] >= 0.5];
	double calm = 1 + NOISE_CALM * m->input->calmness;
	double r = measurement_noise(m, y, isfinite(change) ? change : 0) * *noise * calm + NOISE_FLOOR;
	double s = 0, total, miss = y - m->power, surprise, root;

	pooled_matrix_times(member->p, filter->size, member->n_used, filter->h, filter->ph);
	for (unsigned j = 0; j < member->n_used; j++)
		s += filter->ph[j] * filter->h[j];
	total = s + r;
	surprise = miss * miss / total;
	if (!(total > 0) || !isfinite(total) || !isfinite(surprise))
		return;
	member->log_weight -= 0.5 * fmin(surprise, 25) + 0.5 * log(total);
	if (filter->tick > LEARN_AFTER) {
		*noise *= 1 + NOISE_LEARN * (fmin(surprise, 9) - 1) * r / total;
		*noise = fmin(fmax(*noise, member->assumed.least_noise), NOISE_MOST);
	}
	if (surprise > HUBER * HUBER)
		total = fabs(miss) * sqrt(total) / HUBER;
	root = 1 / sqrt(total);
	for (unsigned j = 0; j < member->n_used; j++) {
		filter->ph[j] *= root;
		member->x[j] += filter->ph[j] * root * miss;
	}
	pooled_matrix_downdate(member->p, filter->size, member->n_used, filter->ph);
}

void pooled_measure_update(struct pooled *pooled, struct pooled_filter *filter, unsigned socket)
{
	double y = pooled->input.power_w[filter->scope][socket];

	for (unsigned i = 0; i < filter->n_members; i++) {
		struct measure m = {&pooled->input, filter, &filter->members[i], .socket = socket};
		measure(&m);
		update_member(filter, &filter->members[i], &m, y);
	}
}
