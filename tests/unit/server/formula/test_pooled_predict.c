/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine that has been idle since boot and then works: how the default formula predicts it, how soon it
 * knows a program of any cost, and what happens when the program is renamed.
 */
#include "formula/formula.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define IDLE_W   15.0
#define STEP_W   9.0 /* of the first busy core */
#define USUAL_NJ 1.2
#define PROGRAMS 3

struct program {
	const char *name, *id;
	double cycles; /* 1e9/s; 0: not running */
	double cost_nj;
};

struct machine {
	void *formula;
	struct tick tick;
	struct tick_target targets[PROGRAMS];
	double counts[PROGRAMS][TICK_FEATURES];
	struct formula_result result;
	double watts, largest_w, largest_cycles;
};

static void start(struct machine *machine)
{
	*machine = (struct machine){.formula = formula_pooled.make(NULL)};
	machine->tick = (struct tick){.interval_s = 1,
				      .complete = true,
				      .said = {.base_frequency_mhz = 3000, .n_cores = 16},
				      .n_sockets = 1,
				      .targets = machine->targets};
}

static void add_counts(double *counts, double cycles)
{
	counts[TICK_REF] = counts[TICK_CYCLES] = counts[TICK_INSTRUCTIONS] = cycles * 1e9;
	counts[TICK_MISSES] = cycles * 1e5;
	counts[TICK_VECTOR] = NAN;
}

/* One tick; returns the prediction for it. */
static double step(struct machine *machine, const struct program *programs)
{
	struct tick_socket *socket = &machine->tick.sockets[0];
	double cycles = 0.05, watts = 0.05 * USUAL_NJ;

	machine->tick.time_ms += 1000;
	machine->tick.n_targets = 0;
	for (unsigned i = 0; i < PROGRAMS; i++) {
		const struct program *program = &programs[i];
		unsigned n = machine->tick.n_targets;
		if (!(program->cycles > 0))
			continue;
		add_counts(machine->counts[n], program->cycles);
		machine->targets[n] = (struct tick_target){.name = program->name,
							   .container_id = program->id,
							   .key = 100 * i + (uint32_t)program->name[0],
							   .present = 1,
							   .counts = machine->counts[n]};
		machine->tick.n_targets++;
		cycles += program->cycles;
		watts += program->cycles * program->cost_nj;
	}
	*socket = (struct tick_socket){.aperf = cycles * 1e9, .mperf = cycles * 1e9, .tsc = 3e9};
	add_counts(socket->counts, cycles);
	watts += IDLE_W + STEP_W * (1 - exp(-cycles));
	socket->energy_j[REPORT_SCOPE_CPU] = watts;
	socket->energy_j[REPORT_SCOPE_DRAM] = NAN;
	machine->watts = watts;
	assert_int_equal(formula_pooled.run(machine->formula, &machine->tick, &machine->result), 0);
	return machine->result.sockets[REPORT_SCOPE_CPU][0].predicted_w;
}

static void check_guard(struct machine *machine, double predicted_w, double cycles)
{
	double most = 1.25 * machine->largest_w + 2 * fmax(cycles - machine->largest_cycles, 0);

	if (machine->largest_w > 0 && isfinite(predicted_w))
		assert_true(predicted_w <= most);
	machine->largest_w = fmax(machine->largest_w, machine->watts);
	machine->largest_cycles = fmax(machine->largest_cycles, cycles);
}

/* Cheap and expensive loads of any size on a machine that has only been idle. */
static void is_plausible_from_the_first_load(void **state)
{
	static const double loads[] = {1, 4, 12, 40, 110}, costs[] = {0.4, 1.2, 3.6};

	(void)state;
	for (unsigned c = 0; c < 3; c++) {
		for (unsigned l = 0; l < 5; l++) {
			struct program work[PROGRAMS] = {{"work", "", 0, costs[c]}};
			struct machine machine;
			double predicted = 0;
			start(&machine);
			for (unsigned t = 0; t < 90; t++) {
				work[0].cycles = t >= 60 ? loads[l] : 0;
				predicted = step(&machine, work);
				check_guard(&machine, predicted, work[0].cycles);
			}
			/* Known after half a minute, whatever its cost. */
			assert_true(fabs(predicted - machine.watts) < 0.03 * machine.watts);
			formula_pooled.free(machine.formula);
		}
	}
}

