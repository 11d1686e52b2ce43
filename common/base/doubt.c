/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adds up the errors of consecutive ticks: exponential autocorrelation, stronger if the watts do not vary, as
 * found on simulated machines (docs/accuracy.md). Used by recaps and the history, and by the program that
 * scores recaps. Totals also by the current watts and the client.
 */
#include "base/doubt.h"
#include "base/unit.h"

#include <math.h>

#define LASTING_S    1200 /* until a lasting error has decayed to a third */
#define MISSING_MOST 0.1  /* part of a total that may lack its error */

const struct doubt_law doubt_of_cpu = {.lasting = 0.1, .lasting_small = 0.1, .small_w = 0.05, .steady = 0.08};
const struct doubt_law doubt_of_dram = {
	.lasting = 0.28, .lasting_small = 0.6, .small_w = 0.05, .steady = 0.04};

static void begin_tick(struct doubt_sum *sum, const struct doubt_part *part, int64_t time_ms)
{
	double passed_s = sum->n ? UNIT_S_OF_MS(time_ms - sum->time_ms) : 0;

	sum->left = (sum->left + sum->now) * exp(-fmax(passed_s, 0) / LASTING_S);
	sum->now = sum->now_w = 0;
	sum->length_s += part->length_s;
	sum->time_ms = time_ms;
}

void doubt_sum_add(struct doubt_sum *sum, const struct doubt_part *part, int64_t time_ms)
{
	double more, watts = isfinite(part->watts) ? part->watts : 0;

	if (!isfinite(part->sd_j))
		return;
	if (!sum->n || time_ms != sum->time_ms)
		begin_tick(sum, part, time_ms);
	sum->n++;
	more = hypot(sum->now, part->sd_j) - sum->now;
	sum->now += more;
	sum->plain_sum += more;
	sum->lasting_sum += part->sd_j * part->sd_j + 2 * more * sum->left;
	sum->square_sum += part->sd_j * part->sd_j;
	sum->energy_j += watts * part->length_s;
	sum->square_w += watts * (2 * sum->now_w + watts) * part->length_s;
	sum->now_w += watts;
}

/* How steady the watts were, 0..1. */
static double steadiness(const struct doubt_sum *sum, const struct doubt_law *law)
{
	double mean = sum->energy_j / sum->length_s, square = sum->square_w / sum->length_s;
	double varied = square / (mean * mean) - 1;

	return varied >= 0 ? 1 / (1 + varied / law->steady) : 1;
}

/* The part of an error that lasts, 0..1. */
static double lasting(const struct doubt_sum *sum, const struct doubt_law *law)
{
	double mean_w = sum->length_s > 0 ? fmax(sum->energy_j / sum->length_s, 0) : 0;

	return law->lasting + (law->lasting_small - law->lasting) / (1 + mean_w / law->small_w);
}

double doubt_sum_sd(const struct doubt_sum *sum, const struct doubt_law *law)
{
	double steady, variance, part;

	if (!sum->n)
		return NAN;
	steady = steadiness(sum, law);
	part = lasting(sum, law);
	variance = part * sum->lasting_sum + (1 - part) * sum->square_sum;
	return sqrt(variance + steady * (sum->plain_sum * sum->plain_sum - variance));
}

bool doubt_is_missing(double figure, double dynamic, double sd)
{
	return !isfinite(sd) && figure != 0 && dynamic != 0;
}

bool doubt_is_unknown(double missing, double total)
{
	return missing > MISSING_MOST * fabs(total);
}

void doubt_total_add(struct doubt_total *total, double figure, double dynamic, double sd)
{
	if (!isfinite(figure))
		return;
	total->total += figure;
	if (doubt_is_missing(figure, dynamic, sd))
		total->missing += fabs(figure);
	if (!isfinite(sd))
		return;
	total->sd = hypot(total->sd, sd);
	total->n++;
}

double doubt_total_sd(const struct doubt_total *total)
{
	return !total->n || doubt_is_unknown(total->missing, total->total) ? NAN : total->sd;
}
