/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Properties of the pooled model on random machines: results add up and are always finite, exist from the
 * first tick, are deterministic, and continue exactly after a restart; a warm model neither grows nor
 * allocates.
 */
#include "formula/conserve.h"
#include "base/reason.h"
#include "unit/random_seed.h"

#include <errno.h>
#include <malloc.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TARGETS_MAX 200
#define SOCKETS     2

struct machine {
	uint64_t random;
	struct tick tick;
	struct tick_target targets[TARGETS_MAX];
	double counts[TARGETS_MAX][SOCKETS * TICK_FEATURES];
	char names[TARGETS_MAX][24];
	unsigned first; /* number of the oldest running container */
	double evil;    /* probability that a number is absurd */
	double cost;    /* factor for the cost of a cycle */
};

static double random_of(struct machine *machine)
{
	machine->random = machine->random * 6364136223846793005u + 1442695040888963407u;
	return (double)(machine->random >> 11) * 0x1p-53;
}

static double spoil(struct machine *machine, double value)
{
	static const double values[] = {NAN, INFINITY, -INFINITY, 0, -1, 1e300, 1e18, -1e12, 5e-324};

	if (random_of(machine) >= machine->evil)
		return value;
	return values[(size_t)(random_of(machine) * 9) % 9];
}

static void machine_init(struct machine *machine, uint64_t random, double evil)
{
	memset(machine, 0, sizeof(*machine));
	machine->random = random;
	machine->evil = evil;
	machine->cost = 1;
	machine->tick = (struct tick){.targets = machine->targets, .n_sockets = SOCKETS};
}

static double fill_target(struct machine *machine, unsigned i, unsigned number, unsigned k)
{
	double *counts = machine->counts[i] + (size_t)k * TICK_FEATURES;
	double busy = random_of(machine) < 0.3 ? 0 : random_of(machine) * 4e9;
	double character = 1 + number % 7 * 0.3;

	counts[TICK_REF] = spoil(machine, busy);
	counts[TICK_CYCLES] = spoil(machine, busy * 1.2);
	counts[TICK_INSTRUCTIONS] = spoil(machine, busy * character);
	counts[TICK_MISSES] = spoil(machine, busy * 2e-3 / character);
	counts[TICK_VECTOR] = number % 3 == 0 ? spoil(machine, busy * 0.4 * character) : 0;
	for (unsigned j = 0; j < TICK_FEATURES; j++)
		machine->tick.sockets[k].counts[j] += isfinite(counts[j]) ? counts[j] : 0;
	return busy * 1e-9 * (1 + character) * machine->cost;
}

/* `churn` containers leave and as many new ones appear. */
static void machine_step(struct machine *machine, unsigned n_targets, unsigned churn)
{
	struct tick *tick = &machine->tick;
	double watts[SOCKETS] = {30, 30};

	machine->first += churn;
	tick->time_ms += 1000;
	tick->interval_s = spoil(machine, 1);
	tick->reset = random_of(machine) < machine->evil / 4;
	tick->n_targets = n_targets;
	for (unsigned k = 0; k < SOCKETS; k++)
		tick->sockets[k] = (struct tick_socket){.package = k,
							.aperf = spoil(machine, 1.1e9),
							.mperf = spoil(machine, 1e9),
							.tsc = spoil(machine, 2e9)};
	for (unsigned i = 0; i < n_targets; i++) {
		unsigned number = machine->first + i;
		struct tick_target *target = &machine->targets[i];
		(void)snprintf(machine->names[i], sizeof(machine->names[i]), "c%u", number);
		*target = (struct tick_target){.name = machine->names[i],
					       .container_id = "",
					       .key = number,
					       .present = 3,
					       .counts = machine->counts[i]};
		for (unsigned k = 0; k < SOCKETS; k++)
			watts[k] += fill_target(machine, i, number, k);
	}
	for (unsigned k = 0; k < SOCKETS; k++) {
		tick->sockets[k].energy_j[REPORT_SCOPE_CPU] = spoil(machine, watts[k]);
		tick->sockets[k].energy_j[REPORT_SCOPE_DRAM] = spoil(machine, 5 + watts[k] * 0.1);
	}
}

