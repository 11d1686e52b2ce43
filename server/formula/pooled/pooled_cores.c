/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The number of physical cores per socket, for sensors that do not report it: MPERF (averaged over all
 * threads) against busy threads gives it once a socket is neither idle nor full. Pure.
 */
#include "formula/pooled/pooled.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CORES_CHANGE 0.04

bool pooled_cores_alike(double a, double b)
{
	return fabs(a / b - 1) <= CORES_CHANGE;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(const struct pooled_cores *cores)
{
	double sorted[sizeof(cores->ratios) / sizeof(*cores->ratios)];

	memcpy(sorted, cores->ratios, cores->n * sizeof(*sorted));
	qsort(sorted, cores->n, sizeof(*sorted), compare);
	return cores->n % 2 ? sorted[cores->n / 2] : 0.5 * (sorted[cores->n / 2 - 1] + sorted[cores->n / 2]);
}

/* Until a load between idle and full was seen: half the threads, or what the CPU numbers suggest. */
static double guess(const struct pooled_cores *cores, unsigned stride)
{
	double half = cores->busy_max / 2;

	for (unsigned divisor = 1; divisor <= 2 && stride; divisor++) {
		double candidate = (double)stride / divisor;
		if (candidate >= 0.97 * half && candidate <= 1.03 * cores->ratio_min)
			return candidate;
	}
	return fmax(nearbyint(half), 1);
}

double pooled_cores_learn(struct pooled_cores *cores, unsigned stride, unsigned n_sockets, const double *busy,
			  const double *load)
{
	bool news = false;

	for (unsigned k = 0; k < n_sockets; k++) {
		double ratio;
		if (!isfinite(busy[k]) || !(load[k] > 1e-6) || !isfinite(load[k]))
			continue;
		ratio = busy[k] / load[k];
		cores->busy_max = fmax(cores->busy_max, busy[k]);
		cores->ratio_min = cores->ratio_min > 0 ? fmin(cores->ratio_min, ratio) : ratio;
		if (!(busy[k] > 0.5) || !(load[k] < 0.93))
			continue;
		cores->ratios[cores->at] = ratio;
		cores->at = (cores->at + 1) % (sizeof(cores->ratios) / sizeof(*cores->ratios));
		cores->n += cores->n < sizeof(cores->ratios) / sizeof(*cores->ratios);
		news = true;
	}
	if (cores->n && news) {
		double middle = median(cores), whole = nearbyint(middle);
		cores->estimate = fabs(middle - whole) < 0.25 ? whole : middle;
	} else if (!cores->n && cores->busy_max > 0) {
		cores->estimate = guess(cores, stride);
	}
	return cores->estimate;
}
