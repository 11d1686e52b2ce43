/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model that starts with a calibration knows the machine from its first ticks, which others have to learn;
 * it is marked as calibrated, also after a restart; and a calibration that does not fit this machine is not
 * used.
 */
#include "formula/formula.h"
#include "base/reason.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define TARGETS  2
#define STATIC_W 9.0
#define STEP_W   12.0 /* as soon as a core is busy */
#define CYCLE_NJ 3.0

struct machine {
	struct tick tick;
	struct tick_target targets[TARGETS];
	double counts[TARGETS][TICK_FEATURES];
	struct formula_result result;
	double n_cores; /* 0: 16 */
	bool estimated;
};

/* `threads` busy threads of each target, at 2e9 cycles per second. */
static double step(void *formula, struct machine *machine, const double threads[TARGETS], unsigned package)
{
	struct tick_socket *socket = &machine->tick.sockets[0];
	double watts = STATIC_W, busy = 0;

	machine->tick.time_ms += 1000;
	machine->tick.interval_s = 1;
	machine->tick.said.base_frequency_mhz = 2000;
	machine->tick.said.n_cores = machine->n_cores > 0 ? machine->n_cores : 16;
	machine->tick.said.estimated = machine->estimated;
	machine->tick.complete = true;
	machine->tick.n_sockets = 1;
	machine->tick.n_targets = TARGETS;
	machine->tick.targets = machine->targets;
	*socket = (struct tick_socket){.package = package, .tsc = 2e9};
	for (unsigned i = 0; i < TARGETS; i++) {
		double *counts = machine->counts[i], cycles = 2e9 * threads[i] + 2e6;

		counts[TICK_REF] = counts[TICK_CYCLES] = counts[TICK_INSTRUCTIONS] = cycles;
		counts[TICK_MISSES] = cycles * 1e-6;
		counts[TICK_VECTOR] = NAN;
		for (unsigned j = 0; j < TICK_FEATURES; j++)
			socket->counts[j] += j == TICK_VECTOR ? NAN : counts[j];
		socket->aperf += cycles;
		socket->mperf += cycles;
		watts += cycles * 1e-9 * CYCLE_NJ;
		busy += threads[i];
		machine->targets[i] = (struct tick_target){.name = i ? "two" : "one",
							   .container_id = "",
							   .key = i,
							   .present = 1,
							   .counts = counts};
	}
	watts += busy > 0.1 ? STEP_W : 0;
	socket->energy_j[REPORT_SCOPE_CPU] = watts;
	socket->energy_j[REPORT_SCOPE_DRAM] = NAN;
	assert_int_equal(formula_pooled.run(formula, &machine->tick, &machine->result), 0);
	return watts;
}

static void teach(bson_t *document, unsigned ticks)
{
	void *formula = formula_pooled.make(NULL);
	struct machine machine = {.tick = {.time_ms = 1000}};

	for (unsigned t = 0; t < ticks; t++) {
		const double threads[TARGETS] = {t / 12 % 3 == 1 ? 1 << t / 36 % 3 : 0,
						 t / 12 % 3 == 2 ? 1 << t / 36 % 3 : 0};
		(void)step(formula, &machine, threads, 0);
	}
	assert_false(machine.result.calibrated);
	assert_int_equal(formula_pooled.save(formula, document), 0);
	formula_pooled.free(formula);
}

/* The error of the prediction for the first load, of n threads, after three idle ticks. */
static double surprise(void *formula, struct machine *machine, double n)
{
	const double idle[TARGETS] = {0, 0}, work[TARGETS] = {n, 0};
	double watts;

	*machine = (struct machine){.tick = {.time_ms = 1000}};
	for (unsigned t = 0; t < 3; t++)
		(void)step(formula, machine, idle, 0);
	watts = step(formula, machine, work, 0);
	return fabs(machine->result.sockets[REPORT_SCOPE_CPU][0].predicted_w - watts);
}

static void the_first_load_is_no_surprise(void **state)
{
	bson_t document = BSON_INITIALIZER;
	struct reason why = {""};

	(void)state;
	teach(&document, 180);
	for (double n = 1; n <= 8; n *= 2) {
		void *taught = formula_pooled.make(NULL), *plain = formula_pooled.make(NULL);
		struct machine machine;
		double with, without;

		assert_int_equal(formula_pooled.calibrate(taught, &document, false, &why), 0);
		with = surprise(taught, &machine, n);
		assert_true(machine.result.calibrated);
		without = surprise(plain, &machine, n);
		assert_false(machine.result.calibrated);
		print_message("# %g threads: off by %.2f W, without calibration %.2f W\n", n, with, without);
		assert_true(with < 0.15 * without);
		formula_pooled.free(taught);
		formula_pooled.free(plain);
	}
	bson_destroy(&document);
}

