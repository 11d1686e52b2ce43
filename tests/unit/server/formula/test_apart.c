/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Domains without a model: GPUs divided by busy time, with their idle power by the static policy; the
 * platform divided like its parts; core and uncore as measured. First computed by hand, then random ticks:
 * the parts add up.
 */
#include "formula/apart.h"
#include "unit/random_seed.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TARGETS                   5
#define APARTS                    6
#define assert_near(a, b, within) assert_true(fabs((a) - (b)) <= (within))

struct fixture {
	struct tick tick;
	struct tick_target targets[TARGETS];
	double counts[TARGETS][TICK_FEATURES], work_ns[TARGETS][APARTS];
	double dynamic[REPORT_SCOPES][TARGETS + 1];
	struct formula_result result;
	struct conserve_output output;
	struct apart_idle idle;
};

static void fixture_init(struct fixture *f, unsigned n_targets)
{
	*f = (struct fixture){.tick = {.interval_s = 2, .n_sockets = 1, .n_targets = n_targets}};
	f->tick.targets = f->targets;
	for (unsigned i = 0; i < n_targets; i++)
		f->targets[i] = (struct tick_target){.name = "c",
						     .key = i,
						     .present = 1,
						     .counts = f->counts[i],
						     .work_ns = f->work_ns[i]};
	for (unsigned s = 0; s < REPORT_SCOPES; s++)
		f->result.dynamic_w[s] = f->dynamic[s];
}

static void add_apart(struct fixture *f, enum report_scope scope, unsigned number, double watts,
		      double work_s)
{
	f->tick.aparts[f->tick.n_aparts++] = (struct tick_apart){.scope = scope,
								 .number = number,
								 .energy_j = watts * f->tick.interval_s,
								 .work_ns = work_s * 1e9};
}

static void run(struct fixture *f, enum conserve_static fixed)
{
	const struct conserve_policy policy = {.fixed = fixed, .n_cpus = 4};

	assert_int_equal(conserve_apply(&f->tick, &f->result, &policy, &f->output), 0);
	apart_apply(&f->tick, &policy, &f->idle, &f->output);
}

static double watts_of(const struct fixture *f, int target, enum report_scope scope)
{
	double sum = 0;

	for (unsigned i = 0; i < f->output.n_rows; i++)
		if (f->output.rows[i].target == target && f->output.rows[i].scope == scope)
			sum += f->output.rows[i].power_w;
	return sum;
}

static void test_gpu(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, 2);
	/* First a tick at rest: 60 W idle. */
	add_apart(&f, REPORT_SCOPE_GPU, 0, 60, 0);
	run(&f, CONSERVE_STATIC_NONE);
	assert_near(watts_of(&f, CONSERVE_IDLE, REPORT_SCOPE_GPU), 60, 1e-9);
	assert_near(watts_of(&f, CONSERVE_SYSTEM, REPORT_SCOPE_GPU), 0, 1e-9);
	/* 1.5 s of work in 2 s: containers have 0.9 and 0.3 s, others 0.3 s. */
	f.tick.n_aparts = 0;
	add_apart(&f, REPORT_SCOPE_GPU, 0, 360, 1.5);
	f.work_ns[0][0] = 0.9e9;
	f.work_ns[1][0] = 0.3e9;
	run(&f, CONSERVE_STATIC_NONE);
	assert_near(watts_of(&f, CONSERVE_RAPL, REPORT_SCOPE_GPU), 360, 1e-9);
	assert_near(watts_of(&f, 0, REPORT_SCOPE_GPU), 180, 1e-9);
	assert_near(watts_of(&f, 1, REPORT_SCOPE_GPU), 60, 1e-9);
	assert_near(watts_of(&f, CONSERVE_SYSTEM, REPORT_SCOPE_GPU), 60, 1e-9);
	assert_near(watts_of(&f, CONSERVE_IDLE, REPORT_SCOPE_GPU), 60, 1e-9);
	run(&f, CONSERVE_STATIC_PROPORTIONAL);
	assert_near(watts_of(&f, 0, REPORT_SCOPE_GPU), 216, 1e-9);
	assert_near(watts_of(&f, CONSERVE_IDLE, REPORT_SCOPE_GPU), 0, 1e-9);
	run(&f, CONSERVE_STATIC_EQUAL);
	assert_near(watts_of(&f, 1, REPORT_SCOPE_GPU), 90, 1e-9);
	/* If nothing shows whose work it was, it is the system's. */
	f.tick.aparts[0].work_ns = NAN;
	f.work_ns[0][0] = f.work_ns[1][0] = 0;
	run(&f, CONSERVE_STATIC_NONE);
	assert_near(watts_of(&f, CONSERVE_SYSTEM, REPORT_SCOPE_GPU), 300, 1e-9);
	conserve_output_done(&f.output);
}

