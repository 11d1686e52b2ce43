/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calibration phases on machines of any size, the ticks that belong to each, and the error computed from
 * their watts.
 */
#include "calibrate/calibrate_load.h"
#include "calibrate/calibrate_plan.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void check_plan(unsigned n_cpus)
{
	struct calibrate_phase phases[CALIBRATE_PHASES];
	const unsigned half = n_cpus > 1 ? n_cpus / 2 : 1;

	calibrate_plan(n_cpus, phases);
	assert_string_equal(phases[CALIBRATE_IDLE].title, "idle");
	for (unsigned kind = 0; kind < CALIBRATE_KINDS; kind++) {
		assert_int_equal(phases[CALIBRATE_IDLE].threads[kind], 0);
		assert_int_equal(phases[1 + 3 * kind].threads[kind], 1);
		assert_int_equal(phases[2 + 3 * kind].threads[kind], half);
		assert_int_equal(phases[3 + 3 * kind].threads[kind], n_cpus);
		assert_int_equal(phases[1 + 3 * kind].threads[(kind + 1) % CALIBRATE_KINDS], 0);
	}
	assert_int_equal(phases[CALIBRATE_A].threads[CALIBRATE_KIND_A], half);
	assert_int_equal(phases[CALIBRATE_A].threads[CALIBRATE_KIND_B], 0);
	assert_int_equal(phases[CALIBRATE_B].threads[CALIBRATE_KIND_B], half);
	assert_int_equal(phases[CALIBRATE_BOTH].threads[CALIBRATE_KIND_A], half);
	assert_int_equal(phases[CALIBRATE_BOTH].threads[CALIBRATE_KIND_B], half);
}

static void phases_by_cpus(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= 1024; n = 2 * n + n % 3)
		check_plan(n);
}

static void ticks_belong_to_one_phase(void **state)
{
	int64_t begin[CALIBRATE_PHASES], end[CALIBRATE_PHASES];

	(void)state;
	for (int i = 0; i < CALIBRATE_PHASES; i++) {
		begin[i] = 1000 + 5000 * i;
		end[i] = begin[i] + 4900;
	}
	assert_int_equal(calibrate_find(begin, end, 1000, 0, 900), -1);
	assert_int_equal(calibrate_find(begin, end, 1000, 1500, 2500), -1); /* still settling */
	assert_int_equal(calibrate_find(begin, end, 1000, 2000, 3000), 0);
	assert_int_equal(calibrate_find(begin, end, 1000, 5000, 6000), -1); /* ends after the phase */
	assert_int_equal(calibrate_find(begin, end, 1000, 7000, 10900), 1);
	assert_int_equal(calibrate_find(begin, end, 1000, begin[12] + 1000, end[12]), 12);
	assert_int_equal(calibrate_find(begin, end, 1000, end[12], end[12] + 10), -1);
}

/*
 * Idle power is 10 W; A adds `a`, B adds `b`, both add `together` less than that; the model says x and y.
 */
static void fill(struct calibrate_seen seen[CALIBRATE_PHASES], double a, double b, double together, double x,
		 double y)
{
	for (unsigned i = 0; i < CALIBRATE_PHASES; i++)
		seen[i] = (struct calibrate_seen){.seconds = 4, .machine_j = 40};
	seen[CALIBRATE_A].machine_j += 4 * a;
	seen[CALIBRATE_B].machine_j += 4 * b;
	seen[CALIBRATE_BOTH].machine_j += 4 * (a + b - together);
	seen[CALIBRATE_BOTH].load_j[CALIBRATE_KIND_A] = 4 * x;
	seen[CALIBRATE_BOTH].load_j[CALIBRATE_KIND_B] = 4 * y;
}

static void increments_against_shares(void **state)
{
	struct calibrate_seen seen[CALIBRATE_PHASES];
	struct calibrate_error error;

	(void)state;
	fill(seen, 30, 10, 0, 30, 10);
	assert_true(calibrate_judge(seen, &error));
	assert_true(fabs(error.percent) < 1e-9 && fabs(error.a.alone - 30) < 1e-9);
	fill(seen, 30, 10, 0, 60, 20); /* shares of the whole machine, including static power */
	assert_true(calibrate_judge(seen, &error));
	assert_true(fabs(error.percent) < 1e-9 && fabs(error.a.attributed - 30) < 1e-9);
	fill(seen, 30, 10, 0, 28, 12);
	assert_true(calibrate_judge(seen, &error));
	assert_true(fabs(error.percent - 5) < 1e-9);
	fill(seen, 30, 10, 4, 28, 8); /* a shared part that each alone would take: together they add less */
	assert_true(calibrate_judge(seen, &error));
	assert_true(fabs(error.percent) < 1e-9 && fabs(error.a.beside - 26) < 1e-9);
	assert_true(fabs(error.a.fair + error.b.fair - error.adds) < 1e-9 && fabs(error.adds - 36) < 1e-9);
	fill(seen, 30, 10, 0, 0, 0); /* the model attributed nothing to them */
	assert_true(calibrate_judge(seen, &error));
	assert_true(fabs(error.percent - 75) < 1e-9);
	fill(seen, 0, 0, 0, 1, 1);
	assert_true(calibrate_judge(seen, &error));
	assert_true(isnan(error.percent));
	assert_false(calibrate_any_adds(seen));
	seen[7].machine_j += 1;
	assert_true(calibrate_any_adds(seen));
	seen[CALIBRATE_IDLE].machine_j += 100;
	assert_false(calibrate_any_adds(seen));
	seen[3].seconds = 0;
	assert_false(calibrate_judge(seen, &error));
}

static void loads_compute(void **state)
{
	const size_t n = 1 << 16;
	double *area = calloc(n, sizeof(*area));

	(void)state;
	assert_non_null(area);
	area[0] = 1;
	for (unsigned kind = 0; kind < CALIBRATE_KINDS; kind++)
		assert_true(isfinite(calibrate_compute(kind, area, n)));
	assert_true(area[8] > 0); /* the entire area is written */
	assert_true(calibrate_busy_s() > 0);
	assert_true(calibrate_cpus() >= 1);
	free(area);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(phases_by_cpus),
		cmocka_unit_test(ticks_belong_to_one_phase),
		cmocka_unit_test(increments_against_shares),
		cmocka_unit_test(loads_compute),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
