/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Detects constant loads, where the filters must not learn from counter noise. Used by pooled_input.c:
 * computes, per tick, how calm the machine is and which rates the filters see.
 */
#include "formula/pooled/pooled.h"

#include <math.h>

#define CALM_NEW     20    /* ticks; a container that appears later changes the load */
#define CALM_SLOWEST 0.005 /* of the running means */
#define CALM_STEP    9     /* a step beyond three standard deviations is a change at once */
#define CALM_VARIES  0.01  /* relative variance of the loads at which calmness is 0.5 */
#define CALM_NOISE   0.3   /* on a calm machine, smaller changes are noise */

/* Adds the recent deviation of a container's cycles, and its square. */
static void learn_vary(struct pooled_input *input, struct pooled_vary *vary, double value, double sums[2])
{
	double deviation;

	if (vary->n == 0 && input->tick > CALM_NEW)
		vary->n = CALM_NEW; /* a newcomer is a change of the load */
	deviation = value - vary->mean;
	vary->n++;
	vary->mean += fmax(1 / vary->n, CALM_SLOWEST) * deviation;
	if (vary->n > 1)
		vary->variance += fmax(1 / vary->n, CALM_SLOWEST) * (deviation * deviation - vary->variance);
	if (vary->n > 1)
		sums[0] += fmax(vary->variance, deviation * deviation / CALM_STEP);
	sums[1] += vary->mean * vary->mean;
}

/*
 * The part of the deviation from the mean that is hidden from the filters: 1 if the machine's loads vary no
 * more than counter noise, 0 if they vary.
 */
double pooled_calm_measure(struct pooled *pooled)
{
	struct pooled_input *input = &pooled->input;
	double sums[2] = {0, 0}, ratio;

	for (unsigned i = 0; i + 1 < input->n_rows; i++) {
		double cycles = 0;
		for (unsigned k = 0; k < input->n_sockets; k++)
			cycles += input->rates[TICK_CYCLES][(size_t)k * input->n_rows + i];
		learn_vary(input, &pooled->book.records[input->records[i]].vary, cycles, sums);
	}
	ratio = sums[1] > 0 ? sums[0] / sums[1] / CALM_VARIES : 0;
	return 1 / (1 + ratio * ratio * ratio * ratio);
}

/*
 * Counts are noisy, and a filter that sees only noise learns that counts cost nothing. While the load is
 * constant it sees the mean instead; only changes beyond noise are passed in full.
 */
static void learn_calm(struct pooled_calm *calm, const double *value, const double *level, double part,
		       double *ret_calm)
{
	double a = fmax(1 / ++calm->n, CALM_SLOWEST);

	for (unsigned j = 0; j < POOLED_RATIOS; j++) {
		double deviation = value[j] - calm->mean[j], noise, moved;
		calm->mean[j] += a * deviation;
		calm->variance[j] += a * (deviation * deviation - calm->variance[j]);
		noise = CALM_NOISE * fmax(level[j], calm->mean[j]);
		noise *= noise;
		moved = fmax(calm->variance[j], deviation * deviation / CALM_STEP);
		ret_calm[j] =
			value[j] - part * fmin(noise / fmax(moved, 1e-30), 1) * (value[j] - calm->mean[j]);
	}
}

void pooled_calm_take(struct pooled *pooled, double total[][TICK_FEATURES])
{
	struct pooled_input *input = &pooled->input;
	static const double none[POOLED_RATIOS];
	double part = input->calmness;

	for (unsigned k = 0; k < input->n_sockets; k++) {
		for (unsigned i = 0; i < input->n_rows; i++) {
			size_t at = (size_t)k * input->n_rows + i;
			double calm[POOLED_RATIOS], value[POOLED_RATIOS];
			for (unsigned j = 0; j < POOLED_RATIOS; j++)
				value[j] = input->rates[TICK_CYCLES + j][at];
			learn_calm(&pooled->book.calms[(size_t)input->records[i] * input->n_sockets + k],
				   value, i + 1 == input->n_rows ? &total[k][TICK_CYCLES] : none, part, calm);
			for (unsigned j = 0; j < POOLED_RATIOS; j++)
				input->calm[TICK_CYCLES + j][at] = calm[j];
		}
	}
}
