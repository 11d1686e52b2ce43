/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Energy measured per core in the formula `pooled`: it decides between containers, no container gets less
 * than was measured for it, the sums remain the socket's, and what the model learned from it outlasts it.
 */
#include "formula/conserve.h"
#include "unit/random_seed.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TARGETS  4
#define STATIC_W 30.
#define PART     0.8 /* the cores' part of dynamic watts */

/* Relative power of each target at equal counts. */
static const double costs[TARGETS] = {1, 3, 2, 0.5};

struct machine {
	struct tick tick;
	struct tick_target targets[TARGETS];
	double counts[TARGETS][TICK_FEATURES], core_j[TARGETS], truth_w[TARGETS];
};

/* All loads are constant: without measurements, nothing distinguishes the containers. */
static void step(struct machine *machine, bool measured)
{
	static const char *const names[TARGETS] = {"a", "b", "c", "d"};
	struct tick *tick = &machine->tick;
	double watts = STATIC_W;

	tick->time_ms += 1000;
	tick->interval_s = 1;
	tick->n_sockets = 1;
	tick->n_targets = TARGETS;
	tick->targets = machine->targets;
	tick->sockets[0] = (struct tick_socket){.aperf = 2e9, .mperf = 2e9, .tsc = 2e9};
	tick->sockets[0].energy_j[REPORT_SCOPE_DRAM] = NAN;
	for (unsigned i = 0; i < TARGETS; i++) {
		const double counts[TICK_FEATURES] = {2e9, 2e9, 3e9, 4e6, 0};

		machine->targets[i] = (struct tick_target){.name = names[i],
							   .container_id = "",
							   .key = i,
							   .present = 1,
							   .counts = machine->counts[i],
							   .core_j = &machine->core_j[i]};
		for (unsigned j = 0; j < TICK_FEATURES; j++) {
			machine->counts[i][j] = counts[j];
			tick->sockets[0].counts[j] += counts[j];
		}
		machine->truth_w[i] = 10 * costs[i];
		watts += machine->truth_w[i];
		machine->core_j[i] =
			measured ? PART * machine->truth_w[i] * (0.99 + 0.02 * random_unit()) : NAN;
	}
	tick->sockets[0].energy_j[REPORT_SCOPE_CPU] = watts;
}

/* Runs a tick, checks the sums and the lower bounds, and returns the rows' dynamic watts. */
static void run(void *formula, struct machine *machine, double dynamic[TARGETS])
{
	const struct conserve_policy policy = {.fixed = CONSERVE_STATIC_NONE};
	struct conserve_output output = {0};
	struct formula_result result;
	double sum = 0, measured = NAN;

	assert_int_equal(formula_pooled.run(formula, &machine->tick, &result), 0);
	assert_int_equal(conserve_apply(&machine->tick, &result, &policy, &output), 0);
	for (unsigned i = 0; i < output.n_rows; i++) {
		const struct conserve_row *row = &output.rows[i];

		assert_true(row->scope != REPORT_SCOPE_CPU || row->power_w >= 0);
		if (row->target == CONSERVE_RAPL)
			measured = row->power_w;
		else if (row->target != CONSERVE_GLOBAL)
			sum += row->power_w;
		if (row->target >= 0)
			dynamic[row->target] = row->dynamic_w;
	}
	assert_true(fabs(sum - measured) <= 1e-9 * measured);
	for (unsigned i = 0; i < TARGETS; i++) {
		const double core_w = machine->core_j[i];
		double all = 0;

		for (unsigned j = 0; j < TARGETS; j++)
			all += machine->core_j[j] > 0 ? machine->core_j[j] : 0;
		if (isfinite(core_w) && core_w >= 0 && all <= measured)
			assert_true(dynamic[i] >= core_w * (1 - 1e-9));
	}
	conserve_output_done(&output);
}

static void measured_energy_decides(void **state)
{
	void *formula = formula_pooled.make(NULL);
	struct machine machine = {0};
	double dynamic[TARGETS] = {0};

	(void)state;
	for (unsigned t = 0; t < 60; t++) {
		step(&machine, true);
		run(formula, &machine, dynamic);
	}
	for (unsigned i = 1; i < TARGETS; i++)
		assert_true(fabs(dynamic[i] / dynamic[0] - costs[i] / costs[0]) < 0.05 * costs[i] / costs[0]);
	/* The factors were learned: the model distinguishes them even without measurements. */
	for (unsigned t = 0; t < 10; t++) {
		step(&machine, false);
		run(formula, &machine, dynamic);
	}
	assert_true(dynamic[1] > 1.5 * dynamic[0] && dynamic[0] > dynamic[3]);
	formula_pooled.free(formula);
}

static void only_some_are_measured(void **state)
{
	void *formula = formula_pooled.make(NULL);
	struct machine machine = {0};
	double dynamic[TARGETS] = {0};

	(void)state;
	for (unsigned t = 0; t < 60; t++) {
		step(&machine, true);
		machine.core_j[0] = machine.core_j[2] = NAN;
		run(formula, &machine, dynamic);
	}
	assert_true(fabs(dynamic[1] / dynamic[3] - 6) < 0.6);
	assert_true(dynamic[0] > 0 && dynamic[2] > 0);
	formula_pooled.free(formula);
}

static void adds_up_for_any_input(void **state)
{
	static const double evil[] = {0, -5, 1e-12, 1e6, 1e300, NAN, INFINITY, 500, 90};
	void *formula = formula_pooled.make(NULL);
	struct machine machine = {0};
	double dynamic[TARGETS] = {0};

	(void)state;
	for (unsigned t = 0; t < 500; t++) {
		step(&machine, random_unit() < 0.7);
		for (unsigned i = 0; i < TARGETS; i++)
			if (random_unit() < 0.3)
				machine.core_j[i] = evil[(size_t)(random_unit() * 9) % 9];
		run(formula, &machine, dynamic);
		for (unsigned i = 0; i < TARGETS; i++)
			assert_true(isfinite(dynamic[i]) && dynamic[i] >= 0);
	}
	formula_pooled.free(formula);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(measured_energy_decides),
		cmocka_unit_test(only_some_are_measured),
		cmocka_unit_test(adds_up_for_any_input),
	};

	(void)random_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
