/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Formula `smartwatts`: the published algorithm of PowerAPI's formula 2.4 for comparison (Fieni, Rouvoy,
 * Seinturier, CCGRID 2020). By default: its layers, elastic net and error window, but true intervals, an
 * answer from the first tick and sums that add up. With `strict_reference` also its defects: watts by the
 * configured interval, no answer until a layer is fitted, shares of the model's own total.
 * docs/energy-model.md lists them.
 */
#include "formula/formula.h"
#include "base/bson_get.h"
#include "base/array.h"
#include "formula/smartwatts/fit.h"
#include "base/bson_driver.h"
#include "base/reason.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATE_VERSION     1
#define SMARTWATTS_LAYERS 101 /* multiples of the base clock, from 1 to 100 */

/*
 * A frequency layer: a window of samples, the model fitted on it, and the window of its errors that says when
 * to fit again.
 */
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

struct smartwatts {
	struct formula_config config;
	struct layer *layers[REPORT_SCOPES][TICK_SOCKETS_MAX][SMARTWATTS_LAYERS];
	const struct layer *last[REPORT_SCOPES][TICK_SOCKETS_MAX];
	double error_w[REPORT_SCOPES][TICK_SOCKETS_MAX];
	uint64_t n_samples[REPORT_SCOPES][TICK_SOCKETS_MAX];
	double *dynamic[REPORT_SCOPES], *fixed[REPORT_SCOPES];
	size_t capacity;
};

#define STATIC_BEFORE 0.35 /* of the measured power, before there is a model */

/* One tick's socket and scope. */
struct turn {
	struct smartwatts *smartwatts;
	const struct tick *tick;
	enum report_scope scope;
	unsigned socket;
	unsigned n_features;
	double per; /* counts are divided by it */
	double *dynamic, *fixed;
	struct formula_socket *result;
};

/* NULL if out of memory or more than FIT_FEATURES features. */
static struct layer *layer_new(const struct formula_config *config, unsigned n_features)
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

static void layer_free(struct layer *layer)
{
	if (!layer)
		return;
	free(layer->x);
	free(layer);
}

/* Adds a sample; the oldest one leaves a full window. */
static void layer_add_sample(struct layer *layer, const double *x, double y)
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

/* Adds an error; returns the window's median or mean. */
static double layer_add_error(struct layer *layer, double error, bool use_mean)
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

/*
 * Fits on the window as the published formula does: nothing below the least number of samples; an intercept
 * only on a full window, kept only within [0, tdp_w). The error window starts again in any case.
 */
static void layer_fit(struct layer *layer, const struct formula_config *config)
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

static void *make(const struct formula_config *config)
{
	struct smartwatts *smartwatts = calloc(1, sizeof(*smartwatts));

	if (smartwatts)
		smartwatts->config = *config;
	return smartwatts;
}

static void free_formula(void *opaque)
{
	struct smartwatts *smartwatts = opaque;

	if (!smartwatts)
		return;
	for (unsigned scope = 0; scope < REPORT_SCOPES; scope++) {
		for (unsigned i = 0; i < TICK_SOCKETS_MAX * SMARTWATTS_LAYERS; i++)
			layer_free(smartwatts->layers[scope][i / SMARTWATTS_LAYERS][i % SMARTWATTS_LAYERS]);
		free(smartwatts->dynamic[scope]);
		free(smartwatts->fixed[scope]);
	}
	free(smartwatts);
}

static int reserve(struct smartwatts *smartwatts, size_t need)
{
	if (need <= smartwatts->capacity)
		return 0;
	need += need / 2;
	for (unsigned scope = 0; scope < REPORT_SCOPES; scope++)
		if (!ARRAY_RESIZE(smartwatts->dynamic[scope], need) ||
		    !ARRAY_RESIZE(smartwatts->fixed[scope], need))
			return -ENOMEM;
	smartwatts->capacity = need;
	return 0;
}