static void check_sums(const struct tick *tick, const struct formula_result *result,
		       const struct conserve_output *output)
{
	double sum[REPORT_SCOPES][SOCKETS] = {0};
	unsigned rows[REPORT_SCOPES][SOCKETS] = {0};

	for (unsigned i = 0; i < output->n_rows; i++) {
		const struct conserve_row *row = &output->rows[i];
		assert_true(isfinite(row->power_w) && row->power_w >= 0 && row->dynamic_w >= 0 &&
			    row->static_w >= 0);
		if (row->target == CONSERVE_RAPL || row->target == CONSERVE_GLOBAL)
			continue;
		sum[row->scope][row->socket] += row->power_w;
		rows[row->scope][row->socket]++;
	}
	for (unsigned s = 0; s < REPORT_SCOPES; s++) {
		for (unsigned k = 0; k < tick->n_sockets; k++) {
			const struct formula_socket *socket = &result->sockets[s][k];
			if (!socket->valid)
				continue;
			assert_true(fabs(sum[s][k] - socket->measured_w) <= 1e-9 * socket->measured_w);
			assert_int_equal(rows[s][k], tick->n_targets + 1);
			assert_true(socket->static_w >= 0 && socket->static_w <= socket->measured_w);
		}
	}
}

static void run_and_check(void *formula, const struct tick *tick, struct conserve_output *output,
			  unsigned *ret_degraded)
{
	const struct conserve_policy policy = {.fixed = CONSERVE_STATIC_PROPORTIONAL};
	struct formula_result result;

	assert_int_equal(formula_pooled.run(formula, tick, &result), 0);
	assert_int_equal(conserve_apply(tick, &result, &policy, output), 0);
	check_sums(tick, &result, output);
	*ret_degraded += output->n_degraded;
}

static void adds_up_from_the_first_tick(void **state)
{
	void *formula = formula_pooled.make(NULL);
	struct conserve_output output = {0};
	struct machine *machine = malloc(sizeof(*machine));
	unsigned degraded = 0;

	(void)state;
	machine_init(machine, seed, 0);
	for (unsigned t = 0; t < 400; t++) {
		machine_step(machine, 20, t % 10 == 0);
		run_and_check(formula, &machine->tick, &output, &degraded);
		assert_true(output.n_rows >= REPORT_SCOPES * SOCKETS * 22);
	}
	assert_int_equal(degraded, 0);
	conserve_output_done(&output);
	formula_pooled.free(formula);
	free(machine);
}

static void adds_up_for_any_input(void **state)
{
	struct machine *machine = malloc(sizeof(*machine));
	struct conserve_output output = {0};
	struct formula_state description;
	unsigned degraded = 0;

	(void)state;
	for (unsigned round = 0; round < 8; round++) {
		void *formula = formula_pooled.make(NULL);
		machine_init(machine, seed + round, round % 4 * 0.1);
		for (unsigned t = 0; t < 300; t++) {
			machine_step(machine, t % 37, 1);
			machine->tick.n_sockets = round > 3 && t % 5 == 0 ? 1 : SOCKETS;
			run_and_check(formula, &machine->tick, &output, &degraded);
		}
		/* It recovers once its input is valid again. */
		machine->evil = 0;
		machine->tick.n_sockets = SOCKETS;
		degraded = 0;
		for (unsigned t = 0; t < 20; t++) {
			machine_step(machine, 10, 0);
			run_and_check(formula, &machine->tick, &output, &degraded);
		}
		assert_true(degraded <= 4);
		formula_pooled.describe(formula, REPORT_SCOPE_CPU, 0, &description);
		assert_true(description.samples > 0);
		formula_pooled.free(formula);
	}
	conserve_output_done(&output);
	free(machine);
}

static bool same_result(const struct tick *tick, const struct formula_result *a,
			const struct formula_result *b)
{
	size_t cells = (size_t)(tick->n_targets + 1) * tick->n_sockets;

	for (unsigned s = 0; s < REPORT_SCOPES; s++) {
		if (memcmp(a->dynamic_w[s], b->dynamic_w[s], cells * sizeof(double)) != 0)
			return false;
		for (unsigned k = 0; k < tick->n_sockets; k++) {
			if (a->sockets[s][k].static_w != b->sockets[s][k].static_w)
				return false;
		}
	}
	return true;
}

