/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the default formula makes of the sensor's facts about the machine: with the design power, it predicts
 * the first load better and never beyond that power; impossible values change nothing at all, and merely
 * wrong ones do little harm. Idle cores that others keep from deep sleep hide no work.
 */
#include "formula/formula.h"
#include "unit/random_seed.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TICKS      240
#define REST       60 /* ticks before the first load */
#define CORES      16
#define IDLE_W     15.0
#define STEP_W     9.0
#define MACHINES   60
#define TARGETS    2
#define HARMLESS   1.35 /* error with a wrong value relative to the error without any */
#define HARMLESS_W 0.3

struct machine {
	double cost_nj, loads[TICKS], noise[TICKS];
	double design_w; /* true value */
	double light_w;  /* of an idle core while others keep the package awake */
};

struct outcome {
	double predicted[TICKS], dynamic[TICKS], error_w, first_w, true_w;
};

static double draw(double low, double high)
{
	return low + (high - low) * random_unit();
}

static struct machine draw_machine(void)
{
	struct machine machine = {.cost_nj = draw(0.4, 3)};
	double load = 0;

	machine.design_w = (IDLE_W + STEP_W + machine.cost_nj * CORES * 3) / draw(0.5, 0.9);
	for (unsigned t = 0; t < TICKS; t++) {
		if (t >= REST && (t - REST) % 9 == 0)
			load = draw(1, 16);
		machine.loads[t] = load * 3;
		machine.noise[t] = draw(-0.3, 0.3);
	}
	return machine;
}

static void count(double *counts, double cycles)
{
	counts[TICK_REF] = counts[TICK_CYCLES] = counts[TICK_INSTRUCTIONS] = cycles * 1e9;
	counts[TICK_MISSES] = cycles * 1e5;
	counts[TICK_VECTOR] = NAN;
}

/* Runs the machine's ticks with the facts that the sensor reports. */
static void run(const struct machine *machine, struct report_tick said, struct outcome *ret)
{
	struct tick_target targets[TARGETS] = {{.name = "one", .container_id = "", .key = 1, .present = 1},
					       {.name = "two", .container_id = "", .key = 2, .present = 1}};
	double counts[TARGETS][TICK_FEATURES];
	struct tick tick = {.interval_s = 1, .complete = true, .n_sockets = 1, .targets = targets};
	struct formula_result result;
	void *formula = formula_pooled.make(NULL);

	*ret = (struct outcome){.error_w = 0};
	tick.said = said;
	for (unsigned t = 0; t < TICKS; t++) {
		double parts[TARGETS] = {machine->loads[t] * 0.7, machine->loads[t] * (t % 5 ? 0.3 : 0.1)};
		double cycles = 0.05 + parts[0] + parts[1];
		tick.time_ms += 1000;
		tick.n_targets = machine->loads[t] > 0 ? TARGETS : 0;
		for (unsigned i = 0; i < TARGETS; i++) {
			count(counts[i], parts[i]);
			targets[i].counts = counts[i];
		}
		tick.sockets[0] =
			(struct tick_socket){.aperf = cycles * 1e9, .mperf = cycles * 1e9, .tsc = 3e9};
		count(tick.sockets[0].counts, cycles);
		tick.sockets[0].energy_j[REPORT_SCOPE_CPU] =
			IDLE_W + STEP_W * (1 - exp(-cycles)) + machine->cost_nj * cycles + machine->noise[t] +
			machine->light_w * (CORES - cycles / 3) * (1 - exp(-cycles));
		tick.sockets[0].energy_j[REPORT_SCOPE_DRAM] = NAN;
		assert_int_equal(formula_pooled.run(formula, &tick, &result), 0);
		ret->predicted[t] = result.sockets[REPORT_SCOPE_CPU][0].predicted_w;
		ret->dynamic[t] = tick.n_targets ? result.dynamic_w[REPORT_SCOPE_CPU][0] : 0;
		assert_true(t == 0 || (isfinite(ret->predicted[t]) && ret->predicted[t] >= 0));
		if (t < REST)
			continue;
		ret->error_w += fabs(ret->dynamic[t] - machine->cost_nj * parts[0]) / (TICKS - REST);
		ret->true_w += machine->cost_nj * parts[0] / (TICKS - REST);
		if (t == REST)
			ret->first_w = fabs(ret->predicted[t] - tick.sockets[0].energy_j[REPORT_SCOPE_CPU]);
	}
	formula_pooled.free(formula);
}

