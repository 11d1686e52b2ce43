/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Statistics of repeated measurements. Student's distribution is computed by the incomplete beta function
 * (its continued fraction) and inverted by bisection: small enough not to need a library whose licence would
 * bind ours.
 */
#include "compare/sample.h"
#include "base/array.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BETA_STEPS      400
#define OUTLIER_MIN_N   5
#define OUTLIER_SCORE   3.5
#define NORMAL_MEDIAN   0.6745  /* median distance of a normal distribution, in standard deviations */
#define NORMAL_DISTANCE 0.79788 /* mean distance */

static double keep_from_zero(double value)
{
	return fabs(value) < 1e-300 ? 1e-300 : value;
}

/* Continued fraction of the incomplete beta function, by the method of Lentz. */
static double beta_fraction(double a, double b, double x)
{
	double c = 1;
	double d = 1 / keep_from_zero(1 - (a + b) * x / (a + 1));
	double fraction = d;

	for (int m = 1; m <= BETA_STEPS; m++) {
		double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
		double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
		double step;

		d = 1 / keep_from_zero(1 + even * d);
		c = keep_from_zero(1 + even / c);
		fraction *= d * c;
		d = 1 / keep_from_zero(1 + odd * d);
		c = keep_from_zero(1 + odd / c);
		step = d * c;
		fraction *= step;
		if (fabs(step - 1) < 1e-15)
			break;
	}
	return fraction;
}

/* Regularized incomplete beta function. */
static double incomplete_beta(double a, double b, double x)
{
	double front;

	if (x <= 0 || x >= 1)
		return x <= 0 ? 0 : 1;
	front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
	return x < (a + 1) / (a + b + 2) ? front * beta_fraction(a, b, x) / a
					 : 1 - front * beta_fraction(b, a, 1 - x) / b;
}

double sample_t_975(double freedom)
{
	double low = 0, high = 2;

	if (!(freedom > 0))
		return NAN;
	/* Both tails together have 0.05. */
	while (incomplete_beta(freedom / 2, 0.5, freedom / (freedom + high * high)) > 0.05 && high < 1e12)
		high *= 2;
	for (int i = 0; i < 100; i++) {
		double middle = (low + high) / 2;

		if (incomplete_beta(freedom / 2, 0.5, freedom / (freedom + middle * middle)) > 0.05)
			low = middle;
		else
			high = middle;
	}
	return (low + high) / 2;
}

void sample_summarize(const double *values, size_t n, struct sample *ret)
{
	double sum = 0, squares = 0, half;

	*ret = (struct sample){0, NAN, NAN, NAN, NAN, NAN, NAN};
	for (size_t i = 0; i < n; i++) {
		if (!isfinite(values[i]))
			continue;
		ret->n++;
		sum += values[i];
		ret->min = fmin(ret->min, values[i]); /* the other one if one is NAN */
		ret->max = fmax(ret->max, values[i]);
	}
	if (ret->n == 0)
		return;
	ret->mean = sum / (double)ret->n;
	if (ret->n < 2)
		return;
	for (size_t i = 0; i < n; i++)
		if (isfinite(values[i]))
			squares += (values[i] - ret->mean) * (values[i] - ret->mean);
	ret->sd = sqrt(squares / (double)(ret->n - 1));
	half = sample_t_975((double)(ret->n - 1)) * ret->sd / sqrt((double)ret->n);
	ret->low = ret->mean - half;
	ret->high = ret->mean + half;
}

static double median(double *values, size_t n)
{
	qsort(values, n, sizeof(*values), array_compare_doubles);
	return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

/* The unit of distances from the median; 0: all values are equal. */
static double usual_distance(double *distances, size_t n)
{
	double usual = median(distances, n) / NORMAL_MEDIAN;
	double sum = 0;

	/* More than half of the values are the same. */
	for (size_t i = 0; usual == 0 && i < n; i++)
		sum += distances[i];
	return usual > 0 ? usual : sum / (double)n / NORMAL_DISTANCE;
}

size_t sample_mark_outliers(const double *values, size_t n, bool *ret_marks)
{
	double *sorted = calloc(n ? n : 1, sizeof(*sorted));
	size_t n_finite = 0, n_marked = 0;
	double centre, usual;

	memset(ret_marks, 0, n * sizeof(*ret_marks));
	for (size_t i = 0; sorted && i < n; i++)
		if (isfinite(values[i]))
			sorted[n_finite++] = values[i];
	if (!sorted || n_finite < OUTLIER_MIN_N) {
		free(sorted);
		return 0;
	}
	centre = median(sorted, n_finite);
	for (size_t i = 0; i < n_finite; i++)
		sorted[i] = fabs(sorted[i] - centre);
	usual = usual_distance(sorted, n_finite);
	for (size_t i = 0; i < n && usual > 0; i++) {
		ret_marks[i] = isfinite(values[i]) && fabs(values[i] - centre) / usual > OUTLIER_SCORE;
		n_marked += ret_marks[i];
	}
	free(sorted);
	return n_marked;
}

void sample_compare(const struct sample *a, const struct sample *b, struct sample_ratio *ret)
{
	double va, vb, freedom, half;

	*ret = (struct sample_ratio){NAN, NAN, NAN};
	if (a->n == 0 || b->n == 0 || !(b->mean > 0) || !(a->mean >= 0))
		return;
	ret->ratio = a->mean / b->mean;
	if (a->n < 2 || b->n < 2 || !(a->mean > 0))
		return;
	/* Variance of the logarithm of each mean. */
	va = pow(a->sd / a->mean, 2) / (double)a->n;
	vb = pow(b->sd / b->mean, 2) / (double)b->n;
	if (va + vb == 0) {
		ret->low = ret->high = ret->ratio;
		return;
	}
	freedom = (va + vb) * (va + vb) / (va * va / (double)(a->n - 1) + vb * vb / (double)(b->n - 1));
	half = sample_t_975(freedom) * sqrt(va + vb);
	ret->low = ret->ratio * exp(-half);
	ret->high = ret->ratio * exp(half);
}