static void test_platform_follows_its_parts(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, 2);
	f.result.sockets[REPORT_SCOPE_CPU][0] = (struct formula_socket){
		.valid = true, .measured_w = 100, .predicted_w = NAN, .static_w = 40, .error_w = NAN};
	f.dynamic[0][0] = 45;
	f.dynamic[0][1] = 15;
	f.dynamic[0][2] = 0;
	add_apart(&f, REPORT_SCOPE_PLATFORM, 0, 150, NAN);
	run(&f, CONSERVE_STATIC_PROPORTIONAL);
	assert_near(watts_of(&f, 0, REPORT_SCOPE_PLATFORM), 112.5, 1e-9);
	assert_near(watts_of(&f, 1, REPORT_SCOPE_PLATFORM), 37.5, 1e-9);
	run(&f, CONSERVE_STATIC_NONE);
	assert_near(watts_of(&f, 0, REPORT_SCOPE_PLATFORM), 67.5, 1e-9);
	assert_near(watts_of(&f, CONSERVE_IDLE, REPORT_SCOPE_PLATFORM), 60, 1e-9);
	/* If no part is measured, everything is the system's. */
	f.result.sockets[REPORT_SCOPE_CPU][0].valid = false;
	run(&f, CONSERVE_STATIC_PROPORTIONAL);
	assert_near(watts_of(&f, CONSERVE_SYSTEM, REPORT_SCOPE_PLATFORM), 150, 1e-9);
	conserve_output_done(&f.output);
}

static void test_parts_are_only_measured(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, 1);
	add_apart(&f, REPORT_SCOPE_CORE, 0, 70, NAN);
	add_apart(&f, REPORT_SCOPE_UNCORE, 0, 5, NAN);
	run(&f, CONSERVE_STATIC_PROPORTIONAL);
	assert_int_equal(f.output.n_rows, 2);
	assert_near(watts_of(&f, CONSERVE_RAPL, REPORT_SCOPE_CORE), 70, 1e-9);
	f.tick.reset = true;
	run(&f, CONSERVE_STATIC_PROPORTIONAL);
	assert_int_equal(f.output.n_rows, 0);
	conserve_output_done(&f.output);
}

/* Containers, system and idle add up to the measured power, whatever the sensors report. */
static void check_sums(const struct fixture *f)
{
	for (unsigned a = 0; a < f->tick.n_aparts; a++) {
		double sum = 0, measured = NAN;

		for (unsigned i = 0; i < f->output.n_rows; i++) {
			const struct conserve_row *row = &f->output.rows[i];

			if (row->scope < REPORT_SCOPES || row->socket != a)
				continue;
			assert_true(isfinite(row->power_w) && row->dynamic_w >= -1e-9 &&
				    row->static_w >= -1e-9);
			if (row->target == CONSERVE_RAPL)
				measured = row->power_w;
			else
				sum += row->power_w;
		}
		if (f->tick.aparts[a].scope == REPORT_SCOPE_GPU ||
		    f->tick.aparts[a].scope == REPORT_SCOPE_PLATFORM)
			assert_true(isnan(measured) ? sum == 0
						    : fabs(sum - measured) <= 1e-9 * (1 + measured));
	}
}

static double evil(double most)
{
	static const double values[] = {0, 1e-300, 1e30, NAN, -1};

	return random_unit() < 0.1 ? values[(unsigned)(random_unit() * 5)] : random_unit() * most;
}

static void test_sums(void **state)
{
	struct fixture f;

	(void)state;
	(void)random_begin();
	fixture_init(&f, TARGETS);
	for (unsigned round = 0; round < 20000; round++) {
		f.tick.n_aparts = 0;
		f.tick.n_targets = (unsigned)(random_unit() * (TARGETS + 1));
		f.result.sockets[REPORT_SCOPE_CPU][0] = (struct formula_socket){.valid = random_unit() < 0.8,
										.measured_w = evil(300),
										.predicted_w = NAN,
										.static_w = evil(100),
										.error_w = NAN};
		for (unsigned g = 0; g < 4; g++)
			add_apart(&f, REPORT_SCOPE_GPU, g * 21, evil(700), evil(2));
		add_apart(&f, REPORT_SCOPE_PLATFORM, 0, evil(2000), NAN);
		add_apart(&f, REPORT_SCOPE_CORE, 0, evil(200), NAN);
		for (unsigned i = 0; i < f.tick.n_targets; i++) {
			f.dynamic[0][i] = evil(50);
			f.targets[i].cpu_quota = random_unit() < 0.5 ? random_unit() * 8 : 0;
			for (unsigned a = 0; a < APARTS; a++) /* tick_make never passes on negative times */
				f.work_ns[i][a] = random_unit() < 0.4 ? random_unit() * 2e9 : 0;
		}
		f.dynamic[0][f.tick.n_targets] = evil(50);
		run(&f, (enum conserve_static)(random_unit() * CONSERVE_STATICS));
		check_sums(&f);
	}
	conserve_output_done(&f.output);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gpu),
		cmocka_unit_test(test_platform_follows_its_parts),
		cmocka_unit_test(test_parts_are_only_measured),
		cmocka_unit_test(test_sums),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
