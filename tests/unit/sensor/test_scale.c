/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counter arithmetic: edge cases, and properties with random numbers (WATTRIBUTE_SEED repeats a run).
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "machine/fd_budget.h"
#include "machine/scale.h"
#include "unit/random_seed.h"

#include <math.h>

static uint64_t random_state;

/* splitmix64 */
static uint64_t next_random(void)
{
	uint64_t z = random_state += UINT64_C(0x9E3779B97F4A7C15);

	z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
	return z ^ z >> 31;
}

static int begin(void **state)
{

	(void)state;
	random_state = random_begin();
	return 0;
}

static void test_delta(void **state)
{
	(void)state;
	assert_int_equal(scale_delta(5, 3), 2);
	assert_int_equal(scale_delta(3, 5), 0);
	assert_int_equal(scale_delta_wrapped(5, 3, 100), 2);
	assert_int_equal(scale_delta_wrapped(3, 98, 100), 5);
	assert_int_equal(scale_delta_wrapped(3, 5, 0), 0);
	assert_int_equal(scale_delta_wrapped(3, 200, 100), 0);
	assert_int_equal(scale_delta_wrapped(0, UINT64_MAX, UINT64_MAX), 0);
}

static void test_multiplexed(void **state)
{
	(void)state;
	assert_int_equal(scale_multiplexed(100, 10, 10), 100);
	assert_int_equal(scale_multiplexed(100, 10, 5), 200);
	assert_int_equal(scale_multiplexed(100, 10, 0), 0);
	assert_int_equal(scale_multiplexed(100, 5, 10), 100);
	assert_true(scale_multiplexed(UINT64_MAX, UINT64_MAX, 1) == UINT64_MAX);
}

static void test_energy(void **state)
{
	const double rapl = ldexp(1, -32);

	(void)state;
	assert_true(scale_energy_step(12345678901234567, 0, rapl) == 12345678901234567);
	assert_true(scale_energy_step(1000000, 0, 1e-6) + 1 >= UINT64_C(1) << 32); /* not exact as a double */
	assert_int_equal(scale_energy_step(5, 3, rapl), 2);
	assert_int_equal(scale_energy_step(3, 5, rapl), 0);
	assert_int_equal(scale_energy_step(5, 0, 0), 0);
	assert_int_equal(scale_energy_step(5, 0, -1), 0);
	assert_int_equal(scale_energy_step(5, 0, NAN), 0);
	assert_int_equal(scale_energy_step(5, 0, INFINITY), 0);
	assert_true(scale_energy_step(UINT64_MAX, 0, 1e9) == UINT64_MAX);
}

/*
 * Beyond 2^32 J, eight months of a busy socket, the sum in 2^-32 J no longer fits 64 bits; a step still does.
 */
static void test_energy_of_a_long_run(void **state)
{
	const uint64_t long_uj = UINT64_C(5000000000) * 1000000;
	uint64_t step;

	(void)state;
	step = scale_energy_step(long_uj + 1000000, long_uj, 1e-6);
	assert_true(step > (UINT64_C(1) << 32) - 8 && step < (UINT64_C(1) << 32) + 8);
	step = scale_energy_step(UINT64_MAX, UINT64_MAX - 16384, ldexp(1, -14));
	assert_true(step == UINT64_C(1) << 32);
}

static void test_share(void **state)
{
	(void)state;
	assert_int_equal(scale_share(10, 1, 4), 3);
	assert_int_equal(scale_share(10, 1, 0), 0);
	assert_true(scale_share(UINT64_MAX, UINT64_MAX, UINT64_MAX) == UINT64_MAX);
}

/* Deltas of a wrapping counter add up to the real energy, whatever the steps. */
static void test_wraps_add_up(void **state)
{
	(void)state;
	for (int run = 0; run < 200; run++) {
		uint64_t range = 1000 + next_random() % 1000000, truth = 0, sum = 0,
			 before = next_random() % range;
		uint64_t raw = before;

		for (int step = 0; step < 200; step++) {
			uint64_t flow = next_random() % range, now;

			truth += flow;
			raw += flow;
			now = raw % range;
			sum += scale_delta_wrapped(now, before, range);
			before = now;
		}
		assert_true(sum == truth);
	}
}

/* Energy converted step by step never drifts from energy converted at once. */
static void test_energy_does_not_drift(void **state)
{
	(void)state;
	for (int run = 0; run < 200; run++) {
		double unit = ldexp(1, -(int)(10 + next_random() % 20)) *
			      (1 + (double)(next_random() % 1000) / 1000);
		uint64_t count = 0, sum = 0;

		for (int step = 0; step < 300; step++) {
			uint64_t before = count;

			count += next_random() % 100000;
			sum += scale_energy_step(count, before, unit);
		}
		assert_true(sum == scale_energy_step(count, 0, unit));
	}
}

static void test_scaling_never_loses(void **state)
{
	(void)state;
	for (int run = 0; run < 10000; run++) {
		uint64_t delta = next_random() >> (next_random() % 64), running = 1 + next_random() % 1000000;
		uint64_t enabled = running + next_random() % 1000000;

		assert_true(scale_multiplexed(delta, enabled, running) >= delta);
	}
}

static void test_fd_budget(void **state)
{
	(void)state;
	assert_true(fd_budget_raise() > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_delta),
		cmocka_unit_test(test_multiplexed),
		cmocka_unit_test(test_energy),
		cmocka_unit_test(test_energy_of_a_long_run),
		cmocka_unit_test(test_share),
		cmocka_unit_test(test_wraps_add_up),
		cmocka_unit_test(test_energy_does_not_drift),
		cmocka_unit_test(test_scaling_never_loses),
		cmocka_unit_test(test_fd_budget),
	};

	return cmocka_run_group_tests(tests, begin, NULL);
}
