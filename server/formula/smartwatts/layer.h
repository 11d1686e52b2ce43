/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A frequency layer of formula `smartwatts`: a window of samples, the model fitted on it, and the window of
 * its errors that says when to fit again. Pure.
 */
#pragma once

#include "formula/smartwatts/fit.h"
#include "formula/formula.h"

struct layer {
	unsigned n_features;
	unsigned history, error_window; /* capacities */
	double *x, *y, *errors;         /* windows, oldest first */
	double *scratch;
	unsigned n_samples, n_errors;
	bool fitted;
	struct fit_model model;
	unsigned generation;
};

/* NULL if out of memory or more than FIT_FEATURES features. */
struct layer *layer_new(const struct formula_config *config, unsigned n_features);
void layer_free(struct layer *layer);
/* Takes a sample in; the oldest leaves a full window. */
void layer_add_sample(struct layer *layer, const double *x, double y);
/* Takes an error in; returns the window's median or mean. */
double layer_add_error(struct layer *layer, double error, bool use_mean);
/*
 * Fits on the window as the published formula does: nothing below the least number of samples; an intercept
 * only on a full window, kept only within [0, tdp_w). The error window starts again in any case.
 */
void layer_fit(struct layer *layer, const struct formula_config *config);