static void same_input_same_output_even_after_resuming(void **state)
{
	void *one = formula_pooled.make(NULL), *two = formula_pooled.make(NULL),
	     *three = formula_pooled.make(NULL);
	struct machine *machine = malloc(sizeof(*machine));
	struct formula_result a, b;
	bson_t document = BSON_INITIALIZER;
	struct reason why = {""};

	(void)state;
	machine_init(machine, seed, 0.01);
	for (unsigned t = 0; t < 300; t++) {
		machine_step(machine, 80, t % 3 == 0);
		machine->tick.interval_s = 1;
		assert_int_equal(formula_pooled.run(one, &machine->tick, &a), 0);
		assert_int_equal(formula_pooled.run(two, &machine->tick, &b), 0);
		assert_true(same_result(&machine->tick, &a, &b));
	}
	assert_int_equal(formula_pooled.save(one, &document), 0);
	assert_int_equal(formula_pooled.load(three, &document, &why), 0);
	for (unsigned t = 0; t < 100; t++) {
		machine_step(machine, 80, t % 3 == 0);
		machine->tick.interval_s = 1;
		assert_int_equal(formula_pooled.run(one, &machine->tick, &a), 0);
		assert_int_equal(formula_pooled.run(three, &machine->tick, &b), 0);
		assert_true(same_result(&machine->tick, &a, &b));
	}
	bson_destroy(&document);
	formula_pooled.free(one);
	formula_pooled.free(two);
	formula_pooled.free(three);
	free(machine);
}

/*
 * On a machine whose cycles cost far more than the priors assume, resumes just before the model finds that
 * out.
 */
static void half_learnt_model_resumes(void **state)
{
	void *one = formula_pooled.make(NULL), *two = formula_pooled.make(NULL);
	struct machine *machine = malloc(sizeof(*machine));
	struct formula_result a, b;
	bson_t document = BSON_INITIALIZER;
	struct reason why = {""};

	(void)state;
	machine_init(machine, seed, 0);
	machine->cost = 20;
	for (unsigned t = 0; t < 80; t++) {
		machine_step(machine, 5, 0);
		assert_int_equal(formula_pooled.run(one, &machine->tick, &a), 0);
		if (t > 15) {
			assert_int_equal(formula_pooled.run(two, &machine->tick, &b), 0);
			assert_true(same_result(&machine->tick, &a, &b));
		} else if (t == 15) {
			assert_int_equal(formula_pooled.save(one, &document), 0);
			assert_int_equal(formula_pooled.load(two, &document, &why), 0);
		}
	}
	bson_destroy(&document);
	formula_pooled.free(one);
	formula_pooled.free(two);
	free(machine);
}

static void foreign_state_is_refused(void **state)
{
	void *formula = formula_pooled.make(NULL);
	struct machine *machine = malloc(sizeof(*machine));
	struct formula_result result;
	bson_t document = BSON_INITIALIZER, broken;
	struct reason why = {""};
	uint8_t *bytes;

	(void)state;
	assert_int_equal(formula_pooled.load(formula, &document, &why), -EINVAL);
	assert_non_null(strstr(why.text, "another formula"));
	BSON_APPEND_UTF8(&document, "formula", "pooled");
	BSON_APPEND_INT32(&document, "version", 77);
	assert_int_equal(formula_pooled.load(formula, &document, &why), -EINVAL);
	assert_non_null(strstr(why.text, "version"));
	bson_reinit(&document);
	machine_init(machine, seed, 0);
	for (unsigned t = 0; t < 20; t++) {
		machine_step(machine, 5, 0);
		assert_int_equal(formula_pooled.run(formula, &machine->tick, &result), 0);
	}
	assert_int_equal(formula_pooled.save(formula, &document), 0);
	bytes = malloc(document.len);
	for (unsigned round = 0; round < 2000; round++) {
		size_t at = 120 + (size_t)(random_of(machine) * (document.len - 130));
		memcpy(bytes, bson_get_data(&document), document.len);
		bytes[at] = (uint8_t)(random_of(machine) * 256);
		bytes[at + 5] = 0xff;
		if (bson_init_static(&broken, bytes, document.len) &&
		    formula_pooled.load(formula, &broken, &why) == 0)
			assert_int_equal(formula_pooled.run(formula, &machine->tick, &result), 0);
	}
	free(bytes);
	bson_destroy(&document);
	formula_pooled.free(formula);
	free(machine);
}

#define CHURN_FULL 250 /* ticks of 20 new containers each: the table, of 4,096, is full */

