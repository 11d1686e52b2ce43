/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From share's rows to documents. Called by machine.c; pure but for the batch it fills. Rows come by scope
 * and socket, so what those of one socket share is encoded once, and each name is hashed once for a tick.
 */
#include "machine/output.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The measured row names its event, as PowerAPI's does. */
static const char *const events[REPORT_SCOPES] = {REPORT_EVENT_PKG, REPORT_EVENT_DRAM};

static int take_targets(struct output *output, const struct tick *tick, uint64_t begun)
{
	if (tick->n_targets > output->capacity) {
		unsigned capacity = tick->n_targets + tick->n_targets / 2;
		struct report_rows_target *targets = realloc(output->targets, capacity * sizeof(*targets));

		if (!targets)
			return -ENOMEM;
		output->targets = targets;
		output->capacity = capacity;
	}
	for (unsigned i = 0; i < tick->n_targets; i++)
		output->targets[i] =
			report_rows_target(begun, tick->targets[i].name, tick->targets[i].container_id);
	return 0;
}

/* The shape for rows like this one. */
static int shape_of(struct output *output, const struct tick *tick, const struct conserve_row *row,
		    const struct output_options *options)
{
	const struct report_power common = {
		.time_ms = tick->time_ms,
		.sensor = options->sensor,
		.socket = output->socket,
		.scope = row->scope,
		.formula = row->target == CONSERVE_RAPL ? events[row->scope] : options->label,
		.interval_s = tick->interval_s + tick->sockets[row->socket].bridged_s[row->scope],
		.bridged_s = tick->sockets[row->socket].bridged_s[row->scope],
		.error = row->error_w,
		.estimated = tick->estimated,
	};

	(void)snprintf(output->socket, sizeof(output->socket), "%u", tick->sockets[row->socket].package);
	return report_rows_shape(&output->shape, &common);
}

/* Do two rows differ in nothing but the target and its numbers? */
static bool is_alike(const struct conserve_row *a, const struct conserve_row *b)
{
	return a->scope == b->scope && a->socket == b->socket &&
	       memcmp(&a->error_w, &b->error_w, sizeof(a->error_w)) == 0 &&
	       (a->target == CONSERVE_RAPL) == (b->target == CONSERVE_RAPL);
}

static int add_row(const struct output *output, struct batch *batch, const struct conserve_row *row,
		   const struct report_rows_target *target)
{
	const struct report_power numbers = {
		.ratio = row->ratio,
		.power = row->power_w,
		.dynamic = row->dynamic_w,
		.fixed = row->static_w,
		.energy_j = row->energy_j,
	};

	return report_rows_add(batch, &output->shape, target, &numbers);
}

int output_add(struct output *output, struct batch *batch, const struct tick *tick,
	       const struct conserve_output *conserved, const struct output_options *options)
{
	uint64_t begun = report_rows_begin(tick->time_ms, options->sensor);
	const struct conserve_row *shaped = NULL;
	int n_failed = 0, r;

	r = take_targets(output, tick, begun);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < conserved->n_rows; i++) {
		const struct conserve_row *row = &conserved->rows[i];
		struct report_rows_target reserved;

		if (options->skip[row->scope])
			continue;
		if (!shaped || !is_alike(shaped, row)) {
			r = shape_of(output, tick, row, options);
			if (r < 0)
				return r;
			shaped = row;
		}
		if (row->target < 0)
			reserved = report_rows_target(begun, conserve_row_name(tick, row), NULL);
		r = add_row(output, batch, row, row->target < 0 ? &reserved : &output->targets[row->target]);
		if (r == -ENOMEM)
			return r;
		n_failed += r < 0;
	}
	return n_failed;
}

void output_done(struct output *output)
{
	free(output->targets);
	report_rows_shape_done(&output->shape);
	*output = (struct output){0};
}
