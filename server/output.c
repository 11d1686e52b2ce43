/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From share's rows to documents. Called by machine.c; pure but for the batch it fills.
 */
#include "output.h"

#include "report_bson.h"

#include <errno.h>
#include <stdio.h>

/* The measured row names its event, as PowerAPI's does. */
static const char *const output_events[REPORT_SCOPES] = {REPORT_EVENT_PKG, REPORT_EVENT_DRAM};

int output_add(struct batch *batch, const struct tick *tick, const struct share_output *shares,
	       const struct output_options *options)
{
	int n_failed = 0;

	for (unsigned i = 0; i < shares->n_rows; i++) {
		const struct share_row *row = &shares->rows[i];
		char socket[12];
		struct report_power power = {
			.time_ms = tick->time_ms,
			.sensor = options->sensor,
			.target = share_row_name(tick, row),
			.socket = socket,
			.scope = row->scope,
			.formula = row->target == SHARE_RAPL ? output_events[row->scope] : options->label,
			.ratio = row->ratio,
			.power = row->power_w,
			.dynamic = row->dynamic_w,
			.fixed = row->static_w,
			.energy_j = row->energy_j,
			.interval_s = tick->interval_s,
			.error = row->error_w,
			.estimated = tick->estimated,
		};
		int r;

		if (options->skip[row->scope])
			continue;
		(void)snprintf(socket, sizeof(socket), "%u", tick->sockets[row->socket].package);
		if (row->target >= 0 && tick->targets[row->target].container_id[0])
			power.container_id = tick->targets[row->target].container_id;
		r = report_bson_add_power(batch, &power);
		if (r == -ENOMEM)
			return r;
		n_failed += r < 0;
	}
	return n_failed;
}
