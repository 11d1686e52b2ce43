/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The measurement: what a socket's power should be, its derivatives, its noise, and the extended Kalman
 * update with Huber's weight, once per socket and member. Sequential over sockets.
 */
#include "formula/pooled/pooled.h"

#include <math.h>
#include <string.h>

#define NOISE_STATIC  0.03  /* of the static part */
#define NOISE_POWER   0.005 /* of the measured power */
#define NOISE_STEP    0.01  /* of the change since the last tick: energy and counts are not read together */
#define NOISE_ALARM   0.15  /* of the watts of a container that seems to change character */
#define NOISE_PARTIAL 0.10  /* of the watts of a container in its first or last tick */
#define NOISE_CALM    4     /* factor on all of it if the loads are constant: there is little to learn */
#define NOISE_FLOOR   1e-6
#define NOISE_CORES   0.05 /* of the measured power of a target's cores: their part of the total varies */
#define HUBER         2.5
#define NOISE_LEARN   0.02
#define NOISE_MOST    9
#define LEARN_AFTER   20
/* After two outliers of one sign in a row, the costs of the active containers are less certain: by this much
 * of the common cost, and more for a larger surprise. */
#define DOUBT_LEAST  0.15
#define DOUBT_MOST   0.75
#define DOUBT_ACTIVE 0.3 /* of full activity */

/*
 * Of scope dram's rows on a socket, the same for all members of the bank: sums over all rows, sums over those
 * without a slot, and the rows that have one.
 */
struct dram_sums {
	double h[POOLED_B2 + 1];
	double square, noise; /* of the watts that a factor would scale; the same with each row's own noise */
	unsigned n_slots, rows[POOLED_SLOTS];
};

struct measure {
	const struct dram_sums *dram; /* NULL in scope cpu */
	const struct pooled_input *input;
	struct pooled_filter *filter;
	const struct pooled_member *member;
	unsigned socket;
	unsigned from, to; /* rows that are summed up */
	size_t first;      /* of the socket's rows */
	double scale_sd;   /* standard deviation of a factor */
	double power;      /* of the model */
	double dynamic;
	double fixed;
	double counts_var; /* from counts, W^2 */
};

/* Misses answered by this socket's memory but caused by threads of other sockets, as found by the dram
 * filter. */
static double other_misses(const struct pooled_input *input, unsigned socket, unsigned i)
{
	const double *misses = input->rates[TICK_MISSES];
	double sum = 0;

	for (unsigned k = 0; k < input->n_sockets; k++)
		sum += k == socket ? 0 : misses[(size_t)k * input->n_rows + i];
	return sum / fmax(input->n_sockets - 1.0, 1);
}

/* Variance of a row's counts, relative to its watts. */
static inline double row_noise(const struct pooled_input *input, const struct pooled_filter *filter,
			       const struct pooled_member *member, unsigned i)
{
	double counts = member->assumed.counts_noise, var = counts * counts;

	if (filter->alarm[i])
		var += NOISE_ALARM * NOISE_ALARM;
	if (input->partial[i])
		var += NOISE_PARTIAL * NOISE_PARTIAL;
	return var;
}

/* The variance of a row's watts, and of what an own factor would scale, that comes from its counts. */
static inline double counts_noise(const struct measure *m, unsigned i, double watts, double feature)
{
	double var = row_noise(m->input, m->filter, m->member, i) * watts * watts;

	if (m->filter->slot[i] < 0)
		var += feature * feature * m->scale_sd * m->scale_sd;
	return var;
}

/* Sums over the rows, kept out of memory that the compiler must assume to be aliased. */
struct sums {
	double h[POOLED_COMMON];
	double dynamic, counts_var;
};

static void keep(struct measure *m, const struct sums *sums)
{
	memcpy(m->filter->h, sums->h, sizeof(sums->h));
	m->dynamic = sums->dynamic;
	m->counts_var = sums->counts_var;
}

