/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Down-sampled power: energy is conserved, each boundary belongs to one step, gaps stay gaps, memory is
 * bounded; error bars are those of recaps over each step.
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
#include <string.h>

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
				     .sd = NAN,
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
	assert_int_equal(history_init(&history, 1000000, 1100000, -1, 17, 2000), 0);
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
	assert_int_equal(history_init(&history, 0, 10000, -1, 5, 0), 0);
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
	assert_int_equal(history_init(&history, 0, 10000, -1, 1000, 2000), 0);
	assert_int_equal(history.n_points, 5);
	history_done(&history);
	assert_int_equal(history_init(&history, 0, 1000, -1, 1000, 2000), 0);
	assert_int_equal(history.n_points, 1);
	history_done(&history);
	assert_int_equal(history_init(&history, 0, 1000000000, -1, 1000000, 0), 0);
	assert_int_equal(history.n_points, HISTORY_POINTS_MAX);
	history_done(&history);
}

static void test_scopes_and_sockets(void **state)
{
	struct history history;
	struct report_power row = row_of("a", 1000, 10);

	(void)state;
	assert_int_equal(history_init(&history, 0, 2000, -1, 1, 0), 0);
	assert_int_equal(history_add(&history, &row, 1), 0);
	row.socket = "1";
	assert_int_equal(history_add(&history, &row, 1), 0);
	row.scope = REPORT_SCOPE_DRAM;
	assert_int_equal(history_add(&history, &row, 1), 0);
	assert_float_equal(history_watts(history.series->energy_j, history.covered_s, 0), 30, 1e-6);
	history_done(&history);
	assert_int_equal(history_init(&history, 0, 2000, REPORT_SCOPE_DRAM, 1, 0), 0);
	row.scope = REPORT_SCOPE_CPU;
	assert_int_equal(history_add(&history, &row, 1), 0);
	assert_null(history.series);
	history_done(&history);
}

static void test_absurd_rows_and_many_names(void **state)
{
	struct history history;
	double sum = 0, sum_all;
	char name[32];

	(void)state;
	assert_int_equal(history_init(&history, 0, 2000, -1, 1, 0), 0);
	add(&history, "a", 1000, NAN);
	add(&history, "a", INT64_MIN, 5);
	add(&history, "a", INT64_MAX, 5);
	assert_null(history.series);
	for (unsigned i = 0; i < HISTORY_SERIES_MAX + 100; i++) {
		(void)snprintf(name, sizeof(name), "t%u", i);
		add(&history, name, 1000, i);
		sum += i;
	}
	sum_all = sum;
	assert_int_equal(history.n_series, HISTORY_SERIES_MAX);
	for (const struct history_series *s = history.series; s; s = s->hh.next)
		sum -= (double)s->energy_j[0];
	assert_float_equal(sum, (double)history.others_j[0], 1e-2);
	history_finish(&history, 1, false);
	assert_string_equal(history.series->name, "t1023");
	assert_float_equal((double)history.others_j[0], sum_all - 1023, 1e-1);
	history_done(&history);
}

static void add_known(struct history *history, const char *target, int64_t time_ms, double power, double sd)
{
	struct report_power row = row_of(target, time_ms, power);

	row.sd = sd;
	assert_int_equal(history_add(history, &row, 1), 0);
}

static double sd_w(const struct history *history, const struct history_series *series, unsigned point)
{
	return history_watts(series->bar.sd_j, history->covered_s, point);
}

static const struct history_series *series_of(const struct history *history, const char *name)
{
	const struct history_series *series;

	HASH_FIND(hh, history->series, name, strlen(name), series);
	assert_non_null(series);
	return series;
}

static void test_error_bar_of_one_tick(void **state)
{
	struct history history;
	struct report_power row = row_of("a", 1000, 10);

	(void)state;
	assert_int_equal(history_init(&history, 0, 3000, -1, 3, 0), 0);
	row.sd = 3;
	assert_int_equal(history_add(&history, &row, 1), 0);
	row.socket = "1";
	row.sd = 4;
	assert_int_equal(history_add(&history, &row, 1), 0);
	row.scope = REPORT_SCOPE_DRAM;
	row.sd = 12;
	assert_int_equal(history_add(&history, &row, 1), 0);
	add_known(&history, "a", 3000, 7, 0.5);
	history_finish(&history, 1, false);
	assert_float_equal(sd_w(&history, history.series, 0), 13, 1e-5); /* 3, 4 and 12 are independent */
	assert_true(isnan(sd_w(&history, history.series, 1)));
	assert_float_equal(sd_w(&history, history.series, 2), 0.5, 1e-6);
	history_done(&history);
}