/* The layer of the socket's mean frequency, rounded down; NULL: none. */
static struct layer *find_layer(const struct turn *turn)
{
	const struct formula_config *config = &turn->smartwatts->config;
	const struct tick_socket *socket = &turn->tick->sockets[turn->socket];
	double base =
		floor(config->cpu_base_freq_mhz / config->cpu_base_clock_mhz) * config->cpu_base_clock_mhz;
	double mhz = trunc(base * socket->aperf / socket->mperf), index;
	struct layer **layer;

	if (!isfinite(mhz) && config->strict_reference)
		return NULL;
	index = isfinite(mhz) ? floor(mhz / config->cpu_base_clock_mhz)
			      : floor(base / config->cpu_base_clock_mhz);
	if (index < 1 && config->strict_reference)
		return NULL;
	index = fmin(fmax(index, 1), SMARTWATTS_LAYERS - 1);
	layer = &turn->smartwatts->layers[turn->scope][turn->socket][(unsigned)index];
	if (*layer && (*layer)->n_features != turn->n_features) {
		layer_free(*layer);
		*layer = NULL;
		turn->smartwatts->last[turn->scope][turn->socket] = NULL;
	}
	if (!*layer)
		*layer = layer_new(config, turn->n_features);
	return *layer;
}

static void take_features(const struct turn *turn, unsigned i, double *ret_x)
{
	const double *events = turn->tick->targets[i].events + (size_t)turn->socket * turn->tick->n_events;

	for (unsigned j = 0; j < turn->n_features; j++)
		ret_x[j] = isfinite(events[j]) && events[j] > 0 ? events[j] / turn->per : 0;
}

static bool present(const struct turn *turn, unsigned i)
{
	return tick_is_present(turn->tick, i, turn->socket);
}

/* Before there is a model: CPU time. */
static void answer_by_cpu_time(const struct turn *turn)
{
	unsigned n = turn->tick->n_targets;
	double sum = 0, all = turn->tick->sockets[turn->socket].counts[TICK_REF];

	for (unsigned i = 0; i < n; i++) {
		const double *counts = tick_counts(turn->tick, i, turn->socket);
		turn->dynamic[i] = present(turn, i) ? tick_cpu_time(counts) * 1e-9 : NAN;
		sum += isnan(turn->dynamic[i]) ? 0 : turn->dynamic[i];
	}
	turn->dynamic[n] = all * 1e-9 > sum ? all * 1e-9 - sum : 0;
	turn->result->static_w = STATIC_BEFORE * turn->result->measured_w;
}

/* Each target by the model. The reference charges power of no target to the targets. */
static void answer_by_model(const struct turn *turn, const struct fit_model *model, double global_w)
{
	bool strict = turn->smartwatts->config.strict_reference;
	unsigned n = turn->tick->n_targets;
	double x[FIT_FEATURES], dynamic_w = global_w - model->intercept;

	for (unsigned i = 0; i < n; i++) {
		double watts;
		if (!present(turn, i))
			continue;
		take_features(turn, i, x);
		watts = fit_predict(model, x, turn->n_features) - model->intercept;
		if (!(dynamic_w > 0 && watts > 0))
			watts = 0;
		turn->dynamic[i] = watts;
		turn->fixed[i] = watts > 0 ? watts / dynamic_w * model->intercept : 0;
	}
	if (!strict) {
		const double *counts = turn->tick->sockets[turn->socket].counts;
		double sum[2] = {0}, rest;
		for (unsigned i = 0; i < n; i++) {
			if (!present(turn, i))
				continue;
			rest = tick_counts(turn->tick, i, turn->socket)[TICK_CYCLES];
			sum[0] += isfinite(rest) ? rest : 0;
			sum[1] += turn->dynamic[i];
		}
		rest = counts[TICK_CYCLES] - sum[0];
		turn->dynamic[n] = rest > 0 && sum[0] > 0 ? rest / sum[0] * sum[1] : 0;
	}
	turn->result->static_w = model->intercept;
}