static void regress_cpu(struct measure *m)
{
	const struct pooled_input *input = m->input;
	const struct pooled_filter *filter = m->filter;
	const double *x = m->member->x, *cycles = input->calm[TICK_CYCLES] + m->first;
	const double *instructions = input->calm[TICK_INSTRUCTIONS] + m->first;
	const double *remote = filter->moved + m->first, *raw = input->rates[TICK_MISSES] + m->first;
	const double *misses = input->calm[TICK_MISSES] + m->first, *lean = input->lean + m->first;
	const double *vector = input->calm[TICK_VECTOR] + m->first;
	const double *efficient = input->calm[TICK_EFFICIENT] + m->first;
	const double pair = input->pair[m->socket], log_freq = filter->log_freq[m->socket];
	const double power = fmin(fmax(x[POOLED_POWER], -0.5), 3);
	const double shared = 1 - fmin(fmax(x[POOLED_KAPPA], 0), 0.6) * pair;
	const double b0 = x[POOLED_B0], b1 = x[POOLED_B1], b3 = x[POOLED_B3], b4 = x[POOLED_B4];
	const double usual_ipc = input->usual_ipc;
	const bool has_instructions = input->has_instructions;
	struct sums sums = {.dynamic = 0};

	for (unsigned i = m->from; i < m->to; i++) {
		double lf, e, g, extra, core, watts, moved = remote[i] + misses[i] - raw[i];
		int slot = filter->slot[i];
		sums.h[POOLED_B2] += moved > 0 ? moved : 0;
		if (cycles[i] <= 0)
			continue;
		lf = log_freq + lean[i];
		e = exp(power * lf);
		g = e * shared;
		extra = has_instructions ? instructions[i] - usual_ipc * cycles[i] : 0;
		core = b0 * cycles[i] + b1 * extra + b3 * vector[i] + b4 * efficient[i];
		if (slot >= 0) {
			unsigned j = filter->n_fixed + (unsigned)slot * m->member->width;
			core += x[j] * cycles[i];
			filter->h[j] = g * cycles[i];
		}
		watts = g * core;
		sums.h[POOLED_B0] += g * cycles[i];
		sums.h[POOLED_B1] += g * extra;
		sums.h[POOLED_B3] += g * vector[i];
		sums.h[POOLED_B4] += g * efficient[i];
		sums.h[POOLED_POWER] += watts * lf;
		sums.h[POOLED_KAPPA] -= e * core * pair;
		sums.dynamic += watts;
		sums.counts_var += counts_noise(m, i, watts, g * cycles[i]);
	}
	sums.dynamic += x[POOLED_B2] * sums.h[POOLED_B2];
	keep(m, &sums);
}

/* All members of the bank for dram assume the same noise of counts, so any of them will do. */
static void sum_dram(const struct pooled_input *input, const struct pooled_filter *filter, unsigned socket,
		     struct dram_sums *ret)
{
	const size_t first = (size_t)socket * input->n_rows;
	const double *misses = input->calm[TICK_MISSES] + first, *cycles = input->calm[TICK_CYCLES] + first;
	const double *instructions = input->calm[TICK_INSTRUCTIONS] + first;
	const double *feature = filter->with_misses ? misses : cycles;
	double square = 0, noise = 0, h[POOLED_B2 + 1] = {0};

	ret->n_slots = 0;
	for (unsigned i = 0; i < input->n_rows; i++) {
		double each = feature[i] * feature[i];
		h[POOLED_B0] += misses[i];
		h[POOLED_B1] += instructions[i];
		h[POOLED_B2] += cycles[i];
		if (filter->slot[i] >= 0) {
			ret->rows[ret->n_slots++] = i;
			continue;
		}
		square += each;
		noise += each * row_noise(input, filter, &filter->members[0], i);
	}
	memcpy(ret->h, h, sizeof(h));
	ret->square = square;
	ret->noise = noise;
}