/* A single scope, even one that does not add up, has its own law and nothing of the others. */
static void test_error_bar_of_one_scope(void **state)
{
	struct history history;
	struct report_power row = row_of("a", 1000, 10);

	(void)state;
	assert_int_equal(history_init(&history, 0, 3000, REPORT_SCOPE_PLATFORM, 1, 0), 0);
	row.sd = 3;
	assert_int_equal(history_add(&history, &row, 1), 0);
	row.scope = REPORT_SCOPE_PLATFORM;
	row.sd = 2;
	assert_int_equal(history_add(&history, &row, 1), 0);
	history_finish(&history, 1, false);
	assert_float_equal(sd_w(&history, history.series, 0), 2, 1e-6);
	history_done(&history);
}

/* The same ticks in steps of any length: each step, and the energy, have the error of a recap over it. */
static void test_error_bars_are_those_of_recaps(void **state)
{
	static const unsigned n_points[] = {1, 7, 30, 300};

	(void)state;
	for (unsigned k = 0; k < 4; k++) {
		struct history history;
		struct doubt_sum all = {0}, *steps = calloc(n_points[k], sizeof(*steps));
		double step_s = 300. / n_points[k];

		assert_non_null(steps);
		srand(random_begin());
		assert_int_equal(history_init(&history, 0, 300000, -1, n_points[k], 0), 0);
		for (int64_t t = 1; t <= 300; t++) {
			double power = rand() % 100, sd = 1 + rand() % 10;
			unsigned point = (unsigned)(ceil((double)t / step_s - 1e-9) - 1);

			add_known(&history, "a", 1000 * t, power, sd);
			doubt_sum_add(&all, &(struct doubt_part){sd, power, 1}, 1000 * t);
			doubt_sum_add(&steps[point], &(struct doubt_part){sd, power, 1}, 1000 * t);
		}
		history_finish(&history, 1, false);
		for (unsigned i = 0; i < n_points[k]; i++)
			assert_float_equal((double)history.series->bar.sd_j[i],
					   doubt_sum_sd(&steps[i], &doubt_of_cpu), 1e-3);
		assert_float_equal(error_bar_energy_sd_j(&history.series->bar),
				   doubt_sum_sd(&all, &doubt_of_cpu), 1e-9);
		history_done(&history);
		free(steps);
	}
}

/* Steady watts keep the error of one tick; varying ones average it out. */
static void test_error_bar_of_a_longer_step(void **state)
{
	struct history history;

	(void)state;
	assert_int_equal(history_init(&history, 0, 60000, -1, 1, 0), 0);
	for (int64_t t = 1000; t <= 60000; t += 1000) {
		add_known(&history, "steady", t, 10, 2);
		add_known(&history, "varies", t, t / 1000 % 2 ? 1 : 100, 2);
	}
	history_finish(&history, 2, false);
	assert_float_equal(sd_w(&history, series_of(&history, "steady"), 0), 2, 1e-4);
	assert_true(sd_w(&history, series_of(&history, "varies"), 0) < 1.2);
	history_done(&history);
}

static void test_unknown_errors(void **state)
{
	struct history history;
	struct report_power row;

	(void)state;
	assert_int_equal(history_init(&history, 0, 20000, -1, 2, 0), 0);
	for (int64_t t = 1000; t <= 20000; t += 1000) {
		add_known(&history, "none", t, 10, NAN);
		add_known(&history, "one", t, 10, t == 3000 ? NAN : 1);
		add_known(&history, "two", t, 10, t == 3000 || t == 4000 ? NAN : 1);
		add_known(&history, "small", t, t == 3000 || t == 4000 ? 1 : 10,
			  t == 3000 || t == 4000 ? NAN : 1);
		/* Without dynamic watts there is no error. */
		row = row_of("rests", t, 10);
		row.dynamic = t <= 5000 ? 0 : 5;
		row.sd = t <= 5000 ? NAN : 1;
		assert_int_equal(history_add(&history, &row, 1), 0);
	}
	history_finish(&history, 9, false);
	assert_true(isnan(sd_w(&history, series_of(&history, "none"), 0)));
	assert_true(isnan(error_bar_energy_sd_j(&series_of(&history, "none")->bar)));
	assert_true(sd_w(&history, series_of(&history, "one"), 0) > 0); /* a tenth is the most */
	assert_true(isnan(sd_w(&history, series_of(&history, "two"), 0)));
	assert_true(sd_w(&history, series_of(&history, "two"), 1) > 0); /* only that step */
	assert_true(error_bar_energy_sd_j(&series_of(&history, "two")->bar) > 0);
	assert_true(sd_w(&history, series_of(&history, "small"), 0) > 0);
	assert_true(sd_w(&history, series_of(&history, "rests"), 0) > 0);
	history_done(&history);
}

