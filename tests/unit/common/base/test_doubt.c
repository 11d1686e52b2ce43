/* SPDX-License-Identifier: Apache-2.0 */
/* How standard deviations of consecutive ticks add up. */
#include "base/doubt.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static double sum_of(unsigned n, double sd, int64_t apart_ms)
{
	struct doubt_sum sum = {0};

	for (unsigned i = 0; i < n; i++)
		doubt_sum_add(&sum, sd, 1000 + i * apart_ms);
	return doubt_sum_sd(&sum);
}

static void one_part_is_itself(void **state)
{
	(void)state;
	assert_true(fabs(sum_of(1, 3, 1000) - 3) < 1e-12);
	assert_true(isnan(sum_of(0, 3, 1000)));
	assert_true(isnan(sum_of(5, NAN, 1000)));
}

static void ticks_are_neither_independent_nor_the_same(void **state)
{
	static const unsigned counts[] = {2, 10, 100, 1000};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		double n = counts[i], sd = sum_of(counts[i], 2, 1000);
		assert_true(sd > 2 * sqrt(n) && sd < 2 * n);
	}
	/* Hours apart, errors are independent. */
	assert_true(fabs(sum_of(100, 2, 3600 * 1000) - 20) < 1e-6);
	/* At one instant a part of them is the same: more than independent, less than equal. */
	assert_true(sum_of(2, 2, 0) > sum_of(2, 2, 1000));
}

/* Ten ticks of a second are as sure as one of ten seconds is about: the sum does not depend on the cut. */
static void length_of_ticks_matters_little(void **state)
{
	double fine = sum_of(600, 1, 1000), coarse = sum_of(120, 5, 5000);

	(void)state;
	assert_true(fabs(coarse / fine - 1) < 0.05);
}

static void what_is_unknown_is_left_out(void **state)
{
	struct doubt_sum sum = {0};

	(void)state;
	doubt_sum_add(&sum, 1, 1000);
	doubt_sum_add(&sum, NAN, 2000);
	doubt_sum_add(&sum, 1, 500); /* out of order: as if at the same instant */
	assert_true(isfinite(doubt_sum_sd(&sum)) && doubt_sum_sd(&sum) < 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_part_is_itself),
		cmocka_unit_test(ticks_are_neither_independent_nor_the_same),
		cmocka_unit_test(length_of_ticks_matters_little),
		cmocka_unit_test(what_is_unknown_is_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