static void regress_dram(struct measure *m)
{
	const struct pooled_input *input = m->input;
	const struct pooled_filter *filter = m->filter;
	const struct dram_sums *dram = m->dram;
	const double *x = m->member->x;
	const double *feature = input->calm[filter->with_misses ? TICK_MISSES : TICK_CYCLES] + m->first;
	const double common = filter->with_misses ? x[POOLED_B0] : x[POOLED_B2];
	struct sums sums = {.counts_var =
				    common * common * dram->noise + m->scale_sd * m->scale_sd * dram->square};

	memcpy(sums.h, dram->h, sizeof(dram->h));
	for (unsigned n = 0; n < dram->n_slots; n++) {
		unsigned i = dram->rows[n];
		unsigned j = filter->n_fixed + (unsigned)filter->slot[i] * m->member->width;
		filter->h[j] = feature[i];
		sums.dynamic += x[j] * feature[i];
		if (m->member->assumed.remote) {
			filter->h[j + 1] = filter->moved[m->first + i];
			sums.dynamic += x[j + 1] * filter->h[j + 1];
		}
		sums.counts_var += counts_noise(m, i, (common + x[j]) * feature[i], feature[i]);
	}
	for (unsigned j = 0; j <= POOLED_B2; j++)
		sums.dynamic += x[j] * sums.h[j];
	keep(m, &sums);
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
	m->from = 0;
	m->to = m->input->n_rows;
	m->scale_sd = pooled_slots_spread(filter) * pooled_slots_scale(filter, m->member);
	if (filter->scope == REPORT_SCOPE_CPU)
		regress_cpu(m);
	else
		regress_dram(m);
	m->fixed = pooled_static_terms(filter, m->input, m->member, m->socket, terms);
	memcpy(filter->h + j, terms, sizeof(terms));
	m->power = m->fixed + m->dynamic;
}

/* The sums that are shared by all members of the bank. */
static const struct dram_sums *share_sums(const struct pooled_input *input,
					  const struct pooled_filter *filter, unsigned socket,
					  struct dram_sums *sums)
{
	if (filter->scope == REPORT_SCOPE_CPU)
		return NULL;
	sum_dram(input, filter, socket, sums);
	return sums;
}

void pooled_measure_predict(struct pooled *pooled, struct pooled_filter *filter)
{
	prepare_rows(pooled, filter);
	for (unsigned k = 0; k < filter->n_sockets; k++) {
		struct dram_sums sums;
		const struct dram_sums *dram = share_sums(&pooled->input, filter, k, &sums);
		for (unsigned i = 0; i < filter->n_members; i++) {
			struct measure m = {dram, &pooled->input, filter, &filter->members[i], .socket = k};
			measure(&m);
			filter->members[i].predicted_w[k] = m.power;
		}
		pooled_predict(&pooled->input, filter, k);
	}
}

static double measurement_noise(const struct measure *m, double y, double change)
{
	double var = pow(NOISE_STATIC * m->fixed, 2) + pow(NOISE_POWER * y, 2) + pow(NOISE_STEP * change, 2);

	return var + m->counts_var;
}

/* filter->ph = P h; returns h' P h. */
static double project(struct pooled_filter *filter, const struct pooled_member *member)
{
	double sum = 0;

	pooled_matrix_times(member->p, filter->size, member->n_used, filter->h, filter->ph);
	for (unsigned j = 0; j < member->n_used; j++)
		sum += filter->ph[j] * filter->h[j];
	return sum;
}

/* The Kalman step after project(): `total` is the expected variance of the miss. */
static void correct(struct pooled_filter *filter, struct pooled_member *member, double miss, double total)
{
	const double root = 1 / sqrt(total);

	for (unsigned j = 0; j < member->n_used; j++) {
		filter->ph[j] *= root;
		member->x[j] += filter->ph[j] * root * miss;
	}
	pooled_matrix_downdate(member->p, filter->size, member->n_used, filter->ph);
}

/* Are this miss and the last one outliers to the same side? If only CPU time is known, everything that it
 * does not show is an outlier. */
static bool is_repeated(const struct pooled_filter *filter, struct pooled_member *member, unsigned socket,
			double deviations)
{
	bool outlier =
		fabs(deviations) > HUBER && filter->scope == REPORT_SCOPE_CPU && filter->with_instructions;
	double last = member->outlier[socket];

	member->outlier[socket] = !outlier ? 0 : deviations > 0 ? 1 : -1;
	return outlier && last * deviations > 0;
}

/*
 * A factor that seems well known keeps its value even if it proves wrong: costs differ nine-fold between
 * programs, and a program may change without a sign in its counts. So the factors of active containers become
 * uncertain again.
 */
