/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The formula `share`: watts by CPU time, the linear relation of power to CPU time that it learns, and its
 * state.
 */
#include "formula/formula.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define TARGETS                   3
#define assert_near(a, b, within) assert_true(fabs((a) - (b)) <= (within))

struct fixture {
	struct tick tick;
	struct tick_target targets[TARGETS];
	double counts[TARGETS][TICK_FEATURES];
};

/* Targets use 1, 2 and 0 GHz of reference cycles, and the whole machine uses `all_ghz`. */
static void fixture_init(struct fixture *f, double all_ghz, double power_w)
{
	*f = (struct fixture){.tick = {.interval_s = 2, .n_sockets = 1, .n_targets = TARGETS}};
	f->tick.targets = f->targets;
	for (unsigned i = 0; i < TARGETS; i++) {
		for (unsigned k = 0; k < TICK_FEATURES; k++)
			f->counts[i][k] = NAN;
		f->counts[i][TICK_REF] = i < 2 ? (i + 1) * 2e9 : 0;
		f->targets[i] =
			(struct tick_target){.name = "c", .key = i, .present = 1, .counts = f->counts[i]};
	}
	for (unsigned k = 0; k < TICK_FEATURES; k++)
		f->tick.sockets[0].counts[k] = NAN;
	f->tick.sockets[0].counts[TICK_REF] = all_ghz * 2e9;
	for (unsigned scope = 0; scope < REPORT_SCOPES; scope++)
		f->tick.sockets[0].energy_j[scope] = NAN;
	f->tick.sockets[0].energy_j[REPORT_SCOPE_CPU] = power_w * 2;
}

static void weights_are_cpu_time(void **state)
{
	void *formula = formula_share.make(NULL);
	struct formula_result result;
	struct fixture f;
	const double *dynamic;

	(void)state;
	fixture_init(&f, 5, 100);
	f.targets[2].present = 0;
	assert_int_equal(formula_share.run(formula, &f.tick, &result), 0);
	dynamic = result.dynamic_w[REPORT_SCOPE_CPU];
	assert_true(result.sockets[REPORT_SCOPE_CPU][0].valid);
	assert_near(result.sockets[REPORT_SCOPE_CPU][0].measured_w, 100, 1e-12);
	assert_near(dynamic[1] / dynamic[0], 2, 1e-12);
	assert_true(isnan(dynamic[2])); /* no counts there: no row */
	assert_near(dynamic[3] / dynamic[0], 2, 1e-12);
	/* Without reference cycles, core cycles are used; a scope without energy has no rows. */
	f.counts[0][TICK_REF] = NAN;
	f.counts[0][TICK_CYCLES] = 6e9;
	assert_int_equal(formula_share.run(formula, &f.tick, &result), 0);
	dynamic = result.dynamic_w[REPORT_SCOPE_CPU];
	assert_near(dynamic[0] / dynamic[1], 1.5, 1e-12);
	assert_false(result.sockets[REPORT_SCOPE_DRAM][0].valid);
	formula_share.free(formula);
}

/* 20 W plus 8 W per GHz. */
static void learn(void *formula, struct formula_result *result)
{
	struct fixture f;

	for (unsigned i = 0; i < 300; i++) {
		double ghz = 3 + i % 7;

		fixture_init(&f, ghz, 20 + 8 * ghz);
		assert_int_equal(formula_share.run(formula, &f.tick, result), 0);
	}
}

static void learns_the_line(void **state)
{
	void *formula = formula_share.make(NULL);
	struct formula_result result;
	struct formula_state said;
	struct fixture f;

	(void)state;
	formula_share.describe(formula, REPORT_SCOPE_CPU, 0, &said);
	assert_string_equal(said.text, "nothing has varied yet");
	learn(formula, &result);
	assert_near(result.sockets[REPORT_SCOPE_CPU][0].static_w, 20, 0.1);
	assert_near(result.sockets[REPORT_SCOPE_CPU][0].error_w, 0, 0.1);
	fixture_init(&f, 5, 60);
	assert_int_equal(formula_share.run(formula, &f.tick, &result), 0);
	assert_near(result.sockets[REPORT_SCOPE_CPU][0].predicted_w, 60, 0.1);
	formula_share.describe(formula, REPORT_SCOPE_CPU, 0, &said);
	assert_int_equal(said.samples, 301);
	assert_non_null(strstr(said.text, "8 W per 1e9"));
	formula_share.free(formula);
}

static void state_resumes(void **state)
{
	void *one = formula_share.make(NULL), *other = formula_share.make(NULL);
	struct formula_result result, resumed;
	struct reason why = {""};
	struct fixture f;
	bson_t saved = BSON_INITIALIZER, foreign = BSON_INITIALIZER, newer = BSON_INITIALIZER;

	(void)state;
	learn(one, &result);
	assert_int_equal(formula_share.save(one, &saved), 0);
	assert_int_equal(formula_share.load(other, &saved, &why), 0);
	fixture_init(&f, 4, 55);
	assert_int_equal(formula_share.run(one, &f.tick, &result), 0);
	assert_int_equal(formula_share.run(other, &f.tick, &resumed), 0);
	assert_memory_equal(&result.sockets[REPORT_SCOPE_CPU][0], &resumed.sockets[REPORT_SCOPE_CPU][0],
			    sizeof(struct formula_socket));
	assert_true(BSON_APPEND_UTF8(&foreign, "formula", "pooled"));
	assert_int_equal(formula_share.load(other, &foreign, &why), -EINVAL);
	assert_non_null(strstr(why.text, "another formula"));
	assert_true(BSON_APPEND_UTF8(&newer, "formula", "share"));
	assert_true(BSON_APPEND_INT32(&newer, "version", 1000));
	assert_int_equal(formula_share.load(other, &newer, &why), -EINVAL);
	assert_non_null(strstr(why.text, "version"));
	bson_destroy(&saved);
	bson_destroy(&foreign);
	bson_destroy(&newer);
	formula_share.free(one);
	formula_share.free(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(weights_are_cpu_time),
		cmocka_unit_test(learns_the_line),
		cmocka_unit_test(state_resumes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
