/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Formula `pooled`, the default: an online mixed-effects regression of RAPL on each container's activity, by
 * a bank of extended Kalman filters for each scope. Maths, sources and limits: docs/energy-model.md. Its
 * parts are in pooled_*.c; this file is what the server sees of them.
 */
#include "formula/pooled/pooled.h"
#include "base/reason.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *make(const struct formula_config *config)
{
	struct pooled *pooled = calloc(1, sizeof(*pooled));

	(void)config;
	if (pooled)
		pooled_input_init(&pooled->input);
	return pooled;
}

static void free_formula(void *opaque)
{
	struct pooled *pooled = opaque;

	if (!pooled)
		return;
	for (unsigned scope = 0; scope < REPORT_SCOPES; scope++)
		pooled_filter_done(&pooled->filters[scope]);
	pooled_input_done(&pooled->input);
	pooled_book_done(&pooled->book);
	free_formula(pooled->taught);
	free(pooled);
}

/* Adds the tick's packages to the known ones, and finds the position of each in the tick. */
static void match_sockets(struct pooled *pooled, const struct tick *tick)
{
	for (unsigned t = 0; t < tick->n_sockets; t++) {
		unsigned package = tick->sockets[t].package, k = 0;
		while (k < pooled->n_packages && pooled->packages[k] < package)
			k++;
		if ((k < pooled->n_packages && pooled->packages[k] == package) ||
		    pooled->n_packages == TICK_SOCKETS_MAX)
			continue;
		memmove(&pooled->packages[k + 1], &pooled->packages[k],
			(pooled->n_packages - k) * sizeof(*pooled->packages));
		pooled->packages[k] = package;
		pooled->n_packages++;
	}
	for (unsigned k = 0, t = 0; k < pooled->n_packages; k++) {
		bool here = t < tick->n_sockets && tick->sockets[t].package == pooled->packages[k];
		pooled->tick_socket[k] = here ? t++ : TICK_SOCKETS_MAX;
	}
}

static int follow_sockets(struct pooled *pooled, const struct tick *tick)
{
	match_sockets(pooled, tick);
	for (unsigned scope = 0; scope < REPORT_SCOPES; scope++) {
		struct pooled_filter *filter = &pooled->filters[scope];
		if (filter->memory && filter->n_sockets == pooled->n_packages)
			continue;
		pooled_filter_done(filter);
		if (pooled_filter_init(filter, (enum report_scope)scope, pooled->n_packages) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* Answers in the tick's order of sockets: the model's order without the sockets that the tick lacks. */
static void answer(const struct pooled *pooled, struct pooled_filter *filter, struct formula_result *result)
{
	size_t width = pooled->input.n_rows;

	result->dynamic_w[filter->scope] = filter->dynamic;
	result->part_sd[filter->scope] = filter->doubt;
	for (unsigned k = 0; k < filter->n_sockets; k++) {
		unsigned t = pooled->tick_socket[k];
		double y = pooled->input.power_w[filter->scope][k];
		if (t == TICK_SOCKETS_MAX)
			continue;
		if (t != k) {
			memmove(filter->dynamic + t * width, filter->dynamic + k * width,
				width * sizeof(*filter->dynamic));
			memmove(filter->doubt + t * width, filter->doubt + k * width,
				width * sizeof(*filter->doubt));
		}
		if (!isfinite(y))
			continue;
		result->sockets[filter->scope][t] = (struct formula_socket){
			.valid = true,
			.measured_w = y,
			.predicted_w =
				isfinite(filter->predicted_w[k]) ? fmax(filter->predicted_w[k], 0) : NAN,
			.static_w = fmin(fmax(filter->static_w[k], 0), y),
			.error_w = filter->error_w[k],
			.dynamic_sd_w = filter->doubt_w[k],
		};
	}
}

static int run(void *opaque, const struct tick *tick, struct formula_result *ret_result)
{
	struct pooled *pooled = opaque;

	memset(ret_result, 0, sizeof(*ret_result));
	(void)snprintf(ret_result->label, sizeof(ret_result->label), "pooled");
	if (!(tick->interval_s > 0) || !isfinite(tick->interval_s) || tick->n_sockets == 0 ||
	    tick->n_sockets > TICK_SOCKETS_MAX)
		return 0;
	if (follow_sockets(pooled, tick) < 0 || pooled_input_take(pooled, tick) < 0)
		return -ENOMEM;
	for (unsigned scope = 0; scope < REPORT_SCOPES; scope++) {
		if (pooled_filter_run(pooled, &pooled->filters[scope]) < 0)
			return -ENOMEM;
		answer(pooled, &pooled->filters[scope], ret_result);
		ret_result->calibrated |= pooled_taught_fits(pooled, (enum report_scope)scope);
	}
	return 0;
}

static int save(const void *opaque, bson_t *document)
{
	return pooled_save(opaque, document);
}

static int load(void *opaque, const bson_t *document, struct reason *why)
{
	return pooled_load(opaque, document, why);
}

static int calibrate(void *opaque, const bson_t *document, bool estimated, struct reason *why)
{
	return pooled_taught_take(opaque, document, estimated, why);
}

static void describe(const void *opaque, enum report_scope scope, unsigned socket,
		     struct formula_state *ret_state)
{
	const struct pooled *pooled = opaque;
	const struct pooled_filter *filter = &pooled->filters[scope];
	unsigned slots = 0;

	*ret_state = (struct formula_state){.error_w = NAN};
	if (!filter->ready || socket >= filter->n_sockets) {
		(void)snprintf(ret_state->text, sizeof(ret_state->text), "nothing measured yet");
		return;
	}
	for (unsigned i = 0; i < POOLED_SLOTS; i++)
		slots += filter->slot_record[i] >= 0;
	ret_state->samples = filter->n_samples;
	ret_state->error_w = filter->error_w[socket];
	(void)snprintf(ret_state->text, sizeof(ret_state->text),
		       "static %.3g W, %.3g nJ per %s, frequency exponent %.2f, %u own factors, %u "
		       "containers known, "
		       "%" PRIu64 " restarts%s",
		       filter->static_w[socket], pooled_filter_mean(filter, POOLED_B0),
		       scope == REPORT_SCOPE_CPU ? "cycle" : "miss", pooled_filter_mean(filter, POOLED_POWER),
		       slots, pooled->book.n_used, filter->n_restarts,
		       pooled_taught_fits(pooled, scope) ? ", calibrated" : "");
}

const struct formula_ops formula_pooled = {
	.name = "pooled",
	.make = make,
	.run = run,
	.save = save,
	.load = load,
	.calibrate = calibrate,
	.describe = describe,
	.free = free_formula,
};
