/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Machines on which a cycle costs more than on any processor are recognised; machines that only take much
 * power to wake are not taken for one, and what is known about their rest is kept.
 */
#include "formula/formula.h"

#include "base/reason.h"

#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "unit/random_seed.h"

#define PROGRAMS 6
#define TICKS    240

struct machine {
	double rest_w, step_w, cost_nj, clock_ghz;
	double events; /* counted per cycle; 0: 1 */
	unsigned cores;
	void *formula;
	struct tick tick;
	struct tick_target targets[PROGRAMS];
	double counts[PROGRAMS][TICK_FEATURES];
	struct formula_result result;
	double watts;
	unsigned n_without; /* ticks whose watts had no error bar */
};

static void start(struct machine *machine)
{
	machine->formula = formula_pooled.make(NULL);
	machine->tick = (struct tick){
		.interval_s = 1,
		.complete = true,
		.said = {.base_frequency_mhz = machine->clock_ghz * 1000, .n_cores = machine->cores},
		.n_sockets = 1,
		.targets = machine->targets};
}

static void add_counts(double *counts, double cycles)
{
	counts[TICK_REF] = counts[TICK_CYCLES] = counts[TICK_INSTRUCTIONS] = cycles * 1e9;
	counts[TICK_MISSES] = cycles * 1e5;
	counts[TICK_VECTOR] = NAN;
}

/* One tick of the programs on so many cores; returns the prediction for it. */
static double step(struct machine *machine, const double cores[PROGRAMS])
{
	static const char *const names[PROGRAMS] = {"a", "b", "c", "d", "e", "f"};
	struct tick_socket *socket = &machine->tick.sockets[0];
	const double events = machine->events > 0 ? machine->events : 1;
	double busy = 0.01, cycles;

	machine->tick.time_ms += 1000;
	machine->tick.n_targets = 0;
	for (unsigned i = 0; i < PROGRAMS; i++) {
		unsigned n = machine->tick.n_targets;

		if (!(cores[i] > 0))
			continue;
		add_counts(machine->counts[n], cores[i] * machine->clock_ghz * events);
		machine->targets[n] = (struct tick_target){.name = names[i],
							   .container_id = "",
							   .key = i,
							   .present = 1,
							   .counts = machine->counts[n]};
		machine->tick.n_targets++;
		busy += cores[i];
	}
	cycles = busy * machine->clock_ghz;
	*socket = (struct tick_socket){
		.aperf = cycles * 1e9, .mperf = cycles * 1e9, .tsc = machine->clock_ghz * 1e9};
	add_counts(socket->counts, cycles * events);
	machine->watts = machine->rest_w + machine->step_w * (1 - exp(-busy)) +
			 cycles * machine->cost_nj * (1 + 0.02 * (random_unit() - 0.5));
	socket->energy_j[REPORT_SCOPE_CPU] = machine->watts;
	socket->energy_j[REPORT_SCOPE_DRAM] = NAN;
	assert_int_equal(formula_pooled.run(machine->formula, &machine->tick, &machine->result), 0);
	if (!isfinite(machine->result.sockets[REPORT_SCOPE_CPU][0].dynamic_sd_w))
		machine->n_without++;
	return machine->result.sockets[REPORT_SCOPE_CPU][0].predicted_w;
}

/* As by a new start of the server. */
static void resume(struct machine *machine)
{
	bson_t document = BSON_INITIALIZER;
	struct reason why = {""};

	assert_int_equal(formula_pooled.save(machine->formula, &document), 0);
	formula_pooled.free(machine->formula);
	machine->formula = formula_pooled.make(NULL);
	assert_int_equal(formula_pooled.load(machine->formula, &document, &why), 0);
	bson_destroy(&document);
}

/* From rest, one program after another on a random number of cores, with pauses; returns the mean error of
 * the predictions in the second half, relative to the largest power. The server is restarted once. */
static double run(struct machine *machine)
{
	double error = 0, largest = 0;

	start(machine);
	for (unsigned t = 0, program = 0, until = 30; t < TICKS; t++) {
		static double cores[PROGRAMS];
		double predicted;

		if (t == 0)
			memset(cores, 0, sizeof(cores));
		if (t == until) {
			bool pause = cores[program] > 0 && random_unit() < 0.5;

			memset(cores, 0, sizeof(cores));
			program = (program + 1) % PROGRAMS;
			if (!pause)
				cores[program] = 1 + floor(random_unit() * machine->cores);
			until += 8 + (unsigned)(random_unit() * 20);
		}
		if (t == 3 * TICKS / 4)
			resume(machine);
		predicted = step(machine, cores);
		largest = fmax(largest, machine->watts);
		if (t >= TICKS / 2)
			error += fabs(predicted - machine->watts) / (TICKS / 2);
	}
	return error / largest;
}

