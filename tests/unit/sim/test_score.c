/* SPDX-License-Identifier: Apache-2.0 */
/* The arithmetic of wattribute-score, on rows whose figures can be computed by hand. */
#include "sim/score/score.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct row {
	int64_t time_ms;
	const char *target, *socket;
	double power, dynamic;
};

static struct report_power to_power(const struct row *row)
{
	return (struct report_power){.time_ms = row->time_ms,
				     .sensor = "s",
				     .target = row->target,
				     .socket = row->socket,
				     .scope = REPORT_SCOPE_CPU,
				     .power = row->power,
				     .dynamic = row->dynamic,
				     .fixed = row->power - row->dynamic};
}

static void add(struct score *score, const struct row *rows, size_t n,
		int (*adder)(struct score *score, const struct report_power *power))
{
	for (size_t i = 0; i < n; i++) {
		struct report_power power = to_power(&rows[i]);

		assert_int_equal(adder(score, &power), 0);
	}
}

static void close_to(double value, double wanted)
{
	if (!(fabs(value - wanted) < 1e-9))
		fail_msg("%.12g instead of %.12g", value, wanted);
}

static const struct row truth[] = {
	{1000, "web-1", "0", 6, 3},    {1000, "web-1", "1", 4, 1}, {1000, "twin-a-1", "0", 10, 5},
	{1000, "system", "0", 2, 1},   {1000, "rapl", "0", 18, 9}, {2000, "web-1", "0", 8, 4},
	{2000, "twin-a-2", "0", 8, 4}, {3000, "web-1", "0", 1, 0},
};

/* Errors: web-1 2 of 10 and 1 of 8, twin-a-1 none, twin-a-2 half; no report at 3000. */
static const struct row reports[] = {
	{1000, "web-1", "0", 8, 5},    {1000, "web-1", "1", 4, 1},   {1000, "twin-a-1", "0", 10, 5},
	{1000, "global", "0", 99, 99}, {1000, "rapl", "0", 18.5, 0}, {2000, "web-1", "0", 7, 4},
	{2000, "twin-a-2", "0", 4, 2}, {2000, "rapl", "0", 11, 0},
};

static void figures_match_a_calculation_by_hand(void **state)
{
	struct score *score = score_new();
	const struct score_scope *cpu;
	struct score_result result;

	(void)state;
	add(score, truth, sizeof(truth) / sizeof(*truth), score_add_truth);
	add(score, reports, sizeof(reports) / sizeof(*reports), score_add_report);
	assert_int_equal(score_compute(score, NULL, &result), 0);
	cpu = &result.scopes[REPORT_SCOPE_CPU];
	assert_int_equal(result.ticks, 3);
	assert_int_equal(cpu->errors.rows, 5);
	assert_int_equal(cpu->errors.answered, 4);
	close_to(cpu->errors.full_mae, (2 + 0 + 1 + 4) / 4.0);
	close_to(cpu->errors.full_mae_all, (2 + 0 + 1 + 4 + 1) / 5.0);
	close_to(cpu->errors.dynamic_mae, (2 + 0 + 0 + 2) / 4.0);
	close_to(cpu->errors.full_bias, (2 + 0 - 1 - 4) / 4.0);
	close_to(cpu->errors.full_relative, (.2 + .125) / 2);
	close_to(cpu->sum_error_max, .5);
	close_to(cpu->sum_error_mean, .25);
	assert_int_equal(cpu->sums, 2);
	assert_int_equal(cpu->delay, 1);
	close_to(cpu->twin_asymmetry, 2 * 6 / 14.0);
	close_to(cpu->twin_asymmetry_truth, 2 * 2 / 18.0);
	assert_int_equal(cpu->n_kinds, 2);
	assert_string_equal(cpu->kinds[0].name, "twin-a");
	assert_string_equal(cpu->kinds[1].name, "web");
	assert_true(isnan(result.scopes[REPORT_SCOPE_DRAM].phantom_w));
	score_result_done(&result);
	score_free(score);
}

static void phantom_is_the_power_of_idle_containers(void **state)
{
	static const struct row idle[] = {
		{1, "a", "0", .03, .01}, {1, "b", "0", 30, 20}, {2, "a", "0", .01, 0}};
	static const struct row answer[] = {
		{1, "a", "0", 3, .51}, {1, "b", "0", 27, 20}, {2, "a", "0", 0, 0}};
	struct score *score = score_new();
	struct score_result result;

	(void)state;
	add(score, idle, 3, score_add_truth);
	add(score, answer, 3, score_add_report);
	assert_int_equal(score_compute(score, NULL, &result), 0);
	close_to(result.scopes[REPORT_SCOPE_CPU].phantom_w, .25);
	score_result_done(&result);
	score_free(score);
}

