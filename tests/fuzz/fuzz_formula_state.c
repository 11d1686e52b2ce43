/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stored states of the formulas, as BSON or as its JSON: any state is either refused, or the next ticks have
 * finite watts that add up to the measured power, and it can be saved again.
 */
#include "base/log.h"
#include "document/bson_json.h"
#include "formula/conserve.h"
#include "unit/formula_defaults.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SOCKETS 2
#define TARGETS 3
#define TICKS   4

struct machine {
	struct tick tick;
	struct tick_target targets[TARGETS];
	double counts[TARGETS][SOCKETS * TICK_FEATURES];
};

static void fill_tick(struct machine *machine, unsigned n)
{
	static const char *const names[TARGETS] = {"web", "db", "batch"};

	machine->tick = (struct tick){.time_ms = INT64_C(1700000000000) + 1000 * (int64_t)n,
				      .interval_s = 1,
				      .complete = true,
				      .n_sockets = SOCKETS,
				      .n_targets = TARGETS,
				      .targets = machine->targets};
	for (unsigned k = 0; k < SOCKETS; k++) {
		struct tick_socket *socket = &machine->tick.sockets[k];

		*socket = (struct tick_socket){.package = k, .aperf = 1.1e9, .mperf = 1e9, .tsc = 2e9};
		socket->energy_j[REPORT_SCOPE_CPU] = 40 + n;
		socket->energy_j[REPORT_SCOPE_DRAM] = 5;
	}
	for (unsigned i = 0; i < TARGETS; i++) {
		machine->targets[i] = (struct tick_target){.name = names[i],
							   .container_id = "",
							   .key = i + 1,
							   .present = 3,
							   .counts = machine->counts[i]};
		for (unsigned k = 0; k < SOCKETS * TICK_FEATURES; k++)
			machine->counts[i][k] = 1e9 * (i + 1) * (n % 2 + 1) / (k % TICK_FEATURES + 1);
	}
}

static void check_output(const struct tick *tick, const struct formula_result *result,
			 const struct conserve_output *output)
{
	double sum[REPORT_SCOPES][SOCKETS] = {{0}};

	for (unsigned i = 0; i < output->n_rows; i++) {
		const struct conserve_row *row = &output->rows[i];

		if (!isfinite(row->power_w) || row->power_w < 0 || row->dynamic_w < 0 || row->static_w < 0)
			abort();
		if (row->target != CONSERVE_RAPL && row->target != CONSERVE_GLOBAL)
			sum[row->scope][row->socket] += row->power_w;
	}
	for (unsigned s = 0; s < REPORT_SCOPES; s++) {
		for (unsigned k = 0; k < tick->n_sockets; k++) {
			const struct formula_socket *socket = &result->sockets[s][k];

			if (socket->valid &&
			    !(fabs(sum[s][k] - socket->measured_w) <= 1e-6 * socket->measured_w))
				abort();
		}
	}
}

static void use(const struct formula_ops *ops, const bson_t *document)
{
	const struct conserve_policy policy = {.fixed = CONSERVE_STATIC_PROPORTIONAL};
	struct conserve_output output = {0};
	struct formula_config config;
	struct formula_result result;
	struct machine machine;
	struct reason why = {""};
	bson_t saved = BSON_INITIALIZER;
	void *formula;

	formula_config_init(&config);
	formula = ops->make(&config);
	if (formula && ops->load(formula, document, &why) == 0) {
		for (unsigned n = 0; n < TICKS; n++) {
			fill_tick(&machine, n);
			if (ops->run(formula, &machine.tick, &result) < 0 ||
			    conserve_apply(&machine.tick, &result, &policy, &output) < 0)
				abort();
			check_output(&machine.tick, &result, &output);
		}
		if (ops->save(formula, &saved) < 0)
			abort();
	} else if (formula && !why.text[0]) {
		abort(); /* refused without a reason */
	}
	bson_destroy(&saved);
	conserve_output_done(&output);
	if (formula)
		ops->free(formula);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct batch parsed = {0};
	bson_t document;
	bool valid = bson_init_static(&document, data, size);

	if (!valid && bson_json_parse((const char *)data, size, &parsed) == 0)
		valid = bson_init_static(&document, parsed.data, parsed.length);
	for (const struct formula_ops *const *ops = formula_all; valid && *ops; ops++)
		use(*ops, &document);
	batch_done(&parsed);
	return 0;
}
