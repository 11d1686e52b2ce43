/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Formula `share`: dynamic power by CPU time, the rest static. Static power comes from a linear fit of power
 * over CPU time with slow forgetting, limited to the lowest power seen. For machines without counters, and as
 * a baseline for the other formulas. Called through formula_ops; conservation is done elsewhere.
 */
#include "formula/formula.h"
#include "base/bson_get.h"
#include "base/array.h"
#include "base/reason.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORGET        0.998 /* about 500 ticks are remembered */
#define LOW_LEAK      2e-4  /* in each tick the lowest power rises by this part of the distance */
#define ERROR_MIX     0.05
#define STATE_VERSION 1

/* The line of one socket and scope. Plain doubles only, so that it can be saved as it is. */
struct line {
	double weight, x, y, xx, xy; /* forgetting sums */
	double low_w;
	double error_w;
	double samples;
};
#define LINE_DOUBLES (sizeof(struct line) / sizeof(double))

struct share_formula {
	struct line lines[REPORT_SCOPES][TICK_SOCKETS_MAX];
	double *dynamic;
	size_t capacity;
};

static void *make(const struct formula_config *config)
{
	struct share_formula *formula = calloc(1, sizeof(*formula));

	(void)config;
	return formula;
}

static void free_share(void *opaque)
{
	struct share_formula *formula = opaque;

	if (!formula)
		return;
	free(formula->dynamic);
	free(formula);
}

/* CPU time in 1e9 cycles a second. */
static double activity(const double *counts, double interval_s)
{
	return tick_cpu_time(counts) / interval_s * 1e-9;
}

/* Slope and intercept of the line; false until the CPU time has varied. */
static bool line_fit(const struct line *line, double *ret_slope, double *ret_static_w)
{
	double var, mean_x, mean_y;

	if (line->samples < 3)
		return false;
	mean_x = line->x / line->weight;
	mean_y = line->y / line->weight;
	var = line->xx / line->weight - mean_x * mean_x;
	if (!(var > 1e-4 * mean_x * mean_x + 1e-9))
		return false;
	*ret_slope = fmax((line->xy / line->weight - mean_x * mean_y) / var, 0);
	*ret_static_w = fmin(fmax(mean_y - *ret_slope * mean_x, 0.2 * line->low_w), line->low_w);
	return true;
}

static void line_learn(struct line *line, double x, double y)
{
	line->low_w = line->samples == 0 || y < line->low_w ? y : line->low_w + LOW_LEAK * (y - line->low_w);
	line->weight = FORGET * line->weight + 1;
	line->x = FORGET * line->x + x;
	line->y = FORGET * line->y + y;
	line->xx = FORGET * line->xx + x * x;
	line->xy = FORGET * line->xy + x * y;
	line->samples++;
}

static void run_socket(struct line *line, double x, double y, struct formula_socket *ret_socket)
{
	double slope = 0, fixed_w = 0;

	ret_socket->predicted_w = NAN;
	ret_socket->error_w = NAN;
	if (line_fit(line, &slope, &fixed_w)) {
		double miss;
		ret_socket->predicted_w = fixed_w + slope * x;
		miss = fabs(y - ret_socket->predicted_w);
		line->error_w = line->error_w > 0 ? line->error_w + ERROR_MIX * (miss - line->error_w) : miss;
		ret_socket->error_w = line->error_w;
	}
	line_learn(line, x, y);
	ret_socket->valid = true;
	ret_socket->measured_w = y;
	ret_socket->static_w = line_fit(line, &slope, &fixed_w) ? fmin(fixed_w, y) : 0.5 * line->low_w;
}

/* Weights by CPU time, in W of the dynamic part. Returns the socket's activity. */
static double weigh_targets(const struct tick *tick, unsigned k, double *ret_dynamic)
{
	double sum = 0, all = activity(tick->sockets[k].counts, tick->interval_s);

	for (unsigned i = 0; i < tick->n_targets; i++) {
		ret_dynamic[i] = NAN;
		if (!tick_is_present(tick, i, k))
			continue;
		ret_dynamic[i] = activity(tick_counts(tick, i, k), tick->interval_s);
		sum += ret_dynamic[i];
	}
	ret_dynamic[tick->n_targets] = fmax(all - sum, 0);
	return fmax(all, sum);
}

