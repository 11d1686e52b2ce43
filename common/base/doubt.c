/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How errors of consecutive ticks add up: autocorrelation of exponential form, as found on simulated machines
 * (docs/accuracy.md). Used by recaps and by the program that scores them.
 */
#include "base/doubt.h"
#include "base/unit.h"

#include <math.h>

#define LASTING   0.7 /* part of an error's variance that lasts beyond its tick */
#define LASTING_S 150 /* until a third of it is left */

void doubt_sum_add(struct doubt_sum *sum, double sd, int64_t time_ms)
{
	double passed_s = sum->n ? UNIT_S_OF_MS(time_ms - sum->time_ms) : 0;

	if (!isfinite(sd))
		return;
	sum->n++;
	sum->time_ms = time_ms;
	sum->left *= exp(-fmax(passed_s, 0) / LASTING_S);
	sum->lasting_sum += sd * (sd + 2 * sum->left);
	sum->left += sd;
	sum->square_sum += sd * sd;
}

double doubt_sum_sd(const struct doubt_sum *sum)
{
	return sum->n ? sqrt(LASTING * sum->lasting_sum + (1 - LASTING) * sum->square_sum) : NAN;
}