/* A GPU's error is unknown: that of the processor must not be taken for that of both. */
static void test_unknown_scope(void **state)
{
	struct history history;
	struct report_power row = row_of("a", 1000, 100);

	(void)state;
	assert_int_equal(history_init(&history, 0, 2000, -1, 2, 0), 0);
	row.scope = REPORT_SCOPE_GPU;
	for (row.time_ms = 1000; row.time_ms <= 2000; row.time_ms += 1000) {
		add_known(&history, "a", row.time_ms, 10, 1);
		row.dynamic = row.time_ms == 1000 ? 50 : 0;
		assert_int_equal(history_add(&history, &row, 1), 0);
	}
	history_finish(&history, 1, false);
	assert_true(isnan(sd_w(&history, history.series, 0)));
	assert_float_equal(sd_w(&history, history.series, 1), 1, 1e-6);
	history_done(&history);
}

static void test_error_bar_of_others(void **state)
{
	struct history history;
	char name[32];

	(void)state;
	assert_int_equal(history_init(&history, 0, 2000, -1, 2, 0), 0);
	add_known(&history, "large", 1000, 1000, 99);
	add_known(&history, "b", 1000, 10, 3);
	add_known(&history, "c", 1000, 10, 4);
	add_known(&history, "d", 1000, 2, NAN); /* less than a tenth */
	add_known(&history, "large", 2000, 1000, 99);
	add_known(&history, "b", 2000, 10, 3);
	add_known(&history, "d", 2000, 2, NAN);
	history_finish(&history, 1, false);
	assert_float_equal(history_watts(history.others_j, history.covered_s, 0), 22, 1e-5);
	assert_float_equal(history_watts(history.others_sd_j, history.covered_s, 0), 5, 1e-5);
	assert_true(isnan(history_watts(history.others_sd_j, history.covered_s, 1)));
	history_done(&history);

	/* Those beyond the limit on series, as well. */
	assert_int_equal(history_init(&history, 0, 1000, -1, 1, 0), 0);
	for (unsigned i = 0; i < HISTORY_SERIES_MAX + 100; i++) {
		(void)snprintf(name, sizeof(name), "t%u", i);
		add_known(&history, name, 1000, 1, 1);
	}
	history_finish(&history, 1, false);
	assert_float_equal(history_watts(history.others_sd_j, history.covered_s, 0),
			   sqrt(HISTORY_SERIES_MAX + 99), 1e-3);
	history_done(&history);
}

/*
 * The sum of all targets is measured and so has no error: that of the others is that of the first. Where the
 * error of one side is unknown, the other side's holds.
 */
static void test_error_bar_of_all_others(void **state)
{
	static const struct {
		unsigned top;
		bool is_all;
		double sd_w;
	} cases[] = {{1, false, 5}, {1, true, 2},         {2, true, 3.605551},
		     {0, true, 0},  {0, false, 5.385165}, {3, true, NAN}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct history history;
		double sd;

		assert_int_equal(history_init(&history, 0, 2000, -1, 2, 0), 0);
		add_known(&history, "large", 1000, 1000, 2);
		add_known(&history, "b", 1000, 20, 3);
		add_known(&history, "c", 1000, 10, 4);
		add_known(&history, "large", 2000, 1000, 2);
		add_known(&history, "b", 2000, 10, NAN);
		add_known(&history, "c", 2000, 10, NAN);
		history_finish(&history, cases[i].top, cases[i].is_all);
		sd = history_watts(history.others_sd_j, history.covered_s, 0);
		assert_true(isnan(cases[i].sd_w) ? isnan(sd) : fabs(sd - cases[i].sd_w) < 1e-5);
		if (cases[i].top == 1 && cases[i].is_all)
			assert_float_equal(history_watts(history.others_sd_j, history.covered_s, 1), 2, 1e-5);
		history_done(&history);
	}
}

static void test_empty(void **state)
{
	struct history history;

	(void)state;
	assert_int_equal(history_init(&history, 0, 2000, -1, 2, 0), 0);
	history_finish(&history, 1, false);
	assert_true(isnan(history_watts(history.others_sd_j, history.covered_s, 0)));
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
		cmocka_unit_test(test_error_bar_of_one_tick),
		cmocka_unit_test(test_error_bar_of_one_scope),
		cmocka_unit_test(test_error_bars_are_those_of_recaps),
		cmocka_unit_test(test_error_bar_of_a_longer_step),
		cmocka_unit_test(test_unknown_errors),
		cmocka_unit_test(test_unknown_scope),
		cmocka_unit_test(test_error_bar_of_others),
		cmocka_unit_test(test_error_bar_of_all_others),
		cmocka_unit_test(test_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
