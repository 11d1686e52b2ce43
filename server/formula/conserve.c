/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Turns modelled watts into rows that add up. The formula provides the relative need of each target and the
 * static power; the measured power is divided in these proportions. Does not depend on how the watts were
 * modelled.
 */
#include "formula/conserve.h"
#include "base/array.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* More than any socket draws: the model is broken. */
#define ABSURD_W    1e6
#define ABSURD_CPUS 1e6
/* Below this sum of dynamic watts there is no meaningful proportion. */
#define NOTHING_W 1e-12

const char *const conserve_static_names[CONSERVE_STATICS + 1] = {
	[CONSERVE_STATIC_PROPORTIONAL] = "proportional",
	[CONSERVE_STATIC_NONE] = "none",
	[CONSERVE_STATIC_EQUAL] = "equal",
	[CONSERVE_STATIC_QUOTA] = "quota",
};

/* One socket and scope at work. */
struct portion {
	const struct tick *tick;
	const struct conserve_policy *policy;
	const struct formula_socket *model;
	const double *modelled; /* of the formula, [n_targets + 1] */
	const double *part_sd;  /* the same, or NULL */
	enum report_scope scope;
	unsigned socket;
	double measured_w;
	double *dynamic; /* weights of the dynamic part; NAN: no row */
	double *fixed;   /* weights of the static part */
};

const char *conserve_row_name(const struct tick *tick, const struct conserve_row *row)
{
	switch (row->target) {
	case CONSERVE_SYSTEM:
		return REPORT_TARGET_SYSTEM;
	case CONSERVE_IDLE:
		return REPORT_TARGET_IDLE;
	case CONSERVE_RAPL:
		return REPORT_TARGET_RAPL;
	case CONSERVE_GLOBAL:
		return REPORT_TARGET_GLOBAL;
	default:
		return tick->targets[row->target].name;
	}
}

static int output_reserve(struct conserve_output *output, const struct tick *tick)
{
	size_t rows =
		((size_t)REPORT_SCOPES * tick->n_sockets + tick->n_aparts) * ((size_t)tick->n_targets + 4);
	size_t weights = 2 * ((size_t)tick->n_targets + 1);

	return ARRAY_RESERVE(output->rows, output->capacity, rows) &&
			       ARRAY_RESERVE(output->weights, output->weights_capacity, weights)
		       ? 0
		       : -ENOMEM;
}

static struct conserve_row *add_row(struct conserve_output *output, const struct portion *portion, int target)
{
	struct conserve_row *row = &output->rows[output->n_rows++];

	*row = (struct conserve_row){.target = target,
				     .scope = portion->scope,
				     .socket = portion->socket,
				     .ratio = 1,
				     .error_w = portion->model->error_w,
				     .sd_w = NAN};
	return row;
}

static void row_set(struct conserve_row *row, const struct portion *portion, double dynamic_w,
		    double static_w)
{
	row->dynamic_w = dynamic_w;
	row->static_w = static_w;
	row->power_w = dynamic_w + static_w;
	row->energy_j = row->power_w * (portion->tick->interval_s +
					portion->tick->sockets[portion->socket].bridged_s[portion->scope]);
	row->ratio = portion->measured_w > 0 ? row->power_w / portion->measured_w : 0;
}

static bool target_present(const struct portion *portion, unsigned i)
{
	return i == portion->tick->n_targets || tick_is_present(portion->tick, i, portion->socket);
}

/* Uses the formula's watts as weights. False if they are unusable. */
static bool weights_from_model(const struct portion *portion, double *ret_sum)
{
	double sum = 0;

	for (unsigned i = 0; i <= portion->tick->n_targets; i++) {
		double w = portion->modelled ? portion->modelled[i] : NAN;
		if (isnan(w) && !target_present(portion, i)) {
			portion->dynamic[i] = NAN;
			continue;
		}
		if (!(w >= 0 && w <= ABSURD_W))
			return false;
		portion->dynamic[i] = w;
		sum += w;
	}
	*ret_sum = sum;
	return true;
}

static double weights_from_cpu_time(const struct portion *portion)
{
	unsigned n = portion->tick->n_targets;
	double sum = 0, rest;

	for (unsigned i = 0; i < n; i++) {
		portion->dynamic[i] = target_present(portion, i)
					      ? tick_cpu_time(tick_counts(portion->tick, i, portion->socket))
					      : NAN;
		if (!isnan(portion->dynamic[i]))
			sum += portion->dynamic[i];
	}
	rest = fmax(tick_cpu_time(portion->tick->sockets[portion->socket].counts) - sum, 0);
	if (!(sum + rest > 0))
		rest = 1; /* nothing ran: all of it belongs to the system */
	portion->dynamic[n] = rest;
	return sum + rest;
}

static double quota_of(const struct portion *portion, const struct tick_target *target)
{
	double cpus = portion->policy->n_cpus;

	if (target->cpu_quota > 0 && target->cpu_quota <= ABSURD_CPUS)
		return target->cpu_quota;
	if (!(cpus > 0))
		cpus = portion->tick->said.n_cores * portion->tick->n_sockets;
	for (unsigned i = 0; !(cpus > 0) && i < portion->tick->n_targets; i++)
		cpus = fmax(cpus, portion->tick->targets[i].cpu_quota);
	return cpus > 0 && cpus <= ABSURD_CPUS ? cpus : 1;
}