static void learn(const struct turn *turn, struct layer *layer, const double *x, double predicted_w)
{
	const struct formula_config *config = &turn->smartwatts->config;
	double y = turn->result->measured_w, error;

	turn->smartwatts->n_samples[turn->scope][turn->socket]++;
	layer_add_sample(layer, x, y);
	if (!isfinite(predicted_w)) {
		layer_fit(layer, config);
		return;
	}
	error = layer_add_error(layer, fabs(y - predicted_w), config->learn_error_mean);
	turn->smartwatts->error_w[turn->scope][turn->socket] = error;
	if (error > config->error_threshold_w[turn->scope])
		layer_fit(layer, config);
}

static void run_turn(struct turn *turn)
{
	unsigned n = turn->tick->n_targets;
	bool strict = turn->smartwatts->config.strict_reference;
	double sum[FIT_FEATURES] = {0}, x[FIT_FEATURES];
	struct layer *layer = turn->n_features ? find_layer(turn) : NULL;
	const struct layer *usable;

	for (unsigned i = 0; i < n && layer; i++) {
		if (!present(turn, i))
			continue;
		take_features(turn, i, x);
		for (unsigned j = 0; j < turn->n_features; j++)
			sum[j] += x[j];
	}
	if (layer && layer->fitted)
		turn->smartwatts->last[turn->scope][turn->socket] = layer;
	/* A new layer starts from nothing in the reference; here from the one used last. */
	usable = layer && (layer->fitted || strict) ? layer
						    : turn->smartwatts->last[turn->scope][turn->socket];
	if (usable && usable->fitted) {
		turn->result->predicted_w = fit_predict(&usable->model, sum, turn->n_features);
		answer_by_model(turn, &usable->model, turn->result->predicted_w);
	} else if (!strict) {
		answer_by_cpu_time(turn);
	}
	if (layer)
		learn(turn, layer, sum, layer->fitted ? turn->result->predicted_w : NAN);
	turn->result->error_w = turn->smartwatts->error_w[turn->scope][turn->socket];
	if (!(turn->result->error_w > 0))
		turn->result->error_w = NAN;
}

static int run(void *opaque, const struct tick *tick, struct formula_result *ret_result)
{
	struct smartwatts *smartwatts = opaque;
	bool strict = smartwatts->config.strict_reference;
	size_t width = (size_t)tick->n_targets + 1, cells = width * tick->n_sockets;
	double seconds = strict ? smartwatts->config.interval_ms / 1000 : tick->interval_s;

	memset(ret_result, 0, sizeof(*ret_result));
	(void)snprintf(ret_result->label, sizeof(ret_result->label),
		       strict ? "smartwatts-strict" : "smartwatts");
	ret_result->final = strict;
	if (!(seconds > 0) || !isfinite(seconds) || (strict && tick->n_targets == 0))
		return 0;
	if (reserve(smartwatts, cells) < 0)
		return -ENOMEM;
	for (unsigned cell = 0; cell < REPORT_SCOPES * tick->n_sockets; cell++) {
		unsigned scope = cell / tick->n_sockets, k = cell % tick->n_sockets;
		struct turn turn = {.smartwatts = smartwatts,
				    .tick = tick,
				    .scope = (enum report_scope)scope,
				    .socket = k,
				    .n_features =
					    tick->n_events <= FIT_FEATURES ? tick->n_events : FIT_FEATURES,
				    .per = strict ? 1 : tick->interval_s,
				    .dynamic = smartwatts->dynamic[scope] + k * width,
				    .fixed = smartwatts->fixed[scope] + k * width,
				    .result = &ret_result->sockets[scope][k]};
		double y = strict ? tick->sockets[k].energy_j[scope] / seconds
				  : tick_power_w(tick, k, (enum report_scope)scope);
		for (unsigned i = 0; i < width; i++)
			turn.dynamic[i] = turn.fixed[i] = NAN;
		*turn.result = (struct formula_socket){.measured_w = y, .predicted_w = NAN, .error_w = NAN};
		turn.result->valid = isfinite(y) && y >= 0 && (strict || (y > 0 && !tick->reset));
		if (turn.result->valid)
			run_turn(&turn);
	}
	for (unsigned scope = 0; scope < REPORT_SCOPES; scope++) {
		ret_result->dynamic_w[scope] = smartwatts->dynamic[scope];
		ret_result->fixed_w[scope] = strict ? smartwatts->fixed[scope] : NULL;
	}
	return 0;
}