static void a_stored_model_stays_calibrated(void **state)
{
	void *first = formula_pooled.make(NULL), *second = formula_pooled.make(NULL);
	bson_t document = BSON_INITIALIZER, model = BSON_INITIALIZER;
	const double work[TARGETS] = {2, 1};
	struct reason why = {""};
	struct machine machine, other;

	(void)state;
	teach(&document, 180);
	assert_int_equal(formula_pooled.calibrate(first, &document, false, &why), 0);
	(void)surprise(first, &machine, 2);
	assert_int_equal(formula_pooled.save(first, &model), 0);
	/* In either order. */
	assert_int_equal(formula_pooled.calibrate(second, &document, false, &why), 0);
	assert_int_equal(formula_pooled.load(second, &model, &why), 0);
	other = machine;
	(void)step(first, &machine, work, 0);
	(void)step(second, &other, work, 0);
	assert_true(other.result.calibrated);
	assert_true(machine.result.sockets[REPORT_SCOPE_CPU][0].predicted_w ==
		    other.result.sockets[REPORT_SCOPE_CPU][0].predicted_w);
	assert_int_equal(formula_pooled.load(second, &model, &why), 0);
	assert_int_equal(formula_pooled.calibrate(second, &document, false, &why), 0);
	(void)step(second, &other, work, 0);
	(void)step(first, &machine, work, 0);
	bson_destroy(&document);
	bson_destroy(&model);
	formula_pooled.free(first);
	formula_pooled.free(second);
}

static void mismatched_calibrations_are_not_used(void **state)
{
	void *formula = formula_pooled.make(NULL);
	bson_t little = BSON_INITIALIZER, document = BSON_INITIALIZER, empty = BSON_INITIALIZER;
	const double work[TARGETS] = {2, 1};
	struct machine machine = {.tick = {.time_ms = 1000}};
	struct reason why = {""};

	(void)state;
	teach(&little, 20);
	teach(&document, 180);
	assert_int_equal(formula_pooled.calibrate(formula, &empty, false, &why), -EINVAL);
	assert_true(why.text[0]);
	assert_int_equal(formula_pooled.calibrate(formula, &little, false, &why), -EINVAL);
	assert_non_null(strstr(why.text, "fewer than 30 readings"));
	/* Another machine: its package has a different number. */
	assert_int_equal(formula_pooled.calibrate(formula, &document, false, &why), 0);
	(void)step(formula, &machine, work, 3);
	assert_false(machine.result.calibrated);
	assert_null(formula_share.calibrate);
	bson_destroy(&little);
	bson_destroy(&document);
	bson_destroy(&empty);
	formula_pooled.free(formula);
}

/* Another machine of this name, or other processors in it. */
static void a_calibration_of_another_machine_is_not_used(void **state)
{
	const double idle[TARGETS] = {0, 0};
	bson_t document = BSON_INITIALIZER;
	struct reason why = {""};

	(void)state;
	teach(&document, 180);
	for (double n_cores = 8; n_cores <= 32; n_cores *= 2) {
		void *formula = formula_pooled.make(NULL);
		struct machine machine = {.tick = {.time_ms = 1000}, .n_cores = n_cores};

		assert_int_equal(formula_pooled.calibrate(formula, &document, false, &why), 0);
		(void)step(formula, &machine, idle, 0);
		assert_int_equal(machine.result.calibrated, n_cores == 16);
		/* While it runs: half of the processors are taken away, and return. */
		machine.n_cores = 8;
		(void)step(formula, &machine, idle, 0);
		assert_false(machine.result.calibrated);
		machine.n_cores = 16;
		(void)step(formula, &machine, idle, 0);
		assert_true(machine.result.calibrated);
		formula_pooled.free(formula);
	}
	bson_destroy(&document);
}

/* What an estimate teaches is not known of measured energy, nor the reverse. */
static void a_calibration_of_other_energy_is_not_used(void **state)
{
	const double idle[TARGETS] = {0, 0};
	bson_t document = BSON_INITIALIZER;
	struct reason why = {""};

	(void)state;
	teach(&document, 180);
	for (unsigned i = 0; i < 4; i++) {
		void *formula = formula_pooled.make(NULL);
		struct machine machine = {.tick = {.time_ms = 1000}, .estimated = i & 1};

		assert_int_equal(formula_pooled.calibrate(formula, &document, i & 2, &why), 0);
		(void)step(formula, &machine, idle, 0);
		assert_int_equal(machine.result.calibrated, i == 0 || i == 3);
		formula_pooled.free(formula);
	}
	bson_destroy(&document);
}

/* Two sockets were calibrated; now there is one. */
static void a_calibration_of_more_sockets_is_not_used(void **state)
{
	const double idle[TARGETS] = {0, 0};
	void *teacher = formula_pooled.make(NULL), *formula = formula_pooled.make(NULL);
	struct machine machine = {.tick = {.time_ms = 1000}}, one = {.tick = {.time_ms = 1000}};
	bson_t document = BSON_INITIALIZER;
	struct reason why = {""};

	(void)state;
	for (unsigned t = 0; t < 180; t++) {
		const double work[TARGETS] = {t / 12 % 2, 0};

		(void)step(teacher, &machine, work, t % 2);
	}
	assert_int_equal(formula_pooled.save(teacher, &document), 0);
	assert_int_equal(formula_pooled.calibrate(formula, &document, false, &why), 0);
	(void)step(formula, &one, idle, 0);
	assert_false(one.result.calibrated);
	bson_destroy(&document);
	formula_pooled.free(teacher);
	formula_pooled.free(formula);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_load_is_no_surprise),
		cmocka_unit_test(a_stored_model_stays_calibrated),
		cmocka_unit_test(mismatched_calibrations_are_not_used),
		cmocka_unit_test(a_calibration_of_another_machine_is_not_used),
		cmocka_unit_test(a_calibration_of_other_energy_is_not_used),
		cmocka_unit_test(a_calibration_of_more_sockets_is_not_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