static struct report_tick plain(void)
{
	struct report_tick said = REPORT_TICK_UNKNOWN;

	said.base_frequency_mhz = 3000;
	said.n_cores = CORES;
	return said;
}

static void design_power_helps_with_the_first_load(void **state)
{
	double with = 0, without = 0;

	(void)state;
	for (unsigned i = 0; i < MACHINES; i++) {
		struct machine machine = draw_machine();
		struct report_tick said = plain();
		struct outcome outcome;
		run(&machine, said, &outcome);
		without += outcome.first_w / MACHINES;
		said.design_w = machine.design_w;
		said.limit_w = 1.2 * machine.design_w;
		run(&machine, said, &outcome);
		with += outcome.first_w / MACHINES;
		for (unsigned t = 1; t < TICKS; t++)
			assert_true(outcome.predicted[t] <= 1.25 * 1.2 * machine.design_w);
	}
	printf("# the first load is foreseen within %.1f W with the design power, %.1f W without\n", with,
	       without);
	assert_true(with < 0.92 * without);
}

/* Impossible values: not a single bit of the result changes. */
static void impossible_figures_change_nothing(void **state)
{
	static const double hostile[] = {0, -1, -1e300, 0.5, 2001, 1e9, 1e300, INFINITY, -INFINITY, NAN};
	struct machine machine = draw_machine();
	struct outcome before, after;

	(void)state;
	run(&machine, plain(), &before);
	for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		struct report_tick said = plain();
		said.design_w = said.limit_w = hostile[i];
		said.idle_latency_us = hostile[i] > 0 && !(hostile[i] > 2000) ? 0 : hostile[i];
		run(&machine, said, &after);
		assert_memory_equal(before.predicted + 1, after.predicted + 1,
				    (TICKS - 1) * sizeof(*before.predicted));
		assert_memory_equal(before.dynamic, after.dynamic, sizeof(before.dynamic));
	}
}

/* Possible but wrong values. */
static void wrong_figures_do_little_harm(void **state)
{
	static const double wrong[] = {1, 10, 30, 400, 2000};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		double with = 0, without = 0;
		for (unsigned m = 0; m < MACHINES; m++) {
			struct machine machine = draw_machine();
			struct report_tick said = plain();
			struct outcome outcome;
			run(&machine, said, &outcome);
			without += outcome.error_w / MACHINES;
			said.design_w = said.limit_w = wrong[i];
			said.idle_latency_us = i % 2 ? 1 : 500;
			run(&machine, said, &outcome);
			with += outcome.error_w / MACHINES;
		}
		printf("# design power said to be %g W: error %.2f W, %.2f W without\n", wrong[i], with,
		       without);
		assert_true(with < HARMLESS * without + HARMLESS_W);
	}
}

/* Each core that starts to work is one idle core less: power rises by less than the work costs. */
static void idle_cores_hide_no_work(void **state)
{
	double error = 0, truth = 0;

	(void)state;
	for (unsigned i = 0; i < MACHINES; i++) {
		struct machine machine = draw_machine();
		struct outcome outcome;
		machine.cost_nj = draw(0.1, 0.2);
		machine.light_w = draw(0.2, 0.4);
		run(&machine, plain(), &outcome);
		error += outcome.error_w / MACHINES;
		truth += outcome.true_w / MACHINES;
	}
	printf("# %.2f W of %.2f W missed where idle cores take up to 0.4 W\n", error, truth);
	assert_true(error < 0.55 * truth);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(design_power_helps_with_the_first_load),
		cmocka_unit_test(impossible_figures_change_nothing),
		cmocka_unit_test(wrong_figures_do_little_harm),
		cmocka_unit_test(idle_cores_hide_no_work),
	};

	(void)random_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
