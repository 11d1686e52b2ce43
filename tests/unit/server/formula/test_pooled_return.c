/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container that returns with the same name and image starts from what was learned about it; with another
 * image it starts like one that was never seen. Also after a restart from a saved state.
 */
#include "formula/formula.h"
#include "base/reason.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define TARGETS 3
#define DEAR_NJ 2.0 /* per cycle of the returning container */
#define FAIR_NJ 1.0 /* of the others */

struct machine {
	struct tick tick;
	struct tick_target targets[TARGETS];
	double counts[TARGETS][TICK_FEATURES];
	unsigned ticks;
};

/*
 * Two containers of usual cost, and `third` beside them unless it is NULL. Each alternates between work and
 * pauses.
 */
static void step(struct machine *machine, const char *third, uint32_t image)
{
	static const char *const names[TARGETS] = {"fair-1", "fair-2", NULL};
	static const unsigned periods[TARGETS] = {7, 11, 5};
	struct tick_socket *socket = &machine->tick.sockets[0];
	double watts = 20;

	machine->ticks++;
	machine->tick.time_ms += 1000;
	machine->tick.interval_s = 1;
	machine->tick.complete = true;
	machine->tick.n_sockets = 1;
	machine->tick.n_targets = third ? TARGETS : TARGETS - 1;
	machine->tick.targets = machine->targets;
	*socket = (struct tick_socket){.aperf = 1e9, .mperf = 1e9, .tsc = 2e9};
	for (unsigned i = 0; i < machine->tick.n_targets; i++) {
		double *counts = machine->counts[i];
		double cycles = machine->ticks / periods[i] % 2 ? 5e9 : .5e9;

		counts[TICK_REF] = counts[TICK_CYCLES] = counts[TICK_INSTRUCTIONS] = cycles;
		counts[TICK_MISSES] = cycles * 1e-5;
		counts[TICK_VECTOR] = NAN;
		for (unsigned j = 0; j < TICK_FEATURES; j++)
			socket->counts[j] += j == TICK_VECTOR ? NAN : counts[j];
		watts += cycles * 1e-9 * (i == TARGETS - 1 ? DEAR_NJ : FAIR_NJ);
		machine->targets[i] = (struct tick_target){.name = names[i] ? names[i] : third,
							   .container_id = "",
							   .key = names[i] ? i : (uint32_t)third[0] + image,
							   .present = 1,
							   .image = names[i] ? 1 : image,
							   .counts = counts};
	}
	socket->energy_j[REPORT_SCOPE_CPU] = watts;
	socket->energy_j[REPORT_SCOPE_DRAM] = NAN;
}

static double dynamic_w(void *formula, struct machine *machine, const char *third, uint32_t image)
{
	struct formula_result result;

	step(machine, third, image);
	assert_int_equal(formula_pooled.run(formula, &machine->tick, &result), 0);
	return third ? result.dynamic_w[REPORT_SCOPE_CPU][TARGETS - 1] : NAN;
}

/* W per 1e9 cycles of the third container in its first tick after 40 ticks without it. */
static double comes_back(void *formula, struct machine *machine, const char *name, uint32_t image)
{
	double cycles;

	for (unsigned t = 0; t < 40; t++)
		(void)dynamic_w(formula, machine, NULL, 0);
	cycles = dynamic_w(formula, machine, name, image);
	return cycles / machine->counts[TARGETS - 1][TICK_CYCLES] * 1e9;
}

static void learn(void *formula, struct machine *machine)
{
	for (unsigned t = 0; t < 400; t++)
		(void)dynamic_w(formula, machine, "dear", 7);
}

static void the_same_image_is_known(void **state)
{
	void *formula = formula_pooled.make(NULL), *resumed = formula_pooled.make(NULL);
	struct machine machine = {.ticks = 0}, other;
	bson_t document = BSON_INITIALIZER;
	struct reason why = {""};
	double back;

	(void)state;
	learn(formula, &machine);
	assert_int_equal(formula_pooled.save(formula, &document), 0);
	assert_int_equal(formula_pooled.load(resumed, &document, &why), 0);
	other = machine;
	back = comes_back(formula, &machine, "dear", 7);
	print_message("# back with its image: %.3f W per 1e9 cycles, truly %.1f\n", back, DEAR_NJ);
	assert_true(fabs(back - DEAR_NJ) < .2 * DEAR_NJ);
	assert_true(fabs(comes_back(resumed, &other, "dear", 7) - back) < 1e-9);
	bson_destroy(&document);
	formula_pooled.free(formula);
	formula_pooled.free(resumed);
}

static void another_image_is_another_container(void **state)
{
	void *formula = formula_pooled.make(NULL), *same = formula_pooled.make(NULL);
	struct machine machine = {.ticks = 0}, other = {.ticks = 0};
	double changed, never_seen;

	(void)state;
	learn(formula, &machine);
	learn(same, &other);
	changed = comes_back(formula, &machine, "dear", 8);
	never_seen = comes_back(same, &other, "fresh", 9);
	print_message("# back with another image: %.3f, never seen: %.3f W per 1e9 cycles\n", changed,
		      never_seen);
	assert_true(fabs(changed - never_seen) < .02 * never_seen);
	assert_true(changed < .8 * DEAR_NJ);
	formula_pooled.free(formula);
	formula_pooled.free(same);
}

/* The sensor describes a container shortly after its first counts. */
static void an_image_reported_late_is_not_a_change(void **state)
{
	void *formula = formula_pooled.make(NULL);
	struct machine machine = {.ticks = 0};
	double back;

	(void)state;
	learn(formula, &machine);
	back = comes_back(formula, &machine, "dear", 0);
	assert_true(fabs(back - DEAR_NJ) < .2 * DEAR_NJ);
	formula_pooled.free(formula);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_image_is_known),
		cmocka_unit_test(another_image_is_another_container),
		cmocka_unit_test(an_image_reported_late_is_not_a_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
