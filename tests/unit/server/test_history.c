/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Down-sampled power: energy is conserved, each boundary belongs to one step, gaps stay gaps, memory is
 * bounded.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "history/history.h"
#include "unit/random_seed.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static struct report_power row_of(const char *target, int64_t time_ms, double power)
{
	return (struct report_power){.time_ms = time_ms,
				     .sensor = "n1",
				     .target = target,
				     .socket = "0",
				     .scope = REPORT_SCOPE_CPU,
				     .power = power,
				     .dynamic = power / 2,
				     .error = 1,
				     .interval_s = 1};
}

static void add(struct history *history, const char *target, int64_t time_ms, double power)
{
	struct report_power row = row_of(target, time_ms, power);

	assert_int_equal(history_add(history, &row, 1), 0);
}

static void test_energy_is_conserved(void **state)
{
	struct history history;
	double sum = 0, out = 0, measured = 0;

	(void)state;
	srand(random_begin());
	assert_int_equal(history_init(&history, 1000000, 1100000, 17, 2000), 0);
	for (int64_t t = 1000000 + 500; t <= 1100000; t += 500 + rand() % 1000) {
		double a = rand() % 100, b = rand() % 100;

		add(&history, "a", t, a);
		add(&history, "b", t, b);
		add(&history, REPORT_TARGET_RAPL, t, a + b);
		sum += a + b;
	}
	for (unsigned i = 0; i < history.n_points; i++) {
		for (const struct history_series *s = history.series; s; s = s->hh.next)
			out += (double)s->energy_j[i];
		measured += (double)history.measured_j[i];
	}
	assert_float_equal(out, sum, 1e-3);
	assert_float_equal(measured, sum, 1e-3);
	history_done(&history);
}

static void test_borders(void **state)
{
	struct history history;

	(void)state;
	assert_int_equal(history_init(&history, 0, 10000, 5, 0), 0);
	add(&history, "a", 0, 7);     /* ends where the window begins */
	add(&history, "a", 2000, 10); /* on a boundary: the earlier step */
	add(&history, "a", 2001, 20);
	add(&history, "a", 10000, 30); /* the last one in the window */
	add(&history, "a", 10001, 99); /* after it */
	assert_float_equal(history_watts(history.series->energy_j, history.covered_s, 0), 10, 1e-6);
	assert_float_equal(history_watts(history.series->energy_j, history.covered_s, 1), 20, 1e-6);
	assert_true(isnan(history_watts(history.series->energy_j, history.covered_s, 2)));
	assert_float_equal(history_watts(history.series->energy_j, history.covered_s, 4), 30, 1e-6);
	assert_float_equal(history.series->total_j, 60, 1e-6);
	history_done(&history);
}

static void test_steps_are_no_shorter_than_asked(void **state)
{
	struct history history;

	(void)state;
	assert_int_equal(history_init(&history, 0, 10000, 1000, 2000), 0);
	assert_int_equal(history.n_points, 5);
	history_done(&history);
	assert_int_equal(history_init(&history, 0, 1000, 1000, 2000), 0);
	assert_int_equal(history.n_points, 1);
	history_done(&history);
	assert_int_equal(history_init(&history, 0, 1000000000, 1000000, 0), 0);
	assert_int_equal(history.n_points, HISTORY_POINTS_MAX);
	history_done(&history);
}

static void test_scopes_and_sockets(void **state)
{
	struct history history;
	struct report_power row = row_of("a", 1000, 10);

	(void)state;
	assert_int_equal(history_init(&history, 0, 2000, 1, 0), 0);
	assert_int_equal(history_add(&history, &row, 1), 0);
	row.socket = "1";
	assert_int_equal(history_add(&history, &row, 1), 0);
	row.scope = REPORT_SCOPE_DRAM;
	assert_int_equal(history_add(&history, &row, 1), 0);
	assert_float_equal(history_watts(history.series->energy_j, history.covered_s, 0), 30, 1e-6);
	history_done(&history);
	assert_int_equal(history_init(&history, 0, 2000, 1, 0), 0);
	history.scope = REPORT_SCOPE_DRAM;
	row.scope = REPORT_SCOPE_CPU;
	assert_int_equal(history_add(&history, &row, 1), 0);
	assert_null(history.series);
	history_done(&history);
}

static void test_absurd_rows_and_many_names(void **state)
{
	struct history history;
	double sum = 0;
	char name[32];

	(void)state;
	assert_int_equal(history_init(&history, 0, 2000, 1, 0), 0);
	add(&history, "a", 1000, NAN);
	add(&history, "a", INT64_MIN, 5);
	add(&history, "a", INT64_MAX, 5);
	assert_null(history.series);
	for (unsigned i = 0; i < HISTORY_SERIES_MAX + 100; i++) {
		(void)snprintf(name, sizeof(name), "t%u", i);
		add(&history, name, 1000, i);
		sum += i;
	}
	assert_int_equal(history.n_series, HISTORY_SERIES_MAX);
	for (const struct history_series *s = history.series; s; s = s->hh.next)
		sum -= (double)s->energy_j[0];
	assert_float_equal(sum, (double)history.others_j[0], 1e-2);
	history_sort(&history);
	assert_string_equal(history.series->name, "t1023");
	history_done(&history);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_energy_is_conserved),
		cmocka_unit_test(test_borders),
		cmocka_unit_test(test_steps_are_no_shorter_than_asked),
		cmocka_unit_test(test_scopes_and_sockets),
		cmocka_unit_test(test_absurd_rows_and_many_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