static void describe(const void *opaque, enum report_scope scope, unsigned socket,
		     struct formula_state *ret_state)
{
	const struct smartwatts *smartwatts = opaque;
	unsigned k = socket < TICK_SOCKETS_MAX ? socket : 0, layers = 0, fitted = 0;
	double error = smartwatts->error_w[scope][k];

	for (unsigned i = 0; i < SMARTWATTS_LAYERS; i++) {
		const struct layer *layer = smartwatts->layers[scope][k][i];
		layers += layer != NULL;
		fitted += layer && layer->fitted;
	}
	*ret_state = (struct formula_state){.samples = smartwatts->n_samples[scope][k],
					    .error_w = error > 0 ? error : NAN};
	(void)snprintf(ret_state->text, sizeof(ret_state->text), "%u frequency layers, %u of them fitted",
		       layers, fitted);
}

static bool append_layer(bson_t *list, char key[16], unsigned position[3], const struct layer *layer)
{
	uint32_t bytes = (uint32_t)(((size_t)layer->history * (layer->n_features + 1) + layer->error_window) *
				    sizeof(double));
	bson_t child;

	return BSON_APPEND_DOCUMENT_BEGIN(list, key, &child) &&
	       BSON_APPEND_INT32(&child, "scope", (int32_t)position[0]) &&
	       BSON_APPEND_INT32(&child, "socket", (int32_t)position[1]) &&
	       BSON_APPEND_INT32(&child, "layer", (int32_t)position[2]) &&
	       BSON_APPEND_INT32(&child, "features", (int32_t)layer->n_features) &&
	       BSON_APPEND_INT32(&child, "samples", (int32_t)layer->n_samples) &&
	       BSON_APPEND_INT32(&child, "errors", (int32_t)layer->n_errors) &&
	       BSON_APPEND_BOOL(&child, "fitted", layer->fitted) &&
	       BSON_APPEND_BINARY(&child, "model", BSON_SUBTYPE_BINARY, (const uint8_t *)&layer->model,
				  sizeof(layer->model)) &&
	       BSON_APPEND_BINARY(&child, "window", BSON_SUBTYPE_BINARY, (const uint8_t *)layer->x, bytes) &&
	       bson_append_document_end(list, &child);
}

static int save(const void *opaque, bson_t *document)
{
	const struct smartwatts *smartwatts = opaque;
	unsigned n = 0;
	bson_t list;
	bool ok =
		BSON_APPEND_UTF8(document, "formula", "smartwatts") &&
		BSON_APPEND_INT32(document, "version", STATE_VERSION) &&
		BSON_APPEND_INT32(document, "history", (int32_t)smartwatts->config.learn_history) &&
		BSON_APPEND_INT32(document, "error_window", (int32_t)smartwatts->config.learn_error_window) &&
		BSON_APPEND_ARRAY_UNSAFE_BEGIN(document, "layers", &list);

	for (unsigned i = 0; ok && i < REPORT_SCOPES * TICK_SOCKETS_MAX * SMARTWATTS_LAYERS; i++) {
		unsigned position[3] = {i / (TICK_SOCKETS_MAX * SMARTWATTS_LAYERS),
					i / SMARTWATTS_LAYERS % TICK_SOCKETS_MAX, i % SMARTWATTS_LAYERS};
		const struct layer *layer = smartwatts->layers[position[0]][position[1]][position[2]];
		char key[16];
		if (!layer)
			continue;
		(void)snprintf(key, sizeof(key), "%u", n++);
		ok = append_layer(&list, key, position, layer);
	}
	ok = ok && bson_append_array_end(document, &list);
	return ok ? 0 : -ENOMEM;
}