/* Watts of the named program in the last tick. */
static double dynamic_of(const struct machine *machine, const char *name)
{
	for (unsigned i = 0; i < machine->tick.n_targets; i++)
		if (strcmp(machine->targets[i].name, name) == 0)
			return machine->result.dynamic_w[REPORT_SCOPE_CPU][i];
	fail_msg("no row of %s", name);
	return NAN;
}

/* Beside a usual program, one appears with a third or three times its cost. */
static void learns_unusual_costs(void **state)
{
	static const double costs[] = {0.4, 3.6};

	(void)state;
	for (unsigned c = 0; c < 2; c++) {
		struct machine machine;
		double truly = costs[c] * 8, found;
		start(&machine);
		for (unsigned t = 0; t < 150; t++) {
			struct program work[PROGRAMS] = {{"usual", "", t / 7 % 2 ? 12 : 3, USUAL_NJ},
							 {"odd", "", t >= 100 && t % 5 ? 8 : 0, costs[c]}};
			(void)step(&machine, work);
		}
		found = dynamic_of(&machine, "odd");
		printf("# %.1f nJ per cycle: %.2f W found, %.2f W truly\n", costs[c], found, truly);
		assert_true(fabs(found - truly) < 0.15 * truly);
		formula_pooled.free(machine.formula);
	}
}

/* The cost given to the odd program in its first tick under its second name. */
static double renamed_w(const char *id, const char *second_id)
{
	struct machine machine;
	double watts = 0;

	start(&machine);
	for (unsigned t = 0; t < 121; t++) {
		struct program work[PROGRAMS] = {
			{"usual", "", t / 7 % 2 ? 12 : 3, USUAL_NJ},
			{t < 120 ? "odd" : "new name", t < 120 ? id : second_id, t % 5 ? 8 : 6, 2.4}};
		(void)step(&machine, work);
	}
	watts = dynamic_of(&machine, "new name") / 6;
	formula_pooled.free(machine.formula);
	return watts;
}

static void a_renamed_container_keeps_its_cost(void **state)
{
	double same = renamed_w("0123456789ab", "0123456789ab"),
	       other = renamed_w("0123456789ab", "ba9876543210");

	(void)state;
	printf("# renamed: %.2f nJ per cycle, another container: %.2f, truly 2.4\n", same, other);
	assert_true(fabs(same - 2.4) < 0.25);
	assert_true(fabs(other - 2.4) > 2 * fabs(same - 2.4));
	assert_true(fabs(renamed_w("", "") - other) < 1e-9);
}

/* The least-known program has the widest error bar, and error bars shrink as programs become known. */
static void is_less_certain_about_newcomers(void **state)
{
	struct machine machine;
	double first = 0, last = 0;

	(void)state;
	start(&machine);
	for (unsigned t = 0; t < 400; t++) {
		struct program work[PROGRAMS] = {{"usual", "", t / 7 % 2 ? 12 : 3, USUAL_NJ},
						 {"new", "", t >= 100 ? (t / 5 % 2 ? 8 : 4) : 0, 1.6}};
		(void)step(&machine, work);
		if (t == 101)
			first = machine.result.part_sd[REPORT_SCOPE_CPU][1];
		last = machine.result.part_sd[REPORT_SCOPE_CPU][1];
	}
	assert_true(first > 0 && last > 0);
	assert_true(last < 0.7 * first);
	formula_pooled.free(machine.formula);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_plausible_from_the_first_load),
		cmocka_unit_test(learns_unusual_costs),
		cmocka_unit_test(a_renamed_container_keeps_its_cost),
		cmocka_unit_test(is_less_certain_about_newcomers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
