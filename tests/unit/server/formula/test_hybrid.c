/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hybrid processors in the formulas: a cycle of an efficient core has a different cost from one of a fast
 * core. A machine with known costs, whose containers move between both kinds of cores; the error with a
 * separate count of the efficient cores' cycles, and without it.
 */
#include "unit/formula_defaults.h"
#include "unit/random_seed.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TARGETS       6
#define STATIC_W      12.
#define FAST_GHZ      4.6
#define EFFICIENT_GHZ 3.6
#define FAST_NJ       3.2 /* of a cycle and the instructions retired in it */
#define EFFICIENT_NJ  0.9
#define TICKS         200
#define JUDGED        100 /* of these, the last ones */
#define EVENTS        2

struct machine {
	struct tick tick;
	struct tick_target targets[TARGETS];
	double counts[TARGETS][TICK_FEATURES], events[TARGETS][EVENTS], truth_w[TARGETS];
	bool efficient[TARGETS]; /* its present cores */
};

/*
 * A container's counts for one second; `apart`: the sensor also counts the efficient cores' cycles
 * separately.
 */
static void run_target(struct machine *machine, unsigned i, bool apart)
{
	const double threads = (1 + i % 3) * (0.6 + 0.4 * random_unit()), noise = 1 + 0.01 * random_unit();
	const double cycles = 1e9 * threads * (machine->efficient[i] ? EFFICIENT_GHZ : FAST_GHZ);
	double *counts = machine->counts[i];

	counts[TICK_REF] = 2.4e9 * threads;
	counts[TICK_CYCLES] = cycles * noise;
	counts[TICK_INSTRUCTIONS] = cycles * noise * (machine->efficient[i] ? 1.1 : 1.7);
	counts[TICK_MISSES] = cycles * 1e-4;
	counts[TICK_VECTOR] = 0;
	counts[TICK_EFFICIENT] = !apart ? NAN : machine->efficient[i] ? cycles * noise : 0;
	machine->events[i][0] = apart && machine->efficient[i] ? 0 : counts[TICK_CYCLES];
	machine->events[i][1] = counts[TICK_EFFICIENT];
	machine->truth_w[i] = cycles * 1e-9 * (machine->efficient[i] ? EFFICIENT_NJ : FAST_NJ);
}

static void step(struct machine *machine, bool apart)
{
	static const char *const names[] = {"a", "b", "c", "d", "e", "f"}, *const events[] = {
										   "PERF_COUNT_HW_CPU_CYCLES",
										   "cpu_atom/cpu-cycles/"};
	struct tick *tick = &machine->tick;
	double watts = STATIC_W, aperf = 0, mperf = 0;

	tick->time_ms += 1000;
	tick->interval_s = 1;
	tick->n_sockets = 1;
	tick->n_targets = TARGETS;
	tick->targets = machine->targets;
	tick->event_names = events;
	tick->n_events = apart ? EVENTS : 1;
	tick->sockets[0] = (struct tick_socket){.tsc = 2.4e9};
	tick->sockets[0].energy_j[REPORT_SCOPE_DRAM] = NAN;
	for (unsigned i = 0; i < TARGETS; i++) {
		if (random_unit() < 0.1)
			machine->efficient[i] = !machine->efficient[i];
		run_target(machine, i, apart);
		machine->targets[i] = (struct tick_target){.name = names[i],
							   .container_id = "",
							   .key = i,
							   .present = 1,
							   .counts = machine->counts[i],
							   .events = machine->events[i]};
		for (unsigned j = 0; j < TICK_FEATURES; j++)
			tick->sockets[0].counts[j] += machine->counts[i][j];
		watts += machine->truth_w[i];
		aperf += machine->counts[i][TICK_CYCLES];
		mperf += machine->counts[i][TICK_REF];
	}
	tick->sockets[0].aperf = aperf / 24;
	tick->sockets[0].mperf = mperf / 24;
	tick->sockets[0].energy_j[REPORT_SCOPE_CPU] = watts * (1 + 0.002 * (random_unit() - 0.5));
}

/* Mean error of a container's dynamic watts, relative to the containers' average. */
static double error_of(const struct formula_ops *ops, bool apart, uint64_t from)
{
	struct formula_config config;
	void *formula;
	struct machine machine = {.tick = {.said = {.n_cores = 16, .base_frequency_mhz = 2400}}};
	double error = 0, all = 0;

	formula_config_init(&config);
	config.cpu_base_freq_mhz = 2400;
	formula = ops->make(&config);
	seed = from;
	for (unsigned t = 0; t < TICKS; t++) {
		struct formula_result result;

		step(&machine, apart);
		assert_int_equal(ops->run(formula, &machine.tick, &result), 0);
		for (unsigned i = 0; i < TARGETS && t >= TICKS - JUDGED; i++) {
			error += fabs(result.dynamic_w[REPORT_SCOPE_CPU][i] - machine.truth_w[i]);
			all += machine.truth_w[i];
		}
	}
	ops->free(formula);
	return error / all;
}

static void compare(const struct formula_ops *ops, double most)
{
	const uint64_t from = seed;
	const double with = error_of(ops, true, from), without = error_of(ops, false, from);

	printf("# %s: %.1f %% with the efficient cores' own cycles, %.1f %% without\n", ops->name, 100 * with,
	       100 * without);
	assert_true(with < most);
	assert_true(with < 0.5 * without);
}

static void efficient_cycles_have_their_own_cost(void **state)
{
	(void)state;
	compare(&formula_pooled, 0.06);
}

/* There, each event of the group has its own weight. */
static void and_so_they_have_by_regression(void **state)
{
	(void)state;
	compare(&formula_smartwatts, 0.3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(efficient_cycles_have_their_own_cost),
		cmocka_unit_test(and_so_they_have_by_regression),
	};

	(void)random_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
