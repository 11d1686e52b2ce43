/* SPDX-License-Identifier: Apache-2.0 */
/* How the standard deviations of consecutive ticks add up. */
#include "base/doubt.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct doubt_law *law; /* each test runs with both */

/* n ticks of alternately 10 and 10 + `swing` watts, each with the standard deviation `sd_w`. */
static double sum_of(unsigned n, double sd_w, int64_t apart_ms, double swing)
{
	struct doubt_sum sum = {0};
	double length_s = apart_ms > 0 ? (double)apart_ms / 1000 : 1;

	for (unsigned i = 0; i < n; i++) {
		struct doubt_part part = {sd_w * length_s, 10 + (i % 2) * swing, length_s};
		doubt_sum_add(&sum, &part, 1000 + i * apart_ms);
	}
	return doubt_sum_sd(&sum, law);
}

static void one_part_keeps_its_deviation(void **state)
{
	(void)state;
	assert_true(fabs(sum_of(1, 3, 1000, 0) - 3) < 1e-12);
	assert_true(isnan(sum_of(0, 3, 1000, 0)));
	assert_true(isnan(sum_of(5, NAN, 1000, 0)));
}

static void ticks_are_partly_correlated(void **state)
{
	static const unsigned counts[] = {2, 10, 100, 1000};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		double n = counts[i], sd = sum_of(counts[i], 2, 1000, 10);
		assert_true(sd > 2 * sqrt(n) && sd < 2 * n);
	}
}

/* Constant watts never correct the model, so each tick has the same error. */
static void steady_watts_keep_their_error(void **state)
{
	double last = 0;

	(void)state;
	assert_true(fabs(sum_of(100, 2, 1000, 0) - 200) < 1e-9);
	assert_true(fabs(sum_of(100, 0, 1000, 0)) < 1e-12);
	for (double swing = 100; swing > 0.1; swing /= 2) {
		double sd = sum_of(100, 2, 1000, swing);
		assert_true(sd > last && sd < 200);
		last = sd;
	}
}

/* With hours between the ticks, errors of varying watts are nearly independent. */
static void errors_fade(void **state)
{
	double far = sum_of(100, 2, 6 * 3600 * 1000, 1000) / (6 * 3600), near = sum_of(100, 2, 1000, 1000);

	(void)state;
	assert_true(far < 0.75 * near && far > 20);
}

/* Sockets of one tick have independent errors, and their watts belong to one tick. */
static void parts_of_a_tick_are_one_sample(void **state)
{
	struct doubt_sum two = {0}, one = {0};

	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		double swing = i % 2;
		doubt_sum_add(&two, &(struct doubt_part){3, 20 + 4 * swing, 1}, 1000 * i);
		doubt_sum_add(&two, &(struct doubt_part){4, 2 + swing, 1}, 1000 * i);
		doubt_sum_add(&one, &(struct doubt_part){5, 22 + 5 * swing, 1}, 1000 * i);
	}
	assert_true(fabs(doubt_sum_sd(&two, law) / doubt_sum_sd(&one, law) - 1) < 1e-9);
}

/* Ten ticks of 1 s are about as certain as one of 10 s: the sum does not depend on how time is divided. */
static void length_of_ticks_matters_little(void **state)
{
	double fine = sum_of(600, 1, 1000, 0), coarse = sum_of(120, 1, 5000, 0);

	(void)state;
	assert_true(fabs(coarse / fine - 1) < 0.05);
	assert_true(fabs(sum_of(120, 1, 5000, 5) / sum_of(600, 1, 1000, 5) - 1) < 0.05);
}

/* A small container's errors last longer. Watts alternate, so only their scale differs. */
static void few_watts_last_longer(void **state)
{
	struct doubt_sum small = {0}, large = {0};

	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		double watts = 1 + (i % 2) * 9;
		doubt_sum_add(&small, &(struct doubt_part){1, watts / 1000, 1}, 1000 * i);
		doubt_sum_add(&large, &(struct doubt_part){1, watts * 10, 1}, 1000 * i);
	}
	if (law == &doubt_of_cpu)
		assert_true(fabs(doubt_sum_sd(&small, law) / doubt_sum_sd(&large, law) - 1) < 1e-9);
	else
		assert_true(doubt_sum_sd(&small, law) > 1.15 * doubt_sum_sd(&large, law));
}

static void unknown_deviations_are_left_out(void **state)
{
	struct doubt_sum sum = {0};

	(void)state;
	doubt_sum_add(&sum, &(struct doubt_part){1, 10, 1}, 1000);
	doubt_sum_add(&sum, &(struct doubt_part){NAN, 10, 1}, 2000);
	doubt_sum_add(&sum, &(struct doubt_part){1, 10, 1},
		      500); /* out of order: counts as a tick of that time */
	assert_true(isfinite(doubt_sum_sd(&sum, law)) && doubt_sum_sd(&sum, law) <= 2);
	doubt_sum_add(&sum, &(struct doubt_part){1, NAN, 1}, 3000);
	assert_true(isfinite(doubt_sum_sd(&sum, law)) && doubt_sum_sd(&sum, law) <= 3);
	sum = (struct doubt_sum){0}; /* neither watts nor time */
	doubt_sum_add(&sum, &(struct doubt_part){1, 0, 0}, 1000);
	assert_true(fabs(doubt_sum_sd(&sum, law) - 1) < 1e-12);
}

/* Scopes, sockets or targets of one time: independent, and unknown together if too much lacks its error. */
static void totals_of_independent_figures(void **state)
{
	struct doubt_total total = {0};

	(void)state;
	assert_true(isnan(doubt_total_sd(&total)));
	doubt_total_add(&total, 10, 5, 3);
	doubt_total_add(&total, 80, 5, 4);
	doubt_total_add(&total, NAN, 5, 9); /* no figure */
	assert_true(fabs(doubt_total_sd(&total) - 5) < 1e-12 && fabs(total.total - 90) < 1e-12);
	doubt_total_add(&total, 20, 0, NAN); /* nothing dynamic: no error */
	doubt_total_add(&total, 0, 5, NAN);
	doubt_total_add(&total, 12, 5, NAN); /* less than a tenth of 122 */
	assert_true(fabs(doubt_total_sd(&total) - 5) < 1e-12);
	doubt_total_add(&total, -2, NAN, NAN); /* a part of unknown kind; its size counts */
	assert_true(isnan(doubt_total_sd(&total)));
	total = (struct doubt_total){0};
	doubt_total_add(&total, 5, 0, NAN); /* known to be nothing, but by no figure */
	assert_true(isnan(doubt_total_sd(&total)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_part_keeps_its_deviation),
		cmocka_unit_test(ticks_are_partly_correlated),
		cmocka_unit_test(steady_watts_keep_their_error),
		cmocka_unit_test(errors_fade),
		cmocka_unit_test(parts_of_a_tick_are_one_sample),
		cmocka_unit_test(length_of_ticks_matters_little),
		cmocka_unit_test(few_watts_last_longer),
		cmocka_unit_test(unknown_deviations_are_left_out),
		cmocka_unit_test(totals_of_independent_figures),
	};

	int failed;

	law = &doubt_of_cpu;
	failed = cmocka_run_group_tests_name("cpu", tests, NULL, NULL);
	law = &doubt_of_dram;
	return failed + cmocka_run_group_tests_name("dram", tests, NULL, NULL);
}
