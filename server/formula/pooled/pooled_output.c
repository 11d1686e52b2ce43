/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Computes each row's dynamic watts and each socket's static watts from the state after the update, averaged
 * over the bank. conserve.c makes them add up.
 */
#include "formula/pooled/pooled.h"

#include <math.h>
#include <string.h>

#define LEAST_PART  0.1   /* of the common cost; nothing that runs is free */
#define TIME_PART   0.5   /* weight of the CPU-time share on a calm machine */
#define TIME_LITTLE 0.1   /* the same if the width of instructions is counted */
#define REMOTE_ROW  0.02  /* W; below this, a socket on which a container did not run gets no row for it */
#define SHALLOW     0.009 /* of the static power: an idle core, while its package is kept awake */

/*
 * Degree to which busy threads wake what cores share. A package wakes with its first busy core: fully by one
 * thread that never rests, but by far less than its time if short work is scattered over the cores. Memory
 * wakes gradually.
 */
static double awake(const struct pooled_member *member, bool cpu, double threads)
{
	double part = threads / member->assumed.step_threads;

	return 1 - exp(cpu ? -part * part : -part);
}

/*
 * Cores that do not work while others keep the package awake sleep lightly and draw power. Each core that
 * starts to work removes the power of an idle one, so without this term a core would seem to cost less by
 * that amount; on a machine with small cores and a large static part, less than nothing.
 */
static double lightly_asleep(const struct pooled_input *input, unsigned socket)
{
	double working = input->busy[socket] * (1 - 0.5 * input->pair[socket]);

	return fmax(input->n_cores - working, 0);
}

double pooled_static_terms(const struct pooled_filter *filter, const struct pooled_input *input,
			   const struct pooled_member *member, unsigned socket, double terms[POOLED_STATIC])
{
	const double *x = member->x + POOLED_COMMON + POOLED_STATIC * socket;
	bool cpu = filter->scope == REPORT_SCOPE_CPU;
	double ratio = input->freq[socket] / input->first_freq, sum = 0;

	terms[POOLED_S1] = awake(member, cpu, input->busy[socket]);
	terms[POOLED_S0] = 1 + (cpu ? SHALLOW * lightly_asleep(input, socket) * terms[POOLED_S1] : 0);
	terms[POOLED_SL] = cpu ? filter->slow_w[socket] - filter->slow_first_w[socket] : 0;
	terms[POOLED_SF] = cpu && isfinite(ratio) ? ratio - 1 : 0;
	for (unsigned j = 0; j < POOLED_STATIC; j++)
		sum += x[j] * terms[j];
	return sum;
}

/* fmax() for numbers: inline, and the compiler may move it out of loops. */
static inline double larger(double a, double b)
{
	return a > b ? a : b;
}

static double watts_cpu(const struct pooled_filter *filter, const struct pooled_input *input, const double *x,
			size_t at, unsigned i, double g)
{
	double cycles = input->rates[TICK_CYCLES][at], watts;
	int slot = filter->slot[i];

	watts = x[POOLED_B0] * cycles + x[POOLED_B3] * input->rates[TICK_VECTOR][at] +
		x[POOLED_B4] * input->rates[TICK_EFFICIENT][at];
	if (input->has_instructions)
		watts += x[POOLED_B1] * (input->rates[TICK_INSTRUCTIONS][at] - input->usual_ipc * cycles);
	if (slot >= 0)
		watts += x[filter->n_fixed + (unsigned)slot] * cycles;
	watts = g * watts + larger(x[POOLED_B2], 0) * filter->moved[at];
	return larger(watts, LEAST_PART * larger(x[POOLED_B0], 0.02) * cycles * g);
}

static double watts_dram(const struct pooled_filter *filter, const struct pooled_input *input,
			 const struct pooled_member *member, size_t at, unsigned i)
{
	const double *x = member->x;
	double misses = input->rates[TICK_MISSES][at], cycles = input->rates[TICK_CYCLES][at];
	double watts = x[POOLED_B0] * misses + x[POOLED_B1] * input->rates[TICK_INSTRUCTIONS][at] +
		       x[POOLED_B2] * cycles;
	double least = LEAST_PART * (filter->with_misses ? larger(x[POOLED_B0], 1) * misses
							 : larger(x[POOLED_B2], 0.02) * cycles);
	int slot = filter->slot[i];
	unsigned j = filter->n_fixed + (unsigned)(slot >= 0 ? slot : 0) * member->width;

	if (slot >= 0)
		watts += x[j] * (filter->with_misses ? misses : cycles);
	watts = larger(watts, least);
	if (slot < 0 || !member->assumed.remote)
		return watts;
	watts += fmin(larger(x[j + 1], 0), larger(x[POOLED_B0] + x[j], 1)) * filter->moved[at];
	return larger(watts, LEAST_PART * least);
}