/* Weights of the static part; a sum of 0 means that it belongs to `idle`. */
static double weights_fixed(const struct portion *portion, double dynamic_sum)
{
	const struct tick *tick = portion->tick;
	enum conserve_static policy = portion->policy->fixed;
	double sum = 0;

	if (policy == CONSERVE_STATIC_PROPORTIONAL) {
		memcpy(portion->fixed, portion->dynamic, (tick->n_targets + 1) * sizeof(*portion->fixed));
		return dynamic_sum;
	}
	for (unsigned i = 0; i <= tick->n_targets; i++) {
		double w = 0;
		if (policy != CONSERVE_STATIC_NONE && i < tick->n_targets && !isnan(portion->dynamic[i]))
			w = policy == CONSERVE_STATIC_EQUAL ? 1 : quota_of(portion, &tick->targets[i]);
		portion->fixed[i] = w;
		sum += w;
	}
	return sum;
}

static void add_reserved(struct conserve_output *output, const struct portion *portion, double static_w)
{
	struct conserve_row *row = add_row(output, portion, CONSERVE_RAPL);

	row_set(row, portion, portion->measured_w - static_w, static_w);
	row->power_w = portion->measured_w;
	row->ratio = 1;
	if (!(portion->model->predicted_w >= 0 && portion->model->predicted_w <= ABSURD_W))
		return;
	row = add_row(output, portion, CONSERVE_GLOBAL);
	static_w = fmax(fmin(static_w, portion->model->predicted_w), 0);
	row_set(row, portion, portion->model->predicted_w - static_w, static_w);
	row->ratio = 1;
}

/*
 * Uncertainty of a row's watts. If static power follows dynamic power, a row is its part of everything
 * measured; otherwise its part of the dynamic power, which is itself uncertain.
 */
static double row_sd(const struct portion *portion, unsigned i, double part, double dynamic_w)
{
	double sd = portion->part_sd ? portion->part_sd[i] : NAN;

	if (portion->policy->fixed == CONSERVE_STATIC_PROPORTIONAL)
		return portion->measured_w * sd;
	return hypot(dynamic_w * sd, part * portion->model->dynamic_sd_w);
}

static void split_socket(struct conserve_output *output, const struct portion *portion)
{
	unsigned n = portion->tick->n_targets;
	double y = portion->measured_w, dynamic_sum = 0, fixed_sum, dynamic_w;
	double static_w = portion->model->static_w, part;
	struct conserve_row *row;
	bool modelled = weights_from_model(portion, &dynamic_sum);

	static_w = isfinite(static_w) ? fmin(fmax(static_w, 0), y) : 0;
	dynamic_w = y - static_w;
	if (modelled && dynamic_sum > NOTHING_W) {
		/* The model's residual is shared by both parts in proportion. */
		dynamic_w = fmin(y * (dynamic_sum / (static_w + dynamic_sum)), y);
	} else {
		output->n_degraded += !modelled;
		dynamic_sum = weights_from_cpu_time(portion);
	}
	static_w = y - dynamic_w;
	fixed_sum = weights_fixed(portion, dynamic_sum);
	add_reserved(output, portion, static_w);
	for (unsigned i = 0; i <= n; i++) {
		if (isnan(portion->dynamic[i]))
			continue;
		row = add_row(output, portion, i < n ? (int)i : CONSERVE_SYSTEM);
		part = portion->dynamic[i] / dynamic_sum;
		row_set(row, portion, dynamic_w * part,
			fixed_sum > 0 ? static_w * (portion->fixed[i] / fixed_sum) : 0);
		row->sd_w = modelled ? row_sd(portion, i, part, dynamic_w) : NAN;
	}
	if (fixed_sum > 0)
		return;
	row = add_row(output, portion, CONSERVE_IDLE);
	row_set(row, portion, 0, static_w);
	row->sd_w = modelled && portion->part_sd ? portion->model->dynamic_sd_w : NAN;
}

static void pass_on_final(struct conserve_output *output, const struct portion *portion, const double *fixed)
{
	unsigned n = portion->tick->n_targets;

	add_reserved(output, portion, isfinite(portion->model->static_w) ? portion->model->static_w : 0);
	for (unsigned i = 0; i <= n; i++) {
		double dynamic_w = portion->modelled[i], static_w = fixed ? fixed[i] : 0;
		if (isfinite(dynamic_w) && isfinite(static_w))
			row_set(add_row(output, portion, i < n ? (int)i : CONSERVE_SYSTEM), portion,
				dynamic_w, static_w);
	}
}

int conserve_apply(const struct tick *tick, const struct formula_result *result,
		   const struct conserve_policy *policy, struct conserve_output *output)
{
	unsigned width = tick->n_targets + 1;
	int r = output_reserve(output, tick);

	output->n_rows = 0;
	output->n_degraded = 0;
	if (r < 0)
		return r;
	for (unsigned cell = 0; cell < REPORT_SCOPES * tick->n_sockets; cell++) {
		enum report_scope scope = (enum report_scope)(cell / tick->n_sockets);
		unsigned k = cell % tick->n_sockets;
		const double *modelled = result->dynamic_w[scope], *fixed = result->fixed_w[scope];
		const double *part_sd = result->part_sd[scope];
		struct portion portion = {
			.tick = tick,
			.policy = policy,
			.model = &result->sockets[scope][k],
			.modelled = modelled ? modelled + (size_t)k * width : NULL,
			.part_sd = part_sd ? part_sd + (size_t)k * width : NULL,
			.scope = scope,
			.socket = k,
			.measured_w = result->sockets[scope][k].measured_w,
			.dynamic = output->weights,
			.fixed = output->weights + width,
		};
		if (!portion.model->valid || !(portion.measured_w >= 0) || !isfinite(portion.measured_w))
			continue;
		if (result->final && portion.modelled)
			pass_on_final(output, &portion, fixed ? fixed + (size_t)k * width : NULL);
		else
			split_socket(output, &portion);
	}
	return 0;
}

void conserve_output_done(struct conserve_output *output)
{
	free(output->rows);
	free(output->weights);
	*output = (struct conserve_output){0};
}
