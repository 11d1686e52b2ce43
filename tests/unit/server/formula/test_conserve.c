/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conservation and the static policies, first with figures computed by hand, then with random and hostile
 * input.
 */
#include "formula/conserve.h"
#include "unit/random_seed.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define TARGETS                   7
#define SOCKETS                   2
#define assert_near(a, b, within) assert_true(fabs((a) - (b)) <= (within))

struct fixture {
	struct tick tick;
	struct tick_target targets[TARGETS];
	double counts[TARGETS][SOCKETS][TICK_FEATURES];
	double dynamic[REPORT_SCOPES][SOCKETS * (TARGETS + 1)];
	struct formula_result result;
	struct conserve_output output;
};

static void fixture_init(struct fixture *f, unsigned n_targets)
{
	*f = (struct fixture){.tick = {.interval_s = 2, .n_sockets = SOCKETS, .n_targets = n_targets}};
	f->tick.targets = f->targets;
	for (unsigned i = 0; i < n_targets; i++)
		f->targets[i] = (struct tick_target){
			.name = "c", .key = i, .present = 3, .counts = &f->counts[i][0][0]};
	for (unsigned s = 0; s < REPORT_SCOPES; s++)
		f->result.dynamic_w[s] = f->dynamic[s];
}

static const struct conserve_row *find(const struct conserve_output *output, int target,
				       enum report_scope scope, unsigned socket)
{
	for (unsigned i = 0; i < output->n_rows; i++) {
		const struct conserve_row *row = &output->rows[i];
		if (row->target == target && row->scope == scope && row->socket == socket)
			return row;
	}
	return NULL;
}

static void set_socket(struct fixture *f, double measured_w, double static_w)
{
	f->result.sockets[REPORT_SCOPE_CPU][0] = (struct formula_socket){.valid = true,
									 .measured_w = measured_w,
									 .predicted_w = 90,
									 .static_w = static_w,
									 .error_w = 1.5};
}

static void test_by_hand(void **state)
{
	struct fixture f;
	const struct conserve_row *row;
	struct conserve_policy policy = {.fixed = CONSERVE_STATIC_PROPORTIONAL};

	(void)state;
	fixture_init(&f, 2);
	set_socket(&f, 100, 20);
	f.dynamic[0][0] = 10;
	f.dynamic[0][1] = 20;
	f.dynamic[0][2] = 30;
	assert_int_equal(conserve_apply(&f.tick, &f.result, &policy, &f.output), 0);
	assert_int_equal(f.output.n_rows, 5);
	row = find(&f.output, 1, REPORT_SCOPE_CPU, 0);
	assert_non_null(row);
	/* dynamic: 100 x 60 / 80 = 75, of which a third */
	assert_near(row->dynamic_w, 25, 1e-12);
	assert_near(row->static_w, 25.0 / 3, 1e-12);
	assert_near(row->energy_j, 2 * row->power_w, 1e-12);
	assert_near(row->ratio, 1.0 / 3, 1e-12);
	assert_near(row->error_w, 1.5, 0);
	assert_near(find(&f.output, CONSERVE_GLOBAL, REPORT_SCOPE_CPU, 0)->power_w, 90, 0);
	assert_near(find(&f.output, CONSERVE_RAPL, REPORT_SCOPE_CPU, 0)->power_w, 100, 0);
	assert_near(find(&f.output, CONSERVE_RAPL, REPORT_SCOPE_CPU, 0)->static_w, 25, 1e-12);
	assert_null(find(&f.output, CONSERVE_IDLE, REPORT_SCOPE_CPU, 0));
	assert_null(find(&f.output, CONSERVE_RAPL, REPORT_SCOPE_CPU, 1));
	/* the same power, also for a preceding tick without a reading */
	f.tick.sockets[0].bridged_s[REPORT_SCOPE_CPU] = 3;
	assert_int_equal(conserve_apply(&f.tick, &f.result, &policy, &f.output), 0);
	row = find(&f.output, 1, REPORT_SCOPE_CPU, 0);
	assert_near(row->power_w, 100.0 / 3, 1e-12);
	assert_near(row->energy_j, 5 * row->power_w, 1e-12);
	conserve_output_done(&f.output);
}

static void test_policies(void **state)
{
	struct fixture f;
	struct conserve_policy policy = {.fixed = CONSERVE_STATIC_NONE};

	(void)state;
	fixture_init(&f, 2);
	set_socket(&f, 100, 25);
	f.dynamic[0][0] = 15;
	f.dynamic[0][1] = 30;
	f.dynamic[0][2] = 30;
	f.targets[0].cpu_quota = 2;
	f.tick.said.n_cores = 4;
	assert_int_equal(conserve_apply(&f.tick, &f.result, &policy, &f.output), 0);
	assert_near(find(&f.output, 0, REPORT_SCOPE_CPU, 0)->power_w, 15, 1e-12);
	assert_near(find(&f.output, CONSERVE_IDLE, REPORT_SCOPE_CPU, 0)->power_w, 25, 1e-12);
	policy.fixed = CONSERVE_STATIC_EQUAL;
	assert_int_equal(conserve_apply(&f.tick, &f.result, &policy, &f.output), 0);
	assert_near(find(&f.output, 1, REPORT_SCOPE_CPU, 0)->static_w, 12.5, 1e-12);
	assert_near(find(&f.output, CONSERVE_SYSTEM, REPORT_SCOPE_CPU, 0)->static_w, 0, 0);
	policy.fixed = CONSERVE_STATIC_QUOTA; /* 2 CPUs of the machine's 8 */
	assert_int_equal(conserve_apply(&f.tick, &f.result, &policy, &f.output), 0);
	assert_near(find(&f.output, 0, REPORT_SCOPE_CPU, 0)->static_w, 5, 1e-12);
	assert_near(find(&f.output, 1, REPORT_SCOPE_CPU, 0)->static_w, 20, 1e-12);
	conserve_output_done(&f.output);
}

