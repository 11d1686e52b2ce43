/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small dense least squares: the elastic net by coordinate descent. Pure; at most FIT_FEATURES unknowns.
 * Called by formula_smartwatts.c.
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

double fit_predict(const struct fit_model *model, const double *x, unsigned n_features);