static bool get_doubles(const bson_t *document, const char *name, void *ret_values, size_t bytes)
{
	uint32_t length;
	const uint8_t *data = bson_get_binary(document, name, &length);

	if (!data || length != bytes)
		return false;
	memcpy(ret_values, data, bytes);
	for (size_t i = 0; i < bytes / sizeof(double); i++) {
		if (!isfinite(((const double *)ret_values)[i]))
			return false;
	}
	return true;
}

/* True if weights and intercept are possible results of layer_fit(). */
static bool is_model(const struct fit_model *model, const struct formula_config *config)
{
	for (unsigned i = 0; i < FIT_FEATURES; i++) {
		if (!(model->weights[i] >= 0))
			return false;
	}
	return model->intercept >= 0 && model->intercept < config->cpu_tdp_w;
}

static bool load_layer(struct smartwatts *smartwatts, const bson_t *document)
{
	const struct formula_config *config = &smartwatts->config;
	int64_t scope = bson_get_int32(document, "scope", REPORT_SCOPES - 1), features;
	int64_t socket = bson_get_int32(document, "socket", TICK_SOCKETS_MAX - 1);
	int64_t index = bson_get_int32(document, "layer", SMARTWATTS_LAYERS - 1), samples, errors;
	struct layer *layer;
	bson_iter_t it;

	features = bson_get_int32(document, "features", FIT_FEATURES);
	samples = bson_get_int32(document, "samples", config->learn_history);
	errors = bson_get_int32(document, "errors", config->learn_error_window);
	if (scope < 0 || socket < 0 || index < 0 || features < 1 || samples < 0 || errors < 0 ||
	    smartwatts->layers[scope][socket][index])
		return false;
	layer = layer_new(config, (unsigned)features);
	if (!layer)
		return false;
	smartwatts->layers[scope][socket][index] = layer;
	layer->n_samples = (unsigned)samples;
	layer->n_errors = (unsigned)errors;
	layer->fitted = bson_iter_init_find(&it, document, "fitted") && bson_iter_as_bool(&it);
	return get_doubles(document, "model", &layer->model, sizeof(layer->model)) &&
	       is_model(&layer->model, config) &&
	       get_doubles(document, "window", layer->x,
			   ((size_t)layer->history * ((size_t)features + 1) + layer->error_window) *
				   sizeof(double));
}

static bool load_layers(struct smartwatts *smartwatts, const bson_t *document)
{
	bson_iter_t item;
	bson_t child;

	if (!bson_get_array(document, "layers", &item))
		return false;
	while (bson_iter_next(&item)) {
		if (!bson_get_inner(&item, &child) || !load_layer(smartwatts, &child))
			return false;
	}
	return true;
}

static int load(void *opaque, const bson_t *document, struct reason *why)
{
	struct smartwatts *smartwatts = opaque, *fresh;
	bool ok;

	if (!bson_has_text(document, "formula", "smartwatts"))
		return formula_refuse(why, "smartwatts", "it belongs to another formula");
	if (bson_get_int32(document, "version", STATE_VERSION) != STATE_VERSION)
		return formula_refuse(why, "smartwatts", "unknown version");
	if (bson_get_int32(document, "history", INT32_MAX) != smartwatts->config.learn_history ||
	    bson_get_int32(document, "error_window", INT32_MAX) != smartwatts->config.learn_error_window)
		return formula_refuse(why, "smartwatts", "different window sizes");
	fresh = formula_smartwatts.make(&smartwatts->config);
	ok = fresh && load_layers(fresh, document);
	if (ok) {
		struct smartwatts swap = *smartwatts;
		*smartwatts = *fresh;
		*fresh = swap;
	}
	formula_smartwatts.free(fresh);
	return ok ? 0 : formula_refuse(why, "smartwatts", "broken");
}

const struct formula_ops formula_smartwatts = {
	.name = "smartwatts",
	.make = make,
	.run = run,
	.save = save,
	.load = load,
	.describe = describe,
	.free = free_formula,
};