/* Reports omit a deviation of 0: a container that did nothing on one of its sockets still has an interval. */
static void an_unused_socket_leaves_the_interval(void **state)
{
	static const struct row true_w[] = {{1, "a", "0", 10, 5}, {1, "b", "0", 10, 5}};
	static const struct {
		struct row row;
		double sd;
	} answer[] = {{{1, "a", "0", 11, 5}, 1},
		      {{1, "a", "1", 0, 0}, __builtin_nan("")},
		      {{1, "b", "0", 11, 5}, 1},
		      {{1, "b", "1", 1, 1}, __builtin_nan("")}};
	struct score *score = score_new();
	struct score_result result;

	(void)state;
	add(score, true_w, 2, score_add_truth);
	for (unsigned i = 0; i < 4; i++) {
		struct report_power power = to_power(&answer[i].row);

		power.sd = answer[i].sd;
		assert_int_equal(score_add_report(score, &power), 0);
	}
	assert_int_equal(score_compute(score, NULL, &result), 0);
	assert_int_equal(result.scopes[REPORT_SCOPE_CPU].errors.with_sd, 1);
	close_to(result.scopes[REPORT_SCOPE_CPU].errors.inside_90, 1);
	score_result_done(&result);
	score_free(score);
}

/*
 * Two sockets. Predicted: nothing in tick 1, 4 W too little in tick 2, 40 W too much in tick 3, in which
 * cycles rise from 3 to 9, the most expensive container costs 18 W for 6 cycles in all, and static power
 * rises by 1 W.
 */
static void predictions_match_a_calculation_by_hand(void **state)
{
	static const struct row true_w[] = {
		{1, "rapl", "0", 20, 5}, {1, "rapl", "1", 10, 0},  {2, "rapl", "0", 22, 7},
		{2, "rapl", "1", 10, 0}, {3, "rapl", "0", 40, 24}, {3, "rapl", "1", 10, 0},
		{1, "a", "0", 5, 4},     {2, "a", "0", 7, 5},      {3, "a", "0", 11, 9},
		{3, "b", "0", 6, 3},
	};
	static const struct row answer[] = {
		{1, "rapl", "0", 20, 0},   {1, "rapl", "1", 10, 0},   {2, "rapl", "0", 22, 0},
		{2, "rapl", "1", 10, 0},   {3, "rapl", "0", 40, 0},   {3, "rapl", "1", 10, 0},
		{2, "global", "0", 18, 0}, {2, "global", "1", 10, 0}, {3, "global", "0", 80, 0},
		{3, "global", "1", 10, 0},
	};
	static const struct {
		int64_t time_ms;
		const char *target;
		unsigned socket;
		double load;
	} loads[] = {{1, "all", 0, 2}, {1, "all", 1, 1}, {2, "all", 0, 2}, {2, "all", 1, 1}, {3, "all", 0, 8},
		     {3, "all", 1, 1}, {1, "a", 0, 1.5}, {2, "a", 0, 1.5}, {3, "a", 1, 3},   {3, "b", 0, .5}};
	struct score *score = score_new();
	const struct score_foresight *foreseen;
	struct score_result result;

	(void)state;
	add(score, true_w, sizeof(true_w) / sizeof(*true_w), score_add_truth);
	add(score, answer, sizeof(answer) / sizeof(*answer), score_add_report);
	for (unsigned i = 0; i < sizeof(loads) / sizeof(*loads); i++)
		assert_int_equal(score_add_load(score, loads[i].time_ms, loads[i].target, loads[i].socket,
						loads[i].load),
				 0);
	assert_int_equal(score_compute(score, NULL, &result), 0);
	foreseen = &result.scopes[REPORT_SCOPE_CPU].foreseen;
	assert_int_equal(foreseen->first_ticks, 2);
	assert_int_equal(foreseen->after_ticks, 0);
	close_to(foreseen->first_w, (4 + 40) / 2.0);
	assert_true(isnan(foreseen->early_w[0]));
	close_to(foreseen->early_w[1], 4);
	close_to(foreseen->early_w[2], 40);
	close_to(foreseen->beyond, (90 - 3 * 6 - 1) / 32.0);
	close_to(foreseen->beyond_true, (90 - 18) / 32.0);
	score_result_done(&result);
	score_free(score);
}

static void empty_streams_have_no_error(void **state)
{
	struct score *score = score_new();
	struct score_result result;
	FILE *out = tmpfile();

	(void)state;
	assert_non_null(out);
	assert_int_equal(score_compute(score, out, &result), 0);
	score_print_table(&result, "none", out);
	score_print_json(&result, "no\"ne", out);
	assert_int_equal(result.ticks, 0);
	score_result_done(&result);
	score_free(score);
	assert_int_equal(fclose(out), 0);
}

/* A second run in the same file would double the sums, so its rows are counted. */
static void test_repeated(void **state)
{
	struct score *score = score_new();

	(void)state;
	add(score, reports, sizeof(reports) / sizeof(reports[0]), score_add_report);
	assert_int_equal(score_repeated(score), 0);
	add(score, reports, sizeof(reports) / sizeof(reports[0]), score_add_report);
	assert_int_equal(score_repeated(score), 2);
	score_free(score);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_repeated),
		cmocka_unit_test(figures_match_a_calculation_by_hand),
		cmocka_unit_test(phantom_is_the_power_of_idle_containers),
		cmocka_unit_test(an_unused_socket_leaves_the_interval),
		cmocka_unit_test(predictions_match_a_calculation_by_hand),
		cmocka_unit_test(empty_streams_have_no_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
