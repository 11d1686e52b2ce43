/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small dense least squares. Sizes are tens of samples and a few features, so plain loops suffice. Knows
 * nothing about power.
 */
#include "formula/smartwatts/fit.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* Column-major and centred copy of the samples, with the residual. */
struct descent {
	unsigned n, m; /* samples, features */
	double *x;     /* [m][n] */
	double *y, *residual;
	double norm[FIT_FEATURES];
	double alpha, beta; /* absolute and quadratic penalty, times n */
	bool positive;
	double *w;
};

static double dot(const double *a, const double *b, unsigned n)
{
	double sum = 0;

	for (unsigned i = 0; i < n; i++)
		sum += a[i] * b[i];
	return sum;
}

static double mean(const double *a, unsigned n)
{
	double sum = 0;

	for (unsigned i = 0; i < n; i++)
		sum += a[i];
	return n ? sum / n : 0;
}

/* One weight to its optimum with the others held. Returns how far it moved. */
static double descend(struct descent *d, unsigned j)
{
	const double *x = d->x + (size_t)j * d->n;
	double old = d->w[j], pull, w;

	if (!(d->norm[j] > 0))
		return 0;
	pull = dot(x, d->residual, d->n) + old * d->norm[j];
	if (d->positive && pull < 0)
		w = 0;
	else
		w = copysign(fmax(fabs(pull) - d->alpha, 0), pull) / (d->norm[j] + d->beta);
	for (unsigned i = 0; i < d->n && w != old; i++)
		d->residual[i] -= (w - old) * x[i];
	d->w[j] = w;
	return fabs(w - old);
}

/* Duality gap at the present weights. */
static double dual_gap(const struct descent *d)
{
	double worst = 0, absolute = 0, scale = 1, gap, rest = dot(d->residual, d->residual, d->n);

	for (unsigned j = 0; j < d->m; j++) {
		double slope = dot(d->x + (size_t)j * d->n, d->residual, d->n) - d->beta * d->w[j];
		worst = fmax(worst, d->positive ? slope : fabs(slope));
		absolute += fabs(d->w[j]);
	}
	if (worst > d->alpha)
		scale = d->alpha / worst;
	gap = 0.5 * rest * (1 + scale * scale);
	return gap + d->alpha * absolute - scale * dot(d->residual, d->y, d->n) +
	       0.5 * d->beta * (1 + scale * scale) * dot(d->w, d->w, d->m);
}

static void descend_all(struct descent *d, const struct fit_elastic *options)
{
	double enough = options->tolerance * dot(d->y, d->y, d->n);

	for (unsigned round = 0; round < options->iterations_max; round++) {
		double step = 0, largest = 0;
		for (unsigned j = 0; j < d->m; j++) {
			step = fmax(step, descend(d, j));
			largest = fmax(largest, fabs(d->w[j]));
		}
		if (largest > 0 && step > options->tolerance * largest)
			continue;
		if (dual_gap(d) <= enough)
			return;
	}
}

int fit_elastic_net(const struct fit_samples *samples, const struct fit_elastic *options,
		    struct fit_model *ret_model)
{
	unsigned n = samples->n_samples, m = samples->n_features;
	double means[FIT_FEATURES] = {0}, y_mean;
	struct descent d = {.n = n, .m = m, .positive = options->positive, .w = ret_model->weights};

	if (n == 0 || m == 0 || m > FIT_FEATURES)
		return -EINVAL;
	d.x = malloc((size_t)n * (m + 2) * sizeof(double));
	if (!d.x)
		return -ENOMEM;
	*ret_model = (struct fit_model){0};
	d.y = d.x + (size_t)m * n;
	d.residual = d.y + n;
	d.alpha = options->alpha * options->l1_ratio * n;
	d.beta = options->alpha * (1 - options->l1_ratio) * n;
	y_mean = options->intercept ? mean(samples->y, n) : 0;
	for (unsigned i = 0; i < n; i++)
		d.y[i] = d.residual[i] = samples->y[i] - y_mean;
	for (unsigned j = 0; j < m; j++) {
		double *column = d.x + (size_t)j * n;
		for (unsigned i = 0; i < n; i++)
			column[i] = samples->x[(size_t)i * m + j];
		means[j] = options->intercept ? mean(column, n) : 0;
		for (unsigned i = 0; i < n; i++)
			column[i] -= means[j];
		d.norm[j] = dot(column, column, n);
	}
	descend_all(&d, options);
	ret_model->intercept = y_mean - dot(means, d.w, m);
	free(d.x);
	return 0;
}

double fit_predict(const struct fit_model *model, const double *x, unsigned n_features)
{
	return dot(model->weights, x, n_features) + model->intercept;
}
