/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A real trace (tests/data/README.md): what each formula predicts of the machine's power before it sees it.
 */
#include "formula/formula.h"
#include "unit/formula_defaults.h"

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
#define FIRST_TICKS     30

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

struct verdict {
	double first_w,
		after_w; /* mean |prediction - measured| of the first FIRST_TICKS ticks, and of the others */
	double most; /* largest prediction / what the machine took at most so far and what the rise explains
		      */
};

/* By scope. Whoever predicts nothing in a tick is not judged by it. */
static void judge(const struct formula_ops *ops, struct verdict ret[REPORT_SCOPES])
{
	struct formula_config config;
	struct trace trace;
	double n[REPORT_SCOPES][2] = {{0}}, largest_w[REPORT_SCOPES] = {0}, largest_cycles = 0;
	void *formula;

	formula_config_init(&config);
	config.interval_ms = 1000 * NX12_INTERVAL_S;
	formula = ops->make(&config);
	memset(ret, 0, REPORT_SCOPES * sizeof(*ret));
	trace_open(&trace);
	for (unsigned t = 0; trace_next(&trace); t++) {
		struct formula_result result;
		double cycles = trace.counts[TICK_CYCLES] / NX12_INTERVAL_S * 1e-9;
		assert_int_equal(ops->run(formula, &trace.tick, &result), 0);
		for (unsigned s = 0; s < REPORT_SCOPES; s++) {
			const struct formula_socket *socket = &result.sockets[s][0];
			double rise = fmax(cycles - largest_cycles, 0), miss, most;
			if (!socket->valid || !isfinite(socket->predicted_w))
				continue;
			miss = fabs(socket->predicted_w - socket->measured_w);
			*(t < FIRST_TICKS ? &ret[s].first_w : &ret[s].after_w) += miss;
			n[s][t >= FIRST_TICKS]++;
			most = 1.25 * largest_w[s] + 2 * rise;
			ret[s].most = fmax(ret[s].most, largest_w[s] > 0 ? socket->predicted_w / most : 0);
		}
		for (unsigned s = 0; s < REPORT_SCOPES; s++)
			largest_w[s] =
				fmax(largest_w[s], trace.tick.sockets[0].energy_j[s] / NX12_INTERVAL_S);
		largest_cycles = fmax(largest_cycles, cycles);
	}
	for (unsigned s = 0; s < REPORT_SCOPES; s++) {
		ret[s].first_w /= n[s][0];
		ret[s].after_w /= n[s][1];
		printf("# %s, %s: %.3f W in the first %d ticks, %.3f W after\n", ops->name,
		       report_scope_names[s], ret[s].first_w, FIRST_TICKS, ret[s].after_w);
	}
	(void)fclose(trace.file);
	ops->free(formula);
}

static void pooled_predicts_better_than_the_published_algorithm(void **state)
{
	struct verdict pooled[REPORT_SCOPES], published[REPORT_SCOPES];

	(void)state;
	judge(&formula_pooled, pooled);
	judge(&formula_smartwatts, published);
	for (unsigned s = 0; s < REPORT_SCOPES; s++) {
		assert_true(pooled[s].first_w <= published[s].first_w);
		assert_true(pooled[s].after_w <= published[s].after_w);
	}
	assert_true(pooled[REPORT_SCOPE_CPU].most <= 1);
	assert_true(pooled[REPORT_SCOPE_CPU].after_w <= 4);
	assert_true(pooled[REPORT_SCOPE_DRAM].after_w <= 1.6);
}

static void share_for_comparison(void **state)
{
	struct verdict share[REPORT_SCOPES];

	(void)state;
	judge(&formula_share, share);
	assert_true(share[REPORT_SCOPE_CPU].after_w < 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pooled_predicts_better_than_the_published_algorithm),
		cmocka_unit_test(share_for_comparison),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