static int run(void *opaque, const struct tick *tick, struct formula_result *ret_result)
{
	struct share_formula *formula = opaque;
	size_t width = (size_t)tick->n_targets + 1;
	bool bad_time = !(tick->interval_s > 0) || !isfinite(tick->interval_s);

	memset(ret_result, 0, sizeof(*ret_result));
	(void)snprintf(ret_result->label, sizeof(ret_result->label), "share");
	if (!ARRAY_RESERVE(formula->dynamic, formula->capacity, width * tick->n_sockets))
		return -ENOMEM;
	for (unsigned k = 0; k < tick->n_sockets && !bad_time; k++) {
		double x = weigh_targets(tick, k, formula->dynamic + k * width);
		for (unsigned scope = 0; scope < REPORT_SCOPES; scope++) {
			double y = tick_power_w(tick, k, (enum report_scope)scope);
			if (!tick->reset && isfinite(y) && y > 0)
				run_socket(&formula->lines[scope][k], x, y, &ret_result->sockets[scope][k]);
		}
	}
	for (unsigned scope = 0; scope < REPORT_SCOPES; scope++)
		ret_result->dynamic_w[scope] = formula->dynamic;
	return 0;
}

static int save(const void *opaque, bson_t *document)
{
	const struct share_formula *formula = opaque;

	if (!BSON_APPEND_UTF8(document, "formula", "share") ||
	    !BSON_APPEND_INT32(document, "version", STATE_VERSION) ||
	    !BSON_APPEND_BINARY(document, "lines", BSON_SUBTYPE_BINARY, (const uint8_t *)formula->lines,
				sizeof(formula->lines)))
		return -ENOMEM;
	return 0;
}

static int load(void *opaque, const bson_t *document, struct reason *why)
{
	struct share_formula *formula = opaque;
	struct line lines[REPORT_SCOPES][TICK_SOCKETS_MAX];
	uint32_t length;
	const uint8_t *bytes = bson_get_binary(document, "lines", &length);

	if (!bson_has_text(document, "formula", "share"))
		return formula_refuse(why, "share", "it belongs to another formula");
	if (bson_get_int32(document, "version", STATE_VERSION) != STATE_VERSION)
		return formula_refuse(why, "share", "unknown version");
	if (!bytes || length != sizeof(lines))
		return formula_refuse(why, "share", "broken");
	memcpy(lines, bytes, sizeof(lines));
	for (size_t i = 0; i < REPORT_SCOPES * TICK_SOCKETS_MAX * LINE_DOUBLES; i++) {
		if (!isfinite(((const double *)lines)[i]))
			return formula_refuse(why, "share", "not a number");
	}
	memcpy(formula->lines, lines, sizeof(lines));
	return 0;
}

static void describe(const void *opaque, enum report_scope scope, unsigned socket,
		     struct formula_state *ret_state)
{
	const struct share_formula *formula = opaque;
	const struct line *line = &formula->lines[scope][socket < TICK_SOCKETS_MAX ? socket : 0];
	double slope = 0, fixed_w = 0;
	bool fitted = line_fit(line, &slope, &fixed_w);

	*ret_state = (struct formula_state){.samples = (uint64_t)line->samples,
					    .error_w = line->error_w > 0 ? line->error_w : NAN};
	if (fitted)
		(void)snprintf(ret_state->text, sizeof(ret_state->text),
			       "static %.3g W, %.3g W per 1e9 cycles/s", fixed_w, slope);
	else
		(void)snprintf(ret_state->text, sizeof(ret_state->text), "nothing has varied yet");
}

const struct formula_ops formula_share = {
	.name = "share",
	.make = make,
	.run = run,
	.save = save,
	.load = load,
	.describe = describe,
	.free = free_share,
};
