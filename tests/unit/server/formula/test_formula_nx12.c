/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A real trace (tests/data/README.md): what each formula predicts of the machine's power before it sees it.
 */
#include "formula/formula.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NX12_PATH       "tests/data/nx12.csv"
#define NX12_INTERVAL_S 3

struct trace {
	FILE *file;
	struct tick tick;
	struct tick_target target;
	double counts[TICK_FEATURES];
	double events[3];
	const char *names[3];
	bool quiet; /* the line does not say a power */
};

static void trace_open(struct trace *trace)
{
	const char *top = getenv("TOP");
	char path[512], line[512];

	*trace = (struct trace){.names = {"cpu_cycles", "instructions", "misses"}};
	(void)snprintf(path, sizeof(path), "%s/%s", top ? top : ".", NX12_PATH);
	trace->file = fopen(path, "r");
	assert_non_null(trace->file);
	assert_non_null(fgets(line, sizeof(line), trace->file));
	trace->target = (struct tick_target){.name = "work",
					     .container_id = "",
					     .present = 1,
					     .counts = trace->counts,
					     .events = trace->events};
	trace->tick = (struct tick){.interval_s = NX12_INTERVAL_S,
				    .complete = true,
				    .n_sockets = 1,
				    .n_targets = 1,
				    .targets = &trace->target,
				    .n_events = 3,
				    .event_names = trace->names};
}

static bool trace_next(struct trace *trace)
{
	struct tick_socket *socket = &trace->tick.sockets[0];
	double v[8];
	char line[512];

	if (!fgets(line, sizeof(line), trace->file))
		return false;
	assert_int_equal(sscanf(line, "%lf,%lf,%lf,%lf,%lf,%lf,%lf,%lf", &v[0], &v[1], &v[2], &v[3], &v[4],
				&v[5], &v[6], &v[7]),
			 8);
	trace->tick.time_ms = (int64_t)(v[0] * 1000);
	trace->counts[TICK_REF] = trace->counts[TICK_VECTOR] = NAN;
	trace->counts[TICK_CYCLES] = trace->events[0] = v[2] * NX12_INTERVAL_S;
	trace->counts[TICK_INSTRUCTIONS] = trace->events[1] = v[3] * NX12_INTERVAL_S;
	trace->counts[TICK_MISSES] = trace->events[2] = v[1] * NX12_INTERVAL_S;
	*socket = (struct tick_socket){.aperf = NAN, .mperf = NAN, .tsc = NAN};
	memcpy(socket->counts, trace->counts, sizeof(socket->counts));
	socket->energy_j[REPORT_SCOPE_CPU] = v[4] * NX12_INTERVAL_S;
	socket->energy_j[REPORT_SCOPE_DRAM] = v[7] * NX12_INTERVAL_S;
	return true;
}

/* Mean absolute error of `global` in W, by scope. */
static void judge(const struct formula_ops *ops, double ret_mae_w[REPORT_SCOPES])
{
	struct formula_config config;
	struct trace trace;
	double sum[REPORT_SCOPES] = {0}, n[REPORT_SCOPES] = {0};
	void *formula;

	formula_config_init(&config);
	formula = ops->make(&config);
	trace_open(&trace);
	while (trace_next(&trace)) {
		struct formula_result result;
		assert_int_equal(ops->run(formula, &trace.tick, &result), 0);
		for (unsigned s = 0; s < REPORT_SCOPES; s++) {
			const struct formula_socket *socket = &result.sockets[s][0];
			if (!socket->valid || !isfinite(socket->predicted_w))
				continue;
			sum[s] += fabs(socket->predicted_w - socket->measured_w);
			n[s]++;
		}
	}
	for (unsigned s = 0; s < REPORT_SCOPES; s++)
		ret_mae_w[s] = sum[s] / n[s];
	printf("# %s: cpu %.3f W, dram %.3f W over %.0f ticks\n", ops->name, ret_mae_w[0], ret_mae_w[1],
	       n[0]);
	(void)fclose(trace.file);
	ops->free(formula);
}

static void pooled_predicts_the_machine(void **state)
{
	double mae_w[REPORT_SCOPES];

	(void)state;
	judge(&formula_pooled, mae_w);
	assert_true(mae_w[REPORT_SCOPE_CPU] <= 5.4);
	assert_true(mae_w[REPORT_SCOPE_DRAM] <= 1.9);
}

static void others_for_comparison(void **state)
{
	double mae_w[REPORT_SCOPES];

	(void)state;
	judge(&formula_smartwatts, mae_w);
	assert_true(mae_w[REPORT_SCOPE_CPU] < 8);
	judge(&formula_share, mae_w);
	assert_true(mae_w[REPORT_SCOPE_CPU] < 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pooled_predicts_the_machine),
		cmocka_unit_test(others_for_comparison),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