/* True if the row did not run on the socket. */
static bool is_still(const struct pooled_input *input, size_t at)
{
	return input->rates[TICK_MISSES][at] + input->rates[TICK_INSTRUCTIONS][at] +
		       input->rates[TICK_CYCLES][at] ==
	       0;
}

static void fill_socket(struct pooled *pooled, struct pooled_filter *filter,
			const struct pooled_member *member, double weight, unsigned k)
{
	const struct pooled_input *input = &pooled->input;
	double power = fmin(fmax(member->x[POOLED_POWER], -0.5), 3), terms[POOLED_STATIC];
	double shared = 1 - fmin(fmax(member->x[POOLED_KAPPA], 0), 0.6) * input->pair[k];

	filter->static_w[k] += weight * pooled_static_terms(filter, input, member, k, terms);
	for (unsigned i = 0; i < input->n_rows; i++) {
		size_t at = (size_t)k * input->n_rows + i;
		double watts = 0;
		if (filter->scope == REPORT_SCOPE_DRAM && filter->slot[i] < 0 && is_still(input, at))
			continue;
		if (filter->scope == REPORT_SCOPE_DRAM)
			watts = watts_dram(filter, input, member, at, i);
		else if (input->rates[TICK_CYCLES][at] > 0 || filter->moved[at] > 0)
			watts = watts_cpu(filter, input, member->x, at, i,
					  shared * exp(power * (filter->log_freq[k] + input->lean[at])));
		filter->dynamic[at] += weight * watts;
	}
}

/* The part of a container's misses that another socket's memory answers, for the next tick's cpu filter. */
static void learn_remote(struct pooled *pooled, const struct pooled_filter *filter)
{
	for (unsigned i = 0; i < pooled->input.n_rows; i++) {
		double slope = 0, cost = 0;
		if (filter->slot[i] < 0)
			continue;
		for (unsigned m = 0; m < filter->n_members; m++) {
			const struct pooled_member *member = &filter->members[m];
			unsigned j = filter->n_fixed + (unsigned)filter->slot[i] * member->width;
			slope += filter->weights[m] * (member->assumed.remote ? member->x[j + 1] : 0);
			cost += filter->weights[m] * (member->x[POOLED_B0] + member->x[j]);
		}
		pooled->book.records[pooled->input.records[i]].remote =
			fmin(fmax(slope / fmax(cost, 1), 0), 1);
	}
}

double pooled_output_lean(const struct pooled_input *input)
{
	return (input->has_vector ? TIME_LITTLE : TIME_PART) * input->calmness;
}

/*
 * With constant loads RAPL does not show what each container costs, and neither the model's priors nor the
 * CPU-time share is the better estimate: the mean of both has a smaller error than either. If vector
 * instructions are counted, the priors can be trusted.
 */
static void lean_on_time(const struct pooled_input *input, struct pooled_filter *filter, unsigned socket)
{
	const double *ref = input->rates[TICK_REF] + (size_t)socket * input->n_rows;
	double *dynamic = filter->dynamic + (size_t)socket * input->n_rows, sum = 0, time = 0;
	double part = pooled_output_lean(input);

	for (unsigned i = 0; i < input->n_rows; i++) {
		sum += dynamic[i];
		time += ref[i];
	}
	if (!(time > 0) || !(part > 1e-3))
		return;
	for (unsigned i = 0; i < input->n_rows; i++)
		dynamic[i] += part * (sum * ref[i] / time - dynamic[i]);
}

void pooled_output_fill(struct pooled *pooled, struct pooled_filter *filter)
{
	const struct pooled_input *input = &pooled->input;
	size_t cells = (size_t)input->n_rows * input->n_sockets;

	memset(filter->dynamic, 0, cells * sizeof(*filter->dynamic));
	memset(filter->static_w, 0, sizeof(filter->static_w));
	for (unsigned m = 0; m < filter->n_members; m++) {
		for (unsigned k = 0; k < input->n_sockets && filter->weights[m] > 0; k++)
			fill_socket(pooled, filter, &filter->members[m], filter->weights[m], k);
	}
	for (unsigned k = 0; k < input->n_sockets && filter->scope == REPORT_SCOPE_CPU; k++)
		lean_on_time(input, filter, k);
	for (size_t at = 0; at < cells; at++) {
		if (!input->present[at] && !(filter->dynamic[at] > REMOTE_ROW))
			filter->dynamic[at] = NAN;
	}
	if (filter->slot_width > 1)
		learn_remote(pooled, filter);
}