static void doubt_factors(const struct pooled_filter *filter, struct pooled_member *member,
			  const struct measure *m, double deviations)
{
	double part = fmin(fmax(0.5 * (deviations / HUBER - 0.7), DOUBT_LEAST), DOUBT_MOST);
	double sd = part * pooled_slots_scale(filter, member);

	for (unsigned i = 0; i < m->input->n_rows; i++) {
		unsigned j = filter->n_fixed + (unsigned)filter->slot[i] * member->width;
		double *variance;
		if (filter->slot[i] < 0 || !(filter->weight[i] > DOUBT_ACTIVE))
			continue;
		variance = &member->p[(size_t)j * (filter->size + 1)];
		*variance = fmax(*variance, sd * sd);
	}
}

static void update_member(struct pooled_filter *filter, struct pooled_member *member, const struct measure *m,
			  double y)
{
	double change = y - filter->last_w[m->socket],
	       *noise = &member->noise[m->input->busy[m->socket] >= 0.5];
	double calm = 1 + NOISE_CALM * m->input->calmness;
	double r = measurement_noise(m, y, isfinite(change) ? change : 0) * *noise * calm + NOISE_FLOOR;
	double s = project(filter, member), total = s + r, miss = y - m->power, surprise;

	surprise = miss * miss / total;
	if (!(total > 0) || !isfinite(total) || !isfinite(surprise))
		return;
	if (is_repeated(filter, member, m->socket, miss / sqrt(total))) {
		doubt_factors(filter, member, m, fabs(miss) / sqrt(total));
		s = project(filter, member);
		total = s + r;
		surprise = miss * miss / total;
	}
	member->log_weight -= 0.5 * fmin(surprise, 25) + 0.5 * log(total);
	if (filter->tick > LEARN_AFTER) {
		*noise *= 1 + NOISE_LEARN * (fmin(surprise, 9) - 1) * r / total;
		*noise = fmin(fmax(*noise, member->assumed.least_noise), NOISE_MOST);
	}
	if (surprise > HUBER * HUBER)
		total = fabs(miss) * sqrt(total) / HUBER;
	correct(filter, member, miss, total);
}

void pooled_measure_update(struct pooled *pooled, struct pooled_filter *filter, unsigned socket)
{
	double y = pooled->input.power_w[filter->scope][socket];
	struct dram_sums sums;
	const struct dram_sums *dram = share_sums(&pooled->input, filter, socket, &sums);

	for (unsigned i = 0; i < filter->n_members; i++) {
		struct measure m = {dram, &pooled->input, filter, &filter->members[i], .socket = socket};
		measure(&m);
		update_member(filter, &filter->members[i], &m, y);
	}
}

/* A member's prediction of one row, and its derivatives. */
static void measure_row(struct measure *m, unsigned row)
{
	memset(m->filter->h, 0, m->filter->size * sizeof(*m->filter->h));
	m->first = (size_t)m->socket * m->input->n_rows;
	m->from = row;
	m->to = row + 1;
	m->scale_sd = pooled_slots_spread(m->filter) * pooled_slots_scale(m->filter, m->member);
	regress_cpu(m);
}

/* The Kalman update by one row; the weights of the members do not change, because they are about the whole
 * machine. */
static void update_row(struct pooled_filter *filter, struct pooled_member *member, const struct measure *m,
		       double y)
{
	const double noise = NOISE_CORES * y, r = noise * noise + m->counts_var + NOISE_FLOOR;
	const double s = project(filter, member), miss = y - m->dynamic;
	double total = s + r;

	if (!(total > 0) || !isfinite(total) || !isfinite(miss))
		return;
	if (miss * miss > HUBER * HUBER * total)
		total = fabs(miss) * sqrt(total) / HUBER;
	correct(filter, member, miss, total);
}

void pooled_measure_cores(struct pooled *pooled, struct pooled_filter *filter, unsigned socket)
{
	const struct pooled_input *input = &pooled->input;
	const double *core_w = input->core_w + (size_t)socket * input->n_rows;
	const double part = pooled_core_part(filter, socket);

	if (!input->has_cores || filter->scope != REPORT_SCOPE_CPU || !(part > 0))
		return;
	for (unsigned row = 0; row < input->n_rows; row++) {
		if (!(core_w[row] > 0))
			continue;
		for (unsigned i = 0; i < filter->n_members; i++) {
			struct measure m = {.input = input,
					    .filter = filter,
					    .member = &filter->members[i],
					    .socket = socket};

			measure_row(&m, row);
			update_row(filter, &filter->members[i], &m, core_w[row] / part);
		}
	}
}
