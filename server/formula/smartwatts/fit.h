/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small dense least squares: the elastic net by coordinate descent, non-negative least squares and Cholesky's
 * solution of normal equations. Pure; at most FIT_FEATURES unknowns. Called by layer.c and by tests.
 */
#pragma once

#include <stdbool.h>

#define FIT_FEATURES 16

/* n_samples rows of n_features, row-major. */
struct fit_samples {
	unsigned n_samples, n_features;
	const double *x;
	const double *y;
};

struct fit_elastic {
	double alpha;    /* weight of the penalty */
	double l1_ratio; /* its part that is absolute, the rest is quadratic */
	bool positive;
	bool intercept;
	unsigned iterations_max;
	double tolerance;
};

struct fit_model {
	double weights[FIT_FEATURES];
	double intercept;
};

/*
 * Minimises |y - b - Xw|^2 / 2n + alpha l1_ratio |w|_1 + alpha (1 - l1_ratio) |w|^2 / 2 by cyclic coordinate
 * descent from zero, until steps are small and the dual gap is below tolerance |y|^2 (Friedman et al. 2010;
 * stopping rule as in scikit-learn, so that an early stop gives the same weights). 0, -EINVAL, -ENOMEM.
 */
int fit_elastic_net(const struct fit_samples *samples, const struct fit_elastic *options,
		    struct fit_model *ret_model);

/* Solves A x = b for symmetric positive definite A (n x n, row-major; destroyed). 0 or -EDOM where it is not.
 */
int fit_cholesky(double *a, unsigned n, const double *b, double *ret_x);

/* Minimises |Xw - y| for w >= 0 from G = X'X and c = X'y by coordinate descent with its Karush-Kuhn-Tucker
 * test. */
int fit_nnls(const double *g, const double *c, unsigned n, double *ret_w);

double fit_predict(const struct fit_model *model, const double *x, unsigned n_features);
