/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Statistics of repeated measurements: mean, spread, confidence interval, outliers, and the ratio of two
 * series. Pure arithmetic; values that are not finite are left out.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct sample {
	size_t n;         /* finite values */
	double mean;      /* NAN without a value, like min and max */
	double sd;        /* of the sample (n - 1); NAN below two values, like low and high */
	double low, high; /* the 95 % confidence interval of the mean, by Student's t */
	double min, max;
};

/* Ratio of two means, with its 95 % confidence interval; NAN if it cannot be computed. */
struct sample_ratio {
	double ratio, low, high;
};

void sample_summarize(const double *values, size_t n, struct sample *ret);
/*
 * Marks values far from the others: a modified z-score (distance from the median over the median distance)
 * above 3.5. None with fewer than five values. Returns their number.
 */
size_t sample_mark_outliers(const double *values, size_t n, bool *ret_marks);
/*
 * Mean of a over mean of b. The interval is symmetric in the logarithm, by Welch's t; it needs positive means
 * and two values in each.
 */
void sample_compare(const struct sample *a, const struct sample *b, struct sample_ratio *ret);
/* The t that Student's distribution exceeds with probability 0.025; `freedom` > 0, fractions allowed. */
double sample_t_975(double freedom);
