/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Converts conserve's rows to documents. Called by machine.c; pure except for the batch that it fills.
 */
#include "machine/output.h"

#include <errno.h>
#include <stdio.h>

/* The measured row names its event, as PowerAPI's does. */
static const char *const event_names[REPORT_SCOPES_ALL] = {
	[REPORT_SCOPE_CPU] = REPORT_EVENT_PKG,        [REPORT_SCOPE_DRAM] = REPORT_EVENT_DRAM,
	[REPORT_SCOPE_GPU] = REPORT_EVENT_GPU_ENERGY, [REPORT_SCOPE_PLATFORM] = REPORT_EVENT_PSYS,
	[REPORT_SCOPE_CORE] = REPORT_EVENT_CORES,     [REPORT_SCOPE_UNCORE] = REPORT_EVENT_UNCORE,
};

static int add_row(struct batch *batch, const struct tick *tick, const struct conserve_row *row,
		   const struct output_options *options, const char *socket, uint64_t id_begun)
{
	double bridged_s = row->scope < REPORT_SCOPES ? tick->sockets[row->socket].bridged_s[row->scope] : 0;
	const struct report_power power = {
		.time_ms = tick->time_ms,
		.sensor = options->sensor,
		.target = conserve_row_name(tick, row),
		.socket = socket,
		.scope = row->scope,
		.formula = row->target == CONSERVE_RAPL ? event_names[row->scope] : options->label,
		.ratio = row->ratio,
		.power = row->power_w,
		.dynamic = row->dynamic_w,
		.fixed = row->static_w,
		.energy_j = row->energy_j,
		.interval_s = tick->interval_s + bridged_s,
		.bridged_s = bridged_s,
		.error = row->error_w,
		.sd = row->sd_w,
		.estimated = tick->said.estimated,
		.calibrated = options->calibrated,
		.container_id = row->target >= 0 ? tick->targets[row->target].container_id : NULL,
		.id_begun = id_begun,
	};

	return report_bson_add_power(batch, &power);
}

int output_add(struct batch *batch, const struct tick *tick, const struct conserve_output *conserved,
	       const struct output_options *options)
{
	uint64_t id_begun = report_id_begin(tick->time_ms, options->sensor);
	char sockets[TICK_SOCKETS_MAX][12], number[12];
	int n_failed = 0;

	for (unsigned i = 0; i < tick->n_sockets; i++)
		(void)snprintf(sockets[i], sizeof(sockets[i]), "%u", tick->sockets[i].package);
	for (unsigned i = 0; i < conserved->n_rows; i++) {
		const struct conserve_row *row = &conserved->rows[i];
		int r = 0;

		if (row->scope >= REPORT_SCOPES) {
			(void)snprintf(number, sizeof(number), "%u", tick->aparts[row->socket].number);
			r = add_row(batch, tick, row, options, number, id_begun);
		} else if (!options->skip[row->scope]) {
			r = add_row(batch, tick, row, options, sockets[row->socket], id_begun);
		}
		if (r == -ENOMEM)
			return r;
		n_failed += r < 0;
	}
	return n_failed;
}
