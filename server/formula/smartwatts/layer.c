/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Windows and model of one frequency layer. Called by formula_smartwatts.c, once per tick and socket.
 */
#include "formula/smartwatts/layer.h"
#include "base/array.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct layer *layer_new(const struct formula_config *config, unsigned n_features)
{
	struct layer *layer;
	unsigned history = config->learn_history ? config->learn_history : 1;
	unsigned error_window = config->learn_error_window ? config->learn_error_window : 1;

	if (n_features == 0 || n_features > FIT_FEATURES)
		return NULL;
	layer = calloc(1, sizeof(*layer));
	if (!layer)
		return NULL;
	layer->n_features = n_features;
	layer->history = history;
	layer->error_window = error_window;
	layer->x = calloc((size_t)history * (n_features + 1) + 2 * (size_t)error_window, sizeof(double));
	if (!layer->x) {
		free(layer);
		return NULL;
	}
	layer->y = layer->x + (size_t)history * n_features;
	layer->errors = layer->y + history;
	layer->scratch = layer->errors + error_window;
	return layer;
}

void layer_free(struct layer *layer)
{
	if (!layer)
		return;
	free(layer->x);
	free(layer);
}

void layer_add_sample(struct layer *layer, const double *x, double y)
{
	unsigned m = layer->n_features;

	if (layer->n_samples == layer->history) {
		layer->n_samples--;
		memmove(layer->x, layer->x + m, (size_t)layer->n_samples * m * sizeof(*layer->x));
		memmove(layer->y, layer->y + 1, layer->n_samples * sizeof(*layer->y));
	}
	memcpy(layer->x + (size_t)layer->n_samples * m, x, m * sizeof(*x));
	layer->y[layer->n_samples++] = y;
}

double layer_add_error(struct layer *layer, double error, bool use_mean)
{
	unsigned n;
	double sum = 0;

	if (layer->n_errors == layer->error_window) {
		layer->n_errors--;
		memmove(layer->errors, layer->errors + 1, layer->n_errors * sizeof(*layer->errors));
	}
	layer->errors[layer->n_errors++] = error;
	n = layer->n_errors;
	for (unsigned i = 0; i < n && use_mean; i++)
		sum += layer->errors[i];
	if (use_mean)
		return sum / n;
	memcpy(layer->scratch, layer->errors, n * sizeof(*layer->scratch));
	qsort(layer->scratch, n, sizeof(*layer->scratch), array_compare_doubles);
	return n % 2 ? layer->scratch[n / 2] : 0.5 * (layer->scratch[n / 2 - 1] + layer->scratch[n / 2]);
}

void layer_fit(struct layer *layer, const struct formula_config *config)
{
	const struct fit_samples samples = {layer->n_samples, layer->n_features, layer->x, layer->y};
	const struct fit_elastic options = {.alpha = 1,
					    .l1_ratio = 0.5,
					    .positive = true,
					    .intercept = layer->n_samples == layer->history,
					    .iterations_max = 1000,
					    .tolerance = 1e-4};
	struct fit_model model;

	layer->n_errors = 0;
	if (layer->n_samples < config->learn_min_samples || fit_elastic_net(&samples, &options, &model) < 0)
		return;
	if (!(model.intercept >= 0 && model.intercept < config->cpu_tdp_w))
		return;
	layer->model = model;
	layer->fitted = true;
	layer->generation++;
}