static unsigned restarts(const struct machine *machine)
{
	struct formula_state state;
	const char *at;
	unsigned n = 0;

	formula_pooled.describe(machine->formula, REPORT_SCOPE_CPU, 0, &state);
	at = strstr(state.text, " containers known, ");
	if (!at)
		return UINT_MAX; /* restarted in this tick */
	assert_int_equal(sscanf(at, " containers known, %u restarts", &n), 1);
	return n;
}

static bool has_restarted(const struct machine *machine)
{
	return restarts(machine) > 0;
}

/* As measured on a server of 32 cores at 1 GHz: waking it takes three times the power of rest. */
static void waking_is_not_the_cost_of_a_cycle(void **state)
{
	static const double loads[] = {0, 10, 0, 10, 16, 0, 4, 8, 32, 16, 0};
	struct machine machine = {.rest_w = 26, .step_w = 75, .cost_nj = 3.4, .clock_ghz = 1, .cores = 32};

	(void)state;
	start(&machine);
	for (unsigned t = 0; t < 25 * 11; t++) {
		double cores[PROGRAMS] = {0};

		cores[t / 25 % PROGRAMS] = loads[t / 25];
		(void)step(&machine, cores);
		assert_false(has_restarted(&machine));
	}
	assert_true(fabs(machine.result.sockets[REPORT_SCOPE_CPU][0].static_w - machine.rest_w) < 4);
	formula_pooled.free(machine.formula);
}

static void processors_are_not_restarted(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		struct machine machine = {.rest_w = 5 + 60 * random_unit(),
					  .cost_nj = 0.3 + 4 * random_unit() * random_unit(),
					  .clock_ghz = 0.8 + 3 * random_unit(),
					  .cores = 4 + (unsigned)(60 * random_unit())};
		double error;

		machine.step_w = fmin(machine.rest_w * (0.03 + 3.5 * random_unit() * random_unit()),
				      4. * machine.cores);
		error = run(&machine);
		if (has_restarted(&machine) || error > 0.06)
			fail_msg("rest %.1f W, step %.1f W, %.2f nJ, %.1f GHz, %u cores: error %.3f, %s",
				 machine.rest_w, machine.step_w, machine.cost_nj, machine.clock_ghz,
				 machine.cores, error, has_restarted(&machine) ? "restarted" : "no restart");
		formula_pooled.free(machine.formula);
	}
}

static void costs_of_no_processor_are_learnt(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		struct machine machine = {.rest_w = 5 + 35 * random_unit(),
					  .cost_nj = 30 + 50 * random_unit(),
					  .clock_ghz = 0.8 + 2 * random_unit(),
					  .cores = 2 + (unsigned)(6 * random_unit())};
		double error = run(&machine);

		if (error > 0.06)
			fail_msg("rest %.1f W, %.1f nJ, %.1f GHz, %u cores: error %.3f", machine.rest_w,
				 machine.cost_nj, machine.clock_ghz, machine.cores, error);
		formula_pooled.free(machine.formula);
	}
}

/* Events that are far rarer than cycles, such as page faults or context switches, cost up to a joule each. */
static void rare_events_are_learnt(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		struct machine machine = {.rest_w = 5 + 35 * random_unit(),
					  .cost_nj = 1 + 4 * random_unit(),
					  .clock_ghz = 0.8 + 2 * random_unit(),
					  .cores = 4 + (unsigned)(6 * random_unit()),
					  .events = pow(10, -2 - 6 * random_unit())};
		double error = run(&machine);

		if (error > 0.06 || restarts(&machine) > 1 || machine.n_without > 0)
			fail_msg("rest %.1f W, %.1f nJ, %.1f GHz, %u cores, %.3g events a cycle: error %.3f, "
				 "%u "
				 "restarts, %u ticks without error bars",
				 machine.rest_w, machine.cost_nj, machine.clock_ghz, machine.cores,
				 machine.events, error, restarts(&machine), machine.n_without);
		formula_pooled.free(machine.formula);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(waking_is_not_the_cost_of_a_cycle),
		cmocka_unit_test(processors_are_not_restarted),
		cmocka_unit_test(costs_of_no_processor_are_learnt),
		cmocka_unit_test(rare_events_are_learnt),
	};

	(void)random_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