/* Thousands of containers come and go; memory in use is constant once the table is full. */
static void memory_is_flat_under_churn(void **state)
{
	void *formula = formula_pooled.make(NULL);
	struct machine *machine = malloc(sizeof(*machine));
	struct formula_result result;
	size_t warm = 0;

	(void)state;
	machine_init(machine, seed, 0);
	for (unsigned t = 0; t < 600; t++) {
		machine_step(machine, 100, 20);
		assert_int_equal(formula_pooled.run(formula, &machine->tick, &result), 0);
#ifndef WATTRIBUTE_SANITIZED
		if (t == CHURN_FULL)
			warm = mallinfo2().uordblks;
		assert_true(t < CHURN_FULL || mallinfo2().uordblks == warm);
#endif
	}
	assert_true(machine->first > 10000 || warm == 0);
	formula_pooled.free(formula);
	free(machine);
}

/* A machine with few containers needs little memory: one server may have a thousand such machines. */
static void memory_follows_need(void **state)
{
	struct machine *machine = malloc(sizeof(*machine));
	size_t taken[2] = {0, 0};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		void *formula = formula_pooled.make(NULL);
		size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
		struct formula_result result;

		machine_init(machine, seed, 0);
		for (unsigned t = 0; t < 50; t++) {
			machine_step(machine, i ? 64 : 6, 0);
			assert_int_equal(formula_pooled.run(formula, &machine->tick, &result), 0);
		}
		taken[i] = mallinfo2().uordblks + mallinfo2().hblkhd - before;
		formula_pooled.free(formula);
	}
	(void)taken;
#ifndef WATTRIBUTE_SANITIZED
	assert_in_range(taken[0], 1, 256 * 1024);
	assert_in_range(taken[1], 2 * taken[0], 2048 * 1024);
#endif
	free(machine);
}

/* Keeps only the counts of `features`, one bit each, as if the sensor counted nothing else. */
static void leave(struct machine *machine, unsigned features)
{
	for (unsigned k = 0; k < SOCKETS; k++)
		for (unsigned j = 0; j < TICK_FEATURES; j++) {
			if (features >> j & 1)
				continue;
			machine->tick.sockets[k].counts[j] = NAN;
			for (unsigned i = 0; i < machine->tick.n_targets; i++)
				machine->counts[i][k * TICK_FEATURES + j] = NAN;
		}
}

/* Time, cycles, instructions: whichever are counted, targets that ran get watts, and no others. */
static void one_count_is_enough(void **state)
{
	static const unsigned all[] = {TICK_REF, TICK_CYCLES, TICK_INSTRUCTIONS};
	struct machine *machine = malloc(sizeof(*machine));

	(void)state;
	for (unsigned set = 1; set < 8; set++) {
		void *formula = formula_pooled.make(NULL);
		struct formula_result result;
		unsigned features = 0;

		for (unsigned i = 0; i < 3; i++)
			features |= (set >> i & 1) << all[i];
		machine_init(machine, seed + set, 0);
		for (unsigned t = 0; t < 60; t++) {
			machine_step(machine, 6, 0);
			leave(machine, features);
			assert_int_equal(formula_pooled.run(formula, &machine->tick, &result), 0);
		}
		for (unsigned cell = 0; cell < 6 * SOCKETS; cell++) {
			unsigned k = cell / 6, i = cell % 6;
			bool ran = false;

			for (unsigned j = 0; j < 3; j++)
				ran |= machine->counts[i][k * TICK_FEATURES + all[j]] > 0;
			if (ran != (result.dynamic_w[REPORT_SCOPE_CPU][k * 7 + i] > 0))
				fail_msg("counted %#x: container %u on socket %u gets %g W", features, i, k,
					 result.dynamic_w[REPORT_SCOPE_CPU][k * 7 + i]);
		}
		formula_pooled.free(formula);
	}
	free(machine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_count_is_enough),
		cmocka_unit_test(adds_up_from_the_first_tick),
		cmocka_unit_test(adds_up_for_any_input),
		cmocka_unit_test(same_input_same_output_even_after_resuming),
		cmocka_unit_test(half_learnt_model_resumes),
		cmocka_unit_test(foreign_state_is_refused),
		cmocka_unit_test(memory_is_flat_under_churn),
		cmocka_unit_test(memory_follows_need),
	};

	(void)random_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