static void test_absurd_model_falls_back_to_cpu_time(void **state)
{
	struct fixture f;
	struct conserve_policy policy = {.fixed = CONSERVE_STATIC_PROPORTIONAL};

	(void)state;
	fixture_init(&f, 2);
	set_socket(&f, 100, NAN);
	f.dynamic[0][0] = NAN;
	f.counts[0][0][TICK_REF] = 3e9;
	f.counts[1][0][TICK_REF] = 1e9;
	f.tick.sockets[0].counts[TICK_REF] = 5e9;
	assert_int_equal(conserve_apply(&f.tick, &f.result, &policy, &f.output), 0);
	assert_int_equal(f.output.n_degraded, 1);
	assert_near(find(&f.output, 0, REPORT_SCOPE_CPU, 0)->power_w, 60, 1e-9);
	assert_near(find(&f.output, CONSERVE_SYSTEM, REPORT_SCOPE_CPU, 0)->power_w, 20, 1e-9);
	f.counts[0][0][TICK_REF] = f.counts[1][0][TICK_REF] = f.tick.sockets[0].counts[TICK_REF] = NAN;
	assert_int_equal(conserve_apply(&f.tick, &f.result, &policy, &f.output), 0);
	assert_near(find(&f.output, CONSERVE_SYSTEM, REPORT_SCOPE_CPU, 0)->power_w, 100, 1e-9);
	conserve_output_done(&f.output);
}

static double evil(void)
{
	static const double values[] = {NAN,   INFINITY, -INFINITY, 0,   -0.0,  -1,
					1e308, 5e-324,   1e-13,     1e6, 1e-300};
	double r = random_unit();

	if (r < 0.15)
		return values[(size_t)(random_unit() * (sizeof(values) / sizeof(*values)))];
	return random_unit() * 100;
}

static void evil_fill(struct fixture *f)
{
	for (unsigned i = 0; i < TARGETS; i++) {
		f->targets[i].present = (uint32_t)(random_unit() * 4);
		f->targets[i].cpu_quota = evil();
		for (unsigned j = 0; j < SOCKETS * TICK_FEATURES; j++)
			f->counts[i][j / TICK_FEATURES][j % TICK_FEATURES] = evil() * 1e7;
	}
	for (unsigned s = 0; s < REPORT_SCOPES; s++) {
		for (unsigned k = 0; k < SOCKETS; k++)
			f->result.sockets[s][k] =
				(struct formula_socket){true, evil(), evil(), evil(), evil(), evil()};
		for (unsigned i = 0; i < SOCKETS * (TARGETS + 1); i++)
			f->dynamic[s][i] = evil();
	}
	f->tick.said.n_cores = evil();
}

static void check_conserved(const struct fixture *f, enum report_scope scope, unsigned socket)
{
	const struct conserve_row *rapl = find(&f->output, CONSERVE_RAPL, scope, socket);
	double measured = f->result.sockets[scope][socket].measured_w, sum = 0;

	if (!rapl) {
		assert_false(measured >= 0 && isfinite(measured));
		return;
	}
	for (unsigned i = 0; i < f->output.n_rows; i++) {
		const struct conserve_row *row = &f->output.rows[i];
		if (row->scope != scope || row->socket != socket || row->target < CONSERVE_IDLE)
			continue;
		assert_true(row->dynamic_w >= 0 && row->static_w >= 0);
		assert_true(row->power_w / 2 <= measured / 2 * (1 + 1e-9) + 1e-300);
		sum += row->power_w / 2;
	}
	assert_true(fabs(sum - measured / 2) <= 1e-9 * measured + 1e-300);
	for (unsigned i = 0; i < TARGETS; i++)
		assert_true(!((f->targets[i].present >> socket) & 1) ||
			    find(&f->output, (int)i, scope, socket));
}

static void test_conserved_for_any_input(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, TARGETS);
	for (unsigned round = 0; round < 20000; round++) {
		struct conserve_policy policy = {.fixed = (enum conserve_static)(round % CONSERVE_STATICS)};
		evil_fill(&f);
		assert_int_equal(conserve_apply(&f.tick, &f.result, &policy, &f.output), 0);
		for (unsigned cell = 0; cell < REPORT_SCOPES * SOCKETS; cell++)
			check_conserved(&f, (enum report_scope)(cell / SOCKETS), cell % SOCKETS);
	}
	conserve_output_done(&f.output);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_hand),
		cmocka_unit_test(test_policies),
		cmocka_unit_test(test_absurd_model_falls_back_to_cpu_time),
		cmocka_unit_test(test_conserved_for_any_input),
	};

	(void)random_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
