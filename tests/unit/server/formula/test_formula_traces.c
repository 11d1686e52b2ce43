/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A real trace (tests/data/README.md): each formula's prediction of the machine's power before the tick is
 * measured. The whole machine is one target.
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

#define INTERVAL_S  3
#define FIRST_TICKS 30
#define TARGETS_MAX 64
#define NAME_BYTES  64

struct trace {
	FILE *file;
	struct tick tick;
	struct tick_target targets[TARGETS_MAX];
	double counts[TARGETS_MAX][TICK_FEATURES];
	double events[TARGETS_MAX][3];
	const char *names[3];
	char known[TARGETS_MAX][NAME_BYTES]; /* names in order of appearance */
	unsigned n_known;
};

static void take_target(struct trace *trace, unsigned key, const double counts[3])
{
	unsigned i = trace->tick.n_targets++;

	assert_true(i < TARGETS_MAX);
	trace->counts[i][TICK_REF] = trace->counts[i][TICK_VECTOR] = NAN;
	trace->counts[i][TICK_CYCLES] = trace->events[i][0] = counts[0];
	trace->counts[i][TICK_INSTRUCTIONS] = trace->events[i][1] = counts[1];
	trace->counts[i][TICK_MISSES] = trace->events[i][2] = counts[2];
	trace->targets[i] = (struct tick_target){.name = trace->known[key],
						 .container_id = "",
						 .key = key,
						 .present = 1,
						 .counts = trace->counts[i],
						 .events = trace->events[i]};
}

/* Ends the tick: the socket's counts are the sums over its targets. */
static void take_energy(struct trace *trace, double time_s, double cpu_j, double dram_j)
{
	struct tick_socket *socket = &trace->tick.sockets[0];

	*socket = (struct tick_socket){.aperf = NAN, .mperf = NAN, .tsc = NAN};
	socket->energy_j[REPORT_SCOPE_CPU] = cpu_j;
	socket->energy_j[REPORT_SCOPE_DRAM] = dram_j;
	for (unsigned f = 0; f < TICK_FEATURES; f++)
		for (unsigned i = 0; i < trace->tick.n_targets; i++)
			socket->counts[f] += trace->counts[i][f];
	trace->tick.time_ms = (int64_t)(time_s * 1000);
	trace->tick.targets = trace->targets;
	trace->tick.event_names = trace->names;
}

static unsigned key_of(struct trace *trace, const char *name)
{
	unsigned key = 0;

	while (key < trace->n_known && strcmp(trace->known[key], name) != 0)
		key++;
	assert_true(key < TARGETS_MAX);
	if (key == trace->n_known)
		(void)snprintf(trace->known[trace->n_known++], NAME_BYTES, "%s", name);
	return key;
}

static bool next_tick(struct trace *trace)
{
	double v[8];
	char line[512];

	if (!fgets(line, sizeof(line), trace->file))
		return false;
	assert_int_equal(sscanf(line, "%lf,%lf,%lf,%lf,%lf,%lf,%lf,%lf", &v[0], &v[1], &v[2], &v[3], &v[4],
				&v[5], &v[6], &v[7]),
			 8);
	trace->tick.n_targets = 0;
	take_target(trace, key_of(trace, "work"),
		    (double[]){v[2] * INTERVAL_S, v[3] * INTERVAL_S, v[1] * INTERVAL_S});
	take_energy(trace, v[0], v[4] * INTERVAL_S, v[7] * INTERVAL_S);
	return true;
}

static struct trace trace_open(const char *name)
{
	struct trace trace = {.names = {"cpu_cycles", "instructions", "misses"}};
	const char *top = getenv("TOP");
	char path[512], line[512];

	(void)snprintf(path, sizeof(path), "%s/tests/data/%s.csv", top ? top : ".", name);
	trace.file = fopen(path, "r");
	assert_non_null(trace.file);
	assert_non_null(fgets(line, sizeof(line), trace.file));
	trace.tick = (struct tick){.interval_s = INTERVAL_S, .complete = true, .n_sockets = 1, .n_events = 3};
	return trace;
}

struct verdict {
	double first_w,
		after_w; /* mean |prediction - measured| of the first FIRST_TICKS ticks, and of the others */
	double most;     /* largest prediction / (largest power so far and what the rise explains) */
};

/* By scope. Ticks without a prediction are not counted. */
static void judge(const struct formula_ops *ops, const char *name, struct verdict ret[REPORT_SCOPES])
{
	struct formula_config config;
	struct trace trace;
	double n[REPORT_SCOPES][2] = {{0}}, largest_w[REPORT_SCOPES] = {0}, largest_cycles = 0;
	void *formula;

	formula_config_init(&config);
	config.interval_ms = 1000 * INTERVAL_S;
	formula = ops->make(&config);
	memset(ret, 0, REPORT_SCOPES * sizeof(*ret));
	trace = trace_open(name);
	for (unsigned t = 0; next_tick(&trace); t++) {
		struct formula_result result;
		double cycles = trace.tick.sockets[0].counts[TICK_CYCLES] / INTERVAL_S * 1e-9;
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
			largest_w[s] = fmax(largest_w[s], trace.tick.sockets[0].energy_j[s] / INTERVAL_S);
		largest_cycles = fmax(largest_cycles, cycles);
	}
	for (unsigned s = 0; s < REPORT_SCOPES; s++) {
		ret[s].first_w /= n[s][0];
		ret[s].after_w /= n[s][1];
		printf("# %s, %s, %s: %.3f W in the first %d ticks, %.3f W after\n", name, ops->name,
		       report_scope_names[s], ret[s].first_w, FIRST_TICKS, ret[s].after_w);
	}
	(void)fclose(trace.file);
	ops->free(formula);
}

/* In both scopes, at the start and afterwards; no prediction exceeds what the machine can plausibly take. */
static void pooled_is_nearer(const char *trace, double cpu_bound_w, double dram_bound_w)
{
	struct verdict pooled[REPORT_SCOPES], published[REPORT_SCOPES];

	judge(&formula_pooled, trace, pooled);
	judge(&formula_smartwatts, trace, published);
	for (unsigned s = 0; s < REPORT_SCOPES; s++) {
		assert_true(pooled[s].first_w <= published[s].first_w);
		assert_true(pooled[s].after_w <= published[s].after_w);
	}
	assert_true(pooled[REPORT_SCOPE_CPU].most <= 1);
	assert_true(pooled[REPORT_SCOPE_CPU].after_w <= cpu_bound_w);
	assert_true(pooled[REPORT_SCOPE_DRAM].after_w <= dram_bound_w);
}

static void pooled_predicts_better_than_the_published_algorithm(void **state)
{
	(void)state;
	pooled_is_nearer("nx12", 4, 1.6);
}

static void share_for_comparison(void **state)
{
	struct verdict share[REPORT_SCOPES];

	(void)state;
	judge(&formula_share, "nx12", share);
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
