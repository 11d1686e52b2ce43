/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Energy counters that wrap, are reset, jump, or have no range: which readings are accepted and which are
 * refused, and that no value exceeds what a socket can take.
 */
#include "machine/energy_counter.h"
#include "unit/random_seed.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define S UINT64_C(1000000000)
#define J UINT64_C(1000000) /* in counts of a microjoule */

#define RANGE (262143 * J)

static double take(struct energy_counter *counter)
{
	return ldexp((double)energy_counter_take(counter), -32);
}

static void steps(void **state)
{
	static const struct {
		const char *what;
		uint64_t range, before, now;
		double seconds;
		int error;
		double joules;
	} cases[] = {
		{"a step", RANGE, 5 * J, 15 * J, 1, 0, 10},
		{"no step", RANGE, 5 * J, 5 * J, 1, 0, 0},
		{"a wrap", RANGE, RANGE - 4 * J, 6 * J, 1, 0, 10},
		{"a wrap in a long tick", RANGE, RANGE - 50000 * J, 50000 * J, 600, 0, 100000},
		{"a reset in the middle", RANGE, 200000 * J, 0, 1, -ERANGE, 0},
		{"a reset short before the end", RANGE, RANGE - 4000 * J, 0, 1, -ERANGE, 0},
		{"a small step back", RANGE, 200000 * J, 200000 * J - 1, 1, -ERANGE, 0},
		{"a jump ahead (after sleep)", RANGE, 1000 * J, 200000 * J, 1, -ERANGE, 0},
		{"back, without a range", 0, 200000 * J, 5, 1, -ERANGE, 0},
		{"beyond its range", RANGE, RANGE + 5, 5, 1, -ERANGE, 0},
		{"rubbish", RANGE, 5, UINT64_MAX, 1, -ERANGE, 0},
		{"a fast tick", RANGE, 5 * J, 6 * J, 0.01, 0, 1},
		{"an absurd fast tick", RANGE, 5 * J, 305 * J, 0.01, -ERANGE, 0},
		{"a wrap after three ticks without reading", 60 * J, 50 * J, 20 * J, 3, 0, 30},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct energy_counter counter = {.joules_per_count = 1e-6, .range = cases[i].range};
		double got;
		int r;

		assert_int_equal(energy_counter_read(&counter, cases[i].before, 7 * S), 0);
		assert_true(take(&counter) == 0);
		r = energy_counter_read(&counter, cases[i].now, 7 * S + (uint64_t)(cases[i].seconds * 1e9));
		got = take(&counter);
		if (r != cases[i].error || fabs(got - cases[i].joules) > 1e-6)
			fail_msg("%s: %d, %g J", cases[i].what, r, got);
		/* It continues from the present value, whatever that is. */
		if (cases[i].now < 1000 * RANGE) {
			assert_int_equal(energy_counter_read(&counter, cases[i].now + J, 9 * S + 600 * S), 0);
			assert_true(fabs(take(&counter) - 1) < 1e-6);
		}
	}
}

/*
 * Read at least once per period at any power up to the maximum, no wrap is missed and no reading is refused.
 */
static void nothing_is_missed(void **state)
{

	(void)state;
	srand(random_begin());
	for (unsigned round = 0; round < 200; round++) {
		struct energy_counter counter = {.joules_per_count = 1e-6,
						 .range = (30 + (uint64_t)rand() % 300000) * J};
		const uint64_t period_ns = energy_counter_period_ns(&counter);
		uint64_t raw = (uint64_t)rand() % counter.range, now_ns = S;
		double truth = 0, got = 0;

		assert_int_equal(energy_counter_read(&counter, raw, now_ns), 0);
		for (unsigned i = 0; i < 50; i++) {
			const uint64_t wait_ns = (uint64_t)((double)period_ns * (rand() % 1000 + 1) / 1001.0);
			const double watts = ENERGY_MOST_W * (rand() % 1000) / 1000.0;
			const uint64_t step = (uint64_t)(watts * (double)wait_ns * 1e-9 * 1e6);

			now_ns += wait_ns;
			truth += (double)step * 1e-6;
			raw = (raw + step) % counter.range;
			if (energy_counter_read(&counter, raw, now_ns) != 0)
				fail_msg("refused at %g W", watts);
			got += take(&counter);
		}
		if (fabs(got - truth) > 1e-6 * truth + 1e-6)
			fail_msg("%g J of %g J", got, truth);
	}
}

static void periods(void **state)
{
	const struct energy_counter intel = {.joules_per_count = 1e-6, .range = RANGE},
				    amd = {.joules_per_count = 1e-6, .range = 65532610987},
				    endless = {.joules_per_count = 1e-6};

	(void)state;
	assert_true(energy_counter_period_ns(&intel) > 120 * S && energy_counter_period_ns(&intel) < 140 * S);
	assert_true(energy_counter_period_ns(&amd) > 30 * S && energy_counter_period_ns(&amd) < 35 * S);
	assert_true(energy_counter_period_ns(&endless) == UINT64_MAX);
	assert_true(energy_is_absurd(NAN, 1, ENERGY_MOST_W));
	assert_false(energy_is_absurd(4000, 1, 2 * ENERGY_MOST_W));
	assert_true(energy_is_absurd(62000, 1, 2 * ENERGY_MOST_W));
}

/*
 * The machine's own power limit bounds its packages; other domains, and impossible limits, have the general
 * bound.
 */
static void limits(void **state)
{
	(void)state;
	assert_true(energy_most_w("RAPL_ENERGY_PKG", 0) == ENERGY_MOST_W);
	assert_true(energy_most_w("perf::RAPL_ENERGY_PKG", 125) == 500);
	assert_true(energy_most_w("RAPL_ENERGY_CORES", 64) == 256);
	assert_true(energy_most_w("RAPL_ENERGY_PKG", 6) == 100);
	assert_true(energy_most_w("RAPL_ENERGY_PKG", 4095) == ENERGY_MOST_W);
	assert_true(energy_most_w("RAPL_ENERGY_PKG", -5) == ENERGY_MOST_W);
	assert_true(energy_most_w("RAPL_ENERGY_PKG", NAN) == ENERGY_MOST_W);
	assert_true(energy_most_w("RAPL_ENERGY_PKG", INFINITY) == ENERGY_MOST_W);
	assert_true(energy_most_w("RAPL_ENERGY_DRAM", 15) == energy_most_w("RAPL_ENERGY_DRAM", 0));
	assert_true(energy_most_w("RAPL_ENERGY_PSYS", 15) == 50000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits),
		cmocka_unit_test(steps),
		cmocka_unit_test(nothing_is_missed),
		cmocka_unit_test(periods),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
